//! [`Authorization`]: the value of an `Authorization` header, never to be printed.

use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderValue;
use zeroize::Zeroizing;

use crate::Secret;

/// The value of an `Authorization` header, and which one it is.
#[derive(Debug, Clone)]
pub(in crate::remote) struct Authorization {
    /// Marked as sensitive.
    pub(in crate::remote) value: HeaderValue,
    /// Tells it from what was given for the same scope before.
    pub(in crate::remote) serial: u64,
    /// Whether it was got for this very request: if it allows too little, another one will, too.
    pub(in crate::remote) fresh: bool,
}

/// A number that nothing else has in this process.
pub(super) fn next_serial() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// `Basic`, RFC 7617, in UTF-8.
pub(super) fn basic(username: &str, password: &Secret) -> Option<HeaderValue> {
    sensitive(&Zeroizing::new(format!("Basic {}", *basic_pair(username, password))))
}

/// A user and a password as `Basic` writes them.
pub(super) fn basic_pair(username: &str, password: &Secret) -> Zeroizing<String> {
    let pair = Zeroizing::new(format!("{username}:{}", password.expose()));
    Zeroizing::new(STANDARD.encode(pair.as_bytes()))
}

/// `Bearer`, RFC 6750; `None` if the token has characters that no header may have.
pub(super) fn bearer(token: &Secret) -> Option<HeaderValue> {
    sensitive(&Zeroizing::new(format!("Bearer {}", token.expose())))
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_right_and_do_not_print() {
        let basic = basic("Aladdin", &Secret::new("open sesame")).unwrap();
        assert_eq!(basic.to_str().unwrap(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        let bearer = bearer(&Secret::new("opaque")).unwrap();
        assert_eq!(bearer.to_str().unwrap(), "Bearer opaque");
        for value in [basic, bearer] {
            let authorization = Authorization { value, serial: 1, fresh: true };
            let printed = format!("{authorization:?}");
            assert!(!printed.contains("QWxh") && !printed.contains("opaque"), "{printed}");
        }
    }

    #[test]
    fn a_token_that_would_break_the_header_is_none() {
        assert!(bearer(&Secret::new("a\r\nHost: b")).is_none());
    }
}
