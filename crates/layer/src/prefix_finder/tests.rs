use proptest::prelude::*;

use super::*;

/// Every prefix tried at every position in turn.
fn naive(prefixes: &[Vec<u8>], bytes: &[u8], from: usize) -> Option<Found> {
    (from..bytes.len()).find_map(|start| {
        let place = prefixes.iter().position(|p| !p.is_empty() && bytes[start..].starts_with(p))?;
        Some(Found { start, end: start + prefixes[place].len(), place })
    })
}

fn finder(prefixes: &[Vec<u8>]) -> PrefixFinder {
    PrefixFinder::new(prefixes.iter().map(Vec::as_slice)).unwrap()
}

fn owned(prefixes: &[&str]) -> Vec<Vec<u8>> {
    prefixes.iter().map(|prefix| prefix.as_bytes().to_vec()).collect()
}

#[test]
fn the_first_in_the_list_wins_where_several_start() {
    let prefixes = owned(&["/opt/a/long", "/opt", "/opt/a", "/opt/a/long/er"]);
    let finder = finder(&prefixes);
    for (bytes, place) in
        [("/opt/a/long/er", 0), ("/opt/a/lon", 1), ("/opt/b", 1), ("/opt", 1), ("/opt/a", 1)]
    {
        let length = prefixes[place].len();
        assert_eq!(finder.at_start(bytes.as_bytes()), Some((place, length)), "{bytes}");
        let found = Found { start: 1, end: 1 + length, place };
        assert_eq!(finder.find(format!(" {bytes}").as_bytes(), 0), Some(found), "{bytes}");
    }
    assert_eq!(finder.at_start(b" /opt"), None);
    assert_eq!(finder.at_start(b"/op"), None);
}

#[test]
fn a_store_has_one_root_and_a_few_stores_have_a_few() {
    let roots = |prefixes: &[&str]| {
        let finder = finder(&owned(prefixes));
        let roots = finder.roots.iter().map(|root| String::from_utf8_lossy(root.needle()).into_owned());
        roots.collect::<Vec<_>>()
    };
    assert_eq!(
        roots(&["/opt/spack/bin/sbang", "/opt/spack/linux/zlib-1", "/opt/spack/linux/bzip2-2", "/opt/spack"]),
        ["/opt/spack"]
    );
    assert_eq!(roots(&["/opt/spack/a", "/up/stream/b", "/up/stream/c"]), ["/opt/spack/a", "/up/stream/"]);
    assert_eq!(roots(&["/"]), ["/"]);
    assert!(roots(&["/a", "/b", "/c", "/d", "/e"]).is_empty(), "the automaton does better");
    assert!(roots(&[]).is_empty());
}

#[test]
fn many_roots_are_found_too() {
    let prefixes = owned(&["/a", "/b", "/c", "/d/x", "/e", "/d"]);
    let finder = finder(&prefixes);
    assert_eq!(finder.find(b"... /d/x /a", 0), Some(Found { start: 4, end: 8, place: 3 }));
    assert_eq!(finder.find(b"... /d/x /a", 5), Some(Found { start: 9, end: 11, place: 0 }));
    assert_eq!(finder.find(b"/a", 3), None, "behind the end");
}

#[test]
fn nothing_is_found_where_nothing_is_sought() {
    for prefixes in [vec![], vec![Vec::new()]] {
        let finder = finder(&prefixes);
        assert_eq!((finder.find(b"/", 0), finder.at_start(b"/"), finder.longest()), (None, None, 0));
    }
}

#[test]
fn a_rare_root_is_not_sought_to_the_end_for_each_frequent_one() {
    // 2 MiB of frequent ones: quadratic work would take minutes.
    let prefixes = owned(&["/often", "/rare"]);
    let finder = finder(&prefixes);
    let bytes = [b"/often ".repeat(300_000), b"/rare".to_vec()].concat();
    let mut from = 0;
    let mut places = [0; 2];
    while let Some(found) = finder.find(&bytes, from) {
        places[found.place] += 1;
        from = found.end;
    }
    assert_eq!(places, [300_000, 1]);
}

#[test]
fn a_root_repeated_without_end_costs_no_more_than_the_automaton() {
    // The root of these is 2,000 times "/a", and the bytes are that root from one end to the other.
    let root = "/a".repeat(2000);
    let prefixes = owned(&[&format!("{root}/b"), &format!("{root}/c")]);
    let finder = finder(&prefixes);
    let bytes = ["/a".repeat(1_000_000).into_bytes(), b"/c".to_vec()].concat();
    let start = bytes.len() - prefixes[1].len();
    assert_eq!(finder.find(&bytes, 0), Some(Found { start, end: bytes.len(), place: 1 }));
    assert!(finder.automaton.get().is_some(), "it lost patience");

    let ordinary = self::finder(&owned(&["/opt/spack/zlib", "/opt/spack/bzip2"]));
    let bytes = b"in /opt/spack/var there is a file, ".repeat(10_000);
    assert_eq!(ordinary.find(&bytes, 0), None);
    assert!(ordinary.automaton.get().is_none(), "names in the root alone are nothing special");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn finds_what_an_alternation_finds(
        root in "(/[ab]){0,3}",
        below in prop::collection::vec("[/ab]{0,6}", 0..9),
        elsewhere in prop::collection::vec("[/abc .]{0,4}|/[a-f]{1,2}", 0..4),
        text in "([/ab]|/a|/a/b|/b/a|[cdef. ]){0,60}",
        from in 0usize..20,
    ) {
        let below = below.iter().map(|rest| format!("{root}{rest}").into_bytes());
        let prefixes: Vec<Vec<u8>> = below.chain(elsewhere.into_iter().map(String::into_bytes)).collect();
        let finder = finder(&prefixes);
        let text = text.as_bytes();
        prop_assert_eq!(finder.find(text, from), naive(&prefixes, text, from));
        let at_start = naive(&prefixes, text, 0).filter(|found| found.start == 0);
        prop_assert_eq!(finder.at_start(text), at_start.map(|found| (found.place, found.end)));
    }

    #[test]
    fn the_automaton_finds_the_same(
        prefixes in prop::collection::vec("(/a){1,4}[/ab]{0,3}", 1..6),
        text in "(/a|/b|/|a){0,200}",
    ) {
        let prefixes: Vec<Vec<u8>> = prefixes.into_iter().map(String::into_bytes).collect();
        let finder = finder(&prefixes);
        let automaton = finder.automaton().unwrap();
        let text = text.as_bytes();
        prop_assert_eq!(finder.find_by_automaton(automaton, text, 0), naive(&prefixes, text, 0));
    }
}
