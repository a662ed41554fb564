//! How an operation tells what it is doing. Libraries never print; whoever calls them decides what to show.

use std::time::Duration;

/// What is being done to one package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Packing a prefix and uploading its layer.
    Push,
    /// Writing the manifest that makes a package visible.
    Tag,
    /// Fetching, extracting, relocating and registering.
    Install,
    /// Removing an installed package.
    Uninstall,
    /// Making a layer, or an image, available in another repository.
    Copy,
}

/// Something worth telling.
#[derive(Debug)]
pub enum Event<'a> {
    /// The operation enters a new phase.
    Phase(&'a str),
    /// How many packages an action is going to be applied to.
    Expect(Action, usize),
    /// Work on a package begins.
    Started(Action, &'a str),
    /// Work on a package is done.
    Finished {
        /// What was done.
        action: Action,
        /// Label of the package.
        package: &'a str,
        /// Bytes moved: the size of the compressed layer.
        bytes: u64,
        /// How long it took.
        elapsed: Duration,
        /// Anything to add, as a digest or a tag.
        detail: &'a str,
    },
    /// Work on a package failed; the operation goes on.
    Failed(Action, &'a str, &'a str),
    /// Something the user should know.
    Warning(&'a str),
    /// Something only those who ask for more want to know.
    Detail(&'a str),
}

/// Receives events, from several threads at once.
pub trait Reporter: Send + Sync {
    /// Takes one event.
    fn event(&self, event: Event<'_>);
}

/// Tells nobody.
#[derive(Debug, Default)]
pub struct Silent;

impl Reporter for Silent {
    fn event(&self, _: Event<'_>) {}
}
