//! Quotes around values: when they are needed, and what is between them.

/// Characters that a value can have without quotes.
pub(super) fn is_bare(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-+*.,:=%^~/\\".contains(&byte)
}

/// The value with quotes around it, unless it is of letters, digits and a few signs that mean nothing to a shell.
pub(crate) fn quoted_if_needed(value: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b",/_.-".contains(&byte);
    if !value.is_empty() && value.bytes().all(is_plain) { value.to_owned() } else { quoted(value) }
}

/// The value with quotes around it, unless it is read as it is.
pub(crate) fn unless_bare(value: &str) -> String {
    if !value.is_empty() && value.bytes().all(is_bare) { value.to_owned() } else { quoted(value) }
}

fn quoted(value: &str) -> String {
    // A backslash before the closing quote would escape it.
    if value.ends_with('\\') && value.bytes().all(is_bare) {
        value.to_owned()
    } else if value.contains('\'') {
        format!("\"{}\"", value.replace('"', "\\\""))
    } else {
        format!("'{value}'")
    }
}

/// A value as it was written, without the quotes around it.
pub(super) fn unquoted(value: &str) -> String {
    for quote in ['\'', '"'] {
        let inside = value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
        if let Some(inside) = inside {
            return inside.replace(&format!("\\{quote}"), &quote.to_string());
        }
    }
    value.to_owned()
}

/// Quotes the value of a word `name=value`, from which the shell has taken the quotes.
///
/// A word that goes on with more of a spec, `build_system=cmake +shared`, is taken as it stands: it was one text for the
/// shell, and no value has such blanks. Spack takes all of it for the value, which then matches nothing.
pub(super) fn argument(word: &str) -> String {
    match setting(word) {
        Some((key, value)) if !goes_on(key, value) => format!("{key}{}", quoted_if_needed(value)),
        _ => word.to_owned(),
    }
}

/// `name=` and what follows it.
fn setting(word: &str) -> Option<(&str, &str)> {
    let name = word.bytes().take_while(|b| b.is_ascii_alphanumeric() || b"_-.".contains(b)).count();
    let sign = ["=", "==", ":=", ":=="].into_iter().rev().find(|sign| word[name..].starts_with(sign))?;
    (name > 0 && !word.starts_with(['-', '.'])).then(|| word.split_at(name + sign.len()))
}

/// Whether what follows the first blank is another part of a spec. A value in quotes ends with them, whatever follows.
fn goes_on(key: &str, value: &str) -> bool {
    if value.starts_with(['\'', '"']) {
        return true;
    }
    let mut words = value.split_ascii_whitespace();
    let first_is_whole = !value.starts_with(|c: char| c.is_ascii_whitespace()) && words.next().is_some();
    let is_flag = super::names::FLAG_KINDS.contains(&key.trim_end_matches([':', '=']));
    let is_part = |word: &str| {
        let signs: &[char] =
            if is_flag { &['+', '~', '%', '^', '@', '/'] } else { &['+', '~', '%', '^', '@', '/', '-'] };
        word.starts_with(signs) || setting(word).is_some()
    };
    first_is_whole && words.next().is_some_and(is_part)
}

#[cfg(test)]
mod tests {
    use super::argument;

    #[test]
    fn words_of_a_command_line_are_quoted_unless_they_are_more_than_one_setting() {
        for (word, read) in [
            ("cflags=-O2 -g", "cflags='-O2 -g'"),
            ("cflags=-O2 -DX=1", "cflags='-O2 -DX=1'"),
            ("dev_path=/a b", "dev_path='/a b'"),
            ("libs=shared,static", "libs=shared,static"),
            ("build_system=cmake build_type=Release", "build_system=cmake build_type=Release"),
            ("os=debian12 +pic ^zlib", "os=debian12 +pic ^zlib"),
            ("zlib cflags=-O2", "zlib cflags=-O2"),
            ("build_system:=generic %[virtuals=libc] libc", "build_system:=generic %[virtuals=libc] libc"),
            ("cflags='-O2 -g' +pic", "cflags='-O2 -g' +pic"),
            ("libs=static -pic", "libs=static -pic"),
        ] {
            assert_eq!(argument(word), read);
        }
    }
}
