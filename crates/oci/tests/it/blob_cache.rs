//! The blob cache: what is in it is not downloaded again, what is wrong with it does no harm, and processes share it.

use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use strata_oci::{
    BlobCache, BlobError, Descriptor, Notice, RemoteRepository, Repository, RepositoryUrl, Transport,
    TransportOptions, blob_bytes,
};

use crate::downloads_resumed::digest_of;
use crate::fault_server::{FaultServer, reply};
use crate::flaky_registry::{Faults, FlakyRegistry, options};
use crate::uploads_resumed::content;

const MIB: u64 = 1 << 20;

/// A registry with a blob of so many bytes.
fn registry(faults: Faults, bytes: u64) -> (FlakyRegistry, Descriptor) {
    let registry = FlakyRegistry::start(faults);
    let content = content(bytes);
    registry.keep("some/cache", &content);
    (registry, Descriptor::of("x", &content))
}

fn cached(cache: &BlobCache) -> TransportOptions {
    TransportOptions { blob_cache: Some(cache.clone()), ..options() }
}

/// Reads the blob through the cache to its end.
fn read(registry: &FlakyRegistry, cache: &BlobCache, descriptor: &Descriptor) {
    read_from(&registry.repository_with(cached(cache)), descriptor);
}

fn read_from(repository: &RemoteRepository, descriptor: &Descriptor) {
    let (digest, size) = digest_of(&mut *repository.blob(descriptor).unwrap()).unwrap();
    assert_eq!((digest, size), (descriptor.digest, descriptor.size));
}

/// Reads the first so many bytes, and no more.
fn read_some(registry: &FlakyRegistry, cache: &BlobCache, descriptor: &Descriptor, bytes: u64) {
    let mut reader = registry.repository_with(cached(cache)).blob(descriptor).unwrap();
    reader.read_exact(&mut vec![0; usize::try_from(bytes).unwrap()]).unwrap();
}

fn partial(cache: &BlobCache, descriptor: &Descriptor) -> std::path::PathBuf {
    cache.directory().join("partial").join(descriptor.digest.hex())
}

/// Changes a byte of a file.
fn damage(path: &Path) {
    let mut content = fs::read(path).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    fs::write(path, content).unwrap();
}

#[test]
fn what_is_there_is_not_asked_for_again() {
    let directory = tempfile::tempdir().unwrap();
    let cache = BlobCache::new(directory.path().join("cache"));
    for bytes in [3 * MIB, 5, 0] {
        let (registry, descriptor) = registry(Faults::default(), bytes);
        let repository = registry.repository_with(cached(&cache));
        for _ in 0..3 {
            read_from(&repository, &descriptor);
        }
        assert_eq!(registry.log(), ["GET"]);
        drop(registry);
        read_from(&repository, &descriptor);
        assert_eq!(fs::metadata(cache.path_of(&descriptor.digest)).unwrap().len(), bytes);
    }
    let info = cache.info().unwrap();
    assert_eq!((info.blobs, info.bytes, info.partial), (3, 3 * MIB + 5, 0));
}

#[test]
fn what_a_reader_left_is_gone_on_with() {
    let directory = tempfile::tempdir().unwrap();
    let cache = BlobCache::new(directory.path());
    let (registry, descriptor) = registry(Faults::default(), 16 * MIB);
    read_some(&registry, &cache, &descriptor, 5 * MIB);
    assert_eq!(cache.info().unwrap().partial_bytes, 5 * MIB);
    let before = registry.log().len();
    read(&registry, &cache, &descriptor);
    assert_eq!(registry.log()[before..], [format!("GET bytes={}-", 5 * MIB)]);
    assert_eq!(cache.info().unwrap().partial, 0);
    assert!(cache.path_of(&descriptor.digest).exists());
}

#[test]
fn a_process_that_was_killed_leaves_what_it_has() {
    let directory = tempfile::tempdir().unwrap();
    let cache = BlobCache::new(directory.path());
    let halt = Some((10 * MIB, Duration::from_secs(60)));
    let (registry, descriptor) = registry(Faults { halt, ..Faults::default() }, 32 * MIB);
    let mut process = Process::start(&registry, &cache, &descriptor);
    wait_for(&partial(&cache, &descriptor), 9 * MIB);
    process.0.kill().unwrap();
    process.0.wait().unwrap();
    read(&registry, &cache, &descriptor);
    assert!(registry.sent() < 34 * MIB, "{} bytes were sent", registry.sent());
    let log = registry.log();
    assert!(log.len() == 2 && log[1].starts_with("GET bytes="), "{log:?}");
}

#[test]
fn two_processes_download_it_once() {
    let directory = tempfile::tempdir().unwrap();
    let cache = BlobCache::new(directory.path());
    let halt = Some((10 * MIB, Duration::from_millis(300)));
    let (registry, descriptor) = registry(Faults { halt, ..Faults::default() }, 32 * MIB);
    let mut process = Process::start(&registry, &cache, &descriptor);
    wait_for(&partial(&cache, &descriptor), MIB);
    read(&registry, &cache, &descriptor);
    assert!(process.0.wait().unwrap().success());
    assert_eq!(registry.log(), ["GET"]);
}

#[test]
fn many_threads_download_it_once() {
    let directory = tempfile::tempdir().unwrap();
    let cache = BlobCache::new(directory.path());
    let (registry, descriptor) = registry(Faults::default(), 8 * MIB);
    let repository = registry.repository_with(cached(&cache));
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| read_from(&repository, &descriptor));
        }
    });
    assert_eq!(registry.log(), ["GET"]);
}

#[test]
fn who_stands_still_is_not_waited_for_long() {
    let directory = tempfile::tempdir().unwrap();
    let cache = BlobCache::new(directory.path()).with_patience(Duration::from_millis(100));
    let (registry, descriptor) = registry(Faults::default(), 16 * MIB);
    let repository = registry.repository_with(cached(&cache));
    let mut unfinished = repository.blob(&descriptor).unwrap();
    unfinished.read_exact(&mut [0; 100]).unwrap();
    read_from(&repository, &descriptor);
    assert_eq!(registry.log(), ["GET", "GET"]);
    std::io::copy(&mut unfinished, &mut std::io::sink()).unwrap();
    drop(unfinished);
    read_from(&repository, &descriptor);
    assert_eq!(registry.log(), ["GET", "GET"], "the first one has kept it");
}

#[test]
fn what_is_damaged_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let cache = BlobCache::new(directory.path());
    let (registry, descriptor) = registry(Faults::default(), 3 * MIB);
    read(&registry, &cache, &descriptor);
    let path = cache.path_of(&descriptor.digest);
    damage(&path);
    read(&registry, &cache, &descriptor);
    fs::write(&path, "short").unwrap();
    read(&registry, &cache, &descriptor);
    assert_eq!(registry.log(), ["GET", "GET", "GET"]);
    read(&registry, &cache, &descriptor);
    assert_eq!(registry.log().len(), 3);
}

#[test]
fn what_was_begun_wrong_is_begun_anew() {
    let directory = tempfile::tempdir().unwrap();
    let cache = BlobCache::new(directory.path());
    let (registry, descriptor) = registry(Faults::default(), 3 * MIB);
    fs::create_dir(cache.directory().join("partial")).unwrap();
    for wrong in [MIB, 3 * MIB, 4 * MIB] {
        let before = registry.log().len();
        fs::write(partial(&cache, &descriptor), vec![7; usize::try_from(wrong).unwrap()]).unwrap();
        read(&registry, &cache, &descriptor);
        assert_eq!(registry.log()[before..].last().unwrap(), "GET", "{wrong}");
        let before = registry.log().len();
        read(&registry, &cache, &descriptor);
        assert_eq!(registry.log().len(), before, "it was kept");
        fs::remove_file(cache.path_of(&descriptor.digest)).unwrap();
    }
    // All of it was there; only its name was not yet.
    fs::write(partial(&cache, &descriptor), content(3 * MIB)).unwrap();
    let before = registry.log().len();
    read(&registry, &cache, &descriptor);
    assert_eq!(registry.log().len(), before);
}

#[test]
fn a_registry_that_sends_something_else_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let cache = BlobCache::new(directory.path());
    let descriptor = Descriptor::of("x", &content(MIB));
    let mut other = content(MIB);
    *other.last_mut().unwrap() ^= 1;
    let server = FaultServer::start(move |_| reply(200, &[], &other));
    let url = format!("oci+http://127.0.0.1:{}/some/cache", server.port()).parse().unwrap();
    let repository = RemoteRepository::open(&url, &Transport::new(cached(&cache)), None).unwrap();
    let error = blob_bytes(&repository, &descriptor, MIB).unwrap_err();
    assert!(matches!(error, strata_oci::Error::Blob(BlobError::DigestMismatch { .. })), "{error}");
    let info = cache.info().unwrap();
    assert_eq!((info.blobs, info.partial), (0, 0));
}

#[test]
fn a_cache_that_cannot_be_written_is_said_once_and_done_without() {
    let directory = tempfile::tempdir().unwrap();
    let (registry, descriptor) = registry(Faults::default(), 3 * MIB);
    let file = directory.path().join("file");
    fs::write(&file, "in the way").unwrap();
    let no_directory = BlobCache::new(file.join("cache"));
    let full = BlobCache::new(directory.path().join("full"));
    fs::create_dir_all(full.directory().join("partial")).unwrap();
    symlink("/dev/full", partial(&full, &descriptor)).unwrap();
    for (cache, words) in [(no_directory, "directory"), (full, "space")] {
        let notices = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&notices);
        let listener = Arc::new(move |notice: &Notice| told.lock().unwrap().push(notice.clone()));
        let repository = registry.repository_with(TransportOptions { listener, ..cached(&cache) });
        read_from(&repository, &descriptor);
        read_from(&repository, &descriptor);
        let notices = notices.lock().unwrap();
        let [Notice::CacheUnusable { directory, cause }] = notices.as_slice() else {
            panic!("{notices:?}");
        };
        assert_eq!(directory, cache.directory());
        assert!(cause.contains(words), "{cause}");
    }
}

#[test]
fn what_is_being_read_may_be_pruned() {
    let directory = tempfile::tempdir().unwrap();
    let cache = BlobCache::new(directory.path());
    let (registry, descriptor) = registry(Faults::default(), 3 * MIB);
    read(&registry, &cache, &descriptor);
    let repository = registry.repository_with(cached(&cache));
    let mut reader = repository.blob(&descriptor).unwrap();
    let everything = strata_oci::PruneOptions { everything: true, ..Default::default() };
    assert_eq!(cache.prune(&everything).unwrap().blobs, 1);
    assert_eq!(digest_of(&mut *reader).unwrap().0, descriptor.digest);
    let mut writing = repository.blob(&descriptor).unwrap();
    writing.read_exact(&mut vec![0; 1 << 20]).unwrap();
    assert_eq!(cache.prune(&everything).unwrap().kept, 1, "somebody is writing it");
    assert_eq!(digest_of(&mut writing.chain(std::io::empty())).unwrap().1, 2 * MIB);
    assert!(cache.path_of(&descriptor.digest).exists());
}

/// Another process that reads a blob through the cache; ended when dropped.
struct Process(Child);

impl Process {
    fn start(registry: &FlakyRegistry, cache: &BlobCache, descriptor: &Descriptor) -> Self {
        let command = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--ignored", "blob_cache::as_another_process"])
            .env("BLOB_CACHE_TEST_URL", format!("oci+http://127.0.0.1:{}/some/cache", registry.port()))
            .env("BLOB_CACHE_TEST_DIRECTORY", cache.directory())
            .env("BLOB_CACHE_TEST_BLOB", serde_json::to_string(descriptor).unwrap())
            .stdout(Stdio::null())
            .spawn();
        Self(command.unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "what other tests run as another process"]
fn as_another_process() {
    let Ok(url) = std::env::var("BLOB_CACHE_TEST_URL") else { return };
    let variable = |name| std::env::var(name).unwrap();
    let url: RepositoryUrl = url.parse().unwrap();
    let cache = BlobCache::new(variable("BLOB_CACHE_TEST_DIRECTORY"));
    let descriptor: Descriptor = serde_json::from_str(&variable("BLOB_CACHE_TEST_BLOB")).unwrap();
    let repository = RemoteRepository::open(&url, &Transport::new(cached(&cache)), None).unwrap();
    read_from(&repository, &descriptor);
}

/// Waits until a file has so many bytes.
fn wait_for(path: &Path, bytes: u64) {
    let begun = Instant::now();
    while fs::metadata(path).map_or(0, |metadata| metadata.len()) < bytes {
        assert!(begun.elapsed() < Duration::from_secs(30), "{} does not grow", path.display());
        std::thread::sleep(Duration::from_millis(5));
    }
}
