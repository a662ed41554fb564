//! What every repository promises, asked of an image layout, of our registry and of a real one alike.

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::thread;

use strata_oci::{
    BlobError, BlobKind, BlobSource, Descriptor, Digest, Error, ErrorKind, ImageIndex, ManifestError,
    ManifestRef, Repository, RepositoryUrl, Transport, blob_bytes, image_config, image_manifest, media_type,
    open_or_create,
};
use strata_registry::{Registry, RegistryOptions, serve};
use strata_testkit::docker_registry::DockerRegistry;

use self::images::{
    a_blob_of_a_neighbour_is_mounted, a_manifest_without_a_tag_is_had_by_its_digest,
    an_image_is_chosen_by_platform, an_image_is_found_in_indexes_of_either_family,
    blobs_are_copied_from_elsewhere, images_are_copied_byte_for_byte, what_an_index_lacks_is_named,
};
use crate::image::{Image, name};

mod images;

/// A place with one empty repository, and room for another one beside it, removed when dropped.
trait Backend: Sync {
    fn url(&self) -> RepositoryUrl;
    /// Of another repository in the same place.
    fn neighbour(&self) -> RepositoryUrl;
    /// The file in which the backend keeps a blob, to damage it.
    fn blob_file(&self, digest: &Digest) -> PathBuf;

    /// A handle of its own, as another process has it.
    fn open(&self) -> Box<dyn Repository> {
        open_or_create(&self.url(), &Transport::default(), None).unwrap()
    }

    /// The other one.
    fn open_neighbour(&self) -> Box<dyn Repository> {
        open_or_create(&self.neighbour(), &Transport::default(), None).unwrap()
    }
}

struct Layout(tempfile::TempDir);

impl Backend for Layout {
    fn url(&self) -> RepositoryUrl {
        RepositoryUrl::from_directory(self.0.path().join("cache")).unwrap()
    }

    fn neighbour(&self) -> RepositoryUrl {
        RepositoryUrl::from_directory(self.0.path().join("neighbour")).unwrap()
    }

    fn blob_file(&self, digest: &Digest) -> PathBuf {
        self.0.path().join("cache/blobs/sha256").join(digest.hex())
    }
}

/// Our registry, on threads of its own.
struct Served {
    directory: tempfile::TempDir,
    port: u16,
    _runtime: tokio::runtime::Runtime,
}

impl Served {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let registry = Registry::open(directory.path(), RegistryOptions::default()).unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        runtime.spawn(serve(registry.router(), listener, None, std::future::pending()));
        Self { directory, port, _runtime: runtime }
    }
}

impl Backend for Served {
    fn url(&self) -> RepositoryUrl {
        format!("oci+http://127.0.0.1:{}/some/cache", self.port).parse().unwrap()
    }

    fn neighbour(&self) -> RepositoryUrl {
        format!("oci+http://127.0.0.1:{}/some/neighbour", self.port).parse().unwrap()
    }

    fn blob_file(&self, digest: &Digest) -> PathBuf {
        self.directory.path().join("some/cache/blobs/sha256").join(digest.hex())
    }
}

impl Backend for DockerRegistry {
    fn url(&self) -> RepositoryUrl {
        self.url("some/cache").parse().unwrap()
    }

    fn neighbour(&self) -> RepositoryUrl {
        self.url("some/neighbour").parse().unwrap()
    }

    fn blob_file(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.storage().join("docker/registry/v2/blobs/sha256").join(&hex[..2]).join(&hex).join("data")
    }
}

macro_rules! contract {
    ($($case:ident),* $(,)?) => {
        mod with_layout {
            $(#[test]
            fn $case() {
                super::$case(&super::Layout(tempfile::tempdir().unwrap()));
            })*
        }

        mod with_our_registry {
            $(#[test]
            fn $case() {
                super::$case(&super::Served::start());
            })*
        }

        mod with_docker_registry {
            $(#[test]
            fn $case() {
                match super::DockerRegistry::start() {
                    Some(registry) => super::$case(&registry),
                    None => strata_testkit::golden::skipped(
                        concat!("contract::with_docker_registry::", stringify!($case)),
                        "docker-registry is not installed",
                    ),
                }
            })*
        }
    };
}

contract!(
    nothing_was_put_yet,
    blobs_come_back_as_they_were_put,
    a_file_is_put_and_left_alone,
    a_spool_file_is_put_and_taken,
    bytes_that_are_not_the_blob_are_refused,
    a_reader_holds_the_blob_to_its_descriptor,
    a_damaged_blob_is_not_delivered,
    manifests_come_back_as_they_were_put,
    a_tag_can_be_moved,
    a_manifest_whose_blobs_are_missing_is_refused,
    an_index_is_told_from_a_manifest,
    many_tags_are_listed_sorted,
    writers_at_the_same_time_lose_nothing,
    a_deleted_manifest_goes_with_its_tags,
    a_manifest_without_a_tag_is_had_by_its_digest,
    a_blob_of_a_neighbour_is_mounted,
    blobs_are_copied_from_elsewhere,
    images_are_copied_byte_for_byte,
    an_image_is_chosen_by_platform,
    an_image_is_found_in_indexes_of_either_family,
    what_an_index_lacks_is_named,
);

fn read(repository: &dyn Repository, descriptor: &Descriptor) -> Result<Vec<u8>, Error> {
    blob_bytes(repository, descriptor, u64::MAX)
}

fn nothing_was_put_yet(backend: &dyn Backend) {
    let repository = backend.open();
    let absent = Descriptor::of("application/octet-stream", b"absent");
    assert_eq!(repository.url(), &backend.url());
    assert_eq!(repository.tags().unwrap(), Vec::<String>::new());
    assert_eq!(repository.resolve(&name("latest")).unwrap(), None);
    assert_eq!(repository.manifest(&name("latest").into()).unwrap(), None);
    assert_eq!(repository.manifest(&absent.digest.into()).unwrap(), None);
    assert_eq!(repository.blob_size(&absent.digest).unwrap(), None);
    let error = read(&*repository, &absent).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(error.to_string().contains(&absent.digest.to_string()), "{error}");
}

fn blobs_come_back_as_they_were_put(backend: &dyn Backend) {
    let repository = backend.open();
    for content in [Vec::new(), b"{}".to_vec(), vec![7; 3 << 20]] {
        let blob = BlobSource::bytes(content.clone());
        let descriptor = blob.descriptor("application/octet-stream");
        assert!(!repository.put_blob(&blob).unwrap().existed);
        assert!(repository.put_blob(&blob).unwrap().existed);
        let other = backend.open();
        assert_eq!(other.blob_size(&blob.digest).unwrap(), Some(content.len() as u64));
        assert_eq!(read(&*other, &descriptor).unwrap(), content);
        assert!(other.put_blob(&blob).unwrap().existed);
    }
    let big = Descriptor::of("application/octet-stream", &vec![7; 3 << 20]);
    let error = blob_bytes(&*repository, &big, 1 << 20).unwrap_err();
    assert!(matches!(error, Error::TooLarge { size: 3_145_728, limit: 1_048_576, .. }), "{error}");
}

/// More than one chunk, and not a multiple of any.
fn long_content() -> Vec<u8> {
    (0..(2_usize << 20) + 12_345).map(|at| ((at * 31) >> 3) as u8).collect()
}

fn a_file_is_put_and_left_alone(backend: &dyn Backend) {
    let repository = backend.open();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("layer");
    let content = long_content();
    fs::write(&path, &content).unwrap();
    let blob = BlobSource::file(&path, Digest::of(&content), content.len() as u64);
    assert!(!repository.put_blob(&blob).unwrap().existed);
    assert_eq!(fs::read(&path).unwrap(), content);
    assert_eq!(read(&*repository, &blob.descriptor("x")).unwrap(), content);

    let gone = BlobSource::file(directory.path().join("gone"), Digest::of(b"gone"), 4);
    let error = repository.put_blob(&gone).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    assert!(error.to_string().contains("gone"), "{error}");
}

fn a_spool_file_is_put_and_taken(backend: &dyn Backend) {
    let repository = backend.open();
    // A registry has no use for one: there, any directory will do, and the file stays.
    let scratch = repository.scratch_dir();
    let elsewhere = tempfile::tempdir().unwrap();
    let mut spool =
        tempfile::Builder::new().tempfile_in(scratch.as_deref().unwrap_or(elsewhere.path())).unwrap();
    let content = long_content();
    std::io::Write::write_all(&mut spool, &content).unwrap();
    let path = spool.path().to_path_buf();
    let blob = BlobSource::file(&path, Digest::of(&content), content.len() as u64);
    assert!(!repository.put_blob(&blob).unwrap().existed);
    assert_eq!(path.exists(), scratch.is_none());
    assert_eq!(read(&*backend.open(), &blob.descriptor("x")).unwrap(), content);
    drop(repository);
    assert!(!scratch.is_some_and(|scratch| scratch.exists()), "scratch directories go with their handle");
}

fn bytes_that_are_not_the_blob_are_refused(backend: &dyn Backend) {
    let repository = backend.open();
    let digest = Digest::of(b"what was promised");
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), b"what is delivered").unwrap();
    for kind in [BlobKind::Bytes(b"what is delivered".to_vec()), BlobKind::File(file.path().to_path_buf())] {
        let error =
            repository.put_blob(&BlobSource { digest, size: 17, kind, mount_from: None }).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Invalid), "{error}");
        assert_eq!(repository.blob_size(&digest).unwrap(), None);
    }
    let short = BlobSource::file(file.path(), digest, 1000);
    assert!(repository.put_blob(&short).is_err());
    assert_eq!(repository.blob_size(&digest).unwrap(), None);
}

fn a_reader_holds_the_blob_to_its_descriptor(backend: &dyn Backend) {
    let repository = backend.open();
    let blob = BlobSource::bytes(b"0123456789".to_vec());
    let _ = repository.put_blob(&blob).unwrap();
    for (size, too_long) in [(9, true), (11, false)] {
        let mut reader = repository.blob(&Descriptor::new("x", blob.digest, size)).unwrap();
        let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
        let found = BlobError::of(&error).expect("a typed error").clone();
        assert_eq!(matches!(found, BlobError::TooLong { .. }), too_long, "{found}");
        assert_eq!(matches!(found, BlobError::TooShort { received: 10, .. }), !too_long, "{found}");
        assert!(found.to_string().contains(&blob.digest.hex()), "{found}");
        assert_eq!(found.kind(), ErrorKind::Corrupt);
    }
}

fn a_damaged_blob_is_not_delivered(backend: &dyn Backend) {
    let repository = backend.open();
    let blob = BlobSource::bytes(long_content());
    let descriptor = blob.descriptor("x");
    let _ = repository.put_blob(&blob).unwrap();
    let file = backend.blob_file(&blob.digest);
    let mut content = long_content();
    content[1_000_000] ^= 1;
    fs::write(&file, &content).unwrap();
    let error = read(&*repository, &descriptor).unwrap_err();
    assert!(matches!(error, Error::Blob(BlobError::DigestMismatch { .. })), "{error}");
    assert_eq!(error.kind(), ErrorKind::Corrupt);

    content.truncate(1_500_000);
    fs::write(&file, &content).unwrap();
    let error = read(&*repository, &descriptor).unwrap_err();
    assert!(matches!(error, Error::Blob(BlobError::TooShort { received: 1_500_000, .. })), "{error}");
}

fn manifests_come_back_as_they_were_put(backend: &dyn Backend) {
    let image = Image::new("one");
    let digest = image.put(&*backend.open(), "v1");
    assert_eq!(digest, image.digest());
    let repository = backend.open();
    let resolved = repository.resolve(&name("v1")).unwrap().expect("the tag was set");
    assert_eq!(
        (resolved.media_type.as_str(), resolved.digest, resolved.size),
        (media_type::OCI_MANIFEST, digest, image.manifest.len() as u64)
    );
    for reference in [ManifestRef::from(name("v1")), ManifestRef::from(digest)] {
        let raw = repository.manifest(&reference).unwrap().expect("it was put");
        assert_eq!(raw.bytes, image.manifest);
        assert_eq!(raw.digest, digest);
        assert_eq!(raw.media_type, media_type::OCI_MANIFEST);
    }
    let (found, manifest) = image_manifest(&*repository, &name("v1").into()).unwrap().unwrap();
    assert_eq!(found, digest);
    let config = image_config(&*repository, &manifest).unwrap();
    assert_eq!(config.extra.get("comment").unwrap().get(), "\"one\"");
    assert_eq!(image_manifest(&*repository, &name("v2").into()).unwrap(), None);
}

fn a_tag_can_be_moved(backend: &dyn Backend) {
    let repository = backend.open();
    let (old, new) = (Image::new("old"), Image::new("new"));
    old.put(&*repository, "tag");
    old.put(&*repository, "other");
    new.put(&*repository, "tag");
    // Once more changes nothing.
    new.put(&*repository, "tag");
    assert_eq!(repository.resolve(&name("tag")).unwrap().unwrap().digest, new.digest());
    assert_eq!(repository.resolve(&name("other")).unwrap().unwrap().digest, old.digest());
    assert_eq!(repository.tags().unwrap(), ["other", "tag"]);
    assert_eq!(repository.manifest(&old.digest().into()).unwrap().unwrap().bytes, old.manifest);
}

fn a_manifest_whose_blobs_are_missing_is_refused(backend: &dyn Backend) {
    let repository = backend.open();
    let image = Image::new("incomplete");
    for present in [None, Some(&image.config)] {
        if let Some(present) = present {
            let _ = repository.put_blob(present).unwrap();
        }
        let error = image.put_manifest(&*repository, "v1").unwrap_err();
        assert!(error.to_string().contains(&image.layer.digest.hex()) || present.is_none(), "{error}");
        assert!(!matches!(error.kind(), ErrorKind::TryAgain | ErrorKind::Unreachable), "{error}");
        assert_eq!(repository.tags().unwrap(), Vec::<String>::new());
        assert_eq!(repository.resolve(&name("v1")).unwrap(), None);
    }
    image.put(&*repository, "v1");
    assert_eq!(repository.tags().unwrap(), ["v1"]);
}

fn an_index_is_told_from_a_manifest(backend: &dyn Backend) {
    let repository = backend.open();
    let image = Image::new("one of several");
    let mut index = ImageIndex::default();
    index.manifests.push(Descriptor::of(media_type::OCI_MANIFEST, &image.manifest));
    let index = index.to_bytes().unwrap();
    let put = || repository.put_manifest(&name("several"), media_type::OCI_INDEX, &index);
    assert!(put().is_err(), "its manifest is missing");
    image.put(&*repository, "one");
    put().unwrap();
    assert_eq!(repository.resolve(&name("several")).unwrap().unwrap().media_type, media_type::OCI_INDEX);
    let error = image_manifest(&*repository, &name("several").into()).unwrap_err();
    assert!(
        matches!(error, Error::Document { cause: ManifestError::IsIndex { manifests: 1, .. }, .. }),
        "{error}"
    );
}

fn many_tags_are_listed_sorted(backend: &dyn Backend) {
    let repository = backend.open();
    let image = Image::new("popular");
    image.put(&*repository, "first");
    let mut expected = vec!["first".to_string()];
    for number in (0..120).rev() {
        let tag = format!("pkg-{number}.spack");
        image.put_manifest(&*repository, &tag).unwrap();
        expected.push(tag);
    }
    expected.sort();
    assert_eq!(repository.tags().unwrap(), expected);
    assert_eq!(backend.open().tags().unwrap(), expected);
}

fn writers_at_the_same_time_lose_nothing(backend: &dyn Backend) {
    const WRITERS: usize = 8;
    const TAGS: usize = 6;
    let shared = BlobSource::bytes(long_content());
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let shared = &shared;
            scope.spawn(move || {
                let repository = backend.open();
                let _ = repository.put_blob(shared).unwrap();
                for tag in 0..TAGS {
                    let tag = format!("{writer}-{tag}");
                    Image::new(&tag).put(&*repository, &tag);
                }
            });
        }
    });
    let repository = backend.open();
    assert_eq!(repository.tags().unwrap().len(), WRITERS * TAGS);
    for writer in 0..WRITERS {
        for tag in 0..TAGS {
            let tag = format!("{writer}-{tag}");
            let raw = repository.manifest(&name(&tag).into()).unwrap().expect("no tag is lost");
            assert_eq!(raw.bytes, Image::new(&tag).manifest);
        }
    }
    assert_eq!(read(&*repository, &shared.descriptor("x")).unwrap(), long_content());
}

fn a_deleted_manifest_goes_with_its_tags(backend: &dyn Backend) {
    let repository = backend.open();
    let (one, other) = (Image::new("one"), Image::new("other"));
    assert!(!repository.delete_manifest(&one.digest().into()).unwrap());
    for tag in ["a", "b"] {
        one.put(&*repository, tag);
    }
    other.put(&*repository, "c");
    assert!(repository.delete_manifest(&one.digest().into()).unwrap());
    assert_eq!(backend.open().tags().unwrap(), ["c"]);
    assert_eq!(repository.resolve(&name("a")).unwrap(), None);
    assert_eq!(repository.manifest(&one.digest().into()).unwrap(), None);
    assert_eq!(repository.manifest(&name("c").into()).unwrap().unwrap().bytes, other.manifest);
    assert_eq!(repository.blob_size(&one.layer.digest).unwrap(), Some(one.layer.size), "blobs are left");
    one.put(&*repository, "a");
    assert_eq!(repository.tags().unwrap(), ["a", "c"]);
}
