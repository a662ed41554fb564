//! What the surroundings say: environment variables, home directory, number of cores. Read here and nowhere else.

use crate::args::Global;
use etcetera::BaseStrategy;
use jiff::Timestamp;
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
    /// `SOURCE_DATE_EPOCH`: what reproducible builds use for the time.
    pub(crate) source_date_epoch: Option<Timestamp>,
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
        Self {
            store: global.store.clone().or(spack).unwrap_or_else(|| data.join("strata/store")),
            store_is_named: global.store.is_some(),
            padded_length: global.padded_length,
            user_scope: variable("SPACK_USER_CONFIG_PATH").unwrap_or_else(|| home.join(".spack")),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            source_date_epoch: source_date_epoch(),
        }
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

fn source_date_epoch() -> Option<Timestamp> {
    let seconds = std::env::var("SOURCE_DATE_EPOCH").ok()?.parse().ok()?;
    Timestamp::from_second(seconds).ok()
}
