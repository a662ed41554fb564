//! Real clients: skopeo, podman and docker push, pull, inspect and delete.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use strata_oci::{BlobSource, Digest, LayoutRepository, Repository, RepositoryUrl, media_type};
use strata_registry::RegistryOptions;
use strata_testkit::docker_registry::find_program;
use strata_testkit::golden::skipped;

use crate::certificates::Authority;
use crate::served::Served;

/// Runs a program on a thread that may wait; what it says.
async fn run(program: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// As [`run`], for what must succeed; its standard output.
async fn done(program: &str, arguments: &[&str]) -> String {
    let output = run(program, arguments).await;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// A tar archive of one file, as the one layer of an image.
fn archive(comment: &str) -> Vec<u8> {
    let mut header = [0_u8; 512];
    let content = comment.as_bytes();
    header[..4].copy_from_slice(b"file");
    header[100..108].copy_from_slice(b"0000644\0");
    header[108..116].copy_from_slice(b"0000000\0");
    header[116..124].copy_from_slice(b"0000000\0");
    header[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
    header[136..148].copy_from_slice(b"00000000000\0");
    header[148..156].copy_from_slice(b"        ");
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut tar = header.to_vec();
    tar.extend_from_slice(content);
    tar.resize(tar.len().div_ceil(512) * 512 + 1024, 0);
    tar
}

/// Puts an image that can be unpacked into a layout, as `start`.
fn put_image(directory: &Path, comment: &str) -> Digest {
    let url = RepositoryUrl::from_directory(directory).unwrap();
    let repository = LayoutRepository::open_or_create(&url).unwrap();
    let layer = BlobSource::bytes(archive(comment));
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{}},"rootfs":{{"type":"layers","diff_ids":["{}"]}}}}"#,
        layer.digest
    );
    let config = BlobSource::bytes(config.into_bytes());
    for blob in [&layer, &config] {
        let _ = repository.put_blob(blob).unwrap();
    }
    let manifest = strata_oci::Manifest::new(
        config.descriptor(media_type::OCI_CONFIG),
        vec![layer.descriptor("application/vnd.oci.image.layer.v1.tar")],
    );
    let bytes = manifest.to_bytes().unwrap();
    repository.put_manifest(&"start".parse().unwrap(), media_type::OCI_MANIFEST, &bytes).unwrap()
}

/// What skopeo does in every case; `with` are options that a use of the registry needs, by what they begin with
/// (`src-`, `dest-` or nothing).
async fn skopeo_round(served: &Served, with: impl Fn(&str) -> Vec<String>) {
    let directory = tempfile::tempdir().unwrap();
    let [ours, theirs] = ["ours", "theirs"].map(|name| directory.path().join(name));
    let digest = put_image(&ours, "travelling");
    let remote = |tag: &str| format!("docker://{}/some/cache:{tag}", served.address);
    let skopeo = async |operation: &[&str], options: Vec<String>, places: &[&str]| {
        let mut arguments = vec!["--insecure-policy"];
        arguments.extend_from_slice(operation);
        arguments.extend(options.iter().map(String::as_str));
        arguments.extend_from_slice(places);
        done("skopeo", &arguments).await
    };
    let start = format!("oci:{}:start", ours.display());
    skopeo(&["copy", "--preserve-digests"], with("dest-"), &[&start, &remote("v1")]).await;
    // Again: now the blobs are there.
    skopeo(&["copy", "--preserve-digests"], with("dest-"), &[&start, &remote("v2")]).await;
    let back = format!("oci:{}:back", theirs.display());
    skopeo(&["copy", "--preserve-digests"], with("src-"), &[&remote("v1"), &back]).await;
    let copied = LayoutRepository::open(&RepositoryUrl::from_directory(&theirs).unwrap()).unwrap();
    assert_eq!(copied.resolve(&"back".parse().unwrap()).unwrap().unwrap().digest, digest);
    let answer = skopeo(&["inspect"], with(""), &[&remote("v1")]).await;
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["Digest"], digest.to_string());
    assert_eq!(answer["RepoTags"], serde_json::json!(["v1", "v2"]));
    // The same directory is a layout for skopeo.
    let beside = format!("oci:{}:v2", served.directory.join("some/cache").display());
    assert!(skopeo(&["inspect"], Vec::new(), &[&beside]).await.contains(&digest.to_string()));
    // skopeo deletes by digest, so all tags of the image go.
    let other = put_image(&ours, "staying");
    skopeo(&["copy", "--preserve-digests"], with("dest-"), &[&start, &remote("v3")]).await;
    skopeo(&["delete"], with(""), &[&remote("v1")]).await;
    let repository = format!("docker://{}/some/cache", served.address);
    let answer = skopeo(&["list-tags"], with(""), &[&repository]).await;
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["Tags"], serde_json::json!(["v3"]));
    assert!(skopeo(&["inspect"], with(""), &[&remote("v3")]).await.contains(&other.to_string()));
}

#[tokio::test]
async fn skopeo_copies_inspects_lists_and_deletes() {
    if find_program("skopeo").is_none() {
        return skipped("peers::skopeo_copies_inspects_lists_and_deletes", "skopeo is not installed");
    }
    let served = Served::start().await;
    skopeo_round(&served, |side| vec![format!("--{side}tls-verify=false")]).await;
}

#[tokio::test]
async fn skopeo_does_so_with_a_private_authority_and_a_password() {
    if find_program("skopeo").is_none() {
        return skipped(
            "peers::skopeo_does_so_with_a_private_authority_and_a_password",
            "skopeo is not installed",
        );
    }
    let authority = Authority::new();
    let directory = tempfile::tempdir().unwrap();
    let users = directory.path().join("users");
    std::fs::write(&users, format!("ann:{}\n", bcrypt::hash("secret", 4).unwrap())).unwrap();
    let options = RegistryOptions { htpasswd: Some(users), ..RegistryOptions::default() };
    let served = Served::over(&directory.path().join("registry"), options, Some(authority.server())).await;
    let authorities = authority.authorities().display().to_string();
    skopeo_round(&served, |side| {
        vec![format!("--{side}cert-dir={authorities}"), format!("--{side}creds=ann:secret")]
    })
    .await;
    let refused = run(
        "skopeo",
        &[
            "inspect",
            &format!("--cert-dir={authorities}"),
            "--creds=ann:wrong",
            &format!("docker://{}/some/cache:v3", served.address),
        ],
    )
    .await;
    let errors = String::from_utf8_lossy(&refused.stderr);
    assert!(
        !refused.status.success() && errors.contains("unauthorized: the user or the password is wrong"),
        "{errors}"
    );
}

#[tokio::test]
async fn podman_pushes_and_pulls() {
    const TEST: &str = "peers::podman_pushes_and_pulls";
    if find_program("podman").is_none() {
        return skipped(TEST, "podman is not installed");
    }
    let served = Served::start().await;
    let directory = tempfile::tempdir().unwrap();
    let [root, run_root, tar] =
        ["root", "run", "image.tar"].map(|name| directory.path().join(name).display().to_string());
    std::fs::write(&tar, archive("by podman")).unwrap();
    let storage = ["--storage-driver", "vfs", "--root", &root, "--runroot", &run_root];
    let with = |arguments: &[&str]| -> Vec<String> {
        storage.iter().chain(arguments).map(|argument| argument.to_string()).collect()
    };
    let podman = async |arguments: &[&str]| {
        let arguments = with(arguments);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        done("podman", &arguments).await
    };
    let info = with(&["info"]);
    if !run("podman", &info.iter().map(String::as_str).collect::<Vec<_>>()).await.status.success() {
        return skipped(TEST, "podman does not work here");
    }
    let image = format!("{}/by/podman:v1", served.address);
    podman(&["import", &tar, &image]).await;
    podman(&["push", "--tls-verify=false", &image]).await;
    assert_eq!(served.tags("by/podman").await, ["v1"]);
    podman(&["rmi", &image]).await;
    podman(&["pull", "--tls-verify=false", &image]).await;
    assert!(podman(&["images"]).await.contains("by/podman"));
    podman(&["rmi", &image]).await;
}

#[tokio::test]
async fn docker_pushes_and_pulls() {
    const TEST: &str = "peers::docker_pushes_and_pulls";
    if find_program("docker").is_none() {
        return skipped(TEST, "docker is not installed");
    }
    if !run("docker", &["info", "--format", "{{.ServerVersion}}"]).await.status.success() {
        return skipped(TEST, "no docker daemon is running");
    }
    let served = Served::start().await;
    let mut tar = tempfile::NamedTempFile::new().unwrap();
    tar.write_all(&archive(&format!("by docker at {}", served.address))).unwrap();
    // A registry on 127.0.0.1 is one that docker speaks plain HTTP with. Another machine's daemon would not find it.
    let image = format!("{}/by/docker:v1", served.address);
    done("docker", &["import", &tar.path().display().to_string(), &image]).await;
    let pushed = run("docker", &["push", &image]).await;
    let outcome = async {
        let errors = String::from_utf8_lossy(&pushed.stderr).into_owned();
        if !pushed.status.success() {
            return Err(errors);
        }
        done("docker", &["rmi", &image]).await;
        let pulled = run("docker", &["pull", &image]).await;
        match pulled.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&pulled.stderr).into_owned()),
        }
    };
    let outcome = outcome.await;
    run("docker", &["rmi", "-f", &image]).await;
    outcome.unwrap();
    assert_eq!(served.tags("by/docker").await, ["v1"]);
}
