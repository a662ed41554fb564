//! What a registry wants to see: the challenges of `WWW-Authenticate` headers, RFC 9110 sections 11.2 to 11.6.
//!
//! Commas separate challenges as well as the parameters of one, so a name is a parameter only if `=` follows it.
//! Registries and the proxies before them are not all exact: whatever fits no rule is skipped, and never an error.

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

/// One challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Challenge {
    /// In lower case: "bearer", "basic".
    pub(super) scheme: String,
    /// The one opaque value that some schemes have in the place of parameters (NTLM, Negotiate).
    pub(super) token68: Option<String>,
    /// Names in lower case, values without quotes and escapes.
    pub(super) parameters: Vec<(String, String)>,
}

impl Challenge {
    /// The value of a parameter whose name is given in lower case; the first, if it is there more than once.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// All challenges of an answer, from all its `WWW-Authenticate` lines, in their order.
pub(super) fn of(headers: &HeaderMap) -> Vec<Challenge> {
    headers
        .get_all(WWW_AUTHENTICATE)
        .iter()
        .flat_map(|line| parse(&String::from_utf8_lossy(line.as_bytes())))
        .collect()
}

/// The challenges of one header line.
fn parse(line: &str) -> Vec<Challenge> {
    let mut scanner = Scanner { rest: line };
    let mut challenges: Vec<Challenge> = Vec::new();
    loop {
        scanner.skip(|c| is_blank(c) || c == ',');
        if scanner.rest.is_empty() {
            return challenges;
        }
        let name = scanner.take(is_token_char).to_ascii_lowercase();
        if name.is_empty() {
            scanner.skip_garbage();
        } else if let Some(value) = scanner.parameter_value() {
            // A parameter before any scheme belongs to nothing.
            if let Some(challenge) = challenges.last_mut() {
                challenge.parameters.push((name, value));
            }
        } else {
            challenges.push(Challenge { scheme: name, token68: scanner.token68(), parameters: Vec::new() });
        }
    }
}

/// The part of a header line that was not read yet.
struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    fn take(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn skip(&mut self, belongs: impl Fn(char) -> bool) {
        self.take(belongs);
    }

    /// What no name can begin with: a stray quoted string as a whole, for it may hold commas; else one character.
    fn skip_garbage(&mut self) {
        if self.quoted().is_none() {
            let mut characters = self.rest.chars();
            characters.next();
            self.rest = characters.as_str();
        }
    }

    /// The value after a parameter's name; `None`, with nothing read, if what was read is not a parameter's name.
    fn parameter_value(&mut self) -> Option<String> {
        let value = self.rest.trim_start_matches(is_blank).strip_prefix('=')?;
        self.rest = value.trim_start_matches(is_blank);
        // More than a token is taken without quotes: there are realms that are bare URLs.
        Some(self.quoted().unwrap_or_else(|| self.take(|c| c != ',' && !is_blank(c)).to_string()))
    }

    /// A quoted string, if one is next. One that does not end has all of the line.
    fn quoted(&mut self) -> Option<String> {
        let mut characters = self.rest.strip_prefix('"')?.chars();
        let mut value = String::new();
        while let Some(character) = characters.next() {
            match character {
                '"' => break,
                '\\' => value.extend(characters.next()),
                other => value.push(other),
            }
        }
        self.rest = characters.as_str();
        Some(value)
    }

    /// A token68, if one is next: it is all there is up to the next comma, which tells it from a parameter's name.
    fn token68(&mut self) -> Option<String> {
        let before = self.rest;
        self.skip(is_blank);
        let start = self.rest;
        let body = self.take(|c| c.is_ascii_alphanumeric() || "-._~+/".contains(c));
        let padding = self.take(|c| c == '=');
        let value = &start[..body.len() + padding.len()];
        let ends = matches!(self.rest.trim_start_matches(is_blank).chars().next(), None | Some(','));
        if body.is_empty() || start.len() == before.len() || !ends {
            self.rest = before;
            return None;
        }
        Some(value.to_string())
    }
}

fn is_blank(c: char) -> bool {
    c == ' ' || c == '\t'
}

/// RFC 9110 section 5.6.2.
fn is_token_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::header::HeaderValue;

    use super::*;

    fn challenge(scheme: &str, token68: Option<&str>, parameters: &[(&str, &str)]) -> Challenge {
        let parameters =
            parameters.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        Challenge { scheme: scheme.into(), token68: token68.map(str::to_string), parameters }
    }

    #[test]
    fn what_registries_send_is_understood() {
        let docker_hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push",error="invalid_token""#;
        assert_eq!(
            parse(docker_hub),
            [challenge(
                "bearer",
                None,
                &[
                    ("realm", "https://auth.docker.io/token"),
                    ("service", "registry.docker.io"),
                    ("scope", "repository:a/b:pull,push"),
                    ("error", "invalid_token"),
                ]
            )]
        );
        let ecr = r#"Basic realm="https://1.dkr.ecr.eu-west-1.amazonaws.com/",service="ecr.amazonaws.com""#;
        assert_eq!(parse(ecr)[0].scheme, "basic");
        assert_eq!(parse(ecr)[0].parameter("service"), Some("ecr.amazonaws.com"));
    }

    #[test]
    fn one_line_may_hold_several_challenges() {
        // The example of RFC 9110 section 11.6.1.
        let line = r#"Basic realm="simple", Newauth realm="apps", type=1, title="Login to \"apps\"""#;
        assert_eq!(
            parse(line),
            [
                challenge("basic", None, &[("realm", "simple")]),
                challenge(
                    "newauth",
                    None,
                    &[("realm", "apps"), ("type", "1"), ("title", "Login to \"apps\"")]
                ),
            ]
        );
        assert_eq!(
            parse(r#"Negotiate, NTLM TlRMTVNTUAAC==, , BASIC  Realm = "a, b" ,charset=UTF-8"#),
            [
                challenge("negotiate", None, &[]),
                challenge("ntlm", Some("TlRMTVNTUAAC=="), &[]),
                challenge("basic", None, &[("realm", "a, b"), ("charset", "UTF-8")]),
            ]
        );
        assert_eq!(parse("Negotiate Basic realm=x").len(), 2, "a comma that is missing");
    }

    #[test]
    fn a_name_with_an_equals_sign_is_a_parameter_and_padding_belongs_to_a_token68() {
        assert_eq!(parse("X a=b"), [challenge("x", None, &[("a", "b")])]);
        assert_eq!(parse("X ab=="), [challenge("x", Some("ab=="), &[])]);
        assert_eq!(parse("X a/b+c~d_e-f.g"), [challenge("x", Some("a/b+c~d_e-f.g"), &[])]);
        assert_eq!(parse("X a = \"b\""), [challenge("x", None, &[("a", "b")])]);
        assert_eq!(parse("X,a=b"), [challenge("x", None, &[("a", "b")])]);
    }

    #[test]
    fn the_first_of_two_equal_parameters_counts() {
        assert_eq!(parse("Bearer realm=a, REALM=b")[0].parameter("realm"), Some("a"));
    }

    #[test]
    fn several_lines_are_read_one_after_the_other() {
        let mut headers = HeaderMap::new();
        headers.append(WWW_AUTHENTICATE, HeaderValue::from_static("Negotiate"));
        headers.append(WWW_AUTHENTICATE, HeaderValue::from_bytes(b"Basic realm=\"caf\xe9\"").unwrap());
        let schemes: Vec<String> = of(&headers).into_iter().map(|challenge| challenge.scheme).collect();
        assert_eq!(schemes, ["negotiate", "basic"]);
        assert!(of(&HeaderMap::new()).is_empty());
    }

    #[test]
    fn garbage_is_skipped() {
        for (line, expected) in [
            ("", vec![]),
            (" ,\t,, ", vec![]),
            ("realm=\"nobody's\"", vec![]),
            ("= , \"Bearer realm=x\", Basic", vec![challenge("basic", None, &[])]),
            ("Bearer realm=\"open", vec![challenge("bearer", None, &[("realm", "open")])]),
            ("Bearer realm=\"open\\", vec![challenge("bearer", None, &[("realm", "open")])]),
            (
                "Bearer realm=https://auth/token?a=b,service=s",
                vec![challenge("bearer", None, &[("realm", "https://auth/token?a=b"), ("service", "s")])],
            ),
            ("Bearer é", vec![challenge("bearer", None, &[])]),
        ] {
            assert_eq!(parse(line), expected, "{line}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(line: String, near in "([A-Za-c]|[ ,=\"\\\\/é]){0,60}") {
            parse(&line);
            parse(&near);
        }

        #[test]
        fn any_value_survives_being_quoted(
            values in prop::collection::vec("[ -~]{0,20}", 1..4),
            token in "[A-Za-z0-9+/]{1,10}={0,2}",
        ) {
            let quote = |text: &String| format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""));
            let parameters: Vec<(String, String)> =
                values.iter().enumerate().map(|(index, value)| (format!("p{index}"), value.clone())).collect();
            let list: Vec<String> =
                parameters.iter().map(|(name, value)| format!("{name}={}", quote(value))).collect();
            let line = format!("One {}, Two {token},Three {}", list.join(", "), list.join(" ,"));
            let read = parse(&line);
            prop_assert_eq!(read.len(), 3, "{}", &line);
            prop_assert_eq!(&read[0].parameters, &parameters);
            prop_assert_eq!(read[1].token68.as_deref(), Some(token.as_str()));
            prop_assert_eq!(&read[2].parameters, &parameters);
        }
    }
}
