//! The spec language against what real Spack makes of it (`golden/spec`), and against itself.

#![allow(clippy::unwrap_used)]

mod errors;
mod generator;
mod hostile;
mod merging;
mod round_trip;

use serde_json::Value;
use strata_spec::AbstractSpec;
use strata_spec::abstract_spec::VariantValue;
use strata_spec::version::{Version, VersionList};
use strata_testkit::golden;

fn versions(test: &str) -> Option<Value> {
    let Some(path) = golden::file("spec/versions.json") else {
        golden::skipped(test, "no spec/versions.json in the golden data");
        return None;
    };
    Some(serde_json::from_str(&golden::text(&path)).unwrap())
}

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

#[test]
fn versions_are_in_spacks_order() {
    let Some(table) = versions("versions_are_in_spacks_order") else { return };
    let ascending: Vec<&str> =
        table["ascending"].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
    let mut sorted = ascending.clone();
    sorted.reverse();
    sorted.sort_by_key(|text| version(text));
    let ranks = |list: &[&str]| -> Vec<Version> { list.iter().map(|text| version(text)).collect() };
    assert_eq!(ranks(&sorted), ranks(&ascending));
    let compared = table["compare"].as_object().unwrap();
    for (pair, expected) in compared {
        let (left, right) = pair.split_once(' ').unwrap();
        let expected = expected.as_i64().unwrap().cmp(&0);
        assert_eq!(version(left).cmp(&version(right)), expected, "{pair}");
        assert_eq!(version(right).cmp(&version(left)), expected.reverse(), "{pair}");
    }
    assert!(compared.len() >= ascending.len());
}

#[test]
fn ranges_have_the_versions_that_they_have_in_spack() {
    let Some(table) = versions("ranges_have_the_versions_that_they_have_in_spack") else { return };
    let all: Vec<&str> = table["ascending"].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
    for (range, expected) in table["satisfies"].as_object().unwrap() {
        let list: VersionList = range.parse().unwrap();
        let expected: Vec<&str> = expected.as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
        for candidate in &all {
            assert_eq!(
                list.contains(&version(candidate)),
                expected.contains(candidate),
                "{candidate} in {range}"
            );
        }
    }
    for range in table["unparsable_ranges"].as_object().unwrap().keys() {
        assert!(range.parse::<VersionList>().is_err(), "{range}");
    }
}

#[test]
fn specs_are_read_and_written_as_spack_does() {
    const TEST: &str = "specs_are_read_and_written_as_spack_does";
    for name in ["spec/satisfies.jsonl", "spec/satisfies-index-750.jsonl"] {
        let Some(path) = golden::file(name) else {
            golden::skipped(TEST, &format!("no {name} in the golden data"));
            continue;
        };
        for row in golden::rows(&path) {
            let text = row["spec"].as_str().unwrap();
            match (text.parse::<AbstractSpec>(), row["canonical"].as_str()) {
                (Ok(spec), Some(canonical)) => {
                    assert_eq!(spec.to_string(), canonical, "{text}");
                    assert_eq!(canonical.parse::<AbstractSpec>().unwrap().to_string(), canonical);
                }
                (Err(error), Some(_)) => panic!("{error}"),
                (Ok(spec), None) => panic!("`{text}` is read as `{spec}`, and Spack refuses it"),
                (Err(error), None) => assert!(error.span.end <= text.len() && !error.reason.is_empty()),
            }
        }
    }
}

#[test]
fn quoted_values_end_at_the_first_quote_that_can_close_them() {
    for (text, values) in [
        (r#"a x="b\" c" ^d"#, r#"b" c"#),
        (r#"a x="b\" ^d"#, r"b\"),
        (r"a x='\' ^d", r"\"),
        (r#"a x="b\"c\" ^d"#, r#"b"c\"#),
    ] {
        let spec: AbstractSpec = text.parse().unwrap();
        assert_eq!(spec.variants["x"].value, VariantValue::AtLeast(vec![values.to_owned()]), "{text}");
        assert_eq!(spec.dependencies.len(), 1, "{text}");
    }
}
