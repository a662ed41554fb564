//! Names like one that is not there.

use std::collections::BTreeSet;

/// What recipes put before the name of a module of a language, and what people leave out.
const PREFIXES: [&str; 9] = ["py-", "r-", "perl-", "ruby-", "lua-", "ocaml-", "rust-", "go-", "lib"];

/// The names most like `name`, nearest first: the same but for the prefix of a language, then by the letters to change, a
/// third of them at most.
pub(super) fn names<'n>(name: &str, known: impl Iterator<Item = &'n str>, at_most: usize) -> Vec<String> {
    let wanted = normal(name);
    let known: BTreeSet<&str> = known.collect();
    let mut near: Vec<(usize, &str)> = known
        .into_iter()
        .filter_map(|known| {
            let candidate = normal(known);
            let distance = if stem(&candidate) == stem(&wanted) {
                0
            } else {
                distance(&wanted, &candidate, 1 + wanted.chars().count() / 3)?
            };
            Some((distance, known))
        })
        .collect();
    near.sort_unstable();
    near.into_iter().take(at_most).map(|(_, name)| name.to_owned()).collect()
}

fn normal(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}

fn stem(name: &str) -> &str {
    let stripped = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix));
    stripped.filter(|rest| !rest.is_empty()).unwrap_or(name)
}

/// How many letters have to be changed, added, left out or swapped with the next; none if more than `limit`.
fn distance(one: &str, other: &str, limit: usize) -> Option<usize> {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    if one.len().abs_diff(other.len()) >= limit {
        return None;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=other.len()).collect();
    for i in 0..one.len() {
        let mut row = vec![i + 1];
        for j in 0..other.len() {
            let changed = above[j] + usize::from(one[i] != other[j]);
            let mut least = changed.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && one[i] == other[j - 1] && one[i - 1] == other[j] {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above.last().copied().filter(|distance| *distance < limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_and_slips_are_found() {
        let known = ["py-numpy", "numactl", "r-numpy", "openssl", "openmpi", "zlib", "zlib-ng", "hdf5"];
        let like = |name: &str| names(name, known.into_iter(), 5);
        assert_eq!(like("numpy"), ["py-numpy", "r-numpy"]);
        assert_eq!(like("py_numpy"), ["py-numpy", "r-numpy"]);
        assert_eq!(like("opnessl"), ["openssl"]);
        assert_eq!(like("zilb"), ["zlib"]);
        assert_eq!(like("HDF5"), ["hdf5"]);
        assert!(like("something-else").is_empty());
        assert!(like("").is_empty());
    }

    #[test]
    fn letters_are_counted() {
        assert_eq!(distance("abc", "abc", 3), Some(0));
        assert_eq!(distance("abc", "acb", 3), Some(1));
        assert_eq!(distance("abc", "ab", 3), Some(1));
        assert_eq!(distance("abc", "xyz", 3), None);
        assert_eq!(distance("", "ab", 3), Some(2));
    }
}
