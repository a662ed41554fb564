//! [`RecentlyPut`]: what this process put into a repository a moment ago.
//!
//! Registries that keep things in several places answer for some seconds that they do not have what they just took:
//! 404 to whoever asks for it, and "blob unknown" to a manifest that names it. Only whoever put it can tell that from
//! the truth.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use url::Url;

use super::exchange::Exchange;

/// For how long it may be not there yet.
const WINDOW: Duration = Duration::from_secs(30);

/// How many are remembered before old ones are looked for.
const MANY: usize = 1024;

/// The codes by which a manifest is refused that names what is not there.
const UNKNOWN: [&str; 2] = ["BLOB_UNKNOWN", "MANIFEST_UNKNOWN"];

/// What was put into one repository, as the end of its URL: `blobs/DIGEST`, `manifests/TAG`.
#[derive(Default)]
pub(super) struct RecentlyPut(Mutex<HashMap<String, Instant>>);

impl RecentlyPut {
    /// Takes note of what a successful request put or deleted.
    pub(super) fn note(&self, exchange: &Exchange, status: StatusCode) {
        // 202 is a place to upload to, and nothing put.
        let taken = status.is_success() && status != StatusCode::ACCEPTED;
        let writes = taken && matches!(exchange.method, Method::PUT | Method::POST);
        if writes && let Some(key) = uploaded(&exchange.url).or_else(|| named(&exchange.url)) {
            let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if recent.len() >= MANY {
                recent.retain(|_, put| put.elapsed() < WINDOW);
            }
            recent.insert(key, Instant::now());
        }
        if exchange.method == Method::DELETE && status.is_success() {
            // With a manifest go the tags that point at it.
            let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            recent.retain(|key, _| key.starts_with("blobs/"));
        }
    }

    /// Whether a refusal is of something that was put a moment ago, so that it will be there in another one.
    pub(super) fn explains(&self, exchange: &Exchange, status: StatusCode, body: &[u8]) -> bool {
        let recent = |wanted: &dyn Fn(&str) -> bool| {
            let recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            recent.iter().any(|(key, put)| wanted(key) && put.elapsed() < WINDOW)
        };
        let Some(asked) = named(&exchange.url) else { return false };
        match exchange.method {
            Method::GET | Method::HEAD => status == StatusCode::NOT_FOUND && recent(&|key| key == asked),
            Method::PUT if matches!(status, StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND) => {
                let text = String::from_utf8_lossy(body);
                // Most registries say which one they miss.
                let named = |key: &str| {
                    let digest = key.rsplit('/').next().unwrap_or_default();
                    text.contains(digest) || !text.contains("sha256:")
                };
                UNKNOWN.iter().any(|code| text.contains(code)) && recent(&named)
            }
            _ => false,
        }
    }
}

/// The end of the URL of a blob or manifest.
fn named(url: &Url) -> Option<String> {
    let mut segments = url.path_segments()?.rev();
    let (name, kind) = (segments.next()?, segments.next()?);
    matches!(kind, "blobs" | "manifests").then(|| format!("{kind}/{name}"))
}

/// The blob that a request for an upload is about.
fn uploaded(url: &Url) -> Option<String> {
    let (_, digest) = url.query_pairs().find(|(name, _)| name == "digest" || name == "mount")?;
    Some(format!("blobs/{digest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOB: &str = "https://h/v2/n/blobs/sha256:ab";

    fn exchange(method: Method, url: &str) -> Exchange {
        Exchange::new(method, Url::parse(url).unwrap())
    }

    #[test]
    fn what_was_put_is_expected_to_be_there() {
        let recent = RecentlyPut::default();
        let asks = |method, url| recent.explains(&exchange(method, url), StatusCode::NOT_FOUND, b"");
        let refused = |body: &[u8]| {
            recent.explains(
                &exchange(Method::PUT, "https://h/v2/n/manifests/t"),
                StatusCode::BAD_REQUEST,
                body,
            )
        };
        assert!(!asks(Method::GET, BLOB));
        assert!(!refused(b"MANIFEST_BLOB_UNKNOWN"));
        let upload = exchange(Method::PUT, "https://other/u?state=x&digest=sha256:ab");
        recent.note(&upload, StatusCode::BAD_REQUEST);
        assert!(!asks(Method::GET, BLOB));
        recent.note(&upload, StatusCode::CREATED);
        assert!(asks(Method::GET, BLOB));
        assert!(asks(Method::HEAD, BLOB));
        assert!(!asks(Method::GET, "https://h/v2/n/blobs/sha256:cd"));
        assert!(!asks(Method::POST, BLOB));
        assert!(refused(b"MANIFEST_BLOB_UNKNOWN"));
        assert!(refused(b"MANIFEST_BLOB_UNKNOWN sha256:ab"));
        assert!(!refused(b"MANIFEST_BLOB_UNKNOWN sha256:cd"), "that one was never put");
        assert!(!refused(b"MANIFEST_INVALID"));
        assert!(!recent.explains(&exchange(Method::GET, BLOB), StatusCode::FORBIDDEN, b""));
    }

    #[test]
    fn what_was_deleted_is_not() {
        let recent = RecentlyPut::default();
        let url = "https://h/v2/n/manifests/t";
        recent.note(&exchange(Method::PUT, url), StatusCode::CREATED);
        assert!(recent.explains(&exchange(Method::HEAD, url), StatusCode::NOT_FOUND, b""));
        recent.note(&exchange(Method::DELETE, "https://h/v2/n/manifests/sha256:x"), StatusCode::ACCEPTED);
        assert!(!recent.explains(&exchange(Method::HEAD, url), StatusCode::NOT_FOUND, b""));
    }
}
