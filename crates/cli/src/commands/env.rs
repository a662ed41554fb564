//! `strata env …`, `add`, `remove` and `concretize`.

mod activate;
mod create;
mod list;
mod remove;
mod status;
mod view;

pub(crate) use activate::{activate, deactivate};
pub(crate) use create::create;
pub(crate) use list::list;
pub(crate) use remove::{remove, rename};
pub(crate) use status::status;
pub(crate) use view::view;
