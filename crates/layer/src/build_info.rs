//! `.spack/binary_distribution`: what a layer says about the prefix it was made from.

use std::ffi::OsString;

/// The content of `.spack/binary_distribution`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildInfo {
    /// Absolute path of `bin/sbang` where the layer was made; absent in very old layers.
    pub sbang_install_path: Option<String>,
    /// Root of the install tree (padding included) where the layer was made.
    pub buildpath: String,
    /// Prefix of the Spack that made the layer.
    pub spackprefix: String,
    /// The package's prefix relative to `buildpath`.
    pub relative_prefix: String,
    /// Whether hard-linked names are listed once below.
    pub hardlinks_deduped: bool,
    /// DAG hash and prefix of every package the files may refer to, in order of precedence.
    pub hash_to_prefix: Vec<(String, String)>,
    /// Files with ELF or Mach-O magic, relative to the prefix.
    pub relocate_binaries: Vec<OsString>,
    /// Absolute symbolic links that start with one of the prefixes.
    pub relocate_links: Vec<OsString>,
    /// Text files in which one of the prefixes occurs.
    pub relocate_textfiles: Vec<OsString>,
    /// Made with the retired `--rel`: RPATHs are relative.
    pub relative_rpaths: bool,
}
