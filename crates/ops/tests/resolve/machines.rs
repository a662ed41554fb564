//! What runs where, and what is preferred where several would.

use super::caches::{Asked, index, machine, mirror, package};
use serde_json::json;
use strata_ops::Error;
use strata_spec::NodeSource;
use strata_spec::host::{Host, Libc};

#[test]
fn the_most_specific_target_that_runs_is_taken_then_the_same_system() {
    let dir = tempfile::tempdir().unwrap();
    let built_for = |target: &str| package("zlib", "1.3.1", target).target(target);
    let samples = [built_for("x86_64"), built_for("x86_64_v3"), built_for("x86_64_v4"), built_for("zen4")];
    let elsewhere = package("zlib", "1.3.1", "elsewhere").target("x86_64_v3").os("ubuntu22.04");
    let older = package("zlib", "1.2.13", "old").target("x86_64_v3");
    let all: Vec<_> = samples.iter().chain([&elsewhere, &older]).collect();
    let mirrors = [mirror(&dir, "cache", &index(&all))];
    let chosen = |target: &str| {
        let host = Host { target: target.to_owned(), ..machine() };
        let resolved = Asked { host: Some(host), ..Asked::of(&mirrors) }.resolve(&["zlib"]).unwrap();
        resolved.roots[0].as_str().to_owned()
    };
    assert_eq!(chosen("x86_64_v3"), samples[1].hash());
    assert_eq!(chosen("haswell"), samples[1].hash());
    assert_eq!(chosen("x86_64_v4"), samples[2].hash());
    assert_eq!(chosen("zen4"), samples[3].hash());
    assert_eq!(chosen("x86_64_v2"), samples[0].hash());
    let host = Host { os: Some("ubuntu22.04".to_owned()), ..machine() };
    let resolved = Asked { host: Some(host), ..Asked::of(&mirrors) }.resolve(&["zlib"]).unwrap();
    assert_eq!(resolved.roots[0].as_str(), elsewhere.hash());
}

#[test]
fn releases_come_before_branches_and_the_newest_first() {
    let dir = tempfile::tempdir().unwrap();
    let samples: Vec<_> = ["1.9", "1.10", "2.0-rc1", "develop", "main", "1.10.0"]
        .iter()
        .map(|version| package("tool", version, ""))
        .collect();
    let mirrors = [mirror(&dir, "cache", &index(&samples.iter().collect::<Vec<_>>()))];
    let asked = Asked::of(&mirrors);
    assert_eq!(asked.versions(&["tool"]), ["tool@1.10.0"]);
    assert_eq!(asked.versions(&["tool@:1.9"]), ["tool@1.9"]);
    assert_eq!(asked.versions(&["tool@2:"]), ["tool@2.0-rc1"]);
    assert_eq!(asked.versions(&["tool@develop"]), ["tool@develop"]);
}

#[test]
fn what_does_not_run_here_is_refused_unless_it_is_for_another_machine() {
    let dir = tempfile::tempdir().unwrap();
    let glibc = package("glibc", "2.38", "").external();
    let libc = package("newer", "1.0", "").needs(&glibc, &["libc"]);
    let target = package("wide", "1.0", "").target("x86_64_v4");
    let above = package("above", "1.0", "").needs(&target, &[]);
    let mirrors = [mirror(&dir, "cache", &index(&[&glibc, &libc, &target, &above]))];
    let refused = |spec: &str, words: &[&str]| {
        let error = Asked::of(&mirrors).resolve(&[spec]).unwrap_err();
        assert!(matches!(error, Error::NoBinary(_)), "{error:?}");
        let text = error.to_string();
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    };
    refused("newer", &["newer@1.0", "needs glibc 2.38, this machine has 2.36"]);
    refused("wide", &["built for x86_64_v4, this machine is x86_64_v3"]);
    refused(&format!("/{}", target.hash()), &["built for x86_64_v4"]);
    refused("above", &["wide@1.0", "which it needs", "built for x86_64_v4"]);
    let wherever = Asked { host: None, ..Asked::of(&mirrors) };
    assert_eq!(wherever.versions(&["newer", "above"]), ["newer@1.0", "above@1.0"]);
    let libc = Some(Libc { name: "glibc".to_owned(), version: "2.39".to_owned() });
    let newer = Host { libc, target: "zen4".to_owned(), ..machine() };
    assert_eq!(Asked { host: Some(newer), ..Asked::of(&mirrors) }.versions(&["newer"]), ["newer@1.0"]);
}

#[test]
fn without_a_known_c_library_the_system_has_to_be_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let here = package("tool", "1.0", "here");
    let there = package("tool", "1.1", "there").os("rocky9");
    let mirrors = [mirror(&dir, "cache", &index(&[&here, &there]))];
    let host = |os: &str| Some(Host { libc: None, os: Some(os.to_owned()), ..machine() });
    let chosen = |os| Asked { host: host(os), ..Asked::of(&mirrors) }.versions(&["tool"]);
    assert_eq!((chosen("debian12"), chosen("rocky9")), (vec!["tool@1.0".into()], vec!["tool@1.1".into()]));
    assert_eq!(Asked::of(&mirrors).versions(&["tool"]), ["tool@1.1"]);
}

#[test]
fn what_is_external_or_was_not_pushed_is_never_taken() {
    let dir = tempfile::tempdir().unwrap();
    let gcc = package("gcc", "12.2.0", "").external();
    let hidden = package("hidden", "1.0", "").not_cached();
    let needs = package("needs", "2.0", "").needs(&hidden, &[]);
    let before = package("needs", "1.0", "");
    let mirrors = [mirror(&dir, "cache", &index(&[&gcc, &hidden, &needs, &before]))];
    let asked = Asked::of(&mirrors);
    assert_eq!(asked.versions(&["needs"]), ["needs@1.0"], "the newer one cannot be installed");
    for (spec, words) in [
        ("gcc", "external"),
        ("hidden", "its own binary is in no mirror"),
        ("needs@2", "needs hidden@1.0/bahidde, whose binary is in no mirror"),
    ] {
        let text = asked.resolve(&[spec]).unwrap_err().to_string();
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn what_spack_wrote_before_1_0_is_taken_in_the_form_that_a_store_records() {
    let dir = tempfile::tempdir().unwrap();
    let below = package("below", "1.0", "");
    let old = package("old", "1.0", "").needs(&below, &[]);
    let mut index = index(&[&old, &below]);
    index["database"]["version"] = "7".into();
    for record in index["database"]["installs"].as_object_mut().unwrap().values_mut() {
        let node = record["spec"].as_object_mut().unwrap();
        node.remove("annotations");
        node.insert("compiler".to_owned(), json!({"name": "gcc", "version": "12.2.0"}));
    }
    let mirrors = [mirror(&dir, "cache", &index)];
    let resolved = Asked::of(&mirrors).resolve(&["old"]).unwrap();
    for package in [&old, &below] {
        let node = resolved.node(&strata_spec::DagHash::parse(package.hash()).unwrap()).unwrap();
        assert!(strata_store::is_recordable(node), "{}", node.json());
        let annotated = r#""annotations":{"original_specfile_version":4,"compiler":"gcc@=12.2.0"}"#;
        assert!(node.json().contains(annotated), "{}", node.json());
        assert_eq!(node.hash.as_str(), package.hash());
    }
}
