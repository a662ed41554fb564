//! The reference implementation in each of its forms: push, list, pull and delete an image.

use strata_oci::{BlobSource, CredentialStore, Credentials, ErrorKind, Repository, TransportOptions};
use strata_testkit::certificates::Authority;
use strata_testkit::docker_registry::DockerRegistry;
use strata_testkit::golden::skipped;
use strata_testkit::token_server::{Rights, TokenOptions, TokenServer};

use crate::client::{NAME, blob, credentials, open_at, options, read};
use crate::image::{Image, name};

/// All that is done with a repository.
fn works(registry: &DockerRegistry, options: &TransportOptions, credentials: Option<&Credentials>) {
    let open = |name: &str| open_at(&registry.url(name), options.clone(), credentials.cloned());
    let repository = open(NAME);
    assert_eq!(repository.tags().unwrap(), Vec::<String>::new());
    let image = Image::new("real");
    image.put(&repository, "t");
    let large = blob(5 << 20, 1);
    assert!(!repository.put_blob(&large).unwrap().existed);
    let other = open(NAME);
    assert!(other.put_blob(&large).unwrap().existed);
    assert_eq!(other.tags().unwrap(), ["t"]);
    assert_eq!(other.resolve(&name("t")).unwrap().unwrap().digest, image.digest());
    assert_eq!(other.manifest(&name("t").into()).unwrap().unwrap().bytes, image.manifest);
    read(&other, &large).unwrap();
    read(&other, &image.layer).unwrap();

    let mut mounted = BlobSource::bytes(read(&other, &large).unwrap());
    mounted.mount_from = Some(NAME.to_string());
    let elsewhere = open("some/other-cache");
    let uploaded = elsewhere.put_blob(&mounted).unwrap();
    assert!(uploaded.mounted && !uploaded.existed, "{uploaded:?}");
    read(&elsewhere, &large).unwrap();

    assert!(other.delete_manifest(&image.digest().into()).unwrap());
    assert_eq!(repository.resolve(&name("t")).unwrap(), None);
    assert!(!other.delete_manifest(&image.digest().into()).unwrap());
}

/// It is refused with these credentials, or none.
fn refuses(registry: &DockerRegistry, options: &TransportOptions, credentials: Option<Credentials>) {
    let repository = open_at(&registry.url(NAME), options.clone(), credentials);
    for error in [
        repository.tags().unwrap_err(),
        repository.resolve(&name("t")).unwrap_err(),
        repository.put_blob(&blob(10, 0)).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
        assert!(!format!("{error} {error:?}").contains("wrong-password"), "{error:?}");
    }
}

const NOT_INSTALLED: &str = "docker-registry is not installed";

#[test]
fn plain() {
    let Some(registry) = DockerRegistry::start() else { return skipped("plain", NOT_INSTALLED) };
    works(&registry, &options(), None);
    // Credentials that nobody asks for do no harm.
    open_at(&registry.url(NAME), options(), Some(credentials("me", "secret"))).tags().unwrap();
}

#[test]
fn with_passwords() {
    let Some(registry) = DockerRegistry::builder().user("me", "secret").start() else {
        return skipped("with_passwords", NOT_INSTALLED);
    };
    works(&registry, &options(), Some(&credentials("me", "secret")));
    refuses(&registry, &options(), None);
    refuses(&registry, &options(), Some(credentials("me", "wrong-password")));
}

#[test]
fn with_passwords_from_a_file() {
    let Some(registry) = DockerRegistry::builder().user("me", "secret").start() else {
        return skipped("with_passwords_from_a_file", NOT_INSTALLED);
    };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("auth.json");
    // me:secret
    let text = format!("{{\"auths\": {{\"{}\": {{\"auth\": \"bWU6c2VjcmV0\"}}}}}}", registry.host());
    std::fs::write(&file, text).unwrap();
    let mut with_file = options();
    with_file.credentials = CredentialStore::new(vec![file]);
    works(&registry, &with_file, None);
}

#[test]
fn with_a_token_server() {
    let access = TokenOptions { signed: true, ..TokenOptions::only("me", "secret", Rights::Everything) };
    let tokens = TokenServer::start(access);
    let Some(registry) = DockerRegistry::builder().tokens(&tokens).start() else {
        return skipped("with_a_token_server", NOT_INSTALLED);
    };
    works(&registry, &options(), Some(&credentials("me", "secret")));
    refuses(&registry, &options(), None);
    refuses(&registry, &options(), Some(credentials("me", "wrong-password")));
}

#[test]
fn with_tls_of_a_private_authority() {
    let authority = Authority::new();
    let Some(registry) = DockerRegistry::builder().tls(&authority).user("me", "secret").start() else {
        return skipped("with_tls_of_a_private_authority", NOT_INSTALLED);
    };
    let mut trusting = options();
    trusting.tls.authorities.push(authority.ca_file());
    works(&registry, &trusting, Some(&credentials("me", "secret")));

    // As Docker and podman have it.
    let directory = tempfile::tempdir().unwrap();
    let host = directory.path().join(registry.host());
    std::fs::create_dir(&host).unwrap();
    std::fs::copy(authority.ca_file(), host.join("ca.crt")).unwrap();
    let mut as_docker = options();
    as_docker.tls.host_directories.push(directory.path().to_path_buf());
    open_at(&registry.url(NAME), as_docker, Some(credentials("me", "secret"))).tags().unwrap();

    let error =
        open_at(&registry.url(NAME), options(), Some(credentials("me", "secret"))).tags().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    assert!(error.to_string().contains("ca.crt"), "{error}");
}
