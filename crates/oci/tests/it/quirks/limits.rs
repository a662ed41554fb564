//! Q23–Q25: registries that want to be asked later, or less often.

use std::time::{Duration, Instant};

use strata_oci::{ErrorKind, Repository};
use strata_testkit::faults::rules::{first, on, once};
use strata_testkit::faults::{Answer, Fault};
use strata_testkit::registry::TestRegistry;

use crate::client::{NAME, blob, open, open_at, options, read};
use crate::image::{Image, name};

/// GitHub's registry says how long to wait, but in its message alone.
#[test]
fn q23_delay_inside_the_message() {
    let registry = TestRegistry::start();
    let image = Image::new("x");
    image.put(&open(&registry), "t");
    let words = "retry-after: 441.8ms, allowed: 2000/minute";
    registry.faults().add(once(on("GET", "/manifests/", move |_| {
        Fault::Answer(Answer::error(429, "TOOMANYREQUESTS", words))
    })));
    let begun = Instant::now();
    assert!(open(&registry).manifest(&name("t").into()).unwrap().is_some());
    assert!(begun.elapsed() >= Duration::from_micros(441_800), "{:?}", begun.elapsed());
    assert_eq!(registry.log().count("GET", "/manifests/"), 2);
}

/// The other half of Q23: a registry that wants more patience than there is says so in the error.
#[test]
fn q23_delay_that_is_too_long() {
    let registry = TestRegistry::start();
    registry.faults().add(on("GET", "/tags/", |_| {
        Fault::Answer(Answer::error(429, "TOOMANYREQUESTS", "slow down").header("Retry-After", "86400"))
    }));
    let mut impatient = options();
    impatient.retry.patience = Duration::from_secs(1);
    let error = open_at(&registry.url(NAME), impatient, None).tags().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TryAgain, "{error}");
    assert!(error.to_string().contains("slow down"), "{error}");
    assert_eq!(registry.log().count("GET", "/tags/"), 1);
}

/// What was put a moment ago is not to be found for another moment.
#[test]
fn q24_not_found_just_after_it_was_put() {
    let registry = TestRegistry::start();
    let unknown = |_: &_| Fault::Answer(Answer::error(404, "MANIFEST_UNKNOWN", "manifest unknown"));
    registry.faults().add(first(2, on("HEAD", "/manifests/just-put", unknown)));
    registry.faults().add(once(on("GET", "/manifests/just-put", unknown)));
    let repository = open(&registry);
    let image = Image::new("x");
    image.put(&repository, "just-put");
    assert_eq!(repository.resolve(&name("just-put")).unwrap().unwrap().digest, image.digest());
    assert!(repository.manifest(&name("just-put").into()).unwrap().is_some());
    // What nobody put is asked for once.
    assert_eq!(repository.resolve(&name("never-put")).unwrap(), None);
    assert_eq!(registry.log().count("HEAD", "/manifests/never-put"), 1);
}

/// The other half of Q24: blobs that were put a moment ago are unknown to the manifest.
#[test]
fn q24_blob_unknown_just_after_it_was_put() {
    let registry = TestRegistry::start();
    registry.faults().add(first(
        2,
        on("PUT", "/manifests/", |_| {
            Fault::Answer(Answer::error(404, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry"))
        }),
    ));
    let repository = open(&registry);
    let image = Image::new("x");
    assert_eq!(image.put(&repository, "t"), image.digest());
    assert_eq!(registry.log().count("PUT", "/manifests/"), 3);
}

/// And a part of Q24: a server that is in trouble for a moment, whatever it is asked for.
#[test]
fn q24_trouble_for_a_moment() {
    for status in [500, 502, 503, 504] {
        let registry = TestRegistry::start();
        for (method, part) in [
            ("HEAD", "/blobs/"),
            ("POST", "/blobs/uploads/"),
            ("PUT", "/blobs/uploads/"),
            ("PUT", "/manifests/"),
            ("HEAD", "/manifests/"),
            ("GET", "/manifests/"),
            ("GET", "/blobs/"),
            ("GET", "/tags/"),
        ] {
            registry.faults().add(once(on(method, part, move |_| {
                Fault::Answer(Answer::error(status, "UNKNOWN", "oops"))
            })));
        }
        let repository = open(&registry);
        let image = Image::new("x");
        image.put(&repository, "t");
        assert!(repository.resolve(&name("t")).unwrap().is_some());
        assert!(repository.manifest(&name("t").into()).unwrap().is_some());
        assert_eq!(repository.tags().unwrap(), ["t"]);
        read(&repository, &image.layer).unwrap();
        assert_eq!(registry.log().count_status(status), 8, "{:?}", registry.log().lines());
    }
}

/// Docker counts who GETs manifests, and nothing else.
#[test]
fn q25_manifests_are_not_fetched_in_vain() {
    let registry = TestRegistry::start();
    let image = Image::new("x");
    let repository = open(&registry);
    image.put(&repository, "t");
    let layer = blob(1000, 25);
    let _ = repository.put_blob(&layer).unwrap();
    let digest = repository.resolve(&name("t")).unwrap().unwrap().digest;
    read(&repository, &layer).unwrap();
    assert!(repository.blob_size(&image.config.digest).unwrap().is_some());
    assert_eq!(registry.log().count("GET", "/manifests/"), 0, "{:?}", registry.log().lines());
    assert!(repository.manifest(&digest.into()).unwrap().is_some());
    assert_eq!(registry.log().count("GET", "/manifests/"), 1);
}
