//! JSON without the white space between tokens; everything else stays byte for byte.

/// Drops the white space outside strings from valid JSON.
pub fn minify(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(quote) = rest.find('"') {
        let (outside, from_quote) = rest.split_at(quote);
        out.extend(outside.chars().filter(|c| !c.is_ascii_whitespace()));
        let end = string_end(from_quote);
        out.push_str(&from_quote[..end]);
        rest = &from_quote[end..];
    }
    out.extend(rest.chars().filter(|c| !c.is_ascii_whitespace()));
    out
}

/// Where the string that starts `text` ends (just past its closing quote).
fn string_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::minify;

    #[test]
    fn only_white_space_between_tokens_goes() {
        assert_eq!(minify("{ \"a b\" : [ 1.50,\n \"c\\\" d\" ] }"), "{\"a b\":[1.50,\"c\\\" d\"]}");
        assert_eq!(minify("[]"), "[]");
    }
}
