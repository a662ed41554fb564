//! What is known of certain registries that asking them does not tell.

use super::{Check, Outcome};

/// Host, or its end after a dot; the check; what to expect.
const KNOWN: [(&str, &str, &str); 7] = [
    (
        "ghcr.io",
        "push",
        "GitHub takes layers of up to 10 GB, each within 10 minutes; a new package is private at first",
    ),
    ("ghcr.io", "delete", "GitHub deletes package versions on its web pages and by its own interface only"),
    ("docker.io", "pull", "Docker Hub counts downloads of manifests: some 100 in six hours without login"),
    ("quay.io", "push", "Quay takes few types of image configs, and makes new repositories private"),
    (
        "amazonaws.com",
        "authentication",
        "the user is AWS and the password of `aws ecr get-login-password` lasts 12 hours",
    ),
    ("amazonaws.com", "push", "ECR does not make repositories by itself: `aws ecr create-repository` does"),
    ("azurecr.io", "authentication", "a token of `az acr login` lasts three hours"),
];

/// Adds to what the registry said, and never in place of it.
pub(super) fn add_hints(host: &str, checks: &mut [Check]) {
    let name = host.split(':').next().unwrap_or_default();
    for check in checks.iter_mut().filter(|check| check.outcome != Outcome::Failed) {
        let known = KNOWN.iter().find(|(end, about, _)| {
            let is_host = name.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
            is_host && *about == check.name
        });
        if let Some((_, _, hint)) = known {
            check.hint = Some(match check.hint.take() {
                Some(first) => format!("{first}; {hint}"),
                None => (*hint).to_string(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_known_with_what_is_below_them_and_nothing_else() {
        for (host, known) in [
            ("ghcr.io", true),
            ("index.docker.io", true),
            ("1.dkr.ecr.eu-central-1.amazonaws.com:443", true),
            ("notghcr.io", false),
            ("ghcr.io.example.org", false),
        ] {
            let mut checks = ["push", "pull"].map(|name| Check::new(name, Outcome::Yes, ""));
            add_hints(host, &mut checks);
            assert_eq!(checks.iter().any(|check| check.hint.is_some()), known, "{host}");
        }
        let mut failed = [Check::new("push", Outcome::Failed, "")];
        add_hints("ghcr.io", &mut failed);
        assert_eq!(failed[0].hint, None);
    }
}
