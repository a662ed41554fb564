use proptest::prelude::*;

use super::*;

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// The regular expression, matched the way its engine would: at every start that the look-behind allows, let the
/// first group grow one word character at a time until a prefix follows.
fn naive(prefixes: &[Vec<u8>], text: &[u8]) -> bool {
    (0..text.len()).any(|start| {
        if start > 0 && (is_word(text[start - 1]) || text[start - 1] == b'/') {
            return false;
        }
        (start..text.len())
            .take_while(|&end| text[start..end].iter().all(|&byte| is_word(byte)))
            .any(|end| prefixes.iter().any(|prefix| text[end..].starts_with(prefix)))
    })
}

fn found(prefixes: &[Vec<u8>], pieces: &[&[u8]]) -> bool {
    let search = PrefixSearch::new(prefixes).unwrap();
    let mut state = SearchState::default();
    // Not `any`: a caller may go on after a match, or stop.
    pieces.iter().any(|piece| search.feed(&mut state, piece))
}

#[test]
fn what_counts_and_what_is_the_tail_of_another_path() {
    let prefixes = [b"/opt/x".to_vec(), b"/opt".to_vec()];
    for text in [
        "/opt",
        "a /opt/x/lib",
        "-L/opt/x",
        "flag_-9/opt",
        "\"/opt\"",
        "=/opt",
        "é/opt",
        "/a:/opt",
        "//opt /opt",
    ] {
        assert!(found(&prefixes, &[text.as_bytes()]), "{text}");
    }
    for text in ["", "opt", "//opt", "/a/opt", "/a-b_9/opt", "/op", "a/ /op t", "/usr/opt/opt"] {
        assert!(!found(&prefixes, &[text.as_bytes()]), "{text}");
    }
}

#[test]
fn an_occurrence_may_begin_inside_one_that_is_blocked() {
    let prefixes = [b"/a b/c".to_vec(), b"/c".to_vec(), b" b/c".to_vec()];
    assert!(found(&prefixes, &[b"x/y/a b/c"]));
    let prefixes = [b"/a".to_vec(), b" /a".to_vec()];
    assert!(found(&prefixes, &[b"/b/a /a"]));
}

#[test]
fn nothing_is_found_where_nothing_is_sought() {
    assert!(!found(&[], &[b"/opt"]));
    assert!(!found(&[Vec::new()], &[b"/opt"]));
    assert!(!PrefixSearch::new(&[]).unwrap().is_at_start(b"/opt"));
}

#[test]
fn links_match_at_their_start_only() {
    let search = PrefixSearch::new(&[b"/opt/x".to_vec(), b"/opt".to_vec()]).unwrap();
    assert!(search.is_at_start(b"/opt/x") && search.is_at_start(b"/opt-old"));
    assert!(!search.is_at_start(b"/usr /opt") && !search.is_at_start(b""));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn the_same_as_the_regular_expression_however_it_is_cut(
        prefixes in prop::collection::vec("[/ab ]{1,5}|/[ab]/[ab]{1,3}", 1..4),
        text in "[/ab \\-.]{0,40}",
        cuts in prop::collection::vec(0usize..40, 0..6),
    ) {
        let prefixes: Vec<Vec<u8>> = prefixes.into_iter().map(String::into_bytes).collect();
        let text = text.into_bytes();
        let expected = naive(&prefixes, &text);
        prop_assert_eq!(found(&prefixes, &[&text]), expected, "whole");

        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &text[cut[0]..cut[1]]).collect();
        prop_assert_eq!(found(&prefixes, &pieces), expected, "{:?}", pieces);

        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        prop_assert_eq!(found(&prefixes, &bytes), expected, "byte by byte");
    }
}
