//! The index of a cache: which packages it has, in one blob under the tag `index.spack`.
//!
//! Tags are the truth and the index is a cache of them: [`update`] brings it up to date, [`add`] does so after a push, and
//! reading falls back to the tags where there is none.

mod collect;
mod compose;
mod entry;
mod kept;
mod package;
mod published;
mod read;
mod update;

pub use collect::BadTag;
pub(crate) use collect::package_tags;
pub(crate) use package::{spec_in, spec_of};
pub use read::{LastKnown, catalog, catalog_or_collect, last_known, read};
pub use update::{IndexSummary, add, update};
