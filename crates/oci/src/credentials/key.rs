//! The names under which credential files keep the credentials of a registry, and which of them are for a repository.
//!
//! Docker writes the host, and for Docker Hub the URL of an interface that is long gone. Podman also takes the
//! beginning of a repository's name with its host (containers-auth.json(5)). All spellings mean the same thing here.

/// The names that one registry goes by, Docker Hub.
const DOCKER_HUB: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/// The key that Docker uses for it, in files and with helpers.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// The one spelling to which others are compared: `HOST[:PORT]`, or `HOST[:PORT]/PART/OF/NAME`.
pub(super) fn canonical(key: &str) -> String {
    let without_scheme = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"));
    let (host, path) = match without_scheme {
        // Only hosts are written as URLs; the path is that of an interface.
        Some(rest) => (rest.split('/').next().unwrap_or_default(), ""),
        None => key.split_once('/').unwrap_or((key, "")),
    };
    let host = host.to_ascii_lowercase();
    let host = if DOCKER_HUB.contains(&host.as_str()) { DOCKER_HUB[0].to_string() } else { host };
    match path.trim_end_matches('/') {
        "" | "v1" | "v2" => host,
        path => format!("{host}/{path}"),
    }
}

/// Whether two names are of the same registry.
pub(super) fn same_host(one: &str, other: &str) -> bool {
    canonical(one) == canonical(other)
}

/// The canonical keys that are for `repository` of `host` and not for all of the host, the longest first.
pub(super) fn path_scoped(host: &str, repository: &str) -> Vec<String> {
    let host = canonical(host);
    let parts: Vec<&str> = repository.split('/').filter(|part| !part.is_empty()).collect();
    (1..=parts.len()).rev().map(|count| format!("{host}/{}", parts[..count].join("/"))).collect()
}

/// The key under which new credentials for `host` are kept.
pub(super) fn preferred(host: &str) -> String {
    let host = canonical(host);
    if host == DOCKER_HUB[0] { DOCKER_HUB_KEY.to_string() } else { host }
}

/// The names by which a helper may know `host`: Docker's first, then podman's.
pub(super) fn for_helper(host: &str) -> Vec<String> {
    let (preferred, canonical) = (preferred(host), canonical(host));
    if preferred == canonical { vec![preferred] } else { vec![preferred, canonical] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_host_is_the_same() {
        for (key, expected) in [
            ("ghcr.io", "ghcr.io"),
            ("GHCR.io/", "ghcr.io"),
            ("https://ghcr.io/v1/", "ghcr.io"),
            ("http://localhost:5000", "localhost:5000"),
            ("localhost:5000/v2/", "localhost:5000"),
            ("[::1]:5000/a", "[::1]:5000/a"),
            ("https://index.docker.io/v1/", "docker.io"),
            ("index.docker.io", "docker.io"),
            ("registry-1.docker.io", "docker.io"),
            ("docker.io/library/a", "docker.io/library/a"),
            ("quay.io/Org/a/", "quay.io/Org/a"),
            ("", ""),
        ] {
            assert_eq!(canonical(key), expected, "{key}");
        }
        assert!(!same_host("ghcr.io", "ghcr.io:443"));
    }

    #[test]
    fn paths_are_scoped_by_whole_components() {
        assert_eq!(path_scoped("Quay.io", "a/b/c"), ["quay.io/a/b/c", "quay.io/a/b", "quay.io/a"]);
        assert!(path_scoped("quay.io", "").is_empty());
    }

    #[test]
    fn docker_hub_is_kept_as_docker_keeps_it() {
        assert_eq!(preferred("docker.io"), "https://index.docker.io/v1/");
        assert_eq!(preferred("Quay.io"), "quay.io");
        assert_eq!(for_helper("index.docker.io"), ["https://index.docker.io/v1/", "docker.io"]);
        assert_eq!(for_helper("quay.io"), ["quay.io"]);
    }
}
