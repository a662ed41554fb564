//! Which names were given, by which layer.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use sha2::{Digest, Sha256};

use crate::unpack::{EntryName, HardLinkProblem, printable};

/// The names of all entries so far, and of the directories above them.
#[derive(Default)]
pub(super) struct Names {
    seen: HashMap<Key, Seen>,
    /// The last parent that was found to be a directory: most entries have the one of the entry before.
    parent: Vec<u8>,
}

/// Half the SHA-256 of a name. A store's names are long and many; and nobody finds two that share it.
type Key = [u8; 16];

struct Seen {
    layer: u32,
    what: What,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    /// Listed as a directory.
    Directory,
    /// Not listed, and there are entries below.
    Unlisted,
    /// A file, or a hard link to one.
    File,
    /// A symbolic link.
    Symlink,
}

/// What an entry is, as far as it matters to those that come later.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Given {
    Directory,
    /// Hard links too.
    File,
    Symlink,
}

impl What {
    /// Whether it is no directory.
    fn is_other(self) -> bool {
        matches!(self, Self::File | Self::Symlink)
    }
}

/// A name that was given before, or something that was to lie below a file or a link.
pub(super) struct Clash {
    /// The name that was given before.
    pub(super) name: String,
    /// The entry that lies below it, if it is not the same.
    pub(super) below: Option<String>,
    /// Which layer gave it before.
    pub(super) first: usize,
    /// Whether it was a directory.
    pub(super) directory: bool,
}

impl Names {
    /// Notes an entry of a layer; false if it is a directory that was there before.
    pub(super) fn add(&mut self, name: &EntryName, layer: usize, given: Given) -> Result<bool, Clash> {
        let layer = layer_number(layer);
        if let Some((parent, _)) =
            name.split().filter(|(parent, _)| !parent.is_empty() && *parent != self.parent)
        {
            self.parents(parent, name, layer)?;
            self.parent = parent.to_vec();
        }
        let what = match given {
            Given::Directory => What::Directory,
            Given::File => What::File,
            Given::Symlink => What::Symlink,
        };
        match self.seen.entry(key(Sha256::new_with_prefix(name.bytes()))) {
            Entry::Vacant(place) => {
                place.insert(Seen { layer, what });
                Ok(true)
            }
            Entry::Occupied(mut place) => match (place.get().what, what) {
                (What::Directory, What::Directory) => Ok(false),
                (What::Unlisted, What::Directory) => {
                    place.get_mut().what = What::Directory;
                    Ok(true)
                }
                (found, _) => Err(Clash {
                    name: name.to_string(),
                    below: None,
                    first: place.get().layer as usize,
                    directory: !found.is_other(),
                }),
            },
        }
    }

    /// Whether a layer may link to `target`: to a file that it gave before itself. Engines unpack each layer alone, so
    /// that what another one has is not there.
    pub(super) fn may_link_to(&self, target: &EntryName, layer: usize) -> Result<(), HardLinkProblem> {
        match self.seen.get(&key(Sha256::new_with_prefix(target.bytes()))) {
            Some(seen) if seen.what == What::File && seen.layer == layer_number(layer) => Ok(()),
            None | Some(Seen { what: What::File, .. }) => Err(HardLinkProblem::Missing),
            Some(_) => Err(HardLinkProblem::NotFile),
        }
    }

    /// Notes that `parent` and all above it are directories.
    fn parents(&mut self, parent: &[u8], entry: &EntryName, layer: u32) -> Result<(), Clash> {
        let mut hash = Sha256::new();
        let mut start = 0;
        let ends = memchr::memchr_iter(b'/', parent).chain([parent.len()]).collect::<Vec<_>>();
        for end in ends {
            hash.update(&parent[start..end]);
            start = end;
            match self.seen.entry(key(hash.clone())) {
                Entry::Vacant(place) => {
                    place.insert(Seen { layer, what: What::Unlisted });
                }
                Entry::Occupied(place) if place.get().what.is_other() => {
                    return Err(Clash {
                        name: printable(&parent[..end]),
                        below: Some(entry.to_string()),
                        first: place.get().layer as usize,
                        directory: false,
                    });
                }
                Entry::Occupied(_) => {}
            }
        }
        Ok(())
    }
}

fn layer_number(layer: usize) -> u32 {
    u32::try_from(layer).unwrap_or(u32::MAX)
}

fn key(hash: Sha256) -> Key {
    let digest: [u8; 32] = hash.finalize().into();
    let mut key = Key::default();
    key.copy_from_slice(&digest[..16]);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(names: &mut Names, name: &str, layer: usize, directory: bool) -> Result<bool, (String, usize)> {
        let name = EntryName::parse(name.as_bytes()).unwrap();
        let given = if directory { Given::Directory } else { Given::File };
        names.add(&name, layer, given).map_err(|clash| (clash.name, clash.first))
    }

    #[test]
    fn directories_may_come_again_and_files_may_not() {
        let mut names = Names::default();
        assert_eq!(add(&mut names, "opt", 0, true), Ok(true));
        assert_eq!(add(&mut names, "opt/a", 0, true), Ok(true));
        assert_eq!(add(&mut names, "opt/a/f", 0, false), Ok(true));
        assert_eq!(add(&mut names, "opt", 1, true), Ok(false));
        assert_eq!(add(&mut names, "opt/a/f", 1, false), Err(("opt/a/f".into(), 0)));
        assert_eq!(add(&mut names, "opt/a/f", 1, true), Err(("opt/a/f".into(), 0)));
        assert_eq!(add(&mut names, "opt/a", 2, false), Err(("opt/a".into(), 0)));
    }

    #[test]
    fn a_directory_that_is_not_listed_is_one_all_the_same() {
        let mut names = Names::default();
        assert_eq!(add(&mut names, "a/b/c/f", 0, false), Ok(true));
        assert_eq!(add(&mut names, "a/b", 1, false), Err(("a/b".into(), 0)));
        assert_eq!(add(&mut names, "a/b", 1, true), Ok(true), "it was never listed");
        assert_eq!(add(&mut names, "a/b", 2, true), Ok(false));
        assert_eq!(add(&mut names, "a/b/c/f/x", 2, false), Err(("a/b/c/f".into(), 0)));
        assert_eq!(add(&mut names, "a/b/c/f/x/y/z", 3, true), Err(("a/b/c/f".into(), 0)));
    }
}
