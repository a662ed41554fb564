//! The grammar of `HOST/NAME`, with Docker Hub's defaults, as Spack reads it (`oci/image.py`, which follows
//! `github.com/distribution/reference`).

use crate::ReferenceError;

/// Where a name without a host is.
const DOCKER_HUB: &str = "index.docker.io";

/// A registry's host, with its port if given, and the name of a repository there, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ImageName {
    pub(crate) host: String,
    pub(crate) name: String,
}

impl ImageName {
    /// Splits `text`, which is what follows the scheme in `url`, and fills in the defaults: `ubuntu` is
    /// `index.docker.io/library/ubuntu`, and `user/name` is `index.docker.io/user/name`.
    pub(crate) fn parse(url: &str, text: &str) -> Result<Self, ReferenceError> {
        let url = || url.to_string();
        if text.is_empty() {
            return Err(ReferenceError::NoName { url: url() });
        }
        if let Some((before, _)) = text.split_once('@') {
            // A user and password come before the host, a digest after the name.
            return Err(if before.contains('/') || !text.contains('/') {
                ReferenceError::HasDigest { url: url() }
            } else {
                ReferenceError::HasCredentials
            });
        }
        let Some((first, rest)) = text.split_once('/') else {
            return Self::single(url(), text);
        };
        if let Some((_, tag)) = rest.split_once(':') {
            return Err(ReferenceError::HasTag { url: url(), tag: tag.to_string() });
        }
        if is_domain(first) && is_remote_name(rest) {
            let hub = !first.contains(['.', ':'])
                && first != "localhost"
                && !first.bytes().any(|b| b.is_ascii_uppercase());
            return Ok(if hub { Self::new(DOCKER_HUB, text) } else { Self::new(first, rest) });
        }
        // What cannot be a host can still be the first part of a name, such as `my_team/cache`. Spack then takes it
        // as it takes a single name.
        if is_remote_name(text) {
            return Ok(Self::new(DOCKER_HUB, &format!("library/{text}")));
        }
        Err(ReferenceError::Malformed { url: url() })
    }

    /// As Docker reads the name of an image: `docker.io` is a name for Docker Hub, whose registry is elsewhere, and what
    /// has no user there is in `library`.
    pub(crate) fn at_docker_hub(self, url: &str) -> Result<Self, ReferenceError> {
        if !self.host.eq_ignore_ascii_case("docker.io") && self.host != DOCKER_HUB {
            return Ok(self);
        }
        let slash = if self.name.contains('/') { "" } else { "library/" };
        Self::parse(url, &format!("{DOCKER_HUB}/{slash}{}", self.name))
    }

    /// A single component: a name at Docker Hub, but not if it looks like a host whose name was forgotten.
    fn single(url: String, text: &str) -> Result<Self, ReferenceError> {
        let (stem, port) = match text.rsplit_once(':') {
            Some((stem, port)) if !stem.starts_with('[') || stem.ends_with(']') => (stem, Some(port)),
            _ => (text, None),
        };
        let numeric = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        let host_like = stem.contains('.') || stem == "localhost" || stem.starts_with('[');
        if is_domain(stem) && (host_like || port.is_some_and(numeric)) {
            return Err(ReferenceError::HostWithoutName { url, host: text.to_string() });
        }
        if let Some(tag) = port {
            return Err(ReferenceError::HasTag { url, tag: tag.to_string() });
        }
        if !is_remote_name(text) {
            return Err(ReferenceError::Malformed { url });
        }
        Ok(Self::new(DOCKER_HUB, &format!("library/{text}")))
    }

    /// Names are lower-cased: registries refuse upper case, but people paste `github.repository` as it is.
    fn new(host: &str, name: &str) -> Self {
        Self { host: host.to_string(), name: name.to_ascii_lowercase() }
    }
}

/// `HOST` or `HOST:PORT`; the host a name of dot-separated labels, an IPv4 address or `[IPv6]`.
fn is_domain(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((address, rest)) => {
            let hexadecimal = address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':');
            if address.is_empty() || !hexadecimal {
                return false;
            }
            match rest.strip_prefix(':') {
                Some(port) => ("ipv6", Some(port)),
                None if rest.is_empty() => ("ipv6", None),
                None => return false,
            }
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.split('.').all(is_label)
        && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
}

fn is_remote_name(text: &str) -> bool {
    text.split('/').all(is_path_component)
}

/// Runs of letters and digits, with one `.`, one or two `_`, or any number of `-` between them.
fn is_path_component(text: &str) -> bool {
    let is_separator = |c: char| matches!(c, '.' | '_' | '-');
    let ends_well = |edge: Option<char>| edge.is_some_and(|c| c.is_ascii_alphanumeric());
    let joins =
        |separator: &str| matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|b| b == b'-');
    ends_well(text.chars().next())
        && ends_well(text.chars().next_back())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || is_separator(c))
        && text.split(|c| !is_separator(c)).all(joins)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<ImageName, ReferenceError> {
        ImageName::parse("the url", text)
    }

    #[test]
    fn hosts_names_and_docker_hubs_defaults() {
        for (text, host, name) in [
            ("ghcr.io/org/cache", "ghcr.io", "org/cache"),
            ("ghcr.io/Organization/Name", "ghcr.io", "organization/name"),
            ("localhost/name", "localhost", "name"),
            ("localhost:5000/a/b/c", "localhost:5000", "a/b/c"),
            ("host:5000/name", "host:5000", "name"),
            ("127.0.0.1:5000/x", "127.0.0.1:5000", "x"),
            ("[::1]:5000/x", "[::1]:5000", "x"),
            ("[fe80::1]/x", "[fe80::1]", "x"),
            ("ubuntu", "index.docker.io", "library/ubuntu"),
            ("Ubuntu", "index.docker.io", "library/ubuntu"),
            ("user/repository", "index.docker.io", "user/repository"),
            ("user/a/b", "index.docker.io", "user/a/b"),
            ("Registry/name", "Registry", "name"),
            ("my_team/cache", "index.docker.io", "library/my_team/cache"),
            ("a.b/c__d-e---f.g_h", "a.b", "c__d-e---f.g_h"),
        ] {
            assert_eq!(parse(text).unwrap(), ImageName { host: host.into(), name: name.into() }, "{text}");
        }
    }

    #[test]
    fn a_host_without_a_name_is_not_looked_for_at_docker_hub() {
        for text in [
            "ghcr.io",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
            "localhost",
            "localhost:5000",
            "registry:5000",
            "ghcr.io:443",
            "10.0.0.1",
            "[::1]",
            "[::1]:5000",
        ] {
            let error = parse(text).unwrap_err();
            assert!(
                matches!(&error, ReferenceError::HostWithoutName { host, .. } if host == text),
                "{error}"
            );
        }
    }

    #[test]
    fn tags_digests_and_credentials_do_not_belong_in_it() {
        for text in ["ghcr.io/a/b:latest", "ubuntu:noble", "user/name:1", "localhost:5000/x:y", "a/b:c/d"] {
            assert!(matches!(parse(text), Err(ReferenceError::HasTag { .. })), "{text}");
        }
        let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        for text in
            [format!("ghcr.io/a/b@{digest}"), format!("ghcr.io/a:t@{digest}"), format!("ubuntu@{digest}")]
        {
            assert!(matches!(parse(&text), Err(ReferenceError::HasDigest { .. })), "{text}");
        }
        let error = parse("me:secret@ghcr.io/a/b").unwrap_err();
        assert_eq!(error, ReferenceError::HasCredentials);
        assert!(!error.to_string().contains("secret"));
    }

    #[test]
    fn malformed_names_are_refused() {
        assert!(matches!(parse(""), Err(ReferenceError::NoName { .. })));
        for text in [
            "ghcr.io/",
            "ghcr.io/a/",
            "/a",
            "a//b",
            "ghcr.io/.a",
            "ghcr.io/a.",
            "ghcr.io/a..b",
            "ghcr.io/a_-b",
            "ghcr.io/a___b",
            "ghcr.io/a b",
            "-ghcr.io/a b",
            "ghcr.io/é",
            "_",
            "-",
            "[::1/x",
            "[x]/y",
            "host:/x",
            "a?b",
        ] {
            assert!(
                matches!(parse(text), Err(ReferenceError::Malformed { .. })),
                "{text}: {:?}",
                parse(text)
            );
        }
    }

    proptest! {
        #[test]
        fn what_parses_parses_again_to_the_same(text in "[a-zA-Z0-9._:/@\\[\\]-]{0,40}") {
            if let Ok(image) = parse(&text) {
                prop_assert_eq!(parse(&format!("{}/{}", image.host, image.name)).unwrap(), image);
            }
        }

        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _ = parse(&text);
        }
    }
}
