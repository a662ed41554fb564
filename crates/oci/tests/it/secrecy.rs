//! Secrets stay between the client and whom they are for: no second host sees one, no error tells one, and no list of
//! processes shows one.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;

use base64::Engine as _;
use strata_oci::{CredentialStore, Error, RemoteRepository, Repository, Secret};
use strata_testkit::faults::rules::{on, when};
use strata_testkit::faults::{Answer, Fault, Log, rewrite};
use strata_testkit::registry::TestRegistry;
use strata_testkit::token_server::{Rights, TokenOptions, TokenServer};

use crate::client::{NAME, blob, credentials, open_as, open_at, options, read};
use crate::image::{Image, name};

const PASSWORD: &str = "hunter2+%/=x";

/// In which forms the password can be met.
fn forms() -> Vec<String> {
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("me:{PASSWORD}"));
    vec![PASSWORD.to_string(), basic, "hunter2".to_string()]
}

/// A registry with each kind of authentication, and the tokens that were given.
fn registries() -> [(TestRegistry, Option<TokenServer>); 2] {
    let tokens = TokenServer::start(TokenOptions::only("me", PASSWORD, Rights::Everything));
    let with_tokens = TestRegistry::builder().tokens(&tokens).start();
    [(TestRegistry::builder().user("me", PASSWORD).start(), None), (with_tokens, Some(tokens))]
}

/// Nobody who was not meant to was shown anything.
fn saw_nothing(log: &Log, tokens: Option<&TokenServer>) {
    assert!(!log.entries().is_empty(), "he was asked");
    let mut secrets = forms();
    secrets.extend(tokens.into_iter().flat_map(|tokens| tokens.book().all()));
    for entry in log.entries() {
        let seen = format!("{} {:?}", entry.target, entry.headers);
        assert!(entry.header("authorization").is_none(), "{seen}");
        assert!(secrets.iter().all(|secret| !seen.contains(secret.as_str())), "{seen}");
    }
}

#[test]
fn a_host_that_a_blob_is_redirected_to_sees_no_credentials() {
    for (registry, tokens) in registries() {
        let other = TestRegistry::start();
        let layer = blob(10_000, 1);
        let repository = open_as(&registry, "me", PASSWORD);
        let _ = repository.put_blob(&layer).unwrap();
        let port = other.port();
        registry.faults().add(when(
            |entry| entry.target.contains("/blobs/sha256:") && entry.header("authorization").is_some(),
            move |entry| Fault::Redirect(format!("http://127.0.0.1:{port}{}", entry.target)),
        ));
        let elsewhere = open_at(&other.url(NAME), options(), None);
        let _ = elsewhere.put_blob(&layer).unwrap();
        other.log().clear();
        read(&repository, &layer).unwrap();
        saw_nothing(other.log(), tokens.as_ref());
    }
}

#[test]
fn a_host_that_an_upload_is_sent_to_sees_no_credentials() {
    for (registry, tokens) in registries() {
        let other = TestRegistry::start();
        let place = other.port();
        // The other one has no such session, which does not matter here: what counts is what it is shown.
        registry.faults().add(on("POST", "/blobs/uploads/", move |_| {
            rewrite::change_location(move |location| {
                let path = &location[location.find("/v2/").unwrap()..];
                format!("http://127.0.0.1:{place}{path}")
            })
        }));
        other.faults().add(on("PUT", "", |_| Fault::Answer(Answer::status(201))));
        let outcome = open_as(&registry, "me", PASSWORD).put_blob(&blob(10_000, 2));
        saw_nothing(other.log(), tokens.as_ref());
        // And should it ask for credentials, it does not get those of the registry.
        other.faults().clear();
        other.log().clear();
        other.faults().add(when(
            |_| true,
            |_| {
                Fault::Answer(Answer::status(401).header("WWW-Authenticate", "Basic realm=\"give it to me\""))
            },
        ));
        let _ = open_as(&registry, "me", PASSWORD).put_blob(&blob(10_000, 3)).unwrap_err();
        saw_nothing(other.log(), tokens.as_ref());
        drop(outcome);
    }
}

#[test]
fn a_host_that_the_next_page_is_at_sees_no_credentials() {
    for (registry, tokens) in registries() {
        let other = TestRegistry::start();
        let repository = open_as(&registry, "me", PASSWORD);
        Image::new("x").put(&repository, "t");
        let link =
            format!("<http://127.0.0.1:{}/v2/some/cache/tags/list?last=t>; rel=\"next\"", other.port());
        registry.faults().add(on("GET", "/tags/", move |_| rewrite::set_header("link", link.clone())));
        // Whether such a link is followed without credentials or not at all: both are well.
        let _ = repository.tags();
        if !other.log().entries().is_empty() {
            saw_nothing(other.log(), tokens.as_ref());
        }
    }
}

/// What each operation fails with.
fn errors(repository: &RemoteRepository) -> Vec<Error> {
    let layer = blob(1000, 9);
    let outcomes = [
        repository.resolve(&name("t")).map(drop),
        repository.manifest(&name("t").into()).map(drop),
        repository.tags().map(drop),
        repository.blob_size(&layer.digest).map(drop),
        read(repository, &layer).map(drop),
        repository.put_blob(&layer).map(drop),
        Image::new("x").put_manifest(repository, "t").map(drop),
        repository.delete_manifest(&name("t").into()).map(drop),
    ];
    outcomes.into_iter().filter_map(Result::err).collect()
}

#[test]
fn no_error_tells_a_secret() {
    for status in [400, 401, 403, 404, 500, 599] {
        for (registry, tokens) in registries() {
            // There are registries, and proxies before them, that repeat what they were shown.
            registry.faults().add(when(
                |entry| entry.header("authorization").is_some(),
                move |entry| {
                    let shown = entry.header("authorization").unwrap_or_default();
                    let encoded = shown.rsplit(' ').next().unwrap_or_default();
                    let decoded =
                        base64::engine::general_purpose::STANDARD.decode(encoded).unwrap_or_default();
                    let said = format!("you are not {shown}, {}", String::from_utf8_lossy(&decoded));
                    Fault::Answer(Answer::error(status, "UNKNOWN", &said))
                },
            ));
            let mut quick = options();
            quick.retry.attempts = 2;
            let repository = open_at(&registry.url(NAME), quick, Some(credentials("me", PASSWORD)));
            let mut said = String::new();
            for error in errors(&repository) {
                write!(said, "{error} {error:?} {error:#?}").unwrap();
            }
            let wrong = open_as(&registry, "me", &format!("{PASSWORD}, but wrong"));
            for error in errors(&wrong) {
                write!(said, "{error} {error:?} {error:#?}").unwrap();
            }
            assert!(said.contains("you are not"), "there are errors, with the registry's words");
            let mut secrets = forms();
            secrets.extend(tokens.iter().flat_map(|tokens| tokens.book().all()));
            for secret in secrets {
                assert!(!said.contains(&secret), "{secret} in {said}");
            }
        }
    }
}

#[test]
fn no_debug_form_tells_a_secret() {
    let said = format!("{:?} {:#?}", credentials("me", PASSWORD), Secret::new(PASSWORD));
    assert!(forms().iter().all(|form| !said.contains(form)), "{said}");
}

/// A helper is told by its standard input: everybody can read the arguments of a process, and its own user, for as
/// long as it runs, its environment.
#[test]
fn no_process_shows_a_secret() {
    let directory = tempfile::tempdir().unwrap();
    let (seen, kept) = (directory.path().join("seen"), directory.path().join("kept"));
    let helper = directory.path().join("docker-credential-recording");
    let script = format!(
        "#!/bin/sh\n\
         cat /proc/$$/cmdline /proc/$$/environ /proc/$PPID/cmdline /proc/$PPID/environ >> {seen:?}\n\
         case \"$1\" in\n\
         get) cat > /dev/null; cat {kept:?} ;;\n\
         store) cat > {kept:?} ;;\n\
         esac\n"
    );
    std::fs::write(&helper, script).unwrap();
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
    let file = directory.path().join("config.json");
    std::fs::write(&file, "{\"credsStore\": \"recording\"}").unwrap();
    let search = std::env::join_paths([directory.path(), "/usr/bin".as_ref(), "/bin".as_ref()]).unwrap();
    let store = CredentialStore::new(vec![file.clone()]).with_helper_path(search);

    let registry = TestRegistry::builder().user("me", PASSWORD).start();
    store.store(&file, &registry.host(), "me", &Secret::new(PASSWORD)).unwrap();
    let mut with_helper = options();
    with_helper.credentials = store;
    assert!(open_at(&registry.url(NAME), with_helper, None).tags().unwrap().is_empty());

    let seen = std::fs::read(&seen).unwrap();
    let seen = String::from_utf8_lossy(&seen);
    assert!(seen.contains("docker-credential-recording\0store") && seen.contains("\0get"), "{seen}");
    let written = std::fs::read_to_string(&file).unwrap();
    for form in forms() {
        assert!(!seen.contains(&form), "{seen}");
        assert!(!written.contains(&form), "{written}");
    }
}
