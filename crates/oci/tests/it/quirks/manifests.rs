//! Q26, Q30, Q34: manifests, and the names of things.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use strata_oci::{Repository, RepositoryUrl, TagName};
use strata_testkit::faults::rules::on;
use strata_testkit::faults::{Fault, rewrite};
use strata_testkit::registry::TestRegistry;

use crate::client::open;
use crate::image::Image;

/// Quay fails when the same manifest is put twice at the same time.
#[test]
fn q26_the_same_manifest_is_not_put_at_the_same_time() {
    let registry = TestRegistry::start();
    let repository = open(&registry);
    let image = Image::new("x");
    let _ = repository.put_blob(&image.layer).unwrap();
    let _ = repository.put_blob(&image.config).unwrap();
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (begun, ended, highest) = (Arc::clone(&now), Arc::clone(&now), Arc::clone(&most));
    registry.faults().add(on("PUT", "/manifests/", move |_| {
        highest.fetch_max(begun.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        Fault::Delay(Duration::from_millis(30))
    }));
    registry.faults().add(on("PUT", "/manifests/", move |_| {
        let ended = Arc::clone(&ended);
        rewrite::with(move |response| {
            ended.fetch_sub(1, Ordering::SeqCst);
            response
        })
    }));
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| assert_eq!(image.put_manifest(&repository, "t").unwrap(), image.digest()));
        }
    });
    assert!(registry.log().count("PUT", "/manifests/") >= 1);
    assert_eq!(most.load(Ordering::SeqCst), 1);
}

/// A host without a repository would be taken for a repository of Docker's by others.
#[test]
fn q30_a_host_alone_is_no_repository() {
    for url in [
        "oci://123456789012.dkr.ecr.us-east-1.amazonaws.com",
        "oci://ghcr.io",
        "oci://localhost:5000",
        "oci://ghcr.io/",
    ] {
        let error = url.parse::<RepositoryUrl>().unwrap_err();
        assert!(error.to_string().contains(url), "{error}");
    }
}

/// Tags have at most 128 characters, and others make one of a longer name in a certain way.
#[test]
fn q34_tags_of_long_names() {
    let long = format!("linux-x86_64-gcc@13~a+b {}.spack", "x".repeat(200));
    let tag = TagName::sanitized(&long).unwrap();
    let replaced = long.replace(['@', '~', '+', ' '], "_");
    assert_eq!(tag.as_str(), format!("{}{}", &replaced[..64], &replaced[replaced.len() - 64..]));
    let registry = TestRegistry::start();
    let repository = open(&registry);
    let image = Image::new("x");
    image.put(&repository, tag.as_str());
    assert_eq!(repository.tags().unwrap(), [tag.as_str()]);
}
