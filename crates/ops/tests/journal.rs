//! A push that was interrupted is gone on with: what it uploaded is neither packed nor sent again.

#![allow(clippy::unwrap_used)]

mod chain;

use chain::{CHAIN, prefix, store};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};
use strata_oci::{
    BlobSource, Descriptor, Digest, Error, ManifestRef, RawManifest, Repository, RepositoryUrl, TagName,
    Transport, Uploaded,
};
use strata_ops::push::{Only, PushRequest, PushSummary, execute, plan};
use strata_ops::{Action, Event, Reporter};
use strata_store::StoreRoot;

/// A layout in which nothing can be tagged while it is `interrupted`: layers get there, packages do not.
struct Cache {
    layout: Box<dyn Repository>,
    interrupted: bool,
    /// A file that appears while a blob is put.
    meanwhile: Option<PathBuf>,
}

impl Repository for Cache {
    fn url(&self) -> &RepositoryUrl {
        self.layout.url()
    }
    fn resolve(&self, tag: &TagName) -> Result<Option<Descriptor>, Error> {
        self.layout.resolve(tag)
    }
    fn manifest(&self, reference: &ManifestRef) -> Result<Option<RawManifest>, Error> {
        self.layout.manifest(reference)
    }
    fn put_manifest(&self, tag: &TagName, media_type: &str, bytes: &[u8]) -> Result<Digest, Error> {
        if self.interrupted {
            return Err(Error::NoSuchBlob { location: "interrupted".to_owned(), digest: Digest::of(bytes) });
        }
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
        if let Some(file) = &self.meanwhile {
            std::fs::write(file, "").unwrap();
        }
        self.layout.put_blob(source)
    }
    fn delete_manifest(&self, reference: &ManifestRef) -> Result<bool, Error> {
        self.layout.delete_manifest(reference)
    }
    fn scratch_dir(&self) -> Option<PathBuf> {
        self.layout.scratch_dir()
    }
}

/// Counts what is packed, and keeps what only those hear who ask for more.
#[derive(Default)]
struct Heard {
    packed: AtomicUsize,
    details: Mutex<Vec<String>>,
}

impl Reporter for Heard {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Started(Action::Push, _) => drop(self.packed.fetch_add(1, Ordering::SeqCst)),
            Event::Detail(text) => self.details.lock().unwrap().push(text.to_owned()),
            _ => {}
        }
    }
}

/// A store, a layout and a place for journals.
struct World(tempfile::TempDir);

impl World {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn journal(&self) -> Option<PathBuf> {
        let mut files = std::fs::read_dir(self.path("journal")).ok()?;
        Some(files.next()?.unwrap().path())
    }

    fn request(&self) -> PushRequest {
        PushRequest { jobs: 2, journals: Some(self.path("journal")), ..PushRequest::default() }
    }

    /// Pushes everything; how many packages were packed for it, and what came of it.
    fn push(&self, request: &PushRequest, interrupted: bool) -> (usize, PushSummary, Vec<String>) {
        self.push_while(request, interrupted, None)
    }

    /// The same, while a file appears.
    fn push_while(
        &self,
        request: &PushRequest,
        interrupted: bool,
        meanwhile: Option<PathBuf>,
    ) -> (usize, PushSummary, Vec<String>) {
        let root = self.path("root");
        let database = store(&root);
        let url = RepositoryUrl::from_directory(self.path("cache")).unwrap();
        let layout = strata_oci::open_or_create(&url, &Transport::default(), None).unwrap();
        let (cache, heard) = (Cache { layout, interrupted, meanwhile }, Heard::default());
        let plan = plan(&database, &cache, request, &heard).unwrap();
        let root = StoreRoot::open_or_new(&root, None).unwrap();
        let summary = execute(&database, &root, &cache, request, plan, &|_| None, &heard).unwrap();
        (heard.packed.into_inner(), summary, heard.details.into_inner().unwrap())
    }

    fn interrupted() -> Self {
        let world = Self::new();
        let (packed, summary, _) = world.push(&world.request(), true);
        assert_eq!((packed, summary.pushed.len(), summary.failed.len()), (3, 0, 3));
        assert_eq!(std::fs::read_to_string(world.journal().unwrap()).unwrap().lines().count(), 3);
        world
    }
}

#[test]
fn what_was_uploaded_is_only_tagged() {
    let world = World::interrupted();
    let (packed, summary, details) = world.push(&world.request(), false);
    assert_eq!((packed, summary.pushed.len(), summary.resumed.len()), (0, 3, 3));
    assert!(
        details.iter().any(|d| d == "3 layers are there already from an interrupted push"),
        "{details:?}"
    );
    assert_eq!(world.journal(), None, "a push that is done leaves none");

    // It is what a push without any interruption writes.
    std::fs::rename(world.path("cache"), world.path("resumed")).unwrap();
    let (packed, at_once, _) = world.push(&world.request(), false);
    assert_eq!((packed, world.journal()), (3, None));
    let layers = |summary: &PushSummary| {
        summary.pushed.iter().map(|p| (p.tag.clone(), p.layer.clone(), p.diff_id.clone())).collect::<Vec<_>>()
    };
    assert_eq!(layers(&summary), layers(&at_once));
}

#[test]
fn what_is_not_as_it_was_is_packed_again() {
    // Another installation took the place.
    let world = World::interrupted();
    std::fs::write(prefix(&world.path("root"), CHAIN[1]).join("new"), "").unwrap();
    let (packed, summary, details) = world.push(&world.request(), false);
    assert_eq!((packed, summary.pushed.len(), summary.resumed.len()), (1, 3, 2), "{details:?}");

    // It did so between packing and the end of the upload: what is in the journal is what was packed.
    let world = World::new();
    store(&world.path("root"));
    let file = prefix(&world.path("root"), CHAIN[1]).join("new");
    let only = |spec: &str| PushRequest { specs: vec![spec.parse().unwrap()], ..world.request() };
    let alone = PushRequest { only: Only::Package, ..only(CHAIN[1]) };
    world.push_while(&alone, true, Some(file));
    let (packed, summary, details) = world.push(&alone, false);
    assert_eq!((packed, summary.pushed.len(), summary.resumed.len()), (1, 1, 0), "{details:?}");

    // The blob is gone.
    let world = World::interrupted();
    let journal = std::fs::read_to_string(world.journal().unwrap()).unwrap();
    let entry: serde_json::Value = serde_json::from_str(journal.lines().next().unwrap()).unwrap();
    let digest = entry["digest"].as_str().unwrap().replace(':', "/");
    std::fs::remove_file(world.path("cache/blobs").join(digest)).unwrap();
    let (packed, summary, details) = world.push(&world.request(), false);
    assert_eq!((packed, summary.pushed.len(), summary.resumed.len()), (1, 3, 2), "{details:?}");

    // It is asked for.
    let world = World::interrupted();
    let (packed, summary, _) = world.push(&PushRequest { force: true, ..world.request() }, false);
    assert_eq!((packed, summary.pushed.len(), summary.resumed.len()), (3, 3, 0));

    // Too long ago.
    let world = World::interrupted();
    let journal = std::fs::File::options().append(true).open(world.journal().unwrap()).unwrap();
    journal.set_modified(SystemTime::now() - Duration::from_secs(8 * 24 * 60 * 60)).unwrap();
    let (packed, summary, _) = world.push(&world.request(), false);
    assert_eq!((packed, summary.pushed.len(), summary.resumed.len()), (3, 3, 0));
}

#[test]
fn a_damaged_journal_costs_what_is_lost_and_no_more() {
    let world = World::interrupted();
    let path = world.journal().unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    // Killed within the last line, and something else in between.
    let torn = format!("{}\nnot JSON\n\u{0}\n{}\n{}", lines[0], lines[1], &lines[2][..lines[2].len() / 2]);
    std::fs::write(&path, &torn).unwrap();
    let (packed, summary, _) = world.push(&world.request(), true);
    assert_eq!((packed, summary.resumed.len()), (1, 2));
    // What is appended after that stands on a line of its own.
    let (packed, summary, _) = world.push(&world.request(), false);
    assert_eq!((packed, summary.pushed.len(), summary.resumed.len()), (0, 3, 3));
}

#[test]
fn several_pushes_share_a_journal() {
    let world = World::new();
    store(&world.path("root"));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| world.push(&world.request(), true));
        }
    });
    let text = std::fs::read_to_string(world.journal().unwrap()).unwrap();
    assert_eq!(text.lines().count(), 12);
    assert!(text.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{text}");
    let (packed, summary, _) = world.push(&world.request(), false);
    assert_eq!((packed, summary.pushed.len()), (0, 3));
}

#[test]
fn where_no_journal_can_be_kept_pushes_work_all_the_same() {
    let world = World::new();
    let (_, summary, _) = world.push(&PushRequest { journals: None, ..world.request() }, true);
    assert_eq!(summary.failed.len(), 3);
    assert_eq!(world.journal(), None);
    let no_directory = Path::new("/dev/null/journal").to_owned();
    let (packed, summary, details) =
        world.push(&PushRequest { journals: Some(no_directory), ..world.request() }, false);
    assert_eq!((packed, summary.pushed.len()), (3, 3));
    assert!(
        details.iter().filter(|d| d.contains("if interrupted, this push will begin anew: /dev/null")).count()
            == 1,
        "said once: {details:?}"
    );
}

#[test]
fn a_push_of_one_package_leaves_the_others_of_an_interrupted_one_in_the_journal() {
    let world = World::interrupted();
    let base = PushRequest { specs: vec![CHAIN[2].parse().unwrap()], ..world.request() };
    let (packed, summary, _) = world.push(&base, false);
    assert_eq!((packed, summary.pushed.len(), summary.resumed.len()), (0, 1, 1));
    assert_eq!(std::fs::read_to_string(world.journal().unwrap()).unwrap().lines().count(), 2);
    let mode = world.journal().unwrap().metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // It changes nothing that the next push has nothing to do but this.
    world.push(&base, false);
    let (packed, summary, _) = world.push(&world.request(), false);
    assert_eq!((packed, summary.pushed.len(), summary.present.len()), (0, 2, 1));
    assert_eq!(world.journal(), None);
}

#[test]
fn what_is_not_installed_any_more_does_not_stay_in_the_journal() {
    let world = World::interrupted();
    std::fs::write(prefix(&world.path("root"), CHAIN[0]).join("new"), "").unwrap();
    let base = PushRequest { specs: vec![CHAIN[2].parse().unwrap()], ..world.request() };
    world.push(&base, false);
    assert_eq!(std::fs::read_to_string(world.journal().unwrap()).unwrap().lines().count(), 1);
}
