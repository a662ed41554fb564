//! [`Exchange`]: a request that was made, as its errors name it, and what the headers of its answer point at.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use reqwest::Method;
use url::Url;

use super::trouble::{self, Trouble};
use crate::Error;

/// A request that was made: what its errors name.
#[derive(Debug, Clone)]
pub(super) struct Exchange {
    pub(super) method: Method,
    pub(super) url: Url,
}

impl Exchange {
    pub(super) fn new(method: Method, url: Url) -> Self {
        Self { method, url }
    }

    /// The URL as messages have it.
    pub(super) fn shown(&self) -> String {
        shown(&self.url)
    }

    pub(super) fn verb(&self) -> &'static str {
        match self.method {
            Method::HEAD => "HEAD",
            Method::POST => "POST",
            Method::PUT => "PUT",
            Method::PATCH => "PATCH",
            Method::DELETE => "DELETE",
            _ => "GET",
        }
    }

    pub(super) fn transport(&self, error: reqwest::Error) -> Error {
        self.transport_at(error, &self.url)
    }

    /// As [`transport`](Self::transport), for a request that was redirected to `url`.
    pub(super) fn transport_at(&self, error: reqwest::Error, url: &Url) -> Error {
        self.transport_for(error, url, &trouble::registry_host(&self.url))
    }

    /// As [`transport_at`](Self::transport_at), for a request to another host than the registry for whose sake it is.
    pub(super) fn transport_for(&self, error: reqwest::Error, url: &Url, registry: &str) -> Error {
        let (trouble, cause) = trouble::explain(error, url, registry);
        self.no_answer(trouble, cause)
    }

    pub(super) fn silence(&self, waited: Duration) -> Error {
        self.no_answer(Trouble::Lost, format!("nothing was heard for {} s", waited.as_secs_f32()))
    }

    pub(super) fn redirect(&self, problem: String) -> Error {
        self.no_answer(Trouble::Redirect, problem)
    }

    fn no_answer(&self, trouble: Trouble, cause: String) -> Error {
        Error::Transport { method: self.verb(), url: self.shown(), trouble, cause }
    }

    pub(super) fn protocol(&self, problem: impl Display) -> Error {
        Error::Protocol { method: self.verb(), url: self.shown(), problem: problem.to_string() }
    }

    /// The name of the repository that a request to a registry is about, if its URL says so.
    pub(super) fn repository(&self) -> Option<&str> {
        let path = self.url.path().strip_prefix("/v2/")?;
        ["/blobs/", "/manifests/", "/tags/", "/referrers/"]
            .iter()
            .find_map(|end| Some(path.rsplit_once(end)?.0))
    }

    /// A header's value as the type it should be.
    pub(super) fn parsed<T: FromStr>(&self, name: &str, value: &str) -> Result<T, Error> {
        value.trim().parse().map_err(|_| self.protocol(format!("its {name} is {value:?}")))
    }

    /// What a header of the answer points at. A registry behind a proxy that ends TLS may point at http: on the same
    /// host the scheme is put right, and another host is not followed there.
    pub(super) fn pointed_at(&self, name: &str, target: &str, answered_by: &Url) -> Result<Url, Error> {
        let bad = |why: &str| self.protocol(format!("its {name} header is {:?}: {why}", shown_text(target)));
        let mut url = answered_by.join(target).map_err(|error| bad(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad("not an http URL"));
        }
        if self.url.scheme() == "https" && url.scheme() == "http" {
            if url.host() != self.url.host() {
                return Err(bad("refusing to go from https to http"));
            }
            let port = if url.port().is_some() { url.port() } else { self.url.port() };
            if url.set_scheme("https").is_err() || url.set_port(port).is_err() {
                return Err(bad("refusing to go from https to http"));
            }
        }
        url.set_fragment(None);
        Ok(url)
    }
}

/// A URL without what must not get into a log: a query holds upload state or a signature.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // Only URLs with a host can have these, and only with one can they be removed: nothing to report.
    let _ = url.set_password(None);
    let _ = url.set_username("");
    url.to_string()
}

/// As [`shown`], of a text that may be no URL at all.
pub(super) fn shown_text(text: &str) -> String {
    let text = text.split(['?', '#']).next().unwrap_or_default();
    match text.split_once("//") {
        Some((scheme, rest)) => {
            let host = rest.split('/').next().unwrap_or_default().len();
            let from = rest[..host].rfind('@').map_or(0, |at| at + 1);
            format!("{scheme}//{}", &rest[from..])
        }
        None => text.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(url: &str) -> Exchange {
        Exchange::new(Method::POST, Url::parse(url).unwrap())
    }

    fn pointed_at(from: &str, target: &str) -> Result<String, Error> {
        let exchange = exchange(from);
        exchange.pointed_at("Location", target, &exchange.url).map(|url| url.to_string())
    }

    #[test]
    fn relative_and_absolute_locations_are_taken_as_they_are() {
        for (from, target, expected) in [
            ("http://h:5/v2/n/blobs/uploads/", "/v2/x?a=&b=%2F%2f", "http://h:5/v2/x?a=&b=%2F%2f"),
            ("http://h:5/v2/n/blobs/uploads/", "7?state=a+b", "http://h:5/v2/n/blobs/uploads/7?state=a+b"),
            ("http://h:5/v2/n/blobs/uploads/", "https://s3/x?sig=%3D", "https://s3/x?sig=%3D"),
            ("https://h/v2/", "https://other/x#fragment", "https://other/x"),
        ] {
            assert_eq!(pointed_at(from, target).unwrap(), expected);
        }
    }

    #[test]
    fn https_is_never_left() {
        assert_eq!(pointed_at("https://h/v2/", "http://h/x?a=b").unwrap(), "https://h/x?a=b");
        assert_eq!(pointed_at("https://h:8443/v2/", "http://h/x").unwrap(), "https://h:8443/x");
        for target in ["http://other/x", "ftp://h/x", "file:///etc/passwd", "http://[bad"] {
            let error = pointed_at("https://h/v2/", target).unwrap_err();
            assert!(error.to_string().contains(target), "{error}");
        }
    }

    #[test]
    fn what_a_header_points_at_is_told_without_its_secrets() {
        for target in [
            "http://user:hunter2@other/x?signature=hunter2",
            "http://us@er:hunter2@other/x#hunter2",
            "ftp://h/x?signature=hunter2",
            "http://[bad/x?hunter2",
        ] {
            let error = pointed_at("https://h/v2/", target).unwrap_err().to_string();
            assert!(error.contains("/x\"") && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_url_names_its_repository() {
        for (url, expected) in [
            ("https://h/v2/some/cache/blobs/uploads/", Some("some/cache")),
            ("https://h/v2/some/blobs/manifests/t", Some("some")),
            ("https://h/v2/", None),
            ("https://h/bucket/blobs/x", None),
        ] {
            assert_eq!(exchange(url).repository(), expected, "{url}");
        }
    }

    #[test]
    fn what_is_shown_has_no_query() {
        assert_eq!(exchange("https://u:p@h/x?signature=secret#f").shown(), "https://h/x");
    }
}
