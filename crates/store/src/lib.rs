//! Spack install trees: database, locks, layout, padding, sbang, install manifests, staging.
//!
//! Everything here keeps to what Spack itself reads and writes, so that it may work in the same store at the same
//! time. It knows nothing of caches, layers or the network.
//!
//! An install goes: [`Store::lock_prefix`] → [`prefix_state`](prefix_state::prefix_state) → [`StageArea::stage`] →
//! unpack and relocate → [`write_known_install_manifest`] → [`StagedPrefix::commit`](stage::StagedPrefix::commit) →
//! [`Store::transaction`] with [`record_installs`]. An uninstall goes: [`Store::lock_prefix`] →
//! [`Store::transaction`] with [`record_removal`] → [`remove_prefix`].

pub mod complete;
pub mod file_cache;
mod flush;
mod index_file;
pub mod install_manifest;
pub mod layout;
pub mod lock;
pub mod permissions;
pub mod prefix_state;
mod projections;
pub mod registration;
pub mod removal;
mod replace_file;
pub mod root;
pub mod sbang;
pub mod stage;
mod stale_handle;
pub mod store;
mod upstream;
pub mod verify;
pub mod view;
mod watcher;

pub use complete::Reason;
pub use file_cache::{FileCache, FileCacheError, LinkMode};
pub use flush::{ChangedDirectories, FileSystem};
pub use index_file::IndexError;
pub use install_manifest::{KnownKind, KnownPath, write_install_manifest, write_known_install_manifest};
pub use lock::{Holder, LockError, LockGuard, LockKind};
pub use permissions::{Access, AccessError, AccessPolicy, Users};
pub use prefix_state::PrefixState;
pub use projections::{ProjectionError, Projections};
pub use registration::{
    NewInstall, Recording, RegistrationError, installed_dependents, is_recordable, record_installs,
    record_removal,
};
pub use removal::remove_prefix;
pub use root::{RootError, StoreRoot};
pub use sbang::install_sbang;
pub use stage::{StageArea, clean_stale};
pub use store::{LockSettings, Reindexed, Store, StoreError};
pub use upstream::{Installed, Upstream};
pub use verify::verify_manifest;
pub use view::ViewError;
pub use watcher::{Delay, Watcher};
