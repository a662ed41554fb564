//! Images as files: the same bytes every time, nothing half-written, and read by skopeo, podman and Docker.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::{Cursor, Read, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use strata_layer::gzip::writer::{CompressorPool, MemberWriter};
use strata_oci::media_type::{self, Family};
use strata_oci::{
    BlobSource, Descriptor, Digest, Image, ImageConfig, ImageIndex, LayoutRepository, Manifest, RawManifest,
    Repository, RepositoryUrl,
};
use strata_ops::Error;
use strata_ops::image::ImageError;
use strata_ops::image::archive::{ArchiveError, write_archive_file, write_docker_archive, write_oci_archive};
use strata_testkit::docker_registry::find_program;
use strata_testkit::golden::skipped;

/// A layout in a directory, which goes with it.
struct Layout {
    directory: tempfile::TempDir,
    repository: LayoutRepository,
}

impl Layout {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = RepositoryUrl::from_directory(directory.path().join("layout")).unwrap();
        Self { repository: LayoutRepository::open_or_create(&url).unwrap(), directory }
    }

    fn blob_file(&self, digest: &Digest) -> PathBuf {
        self.directory.path().join("layout/blobs/sha256").join(digest.hex())
    }

    fn put(&self, bytes: Vec<u8>, media_type: &str) -> Descriptor {
        let source = BlobSource::bytes(bytes);
        let _ = self.repository.put_blob(&source).unwrap();
        source.descriptor(media_type)
    }

    /// Puts an image of these tars, each with its compression, under a tag.
    fn image(&self, tag: &str, layers: &[(Vec<u8>, Compressed)], command: &[&str]) -> (Image, RawManifest) {
        let mut config = ImageConfig::new(architecture(), "linux");
        config.config.extra.set("Cmd", command).unwrap();
        config.config.env.push("GREETING=hello".to_owned());
        config.extra.set("comment", tag).unwrap();
        let mut descriptors = Vec::new();
        for (tar, how) in layers {
            config.root_fs.diff_ids.push(Digest::of(tar));
            let (bytes, media_type) = how.apply(tar);
            descriptors.push(self.put(bytes, media_type));
        }
        let manifest =
            Manifest::new(self.put(config.to_bytes().unwrap(), media_type::OCI_CONFIG), descriptors);
        self.tag(tag, manifest, config)
    }

    fn tag(&self, tag: &str, manifest: Manifest, config: ImageConfig) -> (Image, RawManifest) {
        let bytes = manifest.to_bytes().unwrap();
        let tag = tag.parse().unwrap();
        let digest = self.repository.put_manifest(&tag, &manifest.media_type, &bytes).unwrap();
        let raw = RawManifest { media_type: manifest.media_type.clone(), digest, bytes };
        (Image { digest, manifest, config }, raw)
    }
}

#[derive(Clone, Copy)]
enum Compressed {
    No,
    Gzip,
    Zstd,
    Ours,
}

impl Compressed {
    fn apply(self, tar: &[u8]) -> (Vec<u8>, &'static str) {
        match self {
            Self::No => (tar.to_vec(), media_type::OCI_LAYER_TAR),
            Self::Zstd => (zstd::encode_all(tar, 3).unwrap(), media_type::OCI_LAYER_ZSTD),
            Self::Ours => {
                let pool = CompressorPool::new(NonZeroUsize::MIN).unwrap();
                let mut writer = MemberWriter::new(&pool, Vec::new());
                writer.write_all(tar).unwrap();
                (writer.finish().unwrap().output, media_type::OCI_LAYER_GZIP)
            }
            Self::Gzip => {
                let mut child = Command::new("gzip")
                    .arg("-nc")
                    .stdin(std::process::Stdio::piped())
                    .stdout(std::process::Stdio::piped())
                    .spawn()
                    .unwrap();
                let mut input = child.stdin.take().unwrap();
                let written = std::thread::scope(|scope| {
                    scope.spawn(move || input.write_all(tar).unwrap());
                    child.wait_with_output().unwrap()
                });
                (written.stdout, media_type::OCI_LAYER_GZIP)
            }
        }
    }
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// A tar with one file.
fn tar(name: &str, mode: u32, content: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(content.len() as u64);
    header.set_mode(mode);
    header.set_cksum();
    builder.append_data(&mut header, name, content).unwrap();
    builder.into_inner().unwrap()
}

/// What is in a tar, in order.
fn files(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = tar::Archive::new(archive);
    let read = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
        let mut entry = entry.unwrap();
        let header = entry.header();
        assert_eq!((header.uid().unwrap(), header.gid().unwrap(), header.mtime().unwrap()), (0, 0, 0));
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        (entry.path().unwrap().display().to_string(), content)
    };
    archive.entries().unwrap().map(read).collect()
}

fn oci_archive(layout: &Layout, root: &RawManifest, name: Option<&str>) -> Result<Vec<u8>, ArchiveError> {
    let mut output = Vec::new();
    write_oci_archive(&layout.repository, root, name, &mut output).map(|()| output)
}

fn docker_archive(layout: &Layout, image: &Image, name: Option<&str>) -> Result<Vec<u8>, ArchiveError> {
    let mut output = Cursor::new(Vec::new());
    write_docker_archive(&layout.repository, image, name, &mut output).map(|()| output.into_inner())
}

/// Layers of all kinds, one of them twice.
fn layers() -> Vec<(Vec<u8>, Compressed)> {
    vec![
        (tar("a", 0o644, b"a"), Compressed::Gzip),
        (tar("b", 0o644, &vec![7; 3 << 20]), Compressed::Ours),
        (tar("c", 0o644, b"c"), Compressed::Zstd),
        (tar("a", 0o644, b"a"), Compressed::Zstd),
        (tar("d", 0o644, b"d"), Compressed::No),
    ]
}

#[test]
fn a_docker_archive_has_the_config_and_each_layer_once_and_plain() {
    let layout = Layout::new();
    let (image, _) = layout.image("one", &layers(), &["/a"]);
    let archive = docker_archive(&layout, &image, Some("library/thing")).unwrap();
    let files = files(&archive);
    let names: Vec<&str> = files.iter().map(|(name, _)| &name[..]).collect();
    let config = format!("{}.json", image.manifest.config.digest.hex());
    let of = |number: usize| format!("{}.tar", image.config.root_fs.diff_ids[number].hex());
    assert_eq!(names, ["manifest.json", &config, &of(0), &of(1), &of(2), &of(4)]);
    let manifest: Value = serde_json::from_slice(&files[0].1).unwrap();
    let expected = json!([{
        "Config": config, "RepoTags": ["library/thing:latest"], "Layers": [of(0), of(1), of(2), of(0), of(4)],
    }]);
    assert_eq!(manifest, expected);
    assert_eq!(Digest::of(&files[1].1), image.manifest.config.digest);
    for ((_, content), number) in files[2..].iter().zip([0, 1, 2, 4]) {
        assert!(*content == layers()[number].0);
    }
    assert_eq!(archive.len() % 10_240, 0);

    // However the layers are compressed, it is the same.
    let plain: Vec<_> = layers().into_iter().map(|(tar, _)| (tar, Compressed::No)).collect();
    let (other, _) = layout.image("one", &plain, &["/a"]);
    assert_ne!(other.digest, image.digest);
    assert!(docker_archive(&layout, &other, Some("library/thing:latest")).unwrap() == archive);
    // Within something else it is no other.
    let mut output = Cursor::new(b"before".to_vec());
    output.set_position(6);
    write_docker_archive(&layout.repository, &image, Some("library/thing"), &mut output).unwrap();
    assert!(output.get_ref()[6..] == archive);
    let nameless = docker_archive(&layout, &image, None).unwrap();
    let manifest: Value = serde_json::from_slice(&self::files(&nameless)[0].1).unwrap();
    assert_eq!(manifest[0]["RepoTags"], json!([]));
}

#[test]
fn an_oci_archive_is_a_layout_with_everything_once() {
    let layout = Layout::new();
    let (one, one_raw) = layout.image("one", &layers(), &["/a"]);
    let (two, two_raw) = layout.image("two", &layers()[1..], &["/b"]);
    let mut children = vec![];
    for (raw, architecture) in [(&one_raw, "amd64"), (&two_raw, "arm64")] {
        let mut child = Descriptor::new(&*raw.media_type, raw.digest, raw.bytes.len() as u64);
        child.extra.set("platform", &json!({"os": "linux", "architecture": architecture})).unwrap();
        children.push(child);
    }
    let index = ImageIndex { manifests: children, ..ImageIndex::default() };
    let bytes = index.to_bytes().unwrap();
    let tag = "index".parse().unwrap();
    let digest = layout.repository.put_manifest(&tag, media_type::OCI_INDEX, &bytes).unwrap();
    // As some registries deliver it.
    let raw = RawManifest { media_type: "application/json".into(), digest, bytes };

    let archive = oci_archive(&layout, &raw, Some("3.12")).unwrap();
    assert!(oci_archive(&layout, &raw, Some("3.12")).unwrap() == archive);
    let files = files(&archive);
    let mut blobs = BTreeMap::new();
    for (name, content) in &files {
        if let Some(hex) = name.strip_prefix("blobs/sha256/").filter(|hex| !hex.is_empty()) {
            assert_eq!(Digest::of(content).hex(), hex);
            assert!(blobs.insert(hex.to_owned(), ()).is_none(), "{hex} is there twice");
        }
    }
    let mut wanted: Vec<Digest> = vec![digest, one.digest, two.digest];
    for image in [&one, &two] {
        wanted.push(image.manifest.config.digest);
        wanted.extend(image.manifest.layers.iter().map(|layer| layer.digest));
    }
    let wanted: BTreeMap<String, ()> = wanted.iter().map(|digest| (digest.hex(), ())).collect();
    assert_eq!(blobs, wanted);
    assert_eq!(files[0], ("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()));
    let top: Value = serde_json::from_slice(&files[1].1).unwrap();
    assert_eq!(top["manifests"][0]["mediaType"], media_type::OCI_INDEX);
    assert_eq!(top["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"], "3.12");
}

#[test]
fn what_is_not_whole_or_not_right_is_refused_by_name() {
    let layout = Layout::new();
    let (good, raw) = layout.image("good", &layers(), &["/a"]);

    let mut wrong = good.clone();
    wrong.config.root_fs.diff_ids[1] = Digest::of(b"another");
    let error = docker_archive(&layout, &wrong, None).unwrap_err();
    let layer = good.manifest.layers[1].digest;
    assert!(matches!(error, ArchiveError::DiffId { layer: named, .. } if named == layer), "{error}");

    let mut fewer = good.clone();
    fewer.config.root_fs.diff_ids.pop();
    let error = docker_archive(&layout, &fewer, None).unwrap_err().to_string();
    assert!(error.contains("its manifest has 5 layers, and its config has 4"), "{error}");

    let mut foreign = good.manifest.clone();
    foreign.layers[2].extra.set("urls", &["https://example.com/layer"]).unwrap();
    let (foreign, foreign_raw) = layout.tag("foreign", foreign, good.config.clone());
    for error in [
        docker_archive(&layout, &foreign, None).unwrap_err(),
        oci_archive(&layout, &foreign_raw, None).unwrap_err(),
    ] {
        let error = error.to_string();
        assert!(error.contains(&good.manifest.layers[2].digest.to_string()), "{error}");
    }

    // That it is nowhere else is no reason.
    let mut nowhere = good.manifest.clone();
    nowhere.layers[2].extra.set("urls", &Vec::<String>::new()).unwrap();
    let (nowhere, nowhere_raw) = layout.tag("nowhere", nowhere, good.config.clone());
    docker_archive(&layout, &nowhere, None).unwrap();
    oci_archive(&layout, &nowhere_raw, None).unwrap();

    // A layer that is no layer, under its own digest.
    let mut nonsense = good.clone();
    nonsense.manifest.layers[0] = layout.put(b"\x1f\x8b garbage".to_vec(), media_type::OCI_LAYER_GZIP);
    let error = docker_archive(&layout, &nonsense, None).unwrap_err();
    assert!(matches!(error, ArchiveError::Layer { .. }), "{error}");

    // Damaged, cut and missing blobs.
    for (number, damage) in [(0, "flip"), (1, "cut"), (2, "missing")] {
        let digest = good.manifest.layers[number].digest;
        let file = layout.blob_file(&digest);
        let whole = std::fs::read(&file).unwrap();
        let _ = std::fs::remove_file(&file);
        match damage {
            "flip" => {
                let mut flipped = whole.clone();
                flipped[30] ^= 1;
                std::fs::write(&file, flipped).unwrap();
            }
            "cut" => std::fs::write(&file, &whole[..whole.len() / 2]).unwrap(),
            _ => {}
        }
        for error in
            [docker_archive(&layout, &good, None).unwrap_err(), oci_archive(&layout, &raw, None).unwrap_err()]
        {
            assert!(matches!(error, ArchiveError::Repository(_)), "{damage}: {error:?}");
            assert!(error.to_string().contains(&digest.to_string()), "{damage}: {error}");
        }
        std::fs::write(&file, whole).unwrap();
    }

    let gone = Descriptor::of(media_type::OCI_MANIFEST, b"gone");
    let index = ImageIndex { manifests: vec![gone.clone()], ..ImageIndex::default() };
    let bytes = index.to_bytes().unwrap();
    let raw = RawManifest { media_type: index.media_type, digest: Digest::of(&bytes), bytes };
    let error = oci_archive(&layout, &raw, None).unwrap_err().to_string();
    assert!(error.contains(&gone.digest.to_string()), "{error}");
}

#[test]
fn a_file_is_written_whole_or_not_at_all() {
    let layout = Layout::new();
    let (image, raw) = layout.image("one", &layers(), &["/a"]);
    let mut bad = image.clone();
    bad.config.root_fs.diff_ids[4] = Digest::of(b"another");
    let place = tempfile::tempdir().unwrap();
    let listed = || {
        let entries = std::fs::read_dir(place.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let path = place.path().join("x.tar");
    let docker = |path: &Path, image: &Image| {
        write_archive_file(path, |output| write_docker_archive(&layout.repository, image, None, output))
    };

    let error = docker(&path, &bad).unwrap_err();
    assert!(
        matches!(&error, Error::Image(ImageError::Archive { path: named, .. }) if *named == path),
        "{error}"
    );
    assert_eq!(listed(), [""; 0]);
    std::fs::write(&path, "precious").unwrap();
    docker(&path, &bad).unwrap_err();
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    assert_eq!(listed(), ["x.tar"]);

    docker(&path, &image).unwrap();
    assert!(std::fs::read(&path).unwrap() == docker_archive(&layout, &image, None).unwrap());
    // Through a link, as by whoever opens it to write; and an OCI archive in its place.
    std::os::unix::fs::symlink("x.tar", place.path().join("link.tar")).unwrap();
    write_archive_file(&place.path().join("link.tar"), |output| {
        write_oci_archive(&layout.repository, &raw, None, output)
    })
    .unwrap();
    assert!(std::fs::read(&path).unwrap() == oci_archive(&layout, &raw, None).unwrap());
    assert_eq!(listed(), ["link.tar", "x.tar"]);
    // Through links to what is not there yet; round in circles leads nowhere.
    let link = |target: &str, name: &str| {
        std::os::unix::fs::symlink(target, place.path().join(name)).unwrap();
        place.path().join(name)
    };
    let _ = link("new.tar", "second");
    docker(&link("./second", "first"), &image).unwrap();
    assert!(
        std::fs::read(place.path().join("new.tar")).unwrap()
            == docker_archive(&layout, &image, None).unwrap()
    );
    assert_eq!(listed(), ["first", "link.tar", "new.tar", "second", "x.tar"]);
    docker(&link("none/new.tar", "nowhere"), &image).unwrap_err();
    docker(&link("circle", "circle"), &image).unwrap_err();
    for name in ["first", "new.tar", "second", "nowhere", "circle"] {
        std::fs::remove_file(place.path().join(name)).unwrap();
    }
    assert_eq!(listed(), ["link.tar", "x.tar"]);
    let plain = place.path().join("plain");
    std::fs::write(&plain, "").unwrap();
    assert_eq!(path.metadata().unwrap().permissions(), plain.metadata().unwrap().permissions());

    for bad in [place.path().to_owned(), place.path().join("none/x.tar"), "/dev/null".into()] {
        let error = docker(&bad, &image).unwrap_err();
        assert!(matches!(&error, Error::Io { path, .. } if *path == bad), "{error:?}");
    }
    let missing = layout.blob_file(&image.manifest.layers[0].digest);
    std::fs::remove_file(missing).unwrap();
    assert!(matches!(docker(&path, &image).unwrap_err(), Error::Repository(_)));
    assert_eq!(listed(), ["link.tar", "plain", "x.tar"]);
}

fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).output().unwrap()
}

fn successful(program: &str, arguments: &[&str]) -> String {
    let output = run(program, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// A program that needs nothing, and says what is in the environment and where it is.
fn hello() -> Option<Vec<u8>> {
    let directory = tempfile::tempdir().unwrap();
    let [source, program] = ["hello.c", "hello"].map(|name| directory.path().join(name));
    let text = r#"
        #include <stdio.h>
        #include <stdlib.h>
        int main(int count, char **words) { printf("%s from %s\n", getenv("GREETING"), words[0]); return 0; }
    "#;
    std::fs::write(&source, text).unwrap();
    let compiled = Command::new("cc").arg("-static").arg("-o").arg(&program).arg(&source).output().ok()?;
    compiled.status.success().then(|| std::fs::read(&program).unwrap())
}

/// An image that runs, of layers of all kinds.
fn running(layout: &Layout, hello: Vec<u8>) -> (Image, RawManifest) {
    let mut layers = layers();
    layers.push((tar("bin/hello", 0o755, &hello), Compressed::Ours));
    layout.image("running", &layers, &["/bin/hello"])
}

#[test]
fn skopeo_reads_both() {
    if find_program("skopeo").is_none() {
        return skipped("skopeo_reads_both", "skopeo is not installed");
    }
    let layout = Layout::new();
    let (image, raw) = layout.image("one", &layers(), &["/a"]);
    let place = layout.directory.path();
    let [oci, docker] = ["oci.tar", "docker.tar"].map(|name| place.join(name).display().to_string());
    write_archive_file(Path::new(&oci), |output| {
        write_oci_archive(&layout.repository, &raw, Some("v1"), output)
    })
    .unwrap();
    write_archive_file(Path::new(&docker), |output| {
        write_docker_archive(&layout.repository, &image, Some("thing:v1"), output)
    })
    .unwrap();

    let inspect = |reference: &str| -> Value {
        serde_json::from_str(&successful("skopeo", &["--insecure-policy", "inspect", reference])).unwrap()
    };
    let found = inspect(&format!("oci-archive:{oci}:v1"));
    assert_eq!(found["Digest"], image.digest.to_string());
    assert_eq!(inspect(&format!("oci-archive:{oci}"))["Digest"], image.digest.to_string());
    let found = inspect(&format!("docker-archive:{docker}:thing:v1"));
    assert_eq!(found["Architecture"], architecture());

    let copy = |from: &str, to: &Path| {
        successful("skopeo", &["--insecure-policy", "copy", from, &format!("dir:{}", to.display())]);
    };
    let [from_oci, from_docker] = ["from-oci", "from-docker"].map(|name| place.join(name));
    copy(&format!("oci-archive:{oci}:v1"), &from_oci);
    assert_eq!(Digest::of(&std::fs::read(from_oci.join("manifest.json")).unwrap()), image.digest);
    copy(&format!("docker-archive:{docker}"), &from_docker);
    let manifest: Value =
        serde_json::from_slice(&std::fs::read(from_docker.join("manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["config"]["digest"], image.manifest.config.digest.to_string());
    let layers: Vec<String> = manifest["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| {
            let hex = layer["digest"].as_str().unwrap().trim_start_matches("sha256:").to_owned();
            let bytes = std::fs::read(from_docker.join(&hex)).unwrap();
            let mut plain = Vec::new();
            strata_layer::compression::Decompressed::new(&bytes[..], 1)
                .unwrap()
                .read_to_end(&mut plain)
                .unwrap();
            Digest::from_sha256(Sha256::digest(&plain).into()).to_string()
        })
        .collect();
    let diff_ids: Vec<String> = image.config.root_fs.diff_ids.iter().map(Digest::to_string).collect();
    assert_eq!(layers, diff_ids);
}

/// Removes an image when it is done with.
struct Loaded(&'static str, String);

impl Drop for Loaded {
    fn drop(&mut self) {
        let _ = run(self.0, &["rmi", "-f", &self.1]);
    }
}

#[test]
fn docker_and_podman_load_and_run_it() {
    const TEST: &str = "docker_and_podman_load_and_run_it";
    let Some(hello) = hello() else { return skipped(TEST, "no C compiler makes a static program") };
    let layout = Layout::new();
    let (image, raw) = running(&layout, hello);
    let place = layout.directory.path();
    let unique = format!("localhost/strata-archive-{}", std::process::id());
    let [oci, docker] = ["oci.tar", "docker.tar"].map(|name| place.join(name).display().to_string());
    write_archive_file(Path::new(&oci), |output| {
        write_oci_archive(&layout.repository, &raw, Some(&format!("{unique}:oci")), output)
    })
    .unwrap();
    write_archive_file(Path::new(&docker), |output| {
        write_docker_archive(&layout.repository, &image, Some(&format!("{unique}:docker")), output)
    })
    .unwrap();
    for (engine, archive, tag) in
        [("docker", &docker, "docker"), ("podman", &docker, "docker"), ("podman", &oci, "oci")]
    {
        if find_program(engine).is_none() || !run(engine, &["info"]).status.success() {
            skipped(TEST, &format!("{engine} does not answer"));
            continue;
        }
        let name = format!("{unique}:{tag}");
        let loaded = Loaded(engine, name.clone());
        successful(engine, &["load", "-i", archive]);
        let id = successful(engine, &["image", "inspect", "--format", "{{.Id}}", &name]);
        assert_eq!(id.trim().trim_start_matches("sha256:"), image.manifest.config.digest.hex(), "{engine}");
        let mut arguments = vec!["run", "--rm", "--network=none"];
        if engine == "podman" {
            // It raises limits by itself, which not everybody may.
            arguments.extend(["--ulimit=nofile=256:256", "--ulimit=nproc=256:256"]);
        }
        arguments.push(&name);
        assert_eq!(successful(engine, &arguments), "hello from /bin/hello\n", "{engine} {tag}");
        drop(loaded);
    }
}

#[test]
fn an_image_of_dockers_types_stays_one() {
    let layout = Layout::new();
    let (image, _) = layout.image("oci", &layers()[..2], &["/a"]);
    let mut manifest = image.manifest.clone();
    manifest.media_type = Family::Docker.manifest().to_owned();
    manifest.config.media_type = Family::Docker.config().to_owned();
    manifest.layers.iter_mut().for_each(|layer| layer.media_type = media_type::DOCKER_LAYER_GZIP.to_owned());
    let (docker, raw) = layout.tag("docker", manifest, image.config.clone());
    assert!(
        docker_archive(&layout, &docker, None).unwrap() == docker_archive(&layout, &image, None).unwrap()
    );
    let archive = layout.directory.path().join("oci.tar");
    std::fs::write(&archive, oci_archive(&layout, &raw, None).unwrap()).unwrap();
    let top: Value = serde_json::from_slice(&files(&std::fs::read(&archive).unwrap())[1].1).unwrap();
    assert_eq!(top["manifests"][0]["mediaType"], media_type::DOCKER_MANIFEST);
    if find_program("skopeo").is_none() {
        return skipped("an_image_of_dockers_types_stays_one", "skopeo is not installed");
    }
    let reference = format!("oci-archive:{}", archive.display());
    let found: Value =
        serde_json::from_str(&successful("skopeo", &["--insecure-policy", "inspect", &reference])).unwrap();
    assert_eq!(found["Digest"], docker.digest.to_string());
}
