//! How much memory a big blob takes on its way. Run alone, for the peak is that of the whole process:
//! `cargo test --release -p strata-oci --test it -- --ignored --exact --nocapture memory::of_a_gibibyte`.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::time::Instant;

use strata_oci::{BlobCache, BlobSource, Digest, RemoteRepository, Repository, Transport, TransportOptions};
use strata_testkit::docker_registry::DockerRegistry;

const GIB: u64 = 1 << 30;

/// The peak of this process's memory in bytes.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// A registry, a directory, and a blob in it.
fn a_gibibyte() -> Option<(DockerRegistry, tempfile::TempDir, BlobSource)> {
    let Some(registry) = DockerRegistry::start() else {
        strata_testkit::golden::skipped("memory", "docker-registry is not installed");
        return None;
    };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("blob");
    let digest = fill(&path);
    Some((registry, directory, BlobSource::file(&path, digest, GIB)))
}

#[test]
#[ignore = "takes seconds, and has to run alone"]
fn of_a_gibibyte() {
    let Some((registry, directory, source)) = a_gibibyte() else { return };
    let url = registry.url("some/cache").parse().unwrap();
    let cache = BlobCache::new(directory.path().join("cache"));
    let cached = TransportOptions { blob_cache: Some(cache), ..TransportOptions::default() };
    let plain = RemoteRepository::open(&url, &Transport::default(), None).unwrap();
    let cached = RemoteRepository::open(&url, &Transport::new(cached), None).unwrap();
    let timed = |what: &str, work: &dyn Fn()| {
        let begun = Instant::now();
        work();
        println!("{what}: {:.2} s, peak {} MiB", begun.elapsed().as_secs_f64(), peak() >> 20);
    };
    let download = |repository: &RemoteRepository| {
        let mut reader = repository.blob(&source.descriptor("x")).unwrap();
        let mut buffer = vec![0; 128 << 10];
        while reader.read(&mut buffer).unwrap() > 0 {}
    };
    timed("upload", &|| assert!(!plain.put_blob(&source).unwrap().existed));
    timed("download", &|| download(&plain));
    timed("download into the cache", &|| download(&cached));
    timed("from the cache", &|| download(&cached));
    assert!(peak() < 64 << 20, "{} MiB", peak() >> 20);
}

#[test]
#[ignore = "takes seconds, and has to run alone"]
fn of_many_readers() {
    const READERS: usize = 16;
    let Some((registry, _directory, source)) = a_gibibyte() else { return };
    let url = registry.url("some/cache").parse().unwrap();
    let repository = RemoteRepository::open(&url, &Transport::default(), None).unwrap();
    assert!(!repository.put_blob(&source).unwrap().existed);
    let before = peak();
    let mut readers: Vec<_> =
        (0..READERS).map(|_| repository.blob(&source.descriptor("x")).unwrap()).collect();
    // All are slower than the network: what may wait for them does.
    let mut buffer = vec![0; 128 << 10];
    for _ in 0..64 {
        for reader in &mut readers {
            assert!(reader.read(&mut buffer).unwrap() > 0);
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    println!("{READERS} readers: peak {} MiB, {} before", peak() >> 20, before >> 20);
    assert!(peak() < 64 << 20, "{} MiB", peak() >> 20);
}

/// Makes a file of a gibibyte.
fn fill(path: &std::path::Path) -> Digest {
    let mut file = File::create(path).unwrap();
    let mut chunk = vec![0; 1 << 20];
    let mut random = fastrand::Rng::with_seed(1);
    for _ in 0..GIB >> 20 {
        random.fill(&mut chunk);
        file.write_all(&chunk).unwrap();
    }
    let mut hashing = Hashing::default();
    io::copy(&mut File::open(path).unwrap(), &mut hashing).unwrap();
    hashing.digest()
}

#[derive(Default)]
struct Hashing(sha2::Sha256);

impl Hashing {
    fn digest(self) -> Digest {
        Digest::from_sha256(sha2::Digest::finalize(self.0).into())
    }
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        sha2::Digest::update(&mut self.0, bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
