//! Input that nobody means well with: it is read or refused at once.

use proptest::prelude::*;
use std::time::{Duration, Instant};
use strata_spec::{AbstractSpec, Version};

fn quickly(text: &str) -> Result<Vec<AbstractSpec>, strata_spec::SpecSyntaxError> {
    let begun = Instant::now();
    let result = AbstractSpec::parse_all(text);
    if let Ok(specs) = &result {
        specs.iter().for_each(|spec| drop(spec.to_string()));
    }
    let start: String = text.chars().take(40).collect();
    assert!(begun.elapsed() < Duration::from_secs(10), "{start}… took {:?}", begun.elapsed());
    result
}

#[test]
fn long_texts_are_read_in_linear_time() {
    for part in [
        "^",
        "%",
        "^a",
        "a/b",
        "/b",
        "a ",
        "+a ",
        "@1,",
        "a@1,",
        "a.",
        "a-",
        "a,",
        "x='\\' ",
        "\\'",
        "[",
        "^[",
        "%%[when='",
        "^a,b",
        "~",
        "-a",
        "a=",
        "x==",
        ".json",
        "/a.json",
        "git.",
        "@git.a",
        "1:",
        "^a@1:2 ",
        "^a x=b ",
        "9",
        "^a cflags=-g ",
    ] {
        let text = part.repeat(64 * 1024 / part.len());
        let _ = quickly(&text);
        let _ = quickly(&format!("a@1{}", &text[..text.len() - 10]));
        let _ = quickly(&format!("a x='{}", &text[..text.len() - 10]));
    }
}

#[test]
fn what_would_cost_too_much_is_refused() {
    assert!(quickly(&"a".repeat(64 * 1024 + 1)).is_err());
    let many: String = (0..2000).map(|number| format!(" ^p{number}")).collect();
    assert!(quickly(&format!("a{many}")).unwrap_err().reason.contains("1000"));
    let targets: String = (0..2000).map(|number| format!("t{number}:,")).collect();
    assert!(quickly(&format!("a ^b target={targets}x ^b target={targets}y")).is_err());
    let mut nested = "+x".to_owned();
    for _ in 0..20 {
        let quoted = nested.replace('"', "\\\"");
        nested = format!("^[when=\"{quoted}\"] b");
        if nested.len() > 60_000 {
            break;
        }
    }
    assert!(quickly(&nested).unwrap_err().reason.contains("conditions"), "{}", nested.len());
}

#[test]
fn lists_of_many_versions_are_put_in_order_at_once() {
    let list = |step: usize| (0..4000).map(|n| format!("={}", n * step)).collect::<Vec<_>>().join(",");
    let begun = Instant::now();
    let specs = quickly(&format!("a ^b@{} ^b@{}", list(2), list(3))).unwrap_or_default();
    assert_eq!(specs[0].dependencies[0].spec.versions.items().len(), 1334);
    assert!(begun.elapsed() < Duration::from_secs(10));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,40}") {
        let _ = AbstractSpec::parse_all(&text).map_err(|error| error.report());
        let _ = text.parse::<Version>();
    }

    #[test]
    fn no_words_of_the_language_make_the_parser_panic(words in proptest::collection::vec(proptest::sample::select(vec![
        "a", "1.2", "@", "^", "%", "%%", "[", "]", "=", "==", ":=", ":", ",", "+", "~", "-", "/", "\"", "'", "\\", " ", "*", ".",
        "git.", "when=", "deptypes=build", "virtuals=", "x=", "é", "\n", ".json", "target=", "cflags=", "c,cxx=",
    ]), 0..14)) {
        let text = words.concat();
        match AbstractSpec::parse_all(&text) {
            Err(error) => {
                prop_assert!(text.get(error.span.clone()).is_some());
                drop(error.report());
            }
            Ok(specs) => for spec in specs {
                let canonical = spec.to_string();
                let again: AbstractSpec = canonical.parse().unwrap();
                prop_assert_eq!(again.to_string(), canonical, "{}", text);
            }
        }
    }
}
