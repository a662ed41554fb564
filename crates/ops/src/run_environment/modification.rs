//! One change to a variable: what it makes of it, and what takes it back (Spack's `EnvironmentModifications`).
//!
//! Where Spack would make `.` of an empty entry of a list (an empty entry of `MANPATH` stands for the system's own list), it
//! stays empty here; and what takes a change back leaves all other entries as they are written.

use super::computed::is_system;
use super::variables::{Change, normal};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The variables of a shell.
pub type Variables = BTreeMap<String, String>;

/// What is done to a variable.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "change", content = "value", rename_all = "kebab-case")]
pub enum Edit {
    /// The value is replaced.
    Set(String),
    /// The variable goes.
    Unset,
    /// The variable goes if it has this value.
    Withdraw(String),
    /// A path is put first.
    Prepend(String),
    /// A path is put last.
    Append(String),
    /// A path is taken out where it comes first.
    RemoveFirst(String),
    /// A path is taken out where it comes last.
    RemoveLast(String),
    /// A path is taken out wherever it is.
    RemoveAll(String),
    /// Flags are put last.
    AppendFlags(String),
    /// Flags are taken out wherever they are.
    RemoveFlags(String),
    /// Each path stays where it comes first alone.
    Prune,
    /// The directories that every system has come last.
    SystemLast,
}

/// A change to a variable.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Modification {
    /// The name of the variable.
    pub variable: String,
    /// What is done to it.
    #[serde(flatten)]
    pub edit: Edit,
    /// What is between the entries of a list.
    pub separator: String,
}

impl Modification {
    /// A change to a variable whose entries, if it is a list, have colons between.
    pub fn new(variable: impl Into<String>, edit: Edit) -> Self {
        Self { variable: variable.into(), edit, separator: ":".to_owned() }
    }

    /// What takes it back, as far as that can be done: what a variable was before it was set is not known.
    pub fn reversed(&self) -> Option<Self> {
        let edit = match &self.edit {
            Edit::Set(value) => Edit::Withdraw(value.clone()),
            Edit::Prepend(path) => Edit::RemoveFirst(path.clone()),
            Edit::Append(path) => Edit::RemoveLast(path.clone()),
            Edit::AppendFlags(flags) => Edit::RemoveFlags(flags.clone()),
            _ => return None,
        };
        Some(Self { edit, ..self.clone() })
    }

    /// Makes the change.
    pub fn apply(&self, variables: &mut Variables) {
        let old = variables.get(&self.variable);
        let new = match &self.edit {
            Edit::Set(value) => Some(value.clone()),
            Edit::Unset => None,
            Edit::Withdraw(value) => old.filter(|old| *old != value).cloned(),
            Edit::RemoveFlags(_) if old.is_none() => None,
            Edit::AppendFlags(flags) => Some(match old.filter(|old| !old.is_empty()) {
                Some(old) => format!("{old}{}{flags}", self.separator),
                None => flags.clone(),
            }),
            edit => self.changed_list(edit, old.map(String::as_str)),
        };
        match new {
            Some(new) => variables.insert(self.variable.clone(), new),
            None => variables.remove(&self.variable),
        };
    }

    fn changed_list(&self, edit: &Edit, old: Option<&str>) -> Option<String> {
        let mut list: Vec<String> = match old {
            None | Some("") => Vec::new(),
            Some(old) => old.split(&*self.separator).map(str::to_owned).collect(),
        };
        match edit {
            Edit::Prepend(path) => list.insert(0, normal(path)),
            Edit::Append(path) => list.push(normal(path)),
            // Nothing is made of what is not set.
            _ if old.is_none() => return None,
            Edit::RemoveFirst(path) => {
                let at = list.iter().position(|entry| is_same(entry, path));
                return self.without(list, at, old);
            }
            Edit::RemoveLast(path) => {
                let at = list.iter().rposition(|entry| is_same(entry, path));
                return self.without(list, at, old);
            }
            Edit::RemoveAll(path) => {
                let gone = normal(path);
                list.retain(|entry| *entry != gone);
                list.iter_mut().for_each(|entry| *entry = tidy(entry));
            }
            Edit::RemoveFlags(flags) => list.retain(|entry| entry != flags),
            Edit::Prune => {
                let mut seen = std::collections::HashSet::new();
                list =
                    list.iter().map(|entry| tidy(entry)).filter(|entry| seen.insert(entry.clone())).collect();
            }
            Edit::SystemLast => {
                list.iter_mut().for_each(|entry| *entry = tidy(entry));
                list.sort_by_key(|entry| is_system(entry));
            }
            Edit::Set(_) | Edit::Unset | Edit::Withdraw(_) | Edit::AppendFlags(_) => {}
        }
        Some(list.join(&self.separator))
    }

    /// The list without one entry. A variable of which nothing is left then is taken for one that was not there before.
    fn without(&self, mut list: Vec<String>, at: Option<usize>, old: Option<&str>) -> Option<String> {
        let Some(at) = at else { return old.map(str::to_owned) };
        list.remove(at);
        let is_empty = list.iter().all(String::is_empty);
        (!is_empty).then(|| list.join(&self.separator))
    }

    /// How often the variable has the path that this change puts into it; none if it puts none into it.
    pub(crate) fn occurrences(&self, variables: &Variables) -> Option<usize> {
        let (Edit::Prepend(path) | Edit::Append(path)) = &self.edit else { return None };
        let list = variables.get(&self.variable).map_or("", String::as_str);
        Some(list.split(&*self.separator).filter(|entry| is_same(entry, path)).count())
    }
}

impl From<(String, Change)> for Modification {
    fn from((variable, change): (String, Change)) -> Self {
        Self::new(
            variable,
            match change {
                Change::Set(value) => Edit::Set(value),
                Change::Unset => Edit::Unset,
                Change::Prepend(path) => Edit::Prepend(path),
                Change::Append(path) => Edit::Append(path),
                Change::Remove(path) => Edit::RemoveAll(path),
            },
        )
    }
}

/// Whether an entry of a list is a path, however it is written.
fn is_same(entry: &str, path: &str) -> bool {
    !entry.is_empty() && normal(entry) == normal(path)
}

fn tidy(entry: &str) -> String {
    if entry.is_empty() { String::new() } else { normal(entry) }
}

/// Makes the changes: those of one variable in their order. A `MANPATH` that was changed ends with a colon, so that the
/// system's own manuals are found, too.
pub fn apply(modifications: &[Modification], variables: &mut Variables) {
    for modification in modifications {
        modification.apply(variables);
    }
    if modifications.iter().any(|modification| modification.variable == MANUALS)
        && let Some(list) = variables.get_mut(MANUALS).filter(|list| !list.ends_with(':'))
    {
        list.push(':');
    }
}

const MANUALS: &str = "MANPATH";

/// What becomes of variables: those that differ, by name, with their values if they have any.
pub fn differences(before: &Variables, after: &Variables) -> Vec<(String, Option<String>)> {
    let gone = before.keys().filter(|name| !after.contains_key(*name)).map(|name| (name.clone(), None));
    let new = after.iter().filter(|(name, value)| before.get(*name) != Some(value));
    let new = new.map(|(name, value)| (name.clone(), Some(value.clone())));
    let mut differences: Vec<_> = gone.chain(new).collect();
    differences.sort();
    differences
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn text(edit: fn(String) -> Edit, value: &str) -> Edit {
        edit(value.to_owned())
    }

    #[test]
    fn each_change_does_what_spack_does() {
        let cases = [
            (text(Edit::Set, "x"), Some("a"), Some("x")),
            (Edit::Unset, Some("a"), None),
            (Edit::Unset, None, None),
            (text(Edit::Withdraw, "a"), Some("a"), None),
            (text(Edit::Withdraw, "a"), Some("b"), Some("b")),
            (text(Edit::Prepend, "/x/./y/"), Some("/a"), Some("/x/y:/a")),
            (text(Edit::Prepend, "/x"), Some(""), Some("/x")),
            (text(Edit::Prepend, "/x"), None, Some("/x")),
            (text(Edit::Append, "/x"), Some("/a:"), Some("/a::/x")),
            (text(Edit::RemoveFirst, "/x"), Some("/x/:/a//b:/x"), Some("/a//b:/x")),
            (text(Edit::RemoveLast, "/x"), Some("/x:/a:/x"), Some("/x:/a")),
            (text(Edit::RemoveFirst, "/x"), Some("/x"), None),
            (text(Edit::RemoveFirst, "/x"), Some("/x:"), None),
            (text(Edit::RemoveFirst, "/x"), Some(""), Some("")),
            (text(Edit::RemoveFirst, "/x"), None, None),
            (text(Edit::RemoveAll, "/x"), Some("/x:/a//b::/x"), Some("/a/b:")),
            (text(Edit::AppendFlags, "-x"), Some("-a"), Some("-a:-x")),
            (text(Edit::AppendFlags, "-x"), Some(""), Some("-x")),
            (text(Edit::RemoveFlags, "-x"), Some("-a:-x"), Some("-a")),
            (text(Edit::RemoveFlags, "-x"), None, None),
            (Edit::Prune, Some("/a:/b:/a/::"), Some("/a:/b:")),
            (Edit::Prune, None, None),
            (Edit::SystemLast, Some("/usr/bin:/a:/bin/:/b"), Some("/a:/b:/usr/bin:/bin")),
        ];
        for (edit, old, expected) in cases {
            let mut known = old.map_or_else(Variables::new, |old| variables(&[("V", old)]));
            Modification::new("V", edit.clone()).apply(&mut known);
            assert_eq!(known.get("V").map(String::as_str), expected, "{edit:?} of {old:?}");
        }
    }

    #[test]
    fn what_is_taken_back_is_as_before() {
        let mut flags = Modification::new("FLAGS", text(Edit::AppendFlags, "-x"));
        flags.separator = " ".to_owned();
        let changes = [
            Modification::new("PATH", text(Edit::Prepend, "/x/bin")),
            Modification::new("PATH", text(Edit::Append, "/y/bin")),
            Modification::new("MANPATH", text(Edit::Prepend, "/x/man")),
            Modification::new("NEW", text(Edit::Set, "value")),
            flags,
        ];
        let before = variables(&[("PATH", "/a//b:/bin"), ("FLAGS", "-a -b")]);
        let mut after = before.clone();
        apply(&changes, &mut after);
        assert_eq!(after["PATH"], "/x/bin:/a//b:/bin:/y/bin");
        assert_eq!(after["MANPATH"], "/x/man:");
        assert_eq!(after["FLAGS"], "-a -b -x");
        let back: Vec<_> = changes.iter().rev().filter_map(Modification::reversed).collect();
        apply(&back, &mut after);
        assert_eq!(after, before);
    }

    #[test]
    fn differences_are_named_in_order() {
        let before = variables(&[("A", "1"), ("B", "2"), ("Z", "3")]);
        let after = variables(&[("A", "1"), ("B", "x"), ("C", "4")]);
        let named = |name: &str, value: Option<&str>| (name.to_owned(), value.map(str::to_owned));
        let expected = [named("B", Some("x")), named("C", Some("4")), named("Z", None)];
        assert_eq!(differences(&before, &after), expected);
    }
}
