use std::os::unix::ffi::OsStringExt;

use proptest::prelude::*;
use strata_testkit::golden;

use super::*;

fn texts() -> Vec<(String, String)> {
    let mut texts = Vec::new();
    if let Some(path) = golden::file("layers/layers.jsonl.zst") {
        for row in golden::rows(&path) {
            let text = row["binary_distribution"].as_str().unwrap().to_owned();
            texts.push((format!("{} {}", row["name"], row["hash"]), text));
        }
    }
    if let Some(path) = golden::file("synthetic/odd.json") {
        let odd: serde_json::Value = serde_json::from_str(&golden::text(&path)).unwrap();
        texts.push(("odd.json".to_owned(), odd["binary_distribution"].as_str().unwrap().to_owned()));
    }
    texts
}

#[test]
fn what_spack_wrote_is_read_and_written_again_unchanged() {
    let texts = texts();
    assert!(!texts.is_empty(), "no golden data");
    for (name, text) in texts {
        let info = BuildInfo::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!info.hash_to_prefix.is_empty(), "{name}");
        assert_eq!(String::from_utf8(info.to_yaml()).unwrap(), text, "{name}");
    }
}

const MINIMAL: &str = "buildpath: /b\nhash_to_prefix: {}\nrelocate_binaries: []\nrelocate_textfiles: []\n";

#[test]
fn what_may_be_missing_is_empty_or_false() {
    let info = BuildInfo::parse(MINIMAL.as_bytes()).unwrap();
    assert_eq!(info, BuildInfo { buildpath: "/b".to_owned(), ..BuildInfo::default() });
}

#[test]
fn block_style_and_the_old_layout() {
    let text = "\
relative_prefix: linux/zlib-1
relative_rpaths: true
buildpath: /old
prefix_to_hash:
  /usr: ext
  /old/a: 2222222222
  /opt/ext: ext
  /old/b: '1e5'
relocate_binaries:
- lib/libz.so
relocate_textfiles:
- \"share/\\xe9\"
relocate_links: []
future_key: [ignored, {whatever: it is}]
";
    let info = BuildInfo::parse(text.as_bytes()).unwrap();
    let pair = |hash: &str, prefix: &str| (hash.to_owned(), prefix.to_owned());
    let expected = BuildInfo {
        buildpath: "/old".to_owned(),
        relative_prefix: "linux/zlib-1".to_owned(),
        relative_rpaths: true,
        hash_to_prefix: vec![pair("ext", "/opt/ext"), pair("2222222222", "/old/a"), pair("1e5", "/old/b")],
        relocate_binaries: vec!["lib/libz.so".into()],
        relocate_textfiles: vec!["share/é".into()],
        ..BuildInfo::default()
    };
    assert_eq!(info, expected);
    assert!(String::from_utf8(info.to_yaml()).unwrap().ends_with(", relative_rpaths: true}\n"));
}

#[test]
fn hashes_that_look_like_numbers_stay_texts() {
    let hashes = ["22222222222222222222222222222222", "0x22", "2e22", "0o7", "null", "true", "~", "1_0"];
    let keys: Vec<String> = hashes.iter().map(|hash| format!("{hash}: /p/{hash}")).collect();
    let text = MINIMAL.replace("{}", &format!("{{{}}}", keys.join(", ")));
    let info = BuildInfo::parse(text.as_bytes()).unwrap();
    let read: Vec<&str> = info.hash_to_prefix.iter().map(|(hash, _)| hash.as_str()).collect();
    assert_eq!(read, hashes);
}

#[test]
fn every_kind_of_bad_input_has_its_error() {
    let with = |from: &str, to: &str| MINIMAL.replace(from, to);
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (b"\xff".to_vec(), "not UTF-8"),
        (b"".to_vec(), "not a mapping but an empty document"),
        (b"# nothing\n".to_vec(), "not a mapping but an empty document"),
        (b"[a]".to_vec(), "not a mapping but a list"),
        (b"text".to_vec(), "not a mapping but a scalar"),
        (b"{a: [b}".to_vec(), "not YAML: line 1, column"),
        (b"a: &x [b]\nc: *x\n".to_vec(), "line 2: YAML aliases are not supported here"),
        (format!("{MINIMAL}---\na: b\n").into_bytes(), "a second YAML document"),
        (deep.into_bytes(), "nested too deep"),
        (with("buildpath", "build").into_bytes(), "`buildpath` is missing"),
        (with("relocate_binaries", "x").into_bytes(), "`relocate_binaries` is missing"),
        (with("relocate_textfiles", "x").into_bytes(), "`relocate_textfiles` is missing"),
        (with("hash_to_prefix", "x").into_bytes(), "neither `hash_to_prefix` nor `prefix_to_hash`"),
        (with("/b", "[]").into_bytes(), "`buildpath` has to be text, found a list"),
        (
            with("{}", "[]").into_bytes(),
            "`hash_to_prefix` has to be a mapping from text to text, found a list",
        ),
        (with("{}", "{a: []}").into_bytes(), "`hash_to_prefix` has to be a mapping from text to text"),
        (with("{}", "{a: b, a: c}").into_bytes(), "`a` occurs twice"),
        (with("{}", "{}\nbuildpath: /c").into_bytes(), "`buildpath` occurs twice"),
        (with("[]", "text").into_bytes(), "`relocate_binaries` has to be a list of paths, found `text`"),
        (
            with("[]", "[{a: b}]").into_bytes(),
            "`relocate_binaries` has to be a list of paths, found a mapping",
        ),
        (with("/b", "\"\\uDC80\"").into_bytes(), "`buildpath` has to be text, found `\\x80`"),
        (
            format!("{MINIMAL}hardlinks_deduped: 'true'\n").into_bytes(),
            "`hardlinks_deduped` has to be true or false, found `true`",
        ),
        (
            format!("{MINIMAL}relative_rpaths: yes\n").into_bytes(),
            "`relative_rpaths` has to be true or false",
        ),
    ];
    let deeper = "[".repeat(100_000);
    assert!(BuildInfo::parse(deeper.as_bytes()).is_err());
    for (bytes, expected) in cases {
        let error = BuildInfo::parse(&bytes).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error:?} does not say {expected:?}");
    }
}

/// Characters that tend to matter, undecodable bytes, and anything else.
fn name() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => "[a-z0-9:,'\" #{}\\[\\]&*!|>%@`~=<?.\\\\/_+-]{0,6}".prop_map(String::into_bytes),
        1 => any::<char>().prop_map(|c| c.to_string().into_bytes()),
        1 => "[ \n\r\t\u{85}\u{2028}\u{2029}\u{feff}]{1,3}".prop_map(String::into_bytes),
        1 => prop::collection::vec(0x80..=0xffu8, 1..3),
        1 => Just(b"\\uDC80".to_vec()),
    ];
    prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_names_come_back(names in prop::collection::vec(name(), 0..6), prefix in any::<String>()) {
        let names: Vec<OsString> = names.into_iter().map(OsString::from_vec).collect();
        let info = BuildInfo {
            sbang_install_path: Some(prefix.clone()),
            buildpath: prefix.clone(),
            hash_to_prefix: vec![(format!("a{prefix}"), prefix.clone()), ("b".to_owned(), prefix)],
            relocate_links: names.clone(),
            relocate_textfiles: names,
            hardlinks_deduped: true,
            ..BuildInfo::default()
        };
        let yaml = info.to_yaml();
        let read = BuildInfo::parse(&yaml);
        prop_assert!(read.is_ok(), "{}: {}", String::from_utf8_lossy(&yaml), read.unwrap_err());
        prop_assert_eq!(read.unwrap(), info);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), text in ".{0,64}") {
        let _ = BuildInfo::parse(&bytes);
        let _ = BuildInfo::parse(text.as_bytes());
        let _ = BuildInfo::parse(format!("{MINIMAL}x: {text}").as_bytes());
    }
}
