//! `docs/registry.md` lists the tests of the four workflow categories, each once, and none that there is not.

use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn every_conformance_point_has_its_test_and_the_reverse() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("../../docs/registry.md")).unwrap();
    let mut expected = BTreeSet::new();
    for category in ["pull", "push", "discovery", "management"] {
        let source = std::fs::read_to_string(root.join(format!("tests/it/{category}.rs"))).unwrap();
        let mut tests = source.split("#[tokio::test]\nasync fn ").skip(1);
        expected
            .extend(tests.by_ref().map(|test| format!("{category}::{}", test.split('(').next().unwrap())));
    }
    let listed: Vec<&str> =
        page.split('`').filter(|word| word.contains("::") && !word.contains(char::is_whitespace)).collect();
    assert_eq!(listed.iter().map(|test| test.to_string()).collect::<BTreeSet<_>>(), expected);
    assert_eq!(listed.len(), expected.len(), "each once");
}
