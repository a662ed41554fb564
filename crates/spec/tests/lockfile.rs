//! Lockfiles that Spack wrote, read and written again: the same bytes.
//!
//! `lockfile/*.lock` are of Spack 1.2, which wrote down packages that were installed; `lockfile/locks.py` made them. The second
//! is of an environment that includes that of the first. Paths were replaced by `/environments/…`.

// Clippy knows test functions by their attribute, not their helpers.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use strata_spec::lockfile::{Lockfile, Root};
use strata_spec::{DagHash, Node, NodeSource};

fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lockfile").join(name);
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn what_spack_wrote_is_written_again_byte_by_byte() {
    for name in ["plain.lock", "including.lock"] {
        let written = text(name);
        assert!(Lockfile::parse(&written).unwrap().to_json().unwrap() == written, "{name}");
        // However it is laid out.
        let value: serde_json::Value = serde_json::from_str(&written).unwrap();
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        assert!(Lockfile::parse(&pretty).unwrap().to_json().unwrap() == written, "{name}, pretty");
    }
}

#[test]
fn what_is_included_is_written_as_spack_includes_it() {
    let (inner, outer) = (Lockfile::parse(&text("plain.lock")).unwrap(), text("including.lock"));
    let read = Lockfile::parse(&outer).unwrap();
    let mut own = Lockfile::new("strata", "0", read.roots.clone(), &read).unwrap().with_provenance_of(&read);
    own.include(&[("/environments/plain".to_owned(), inner)]).unwrap();
    assert!(own.to_json().unwrap() == outer);
    assert_eq!(own.included, read.included);
}

#[test]
fn a_root_that_is_not_there_is_an_error() {
    let lockfile = Lockfile::parse(&text("plain.lock")).unwrap();
    let hash = DagHash::parse("abcdefghijklmnopqrstuvwxyz234567").unwrap();
    let root = Root { requested: "nothing".to_owned(), hash };
    let error = Lockfile::new("strata", "0", vec![root], &lockfile).unwrap_err();
    assert!(error.to_string().contains("`nothing`"), "{error}");
    struct Roots<'l>(&'l Lockfile);
    impl NodeSource for Roots<'_> {
        fn node(&self, hash: &DagHash) -> Option<&Node> {
            self.0.roots.iter().any(|root| root.hash == *hash).then(|| self.0.node(hash)).flatten()
        }
    }
    let error = Lockfile::new("strata", "0", lockfile.roots.clone(), &Roots(&lockfile)).unwrap_err();
    assert!(error.to_string().contains("depends on"), "{error}");
}
