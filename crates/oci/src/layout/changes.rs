//! Changes of the index, and how the threads of a process share one replacement of the file.
//!
//! To replace the file durably takes five flushes to disk, whether one tag changes or a thousand. So every thread
//! puts its change into a queue; whoever then has the turn makes all those that wait. While it flushes, the next ones
//! gather.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::blobs::Blobs;
use crate::{Descriptor, Digest, Error, ManifestRef, TagName};

/// What becomes of the manifest that a tag pointed at, when the tag goes elsewhere and nothing else points at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Replaced {
    /// Its entry goes, as with skopeo and podman.
    Forgotten,
    /// It stays, without a tag, as in a registry: who has resolved the tag already can still pull by digest.
    KeptByDigest,
}

/// One change of the index.
#[derive(Debug, Clone)]
pub(super) enum Action {
    /// A tag is to point at a manifest. If that is an index, the manifests that it `lists` need no entries of their own that
    /// say no more than that they are there.
    Tag { tag: TagName, manifest: Descriptor, replaced: Replaced, lists: Vec<Digest> },
    /// A manifest is to be there, without a tag if it has none.
    Keep { manifest: Descriptor, lists: Vec<Digest> },
    /// A tag goes.
    RemoveTag { tag: TagName, replaced: Replaced },
    /// A manifest goes with all tags that point at it.
    RemoveManifest(Digest),
}

/// A change, and what must be in the layout for it to be made.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) action: Action,
    pub(super) needs: Option<Needs>,
}

/// The blobs without which a manifest is not complete.
#[derive(Debug, Clone)]
pub(super) struct Needs {
    /// The repository, for errors.
    pub(super) location: String,
    /// What the manifest is to be put as.
    pub(super) manifest: ManifestRef,
    /// What each is to the manifest ("config", "layer", "manifest"), and the blob.
    pub(super) blobs: Vec<(&'static str, Descriptor)>,
}

impl Needs {
    /// # Errors
    /// [`Error::MissingBlob`] for the first that is not there with its size.
    pub(super) fn check(&self, present: &Blobs) -> Result<(), Error> {
        for (role, blob) in &self.blobs {
            if present.size(&blob.digest)? != Some(blob.size) {
                return Err(Error::MissingBlob {
                    location: self.location.clone(),
                    manifest: self.manifest.clone(),
                    role,
                    digest: blob.digest,
                });
            }
        }
        Ok(())
    }
}

impl Change {
    pub(super) fn check(&self, present: &Blobs) -> Result<(), Error> {
        self.needs.as_ref().map_or(Ok(()), |needs| needs.check(present))
    }
}

/// A change in the queue.
pub(super) struct Waiting {
    pub(super) change: Change,
    outcome: Mutex<Option<Result<bool, Error>>>,
}

impl Waiting {
    /// Says what came of it.
    pub(super) fn finish(&self, outcome: Result<bool, Error>) {
        *lock(&self.outcome) = Some(outcome);
    }
}

/// The queue of one process's changes.
#[derive(Default)]
pub(super) struct Changes {
    queue: Mutex<Queue>,
    /// Told whenever a turn is over.
    over: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Arc<Waiting>>,
    /// Whether some thread has the turn.
    taken: bool,
}

/// The turn of a thread, which is over when this is dropped, come what may.
struct Turn<'a>(&'a Changes);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        lock(&self.0.queue).taken = false;
        self.0.over.notify_all();
    }
}

impl Changes {
    /// Puts `change` into the queue and waits until it is made: by another thread, or by `make` with all that wait.
    /// `make` either finishes every change or fails; then the others try for themselves, and each has an error of
    /// its own.
    pub(super) fn share(
        &self,
        change: Change,
        make: impl FnOnce(&[Arc<Waiting>]) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        let own = Arc::new(Waiting { change, outcome: Mutex::new(None) });
        let mut queue = lock(&self.queue);
        queue.waiting.push(Arc::clone(&own));
        // Whoever has learnt what came of its change goes at once, and leaves the turn to one that has not: so the
        // next batch gathers while this one is flushed.
        while queue.taken {
            queue = self.over.wait(queue).unwrap_or_else(PoisonError::into_inner);
            if let Some(outcome) = lock(&own.outcome).take() {
                return outcome;
            }
        }
        queue.taken = true;
        let turn = Turn(self);
        let mut batch = std::mem::take(&mut queue.waiting);
        drop(queue);
        if !batch.iter().any(|waiting| Arc::ptr_eq(waiting, &own)) {
            // Who took it out of the queue has panicked.
            batch.push(Arc::clone(&own));
        }
        if let Err(error) = make(&batch) {
            batch.retain(|waiting| !Arc::ptr_eq(waiting, &own));
            lock(&self.queue).waiting.splice(0..0, batch);
            return Err(error);
        }
        drop(turn);
        lock(&own.outcome).take().unwrap_or(Ok(false))
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        lock(&self.queue).waiting.len()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(name: &str) -> Change {
        let action = Action::RemoveTag { tag: name.parse().unwrap(), replaced: Replaced::Forgotten };
        Change { action, needs: None }
    }

    #[test]
    fn those_who_wait_for_one_that_panics_go_on_without_it() {
        let changes = Changes::default();
        std::thread::scope(|scope| {
            let changes = &changes;
            let (begun, wait) = std::sync::mpsc::channel();
            let leader = scope.spawn(move || {
                changes.share(change("leader"), |_| {
                    begun.send(()).unwrap();
                    while changes.waiting() < 4 {
                        std::thread::yield_now();
                    }
                    // As if they had been in its batch.
                    lock(&changes.queue).waiting.clear();
                    panic!("the leader's end")
                })
            });
            wait.recv().unwrap();
            let others: Vec<_> = (0..4)
                .map(|number| {
                    scope.spawn(move || {
                        changes.share(change(&number.to_string()), |batch| {
                            batch.iter().for_each(|waiting| waiting.finish(Ok(true)));
                            Ok(())
                        })
                    })
                })
                .collect();
            assert!(leader.join().is_err());
            assert!(others.into_iter().all(|other| other.join().unwrap().unwrap()));
        });
        assert_eq!(changes.waiting(), 0);
    }
}
