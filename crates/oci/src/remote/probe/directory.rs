//! What can be done with an image layout in a directory.

use std::path::Path;

use super::{Check, Outcome};
use crate::{ErrorKind, LayoutRepository, Repository, RepositoryUrl};

pub(super) fn checks(url: &RepositoryUrl, directory: &Path) -> Vec<Check> {
    let layout = match LayoutRepository::open(url) {
        Ok(layout) => layout,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let check = Check::of_error("reach", &error).hint("the first push makes it");
            return vec![check, writable(directory.ancestors().find(|path| path.is_dir()))];
        }
        Err(error) => return vec![Check::of_error("reach", &error)],
    };
    let reach = Check::new("reach", Outcome::Yes, format!("an image layout in {}", directory.display()));
    let pull = match layout.tags() {
        Ok(tags) => Check::new("pull", Outcome::Yes, format!("{} tags", tags.len())),
        Err(error) => Check::of_error("pull", &error),
    };
    vec![reach, pull, writable(Some(directory))]
}

/// Whether something can be put there, tried with a file that never gets a name.
fn writable(directory: Option<&Path>) -> Check {
    let Some(directory) = directory else { return Check::new("push", Outcome::Unknown, "") };
    match tempfile::tempfile_in(directory) {
        Ok(_) => Check::new("push", Outcome::Yes, format!("{} can be written to", directory.display())),
        Err(cause) => Check::of_error("push", &crate::Error::io("write to", directory)(cause)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes(directory: &Path) -> Vec<(&'static str, Outcome)> {
        let url = RepositoryUrl::from_directory(directory).unwrap();
        checks(&url, directory).iter().map(|check| (check.name, check.outcome)).collect()
    }

    #[test]
    fn a_layout_is_judged_and_left_as_it_was() {
        let place = tempfile::tempdir().unwrap();
        let cache = place.path().join("a/b");
        assert_eq!(outcomes(&cache), [("reach", Outcome::No), ("push", Outcome::Yes)]);
        assert!(!place.path().join("a").exists());

        std::fs::create_dir_all(&cache).unwrap();
        std::fs::write(cache.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        std::fs::write(cache.join("index.json"), r#"{"schemaVersion":2,"manifests":[]}"#).unwrap();
        let expected = [("reach", Outcome::Yes), ("pull", Outcome::Yes), ("push", Outcome::Yes)];
        assert_eq!(outcomes(&cache), expected);
        assert_eq!(std::fs::read_dir(&cache).unwrap().count(), 2);

        let other = place.path().join("other");
        std::fs::create_dir(&other).unwrap();
        std::fs::write(other.join("file"), "").unwrap();
        assert_eq!(outcomes(&other), [("reach", Outcome::No)]);
    }
}
