//! Several mirrors, some of which do not answer.

use super::caches::{Asked, down, index, mirror, package};
use strata_ops::Error;

#[test]
fn the_best_of_all_mirrors_is_taken_and_their_order_says_from_where() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (package("zlib", "1.2.13", ""), package("zlib", "1.3.1", ""));
    let mirrors = [
        mirror(&dir, "first", &index(&[&old])),
        mirror(&dir, "second", &index(&[&old, &new])),
        mirror(&dir, "third", &index(&[&new])),
    ];
    let asked = Asked::of(&mirrors);
    let of = |spec| asked.resolve(&[spec]).unwrap().chosen.remove(0).mirrors;
    assert_eq!(
        (of("zlib"), of("zlib@1.2")),
        (vec!["second".into(), "third".into()], vec!["first".into(), "second".into()])
    );
}

#[test]
fn what_one_mirror_lacks_another_may_have() {
    let dir = tempfile::tempdir().unwrap();
    let below = package("below", "1.0", "");
    let above = package("above", "1.0", "").needs(&below, &[]);
    let halves = [
        mirror(&dir, "above", &index(&[&above, &below.clone().not_cached()])),
        mirror(&dir, "below", &index(&[&below])),
    ];
    assert_eq!(Asked::of(&halves).versions(&["above"]), ["above@1.0"]);
    let error = Asked::of(&halves[..1]).resolve(&["above"]).unwrap_err().to_string();
    assert!(error.contains("needs below@1.0/babelow, whose binary is in no mirror"), "{error}");
}

#[test]
fn a_mirror_that_is_down_does_not_hide_the_others_nor_make_them_all_there_is() {
    let dir = tempfile::tempdir().unwrap();
    let zlib = package("zlib", "1.3.1", "");
    let mirrors = [down("gone"), mirror(&dir, "cache", &index(&[&zlib]))];
    let asked = Asked::of(&mirrors);
    assert_eq!(asked.versions(&["zlib"]), ["zlib@1.3.1"]);
    let Err(Error::NoBinary(explanation)) = asked.resolve(&["zlib@2:"]) else { panic!() };
    assert!(explanation.is_uncertain());
    let text = explanation.to_string();
    for words in [
        "cannot tell whether there is a binary of `zlib@2:`: gone could not be asked, and cache has none",
        "zlib@1.3.1/bdbzlib: ",
        "mirror gone could not be asked: ",
    ] {
        assert!(text.contains(words), "no `{words}` in: {text}");
    }
    // The only mirror speaks for itself.
    let alone = [down("gone")];
    assert!(matches!(Asked::of(&alone).resolve(&["zlib"]), Err(Error::Repository(_))));
}

#[test]
fn hashes_have_to_name_one_spec_and_no_name_one_package() {
    let dir = tempfile::tempdir().unwrap();
    let (one, other) = (package("same", "1.0", "xa").variant("x", true), package("same", "1.0", "xb"));
    let third = package("third", "2.0", "").variant("x", true);
    let mirrors = [mirror(&dir, "cache", &index(&[&one, &other, &third]))];
    let asked = Asked::of(&mirrors);
    assert!(
        matches!(asked.resolve(&["/x"]), Err(Error::Ambiguous { candidates, .. }) if candidates.len() == 2)
    );
    assert_eq!(
        asked.resolve(&[&format!("/{}", &other.hash()[..7])]).unwrap().roots[0].as_str(),
        other.hash()
    );
    assert!(
        matches!(asked.resolve(&["+x"]), Err(Error::ManyPackages { packages, .. }) if packages == ["same", "third"])
    );
    assert_eq!(asked.versions(&["@2:"]), ["third@2.0"]);
}
