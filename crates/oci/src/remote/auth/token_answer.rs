//! [`Token`]: what a token server gives, read from its answer.
//!
//! The shape is that of the distribution project's token specification and, for refresh tokens, of RFC 6749 section
//! 5.1. A token is opaque: it is handed on and never looked into.

use std::time::{Duration, Instant};

use reqwest::header::HeaderValue;
use serde::Deserialize;

use super::authorization;
use crate::Secret;

/// How long a token is good that does not say so, by the token specification.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(60);

/// No token is believed to be good for longer. It would be refused, and replaced then.
const LONGEST_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// The most time before its end at which a token is replaced.
const LONGEST_MARGIN: Duration = Duration::from_secs(30);

/// A token.
pub(super) struct Token {
    /// `Bearer …`, marked as sensitive.
    pub(super) value: HeaderValue,
    /// A little before it expires.
    pub(super) renew_at: Instant,
}

#[derive(Deserialize)]
struct Document {
    token: Option<Secret>,
    /// The name that OAuth2 has for it, and all that some servers give.
    access_token: Option<Secret>,
    /// In seconds. A number, which some servers write as a text.
    expires_in: Option<serde_json::Value>,
}

impl Token {
    /// Reads the answer to a request that was sent at `asked`. The error says what is wrong with it and quotes
    /// nothing of it, for it may hold a token all the same.
    pub(super) fn parse(body: &[u8], asked: Instant) -> Result<Self, &'static str> {
        let document: Document =
            serde_json::from_slice(body).map_err(|_| "not the JSON document with a token that was due")?;
        let token = [document.token, document.access_token]
            .into_iter()
            .flatten()
            .find(|token| !token.expose().is_empty());
        let token = token.ok_or("a JSON document without a token")?;
        let value = authorization::bearer(&token).ok_or("a token with characters that no header may have")?;
        let lifetime = document.expires_in.as_ref().and_then(seconds).unwrap_or(DEFAULT_LIFETIME);
        let margin = (lifetime / 10).min(LONGEST_MARGIN);
        Ok(Self { value, renew_at: asked + (lifetime - margin) })
    }
}

/// A lifetime that is one.
fn seconds(value: &serde_json::Value) -> Option<Duration> {
    let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    let number = number.min(LONGEST_LIFETIME.as_secs_f64());
    Duration::try_from_secs_f64(number).ok().filter(|lifetime| !lifetime.is_zero())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(body: &str) -> Result<(String, u64), &'static str> {
        let asked = Instant::now();
        let token = Token::parse(body.as_bytes(), asked)?;
        assert!(token.value.is_sensitive());
        Ok((token.value.to_str().unwrap().to_string(), (token.renew_at - asked).as_secs()))
    }

    #[test]
    fn either_name_is_taken_and_the_token_is_not_looked_into() {
        for body in [
            r#"{"token":"t"}"#,
            r#"{"access_token":"t"}"#,
            r#"{"token":"t","access_token":"u"}"#,
            r#"{"token":"","access_token":"t"}"#,
            r#"{"token":null,"access_token":"t","scope":"x","issued_at":"nonsense"}"#,
        ] {
            assert_eq!(parse(body).unwrap().0, "Bearer t", "{body}");
        }
    }

    #[test]
    fn it_is_renewed_a_little_before_it_expires() {
        for (expires_in, seconds) in [
            ("300", 270),
            ("3600", 3570),
            ("\"300\"", 270),
            ("10", 9),
            ("null", 54),
            ("0", 54),
            ("-5", 54),
            ("\"soon\"", 54),
            ("1e300", 86370),
        ] {
            let body = format!(r#"{{"token":"t","expires_in":{expires_in}}}"#);
            assert_eq!(parse(&body).unwrap().1, seconds, "{body}");
        }
        assert_eq!(parse(r#"{"token":"t"}"#).unwrap().1, 54);
    }

    #[test]
    fn what_is_no_token_is_refused_without_being_quoted() {
        for (body, problem) in [
            ("", "not the JSON document"),
            ("secret", "not the JSON document"),
            (r#"{"token":7}"#, "not the JSON document"),
            (r#"{"data":{"token":"secret"}}"#, "without a token"),
            (r#"{"token":""}"#, "without a token"),
            (r#"{"token":"secret\r\nX: y"}"#, "no header may have"),
        ] {
            let error = parse(body).unwrap_err();
            assert!(error.contains(problem) && !error.contains("secret"), "{body}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_answer_panics(body: Vec<u8>, lifetime: f64) {
            let _ = Token::parse(&body, Instant::now());
            let _ = seconds(&serde_json::Value::from(lifetime));
        }
    }
}
