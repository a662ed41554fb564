//! strata's operations, each *plan, then execute*.
//!
//! An operation takes explicit inputs, reports through a [`Reporter`], and returns a plan or a summary that can be
//! serialised; it never prints and never reads the environment. Failures of single packages are part of the
//! summary; an [`Error`] means that the operation as a whole could not be done.

pub mod check;
pub mod check_index;
pub mod download;
pub mod environment;
pub mod error;
pub mod explain;
pub mod find;
pub mod gc;
pub mod host;
pub mod image;
pub mod index;
pub mod install;
mod installation;
pub mod list;
pub mod load;
mod locate;
pub mod mark;
pub mod mirror;
mod origin;
mod package_tag;
mod packages;
mod parallel;
pub mod push;
pub mod reindex;
mod removal;
pub mod report;
pub mod resolve;
pub mod run_environment;
mod select;
pub mod uninstall;
pub mod verify;

pub use error::Error;
pub use report::{Action, Event, Reporter, Silent};
