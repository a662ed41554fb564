//! The index of a cache: reading it, and bringing it up to date with the tags.
//!
//! Tags are the truth and the index is a cache of them. `update` fetches only the configs of packages that the
//! index does not have yet, drops packages whose tag is gone, and tolerates tags it cannot read.

mod read;
mod update;

pub(crate) use read::{READING_TAGS, read_usable};
pub use read::{read, read_or_collect};
pub use update::{BadTag, IndexSummary, update};
pub(crate) use update::{spec_in, spec_of};
