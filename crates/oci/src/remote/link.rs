//! The `Link` header (RFC 8288), as far as pagination needs it.

/// The target of the first link with relation `next` in one header's value, as it is written.
pub(super) fn next(value: &str) -> Option<&str> {
    let mut rest = value;
    loop {
        let (_, after) = rest.split_once('<')?;
        let (target, parameters) = after.split_once('>')?;
        let (mut parameter, mut remaining) = until(parameters, &[';', ',']);
        loop {
            if is_next(parameter) {
                return Some(target.trim());
            }
            match remaining.strip_prefix(';') {
                Some(more) => (parameter, remaining) = until(more, &[';', ',']),
                None => break,
            }
        }
        rest = remaining;
    }
}

/// Splits before the first of `separators` that is not within quotes.
fn until<'a>(text: &'a str, separators: &[char]) -> (&'a str, &'a str) {
    let (mut quoted, mut escaped) = (false, false);
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if !quoted && separators.contains(&character) => return text.split_at(at),
            _ => {}
        }
    }
    (text, "")
}

/// Whether a parameter is `rel=next`, alone or among other relations.
fn is_next(parameter: &str) -> bool {
    parameter.split_once('=').is_some_and(|(name, value)| {
        name.trim().eq_ignore_ascii_case("rel")
            && value.trim().trim_matches('"').split_whitespace().any(|rel| rel.eq_ignore_ascii_case("next"))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_next_page_is_found_verbatim() {
        for (value, expected) in [
            (r#"</v2/n/tags/list?last=a&n=100>; rel="next""#, Some("/v2/n/tags/list?last=a&n=100")),
            ("<https://h/x?a=%2F,b>;rel=next", Some("https://h/x?a=%2F,b")),
            (r#"<a>; rel="prev", <b>; REL="first Next""#, Some("b")),
            (r#"<a>; title="x, <no>; rel=next"; rel="prev" , <b>; rel="next""#, Some("b")),
            (r#"<a>; rel="prev""#, None),
            (r#"<a>; rel="nextish""#, None),
            ("<a; rel=next", None),
            ("", None),
        ] {
            assert_eq!(next(value), expected, "{value}");
        }
    }

    proptest! {
        #[test]
        fn no_value_panics(value in "[<>;,=\" a-zé\\\\]*") {
            let _ = next(&value);
        }
    }
}
