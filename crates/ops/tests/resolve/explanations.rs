//! Explanations as people read them, whole: `explanations.txt` has them all. With `STRATA_BLESS` set it is written anew.

use super::caches::{Asked, down, index, mirror, package};
use std::fmt::Write;
use std::path::Path;
use strata_ops::explain::Lack;
use strata_ops::resolve::Unclear;

/// What is asked of the cache of [`samples`], and what each is an example of.
const CASES: [(&str, &str); 15] = [
    ("zlib", "there, with others that are not as good and others that do not run here"),
    ("zlib@1.2", "there, without a choice"),
    ("zlib@1.4:", "another version"),
    ("zlib@1.2.11", "the version that is most like it comes first"),
    ("zlib@1.3.1+shared", "what is asked for is there, and does not run here; something else is near"),
    ("zlib+shared+pic@1.4:", "several constraints at once"),
    ("wide", "forty that fail for the same reason"),
    ("many@2:", "thirty that fail for different reasons"),
    ("above", "a dependency is missing"),
    ("gcc", "external"),
    ("numpy", "another name"),
    ("nothing-like-it", "nothing"),
    ("mpi@4:", "a virtual package"),
    ("zlib/zzzz", "another hash"),
    ("zlib target=zen4", "another target"),
];

fn samples() -> Vec<super::caches::Sample> {
    let zlib = |version: &str, salt: &str| package("zlib", version, salt);
    let below = package("below", "1.0", "").not_cached();
    let openmpi = package("openmpi", "4.1.6", "");
    let mut samples = vec![
        zlib("1.2.13", "").variant("shared", true),
        zlib("1.3.1", "plain").variant("shared", false),
        zlib("1.3.1", "wide").variant("shared", true).target("x86_64_v4"),
        zlib("1.3", "").variant("shared", true).target("x86_64"),
        package("py-numpy", "2.3.5", ""),
        package("above", "1.0", "").needs(&below, &[]),
        below,
        package("gcc", "12.2.0", "").external(),
        package("uses-mpi", "1.0", "").needs(&openmpi, &["mpi"]),
        openmpi,
    ];
    samples.extend((0..30).map(|n| package("many", &format!("1.{n}"), "")));
    samples.extend((0..40).map(|n| package("wide", "1.0", &n.to_string()).target("zen4")));
    samples
}

fn explained(asked: &Asked<'_>, spec: &str) -> String {
    let explanation = asked.explain(spec);
    let mut text = format!("{explanation}\n");
    for advice in &explanation.advice {
        writeln!(text, "hint: {advice}").unwrap();
    }
    text
}

#[test]
fn explanations_read_as_they_should() {
    let dir = tempfile::tempdir().unwrap();
    let index = index(&samples().iter().collect::<Vec<_>>());
    let mirrors = [mirror(&dir, "cache", &index)];
    let mut document = String::new();
    for (spec, example) in CASES {
        let text = explained(&Asked::of(&mirrors), spec);
        writeln!(document, "# {example}\n{text}").unwrap();
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/resolve/explanations.txt");
    if std::env::var_os("STRATA_BLESS").is_some() {
        std::fs::write(&file, &document).unwrap();
    }
    assert_eq!(document, std::fs::read_to_string(&file).unwrap());
}

#[test]
fn all_that_is_lacking_is_data_too() {
    let dir = tempfile::tempdir().unwrap();
    let index = index(&samples().iter().collect::<Vec<_>>());
    let mirrors = [mirror(&dir, "cache", &index), down("gone")];
    let explanation = Asked::of(&mirrors).explain("wide@2:");
    let nearest = &explanation.nearest[0];
    assert!(matches!(&nearest.lacks[..], [Lack::Mismatch(_), Lack::Obstacle(_)]), "{nearest:?}");
    assert_eq!((nearest.alike, explanation.nearest.len(), explanation.more), (39, 1, 0));
    assert_eq!(explanation.unasked[0].mirror, "gone");
    let json = serde_json::to_value(&explanation).unwrap();
    assert_eq!(json["nearest"][0]["lacks"][0]["constraint"], "version");
    assert_eq!(json["nearest"][0]["lacks"][1]["property"], "target");
    assert_eq!(json["nearest"][0]["reasons"][0], "version 1.0, asked for @2:");
}

#[test]
fn of_very_many_the_nearest_are_found_and_all_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut samples: Vec<_> = (0..1500).map(|n| package(&format!("a{n}"), "1.0", &n.to_string())).collect();
    samples.push(package("last", "1.0", "unfit").variant("x", true).target("zen4"));
    samples.push(package("next-to-last", "2.5", "").variant("x", false));
    let mirrors = [mirror(&dir, "cache", &index(&samples.iter().collect::<Vec<_>>()))];
    let asked = Asked::of(&mirrors);
    let counted = |spec: &str| {
        let explanation = asked.explain(spec);
        let shown: usize = explanation.nearest.iter().map(|group| 1 + group.alike).sum();
        assert_eq!((explanation.of_the_kind, shown + explanation.more), (1502, 1502), "{spec}");
        explanation
    };
    assert!(counted("+x").nearest[0].package.starts_with("last@1.0/"));
    assert!(counted("@2.5 +x").nearest.iter().any(|group| group.package.starts_with("next-to-last@")));
    assert!(counted("@2.6").nearest[0].package.starts_with("next-to-last@2.5/"));
    assert!(
        matches!(asked.explain("@1").unclear, Some(Unclear::Packages(packages)) if packages.len() == 1500)
    );
}
