use std::path::Path;

use proptest::prelude::*;
use proptest::sample::select;
use saphyr::Yaml;

use super::*;

fn path() -> &'static Path {
    Path::new("spack.yaml")
}

fn edited(
    text: &str,
    change: impl FnOnce(&mut Edit<'_>) -> Result<(), ConfigError>,
) -> Result<String, ConfigError> {
    let mut edit = Edit::new(path(), text);
    change(&mut edit)?;
    Ok(edit.finish())
}

const AT: [Step<'static>; 2] = [Step::Key("s"), Step::Key("l")];

/// How many items the list has; none if there is no list.
fn items(text: &str) -> Option<usize> {
    match Edit::new(path(), text).get(&AT) {
        Some(Yaml::Sequence(items)) => Some(items.len()),
        _ => None,
    }
}

#[test]
fn texts_are_quoted_where_they_must_be() {
    for (text, written) in [
        ("zlib", "zlib"),
        ("zlib@1.2:1.3 +pic ^b%gcc", "zlib@1.2:1.3 +pic ^b%gcc"),
        ("zlib@1.2:", "'zlib@1.2:'"),
        ("%gcc", "'%gcc'"),
        ("@1.2", "'@1.2'"),
        ("a: b", "'a: b'"),
        ("a #b", "'a #b'"),
        ("a#b", "a#b"),
        ("it's", "it's"),
        ("'q'", "'''q'''"),
        ("-g", "-g"),
        ("- x", "'- x'"),
        ("yes", "'yes'"),
        ("No", "'No'"),
        ("1.0", "'1.0'"),
        ("0x1f", "'0x1f'"),
        ("2024-01-01", "'2024-01-01'"),
        ("1:30", "'1:30'"),
        ("", "''"),
        ("~", "'~'"),
        (" a", "' a'"),
        ("a\nb", "\"a\\nb\""),
        ("ä 🦀", "ä 🦀"),
        ("\u{feff}a", "\"\\ufeffa\""),
    ] {
        assert_eq!(content::scalar(text, false), written, "{text:?}");
        for (in_flow, before, after) in [(false, "", ""), (true, "[", "]"), (true, "{k: ", "}")] {
            let document = format!("{before}{}{after}", content::scalar(text, in_flow));
            let read = meaning::read(&document).flatten().unwrap_or_else(|| panic!("{document}"));
            let found = match &read {
                Yaml::Sequence(items) => &items[0],
                Yaml::Mapping(mapping) => mapping.iter().next().unwrap().1,
                scalar => scalar,
            };
            assert_eq!(*found, content::text_node(text), "{document:?}");
        }
    }
    assert_eq!(content::scalar("a, b", true), "'a, b'");
}

#[test]
fn what_is_shared_or_not_to_be_found_is_not_edited() {
    for text in [
        // The list is elsewhere too, and would change there.
        "s:\n  l: &x\n  - a\nt: *x\n",
        // The list is elsewhere.
        "t: &x [a]\ns: {l: *x}\n",
        "s:\n  l: text\n",
        "s: [a]\n",
        "- a\n",
        "s: {l: [a]}\n---\ns: {}\n",
        "s: [\n",
    ] {
        let result = edited(text, |edit| edit.push(&AT, &Content::text("new")));
        assert!(matches!(result, Err(ConfigError::CannotEdit { .. })), "{text:?}: {result:?}");
    }
}

#[test]
fn comments_beside_anchors_stay() {
    let filled = edited("s:\n  l: &y # c\n", |edit| edit.push(&AT, &Content::text("new"))).unwrap();
    assert_eq!(filled, "s:\n  l: &y # c\n  - new\n");
    let last = [AT[0], AT[1], Step::Item(0)];
    assert_eq!(edited(&filled, |edit| edit.remove(&last)).unwrap(), "s:\n  l: &y [] # c\n");
    let replaced = edited(&filled, |edit| edit.replace(&AT, &Content::Flag(true))).unwrap();
    assert_eq!(replaced, "s:\n  l: true # c\n");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn what_is_added_and_removed_leaves_no_trace(parts in prop::collection::vec(select(vec![
        "\n  - a", "\n  - 'b' # c", "\n\n", "\n  # c", "\n  - - x\n    - y", "\n  - m: 1\n    n: [2, 3]", "\n  - |\n   t\n",
        "\n  - >-\n   f\n\n", "\n  - \"two\n    lines\"", "\n  -", "\n  - &x z", "\n  - *x", "\r\n", "\n  o: k", "\nu: v", " # t\t",
        " [a, 'b']", " [ a,\n  b, ]", " [a # c\n ,b\n ]", " &y", "\n  -   wide", "\n    - in", "\n    deep", " é", " !!seq",
    ]), 0..10), new in "[a-z@:+%~^ .'\"#,-]{1,8}") {
        let text = format!("s:\n  l:{}", parts.concat());
        let before = items(&text);
        if let Ok(with) = edited(&text, |edit| edit.push(&AT, &Content::text(&*new))) {
            let count = before.unwrap_or(0);
            prop_assert_eq!(items(&with), Some(count + 1));
            // Lines that were there are there, but for those that commas and brackets are on.
            let lost = text.lines().filter(|line| !with.lines().any(|it| it == *line)).count();
            prop_assert!(lost <= 1, "{text:?} {with:?}");
            let last = [AT[0], AT[1], Step::Item(count)];
            let without = edited(&with, |edit| edit.remove(&last));
            match without {
                Ok(without) if count > 0 => prop_assert_eq!(&without, &text),
                Ok(without) => prop_assert_eq!(items(&without), Some(0)),
                Err(error) => prop_assert!(false, "{error} {with:?}"),
            }
        }
        for number in 0..before.unwrap_or(0) {
            let at = [AT[0], AT[1], Step::Item(number)];
            if let Ok(without) = edited(&text, |edit| edit.remove(&at)) {
                prop_assert_eq!(items(&without), Some(before.unwrap_or(0) - 1));
            }
        }
    }

    #[test]
    fn random_text_is_edited_rightly_or_not_at_all(parts in prop::collection::vec(select(vec![
        "s:", "l:", "\n", "\r\n", "  ", " ", "a", "b: c", "# c", "{", "}", "[", "]", ",", "&u ", "*u", "<<: ", "- ", "? ", ": ",
        "'", "\"", "|", ">-", "---", "...", "é", "\t", "!!str ", "%YAML 1.2",
    ]), 0..16)) {
        // What is checked after each edit is what counts; here that nothing of it panics.
        for text in [parts.concat(), format!("s:\n  l:\n  - a\n  {}", parts.concat())] {
            let _ = edited(&text, |edit| edit.push(&AT, &Content::text("new")));
            let _ = edited(&text, |edit| edit.insert(&AT[..1], Place::First, "new", &Content::Flag(true)));
            let _ = edited(&text, |edit| edit.remove(&AT));
            let _ = edited(&text, |edit| edit.replace(&AT, &Content::text("new")));
            let _ = edited(&text, |edit| edit.rename(&AT, "new"));
        }
    }
}
