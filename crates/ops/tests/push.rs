//! A push goes on whatever fails on its way, and always ends.

#![allow(clippy::unwrap_used)]

mod chain;

use chain::{CHAIN, store};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Duration;
use strata_oci::{
    BlobSource, Descriptor, Digest, Error, ManifestRef, RawManifest, Repository, RepositoryUrl, TagName,
    Uploaded,
};
use strata_ops::Silent;
use strata_ops::push::{Only, PushRequest, PushSummary, execute, plan};
use strata_store::StoreRoot;

/// A layout that misbehaves as told.
struct Faulty {
    layout: Box<dyn Repository>,
    fault: Fault,
    uploads: AtomicU32,
}

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    /// The manifest of this tag cannot be read.
    Unreadable(&'static str),
    /// Blobs cannot be taken: a bug makes that panic.
    Panic,
}

impl Repository for Faulty {
    fn url(&self) -> &RepositoryUrl {
        self.layout.url()
    }
    fn resolve(&self, tag: &TagName) -> Result<Option<Descriptor>, Error> {
        self.layout.resolve(tag)
    }
    fn manifest(&self, reference: &ManifestRef) -> Result<Option<RawManifest>, Error> {
        match (self.fault, self.layout.manifest(reference)?) {
            (Fault::Unreadable(name), Some(raw)) if reference.to_string().starts_with(name) => {
                Ok(Some(RawManifest { bytes: b"{".to_vec(), ..raw }))
            }
            (_, found) => Ok(found),
        }
    }
    fn put_manifest(&self, tag: &TagName, media_type: &str, bytes: &[u8]) -> Result<Digest, Error> {
        self.layout.put_manifest(tag, media_type, bytes)
    }
    fn put_manifest_untagged(&self, media_type: &str, bytes: &[u8]) -> Result<Digest, Error> {
        self.layout.put_manifest_untagged(media_type, bytes)
    }
    fn mount_blob(&self, descriptor: &Descriptor, from: &RepositoryUrl) -> Result<bool, Error> {
        self.layout.mount_blob(descriptor, from)
    }
    fn tags(&self) -> Result<Vec<String>, Error> {
        self.layout.tags()
    }
    fn blob_size(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        self.layout.blob_size(digest)
    }
    fn blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, Error> {
        self.layout.blob(descriptor)
    }
    fn put_blob(&self, source: &BlobSource) -> Result<Uploaded, Error> {
        assert!(self.fault != Fault::Panic, "a bug");
        // Uploads end in the order they began in: dependents first, here.
        std::thread::sleep(Duration::from_millis(200) * self.uploads.fetch_add(1, Ordering::SeqCst));
        self.layout.put_blob(source)
    }
    fn delete_manifest(&self, reference: &strata_oci::ManifestRef) -> Result<bool, strata_oci::Error> {
        self.layout.delete_manifest(reference)
    }

    fn scratch_dir(&self) -> Option<PathBuf> {
        self.layout.scratch_dir()
    }
}

/// Pushes the packages of those names, in a thread that has to end.
fn push(root: &Path, cache: &Path, names: &[&str], fault: Option<Fault>) -> PushSummary {
    let root = root.to_owned();
    let specs = names.iter().map(|name| name.parse().unwrap()).collect();
    let layout = strata_oci::open_or_create(
        &RepositoryUrl::from_directory(cache).unwrap(),
        &strata_oci::Transport::default(),
        None,
    )
    .unwrap();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let database = store(&root);
        let repository = match fault {
            Some(fault) => Box::new(Faulty { layout, fault, uploads: AtomicU32::new(0) }),
            None => layout,
        };
        let request = PushRequest { specs, only: Only::Package, jobs: 1, ..PushRequest::default() };
        let plan = plan(&database, &*repository, &request, &Silent).unwrap();
        let root = StoreRoot::open_or_new(&root, None).unwrap();
        let summary = execute(&database, &root, &*repository, &request, plan, &|_| None, &Silent).unwrap();
        sender.send(summary).unwrap();
    });
    receiver.recv_timeout(Duration::from_secs(60)).expect("the push ends")
}

fn failed(summary: &PushSummary) -> Vec<&str> {
    let mut names: Vec<&str> = summary.failed.iter().map(|f| f.package.split('@').next().unwrap()).collect();
    names.sort_unstable();
    names
}

#[test]
fn dependents_of_what_cannot_be_tagged_do_not_wait_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let (root, cache) = (dir.path().join("root"), dir.path().join("cache"));
    assert_eq!(push(&root, &cache, &["base"], None).pushed.len(), 1);
    let summary = push(&root, &cache, &["top", "middle"], Some(Fault::Unreadable("base-")));
    assert_eq!(failed(&summary), ["middle", "top"]);
    // And nothing of it is in the way of the next push.
    assert_eq!(push(&root, &cache, &["top", "middle"], None).pushed.len(), 2);
}

#[test]
fn a_panic_fails_a_package_and_not_the_push() {
    let dir = tempfile::tempdir().unwrap();
    let (root, cache) = (dir.path().join("root"), dir.path().join("cache"));
    let summary = push(&root, &cache, &CHAIN, Some(Fault::Panic));
    assert_eq!(failed(&summary), ["base", "middle", "top"]);
    assert!(summary.failed.iter().all(|failure| failure.message.contains("bug")));
}
