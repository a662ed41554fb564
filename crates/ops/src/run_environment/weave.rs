//! One list made of several whose entries are partly the same.

use std::collections::HashMap;

/// Puts those entries of `from` into `into` that it lacks and that `wanted` says yes to: right before the next one that both
/// have, else right after the last one, else at the end. An entry that `from` has twice is there twice afterwards.
pub(super) fn weave(into: &mut Vec<String>, from: &[String], wanted: impl Fn(&str) -> bool) {
    let old = std::mem::take(into);
    let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
    for (place, entry) in old.iter().enumerate() {
        places.entry(entry).or_default().push(place);
    }
    let mut counts: HashMap<&str, usize> = places.iter().map(|(entry, at)| (*entry, at.len())).collect();
    let mut met: HashMap<&str, usize> = HashMap::new();
    let mut waiting: Vec<String> = Vec::new();
    // How many of the old ones lie behind us.
    let mut passed = 0;
    for entry in from {
        let met = met.entry(entry).or_default();
        *met += 1;
        let count = counts.entry(entry).or_default();
        if *count >= *met {
            // Of what is there, only what lies ahead says where we are.
            let known = places.get(entry.as_str()).map(Vec::as_slice).unwrap_or_default();
            if let Some(place) = known.get(known.partition_point(|place| *place < passed)) {
                into.extend_from_slice(&old[passed..*place]);
                into.append(&mut waiting);
                into.push(entry.clone());
                passed = place + 1;
            }
        } else if wanted(entry) {
            waiting.push(entry.clone());
            *count += 1;
        }
    }
    let place = if passed == 0 { old.len() } else { passed };
    into.extend_from_slice(&old[passed..place]);
    into.append(&mut waiting);
    into.extend_from_slice(&old[place..]);
}

/// What separates the entries of a list: what recipes use for the few that are not separated by `:`.
pub(super) fn separator(name: &str) -> &'static str {
    match name {
        "LUA_PATH" | "LUA_CPATH" => ";",
        "TCLLIBPATH" | "XML_CATALOG_FILES" => " ",
        _ => ":",
    }
}

/// The entries of a list.
pub(super) fn entries(name: &str, value: &str) -> Vec<String> {
    if value.is_empty() { Vec::new() } else { value.split(separator(name)).map(str::to_owned).collect() }
}

/// Whether a variable is a list of paths, as far as its name and values tell.
pub(super) fn is_list<'v>(name: &str, values: impl IntoIterator<Item = &'v str>) -> bool {
    if separator(name) != ":" {
        return true;
    }
    const LISTS: &[&str] =
        &["PERL5LIB", "RUBYLIB", "R_LIBS", "R_LIBS_SITE", "R_LIBS_USER", "XDG_DATA_DIRS", "XDG_CONFIG_DIRS"];
    let mut several = name.contains("PATH") || LISTS.contains(&name);
    for value in values {
        let mut count = 0;
        if value.split(':').any(|entry| {
            count += 1;
            !entry.starts_with('/')
        }) {
            return false;
        }
        several |= count > 1;
    }
    several
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn what_is_lacking_comes_before_what_follows_it() {
        for (into, from, expected) in [
            ("", "x y", "x y"),
            ("a b c", "a x b", "a x b c"),
            ("a b c", "x c y", "a b x c y"),
            ("a c a c", "a b a b", "a c b a b c"),
            ("a b", "b a", "a b"),
            ("a b", "b a a", "a b a"),
            ("a", "x y", "a x y"),
            ("a c", "a x", "a x c"),
            ("a b", "a b", "a b"),
        ] {
            let mut woven = list(into);
            weave(&mut woven, &list(from), |_| true);
            assert_eq!(woven, list(expected), "{into} + {from}");
        }
        let mut woven = list("a b");
        weave(&mut woven, &list("a x y b"), |entry| entry != "x");
        assert_eq!(woven, list("a y b"));
    }

    #[test]
    fn lists_are_told_by_name_and_value() {
        assert!(
            is_list("PYTHONPATH", ["/a"]) && is_list("GUESS", ["/a", "/b:/c"]) && is_list("PERL5LIB", ["/a"])
        );
        for (name, value) in
            [("CC", "/usr/bin/gcc"), ("OPTS", "a:b"), ("X_PATH", "relative"), ("URLS", "http://a:1")]
        {
            assert!(!is_list(name, [value]), "{name}");
        }
    }
}
