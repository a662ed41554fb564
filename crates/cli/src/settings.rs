//! What the surroundings say: environment variables, home directory, number of cores. Read here and nowhere else.

use crate::args::Global;
use etcetera::BaseStrategy;
use jiff::Timestamp;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The surroundings, as far as strata looks at them.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Root of the install tree, padded underneath or not.
    pub(crate) store: PathBuf,
    /// Whether somebody named the store; the default one need not exist.
    pub(crate) store_is_named: bool,
    /// Pad the root of a new install tree to this many bytes.
    pub(crate) padded_length: Option<usize>,
    /// The user scope of Spack's configuration.
    pub(crate) user_scope: PathBuf,
    /// Threads to use where the user does not say.
    pub(crate) cores: usize,
    source_date_epoch: Option<OsString>,
}

/// `SOURCE_DATE_EPOCH` is set to something else than a time.
#[derive(Debug, thiserror::Error)]
#[error("SOURCE_DATE_EPOCH is `{value}`, not a number of seconds since 1970")]
pub(crate) struct InvalidEpoch {
    value: String,
}

impl Settings {
    /// Reads the surroundings.
    pub(crate) fn read(global: &Global) -> Self {
        let variable =
            |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let base = etcetera::choose_base_strategy().ok();
        let home = base.as_ref().map(|b| b.home_dir().to_owned()).unwrap_or_default();
        let data = base.as_ref().map_or_else(|| home.join(".local/share"), |b| b.data_dir());
        let spack =
            variable("SPACK_ROOT").map(|root| root.join("opt/spack")).filter(|root| has_database(root));
        // No shell expands the `~` of `--store=~/dir`.
        let expanded = |path: &Path| path.strip_prefix("~").map_or(path.to_owned(), |rest| home.join(rest));
        let named = global.store.as_deref().map(expanded);
        Self {
            store: named.clone().or(spack).unwrap_or_else(|| data.join("strata/store")),
            store_is_named: named.is_some(),
            padded_length: global.padded_length,
            user_scope: variable("SPACK_USER_CONFIG_PATH").unwrap_or_else(|| home.join(".spack")),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            source_date_epoch: std::env::var_os("SOURCE_DATE_EPOCH").filter(|value| !value.is_empty()),
        }
    }

    /// `SOURCE_DATE_EPOCH`: what reproducible builds use for the time.
    pub(crate) fn source_date_epoch(&self) -> Result<Option<Timestamp>, InvalidEpoch> {
        let Some(value) = &self.source_date_epoch else { return Ok(None) };
        let seconds = value.to_str().and_then(|text| text.parse().ok());
        let time = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
        time.map(Some).ok_or_else(|| InvalidEpoch { value: value.to_string_lossy().into_owned() })
    }

    /// Where mirrors are configured.
    pub(crate) fn mirrors_file(&self) -> PathBuf {
        self.user_scope.join("mirrors.yaml")
    }
}

/// Whether Spack has installed something under `root`, padded or not.
fn has_database(root: &Path) -> bool {
    strata_store::StoreRoot::open(root).is_ok()
}
