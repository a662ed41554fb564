//! Variables in order, and the changes that are made to them (Spack's `util/environment.py`).

use super::extras::relocated;
use crate::image::ImageError;
use std::collections::{BTreeMap, HashMap, VecDeque};
use strata_oci::ImageConfig;

/// What `PATH` is where a base does not say, as in Spack.
const SYSTEM_PATH: &str = "/bin:/usr/bin";
/// What Linux takes for one `NAME=value`, the NUL at its end included (`MAX_ARG_STRLEN`).
pub(crate) const LONGEST_VARIABLE: usize = 131_072;

/// Variables and their values, in the order in which they were first set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Environment(Vec<(String, String)>);

impl Environment {
    /// That of a base image, or of an image without one: the system's directories alone. `PATH` comes first, and is
    /// `/bin:/usr/bin` where the base does not say.
    pub(crate) fn of_base(base: Option<&ImageConfig>) -> Self {
        let said = base.iter().flat_map(|base| &base.config.env).filter_map(|entry| entry.split_once('='));
        Self::of_pairs(std::iter::once(("PATH", SYSTEM_PATH)).chain(said))
    }

    /// What `NAME=value` entries say, and nothing else. What has no `=` in it is no variable.
    pub(super) fn of_entries(entries: &[String]) -> Self {
        Self::of_pairs(entries.iter().filter_map(|entry| entry.split_once('=')))
    }

    /// Names and values: what comes later counts, in the place of what came first.
    pub(super) fn of_pairs<'p>(pairs: impl IntoIterator<Item = (&'p str, &'p str)>) -> Self {
        let mut environment = Self::default();
        let mut places: HashMap<&str, usize> = HashMap::new();
        for (name, value) in pairs {
            let end = environment.0.len();
            match *places.entry(name).or_insert(end) {
                place if place < end => value.clone_into(&mut environment.0[place].1),
                _ => environment.0.push((name.to_owned(), value.to_owned())),
            }
        }
        environment
    }

    /// The value of a variable.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Sets a variable, in its place or at the end.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => value.clone_into(old),
            None => self.0.push((name.to_owned(), value.to_owned())),
        }
    }

    /// Names and values, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The same for packages that lie elsewhere: their prefixes there, by those in the values.
    pub(crate) fn moved(mut self, moved: &HashMap<&str, String>) -> Self {
        for (_, value) in &mut self.0 {
            *value = relocated(value, moved);
        }
        self
    }

    /// `NAME=value` for each variable, in order.
    pub(crate) fn to_entries(&self) -> Vec<String> {
        self.0.iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    /// The variables that no program can be started with, because Linux takes at most 131,072 bytes for one: the name,
    /// and how many bytes `NAME=value` has with the NUL at its end.
    pub(crate) fn over_limit(&self) -> Vec<(String, usize)> {
        let lengths = self.0.iter().map(|(name, value)| (name.clone(), name.len() + value.len() + 2));
        lengths.filter(|(_, length)| *length > LONGEST_VARIABLE).collect()
    }

    /// Refuses an environment that no program could be started with.
    pub(crate) fn refuse_too_long(&self) -> Result<(), ImageError> {
        match self.over_limit().into_iter().next() {
            Some((name, length)) => {
                Err(ImageError::VariableTooLong { name, length, limit: LONGEST_VARIABLE })
            }
            None => Ok(()),
        }
    }

    /// Makes the changes: those of one variable in their order, the variables by name, so that new ones are
    /// appended sorted while those that are there keep their place.
    pub(super) fn apply(&mut self, changes: &[(String, Change)]) {
        let mut by_name: BTreeMap<&str, Vec<&Change>> = BTreeMap::new();
        for (name, change) in changes {
            by_name.entry(name).or_default().push(change);
        }
        for (name, changes) in by_name {
            let old = self.get(name).map(str::to_owned);
            match changed(old, &changes) {
                Some(new) => self.set(name, &new),
                None => self.0.retain(|(known, _)| known != name),
            }
        }
    }
}

/// What becomes of a variable. A list is taken apart once, however many entries are put into it.
fn changed(old: Option<String>, changes: &[&Change]) -> Option<String> {
    let parts = |value: &str| match value {
        // An empty list has no entries, and not one that is empty.
        "" => VecDeque::new(),
        _ => value.split(':').map(str::to_owned).collect::<VecDeque<_>>(),
    };
    let mut list = old.as_deref().map(parts);
    for change in changes {
        match change {
            Change::Set(value) => list = Some(parts(value)),
            Change::Unset => list = None,
            Change::Prepend(path) => list.get_or_insert_default().push_front(normal(path)),
            Change::Append(path) => list.get_or_insert_default().push_back(normal(path)),
            Change::Remove(path) => {
                // What is compared is an entry as it is written: `/a/` is not `/a`, and becomes it. Of what is not set,
                // Spack would make `.`, which would have programs look in the working directory.
                let gone = normal(path);
                if let Some(list) = &mut list {
                    list.retain(|entry| *entry != gone);
                    list.iter_mut().for_each(|entry| *entry = normal(entry));
                }
            }
        }
    }
    list.map(|list| Vec::from(list).join(":"))
}

/// What is done to a variable. Lists are separated by `:`, and paths are normalised when they enter one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// The value is replaced.
    Set(String),
    /// The variable goes.
    Unset,
    /// A path is put first.
    Prepend(String),
    /// A path is put last.
    Append(String),
    /// A path is taken out, wherever it is.
    Remove(String),
}

/// Without `.`, `..` and repeated slashes, as Python's `os.path.normpath` does it: by text alone.
pub(crate) fn normal(path: &str) -> String {
    let slashes = match path.bytes().take_while(|b| *b == b'/').count() {
        0 => "",
        2 => "//",
        _ => "/",
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        match parts.last() {
            Some(last) if part == ".." && *last != ".." => drop(parts.pop()),
            None if part == ".." && !slashes.is_empty() => {}
            _ => parts.push(part),
        }
    }
    let path = format!("{slashes}{}", parts.join("/"));
    if path.is_empty() { ".".to_owned() } else { path }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalised_as_python_does() {
        let cases = [
            ("", "."),
            (".", "."),
            ("./", "."),
            ("a/..", "."),
            ("../a", "../a"),
            ("a/../../b", "../b"),
            ("/", "/"),
            ("//", "//"),
            ("///", "/"),
            ("//a", "//a"),
            ("///a//b/./c/", "/a/b/c"),
            ("/..", "/"),
            ("/usr/.", "/usr"),
            ("/../a", "/a"),
            ("../..", "../.."),
        ];
        for (path, expected) in cases {
            assert_eq!(normal(path), expected, "{path:?}");
        }
    }

    #[test]
    fn what_is_new_is_appended_by_name_and_what_is_there_keeps_its_place() {
        let mut environment = Environment::of_entries(&["Z=1".into(), "PATH=/bin".into(), "EMPTY=".into()]);
        let change = |name: &str, change| (name.to_owned(), change);
        environment.apply(&[
            change("PATH", Change::Prepend("/b/./bin".into())),
            change("NEW", Change::Set("x".into())),
            change("EMPTY", Change::Prepend("/e".into())),
            change("A", Change::Append("/a/".into())),
            change("A", Change::Append("/b".into())),
            change("PATH", Change::Prepend("/a/bin".into())),
            change("Z", Change::Unset),
            change("NONE", Change::Remove("/a".into())),
            change("PATH", Change::Remove("/b/bin/".into())),
        ]);
        assert_eq!(environment.to_entries(), ["PATH=/a/bin:/bin", "EMPTY=/e", "A=/a:/b", "NEW=x"]);
    }

    #[test]
    fn a_variable_at_the_limit_passes_and_one_byte_more_does_not() {
        let mut environment = Environment::default();
        environment.set("LIST", &"x".repeat(LONGEST_VARIABLE - "LIST=".len() - 1));
        assert_eq!(environment.over_limit(), []);
        environment.set("LIST", &"x".repeat(LONGEST_VARIABLE - "LIST=".len()));
        assert_eq!(environment.over_limit(), [("LIST".to_owned(), LONGEST_VARIABLE + 1)]);
    }

    #[test]
    fn a_base_that_says_nothing_has_the_systems_directories() {
        assert_eq!(Environment::of_base(None).to_entries(), ["PATH=/bin:/usr/bin"]);
        let mut base = ImageConfig::new("amd64", "linux");
        base.config.env = vec!["LANG=C".into(), "odd".into(), "PATH=/usr/sbin".into(), "EQ=a=b".into()];
        assert_eq!(Environment::of_base(Some(&base)).to_entries(), ["PATH=/usr/sbin", "LANG=C", "EQ=a=b"]);
    }
}
