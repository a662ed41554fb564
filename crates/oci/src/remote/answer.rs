//! Reading what a registry has to say when it does not give what it was asked for.

use reqwest::header::HeaderName;
use reqwest::{Method, Response, StatusCode, header};
use serde::Deserialize;

use super::exchange::Exchange;
use super::retry;
use crate::error::Status;
use crate::{Error, media_type};

/// How much of an answer is quoted when it is not an error document, in characters.
const QUOTED: usize = 200;

/// What of an answer is needed once its body was read.
pub(super) struct Head {
    status: StatusCode,
    content_type: String,
}

impl Head {
    pub(super) fn of(response: &Response) -> Self {
        let content_type = header(response, header::CONTENT_TYPE).unwrap_or_default();
        Self { status: response.status(), content_type }
    }

    /// A page for people that claims to be what was asked for, or that it does not exist. A registry's own 404 is not
    /// a page: a page says only that no registry was reached.
    pub(super) fn is_html(&self) -> bool {
        (self.status.is_success() || self.status == StatusCode::NOT_FOUND)
            && media_type::is_html(&self.content_type)
    }
}

/// The error document of the distribution specification: `{"errors": [{"code", "message", "detail"}]}`.
#[derive(Deserialize)]
struct ErrorDocument {
    errors: Vec<ErrorEntry>,
}

#[derive(Deserialize)]
struct ErrorEntry {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    detail: serde_json::Value,
}

/// A header's value, if it is text.
pub(super) fn header(response: &Response, name: HeaderName) -> Option<String> {
    response.headers().get(name)?.to_str().ok().map(str::to_string)
}

/// The error that `head` and `body` are. `tried` says who we were; `None` if it is not the registry that answered, but
/// somebody it redirected to.
pub(super) fn failure(exchange: &Exchange, head: &Head, body: &[u8], tried: Option<String>) -> Error {
    let (method, url, status) = (exchange.verb(), exchange.shown(), Status(head.status));
    let mut words = words(&head.content_type, body);
    let says = |code: &str| String::from_utf8_lossy(body).contains(code);
    let Some(tried) = tried else { return Error::Status { method, url, status, words } };
    match head.status {
        StatusCode::UNAUTHORIZED => Error::Unauthorized { method, url, status, words, tried },
        StatusCode::TOO_MANY_REQUESTS => Error::Throttled { method, url, status, words },
        StatusCode::FORBIDDEN if retry::wants_fewer(body) => Error::Throttled { method, url, status, words },
        StatusCode::FORBIDDEN => {
            Error::Forbidden { method, url, status, words, tried, right: right(exchange) }
        }
        StatusCode::METHOD_NOT_ALLOWED if exchange.method == Method::DELETE => {
            Error::DeleteUnsupported { method, url, status, words }
        }
        StatusCode::BAD_REQUEST | StatusCode::NOT_IMPLEMENTED
            if exchange.method == Method::DELETE && says("UNSUPPORTED") =>
        {
            Error::DeleteUnsupported { method, url, status, words }
        }
        StatusCode::NOT_FOUND if exchange.method == Method::POST && says("NAME_UNKNOWN") => {
            let name = exchange.repository().unwrap_or_default().to_string();
            Error::NoSuchRepository { method, url, status, words, name }
        }
        StatusCode::BAD_REQUEST if exchange.url.scheme() == "http" && says("HTTPS server") => {
            words.push_str("; begin the URL with oci:// in place of oci+http://");
            Error::Status { method, url, status, words }
        }
        _ => Error::Status { method, url, status, words },
    }
}

/// What a request takes the right to.
fn right(exchange: &Exchange) -> String {
    let name = exchange.repository().unwrap_or("it");
    match exchange.method {
        Method::GET | Method::HEAD => format!("pull from {name}"),
        Method::DELETE => format!("delete from {name}"),
        _ => format!("push to {name}"),
    }
}

/// The error that a page for people is, where something else was due.
pub(super) fn html(exchange: &Exchange, wanted: &'static str, head: &Head, body: &[u8]) -> Option<Error> {
    head.is_html().then(|| Error::Html {
        method: exchange.verb(),
        url: exchange.shown(),
        status: Status(head.status),
        wanted,
        words: quoted(&text_of_html(&String::from_utf8_lossy(body))),
    })
}

/// As [`html`], for an answer whose body has been read or cannot have any.
pub(super) fn refuse_html(
    exchange: &Exchange,
    wanted: &'static str,
    response: &Response,
    body: &str,
) -> Result<(), Error> {
    html(exchange, wanted, &Head::of(response), body.as_bytes()).map_or(Ok(()), Err)
}

/// The registry's own words: the codes and messages of its error document, else the beginning of what it sent.
pub(super) fn words(content_type: &str, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    if let Ok(document) = serde_json::from_slice::<ErrorDocument>(body)
        && !document.errors.is_empty()
    {
        let entries: Vec<String> = document.errors.iter().map(ErrorEntry::words).collect();
        return printable(&entries.join("; "));
    }
    if media_type::is_html(content_type) || text.trim_start().starts_with("<!") {
        return format!("an HTML page: {}", quoted(&text_of_html(&text)));
    }
    quoted(&text)
}

impl ErrorEntry {
    fn words(&self) -> String {
        let mut words = match (self.code.as_deref(), self.message.as_deref().filter(|text| !text.is_empty()))
        {
            (Some(code), Some(message)) => format!("{code}: {message}"),
            (Some(one), None) | (None, Some(one)) => one.to_string(),
            (None, None) => "an error without a message".to_string(),
        };
        // The detail is where registries put which blob is missing, or how long to wait.
        let detail = match &self.detail {
            serde_json::Value::Null => String::new(),
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        if !detail.is_empty() && detail != "{}" && detail != "[]" {
            words.push_str(&format!(" ({})", quoted(&detail)));
        }
        words
    }
}

/// The beginning of a text, on one line.
fn quoted(text: &str) -> String {
    let line = printable(text);
    if line.is_empty() {
        return "no further words".to_string();
    }
    match line.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// The text with every run of white space and control characters made one blank: it goes to a terminal.
fn printable(text: &str) -> String {
    text.split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// What a page says to a reader: its text without tags, scripts and styles.
fn text_of_html(page: &str) -> String {
    let mut text = String::new();
    let mut rest = page;
    while let Some((before, tag_on)) = rest.split_once('<') {
        text.push_str(before);
        text.push(' ');
        let name: String =
            tag_on.chars().take_while(char::is_ascii_alphabetic).collect::<String>().to_ascii_lowercase();
        let end = match name.as_str() {
            "script" | "style" => format!("</{name}"),
            _ => String::new(),
        };
        // A page is quoted, not rendered: what is cut off within a tag is left out.
        let from = if end.is_empty() { Some(0) } else { tag_on.to_ascii_lowercase().find(&end) };
        rest = from.and_then(|from| tag_on[from..].split_once('>')).map_or("", |(_, after)| after);
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ErrorKind;

    fn refusal(method: Method, url: &str, status: u16, body: &str, tried: Option<&str>) -> Error {
        let exchange = Exchange::new(method, url::Url::parse(url).unwrap());
        let status = StatusCode::from_u16(status).unwrap();
        let head = Head { status, content_type: "application/json".to_string() };
        failure(&exchange, &head, body.as_bytes(), tried.map(str::to_string))
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        const BLOB: &str = "https://h/v2/some/cache/blobs/sha256:ab?x=secret";
        const UPLOAD: &str = "http://h/v2/some/cache/blobs/uploads/";
        let unsupported = r#"{"errors":[{"code":"UNSUPPORTED"}]}"#;
        let unknown = r#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#;
        for (method, url, status, body, kind, words) in [
            (Method::GET, BLOB, 401, "", ErrorKind::Denied, "tried as ada (from f)"),
            (
                Method::GET,
                BLOB,
                403,
                "no",
                ErrorKind::Denied,
                "no: it takes the right to pull from some/cache (tried as ada (from f))",
            ),
            (Method::POST, UPLOAD, 403, "", ErrorKind::Denied, "right to push to some/cache ("),
            (Method::DELETE, BLOB, 403, "", ErrorKind::Denied, "right to delete from some/cache ("),
            (
                Method::GET,
                BLOB,
                403,
                "API rate limit exceeded",
                ErrorKind::TryAgain,
                "API rate limit exceeded",
            ),
            (Method::GET, BLOB, 429, "slow down", ErrorKind::TryAgain, "slow down"),
            (Method::DELETE, BLOB, 405, "", ErrorKind::Invalid, "does not allow deleting"),
            (Method::DELETE, BLOB, 400, unsupported, ErrorKind::Invalid, "REGISTRY_STORAGE_DELETE_ENABLED"),
            (Method::POST, UPLOAD, 404, unknown, ErrorKind::NotFound, "has no repository some/cache"),
            (
                Method::GET,
                UPLOAD,
                400,
                "Client sent an HTTP request to an HTTPS server.",
                ErrorKind::Invalid,
                "oci://",
            ),
        ] {
            let error = refusal(method, url, status, body, Some("as ada (from f)"));
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(words), "{error}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        // Storage that was redirected to knows nothing of rights in the registry.
        assert!(matches!(refusal(Method::GET, BLOB, 403, "", None), Error::Status { .. }));
    }

    #[test]
    fn an_error_document_is_quoted_by_code_message_and_detail() {
        let words = |body: &str| words("application/json", body.as_bytes());
        assert_eq!(words(r#"{"errors":[{"code":"DENIED","message":"no\n way"}]}"#), "DENIED: no way");
        assert_eq!(
            words(r#"{"errors":[{"code":"A","message":""},{"message":"b","detail":{"digest":"d"}}]}"#),
            r#"A; b ({"digest":"d"})"#
        );
        assert_eq!(words(r#"{"errors":[{}]}"#), "an error without a message");
        assert_eq!(words(r#"{"errors":[]}"#), r#"{"errors":[]}"#);
    }

    #[test]
    fn other_answers_are_quoted_from_the_beginning() {
        assert_eq!(words("text/plain", b"404 page not found\n"), "404 page not found");
        assert_eq!(words("", b""), "no further words");
        assert_eq!(words("text/plain", "é".repeat(300).as_bytes()), format!("{}…", "é".repeat(200)));
        assert_eq!(words("text/plain", b"\x1b[31mred\x07"), "[31mred");
    }

    #[test]
    fn a_page_is_quoted_without_its_markup() {
        let page = b"<!DOCTYPE html><html><head><title>Blocked</title><STYLE>p{}</style>\
                     <script>if (a<b) {}</script></head><body><p>By the <b>proxy</b>.</p>";
        assert_eq!(words("text/html; charset=utf-8", page), "an HTML page: Blocked By the proxy .");
        assert_eq!(words("", page), "an HTML page: Blocked By the proxy .");
    }

    proptest! {
        #[test]
        fn no_body_panics_or_is_quoted_at_length(body: Vec<u8>, page in "[<>/a-c é]*(<script>)?[<>/a-c]*") {
            prop_assert!(words("text/plain", &body).chars().count() <= QUOTED + 20);
            prop_assert!(words("text/html", page.as_bytes()).chars().count() <= QUOTED + 20);
        }
    }
}
