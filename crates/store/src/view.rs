//! Views on disk: a directory that shows the files of several prefixes as one.
//!
//! [`Merger`] says what goes where, and what is in the way of what; [`ViewPlace`] is where the view lies and how a new tree of
//! files takes the place of the old one; `link` makes single entries. Which packages there are, and what is copied rather
//! than linked, is for the caller.

mod content_hash;
mod link;
mod merge;
mod place;

pub use content_hash::content_hash;
pub use link::{create_directory, hard_link, symbolic_link};
pub use merge::{Conflict, Merged, MergedFile, Merger};
pub use place::{NewView, ViewPlace};

use std::path::PathBuf;

/// A view was not made; what was there is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// Something that is no view lies where it should be.
    #[error("there can be no view at {}: {what} is there already", root.display())]
    Foreign {
        /// Where it should be.
        root: PathBuf,
        /// `a file`, `a directory that is not empty`.
        what: &'static str,
    },
    /// A file of one package is where another has a directory.
    #[error(
        "the packages of the view {} do not go together, some have files where others have directories:\n  {}",
        root.display(),
        first_lines(conflicts)
    )]
    Blocked {
        /// The view.
        root: PathBuf,
        /// All that do not go together.
        conflicts: Vec<Conflict>,
    },
    /// Hard links lead to no other file system.
    #[error("{} and {} are on different file systems: no hard link leads from one to the other", from.display(), to.display())]
    OtherFileSystem {
        /// The file.
        from: PathBuf,
        /// Where the link should be.
        to: PathBuf,
    },
    /// The operating system refused something.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// Of which file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// The first few conflicts, a line each.
fn first_lines(conflicts: &[Conflict]) -> String {
    const SHOWN: usize = 5;
    let mut lines: Vec<String> = conflicts.iter().take(SHOWN).map(Conflict::to_string).collect();
    match conflicts.len().saturating_sub(SHOWN) {
        0 => {}
        more => lines.push(format!("and {more} more")),
    }
    lines.join("\n  ")
}

impl ViewError {
    fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
