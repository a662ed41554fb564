//! [`Scope`]: what a request needs to be allowed to do, as token servers are asked for it.

use std::collections::{BTreeMap, BTreeSet};

/// The actions in the order in which token servers expect them. Some compare texts.
const ACTIONS: [&str; 3] = ["pull", "push", "delete"];

/// What a request needs to be allowed to do: the scope of its token.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub(in crate::remote) struct Scope(BTreeSet<(String, &'static str)>);

impl Scope {
    /// Reading from a repository.
    pub(in crate::remote) fn pull(repository: &str) -> Self {
        Self(BTreeSet::from([(repository.to_string(), "pull")]))
    }

    /// Reading from and writing to a repository.
    pub(in crate::remote) fn push(repository: &str) -> Self {
        Self(BTreeSet::from([(repository.to_string(), "pull"), (repository.to_string(), "push")]))
    }

    /// Deleting from a repository.
    pub(in crate::remote) fn delete(repository: &str) -> Self {
        Self(BTreeSet::from([(repository.to_string(), "delete"), (repository.to_string(), "pull")]))
    }

    /// This, and reading from another repository.
    pub(in crate::remote) fn and_pull(mut self, repository: &str) -> Self {
        self.0.insert((repository.to_string(), "pull"));
        self
    }

    /// Whether who may do this may do `other`.
    pub(super) fn includes(&self, other: &Self) -> bool {
        self.0.is_superset(&other.0)
    }

    /// As the distribution specification's token servers take it, one text per repository:
    /// `repository:NAME:pull,push`.
    pub(super) fn texts(&self) -> Vec<String> {
        let text = |(repository, actions): (&str, Vec<&str>)| {
            format!("repository:{repository}:{}", actions.join(","))
        };
        self.by_repository().into_iter().map(text).collect()
    }

    /// For a message: `push to a/b and pull from c/d`.
    pub(super) fn described(&self) -> String {
        let described = |(repository, actions): (&str, Vec<&str>)| match actions.last() {
            Some(&"push") => format!("push to {repository}"),
            Some(&"delete") => format!("delete from {repository}"),
            _ => format!("pull from {repository}"),
        };
        self.by_repository().into_iter().map(described).collect::<Vec<_>>().join(" and ")
    }

    /// The actions in each repository, in the order of [`ACTIONS`].
    fn by_repository(&self) -> BTreeMap<&str, Vec<&'static str>> {
        let mut repositories: BTreeMap<&str, Vec<&'static str>> = BTreeMap::new();
        for action in ACTIONS {
            for (repository, _) in self.0.iter().filter(|(_, allowed)| *allowed == action) {
                repositories.entry(repository).or_default().push(action);
            }
        }
        repositories
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_as_token_servers_take_it() {
        for (scope, texts, words) in [
            (Scope::pull("a/b"), vec!["repository:a/b:pull"], "pull from a/b"),
            (Scope::push("a/b"), vec!["repository:a/b:pull,push"], "push to a/b"),
            (Scope::delete("a/b"), vec!["repository:a/b:pull,delete"], "delete from a/b"),
            (
                Scope::push("b").and_pull("a"),
                vec!["repository:a:pull", "repository:b:pull,push"],
                "pull from a and push to b",
            ),
            (Scope::push("b").and_pull("b"), vec!["repository:b:pull,push"], "push to b"),
        ] {
            assert_eq!(scope.texts(), texts);
            assert_eq!(scope.described(), words);
        }
    }

    #[test]
    fn the_wider_includes_the_narrower_and_never_the_reverse() {
        assert!(Scope::push("a").includes(&Scope::pull("a")));
        assert!(!Scope::pull("a").includes(&Scope::push("a")));
        assert!(!Scope::push("a").includes(&Scope::delete("a")));
        assert!(!Scope::push("a").includes(&Scope::pull("b")));
        assert!(Scope::push("a").and_pull("b").includes(&Scope::pull("b")));
    }
}
