//! `.spack/binary_distribution`: what a layer says about the prefix it was made from.
//!
//! The file is YAML. [`BuildInfo::to_yaml`] writes it byte for byte as Spack does, since it is part of the layer
//! and thereby of its digest; [`BuildInfo::parse`] reads that and what older Spacks wrote.

mod parse;
mod scalar;
mod tree;
mod undecodable;

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

pub use parse::BuildInfoError;

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

impl BuildInfo {
    /// The file's content: one line of flow-style YAML and a newline, as Spack 0.20 and later write it.
    ///
    /// `relative_rpaths`, which no Spack since then writes, is left out unless it is true.
    #[must_use]
    pub fn to_yaml(&self) -> Vec<u8> {
        let mut out = Mapping::new();
        if let Some(path) = &self.sbang_install_path {
            out.text("sbang_install_path", path);
        }
        out.text("buildpath", &self.buildpath);
        out.text("spackprefix", &self.spackprefix);
        out.text("relative_prefix", &self.relative_prefix);
        out.flag("hardlinks_deduped", self.hardlinks_deduped);
        let mut prefixes = Mapping::new();
        for (hash, prefix) in &self.hash_to_prefix {
            prefixes.text(hash, prefix);
        }
        out.raw("hash_to_prefix", &prefixes.finish());
        out.list("relocate_binaries", &self.relocate_binaries);
        out.list("relocate_links", &self.relocate_links);
        out.list("relocate_textfiles", &self.relocate_textfiles);
        if self.relative_rpaths {
            out.flag("relative_rpaths", true);
        }
        let mut yaml = out.finish();
        yaml.push(b'\n');
        yaml
    }

    /// Reads the file, flow or block style, of any layout.
    ///
    /// `hash_to_prefix` may be the older `prefix_to_hash`, `spackprefix`, `relative_prefix` and
    /// `sbang_install_path` may be missing, and so may `relocate_links`, `hardlinks_deduped` and
    /// `relative_rpaths` (empty and false). Keys it does not know are skipped. Scalars are what is written,
    /// never numbers: a hash of digits only stays its text, quoted or not.
    ///
    /// # Errors
    /// [`BuildInfoError`] says which key is missing or wrong, or where the YAML is.
    pub fn parse(bytes: &[u8]) -> Result<Self, BuildInfoError> {
        parse::build_info(bytes)
    }
}

/// A flow mapping in the making.
struct Mapping {
    out: Vec<u8>,
}

impl Mapping {
    fn new() -> Self {
        Self { out: b"{".to_vec() }
    }

    fn key(&mut self, key: &str) {
        if self.out.len() > 1 {
            self.out.extend_from_slice(b", ");
        }
        scalar::push_key(&mut self.out, key.as_bytes());
    }

    fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        scalar::push_scalar(&mut self.out, value.as_bytes());
    }

    fn flag(&mut self, key: &str, value: bool) {
        self.raw(key, if value { b"true" } else { b"false" });
    }

    fn list(&mut self, key: &str, names: &[OsString]) {
        let mut list = b"[".to_vec();
        for name in names {
            if list.len() > 1 {
                list.extend_from_slice(b", ");
            }
            scalar::push_scalar(&mut list, name.as_bytes());
        }
        list.push(b']');
        self.raw(key, &list);
    }

    fn raw(&mut self, key: &str, yaml: &[u8]) {
        self.key(key);
        self.out.extend_from_slice(yaml);
    }

    fn finish(mut self) -> Vec<u8> {
        self.out.push(b'}');
        self.out
    }
}

#[cfg(test)]
mod tests;
