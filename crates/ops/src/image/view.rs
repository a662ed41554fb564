//! A view: one directory with links to what the prefixes of several roots have in `bin`, `lib`, `share`, ….
//!
//! Directories are real ones, so that several roots can have files in one; everything else is a link to the file of the
//! root that has it. Of what several roots have, the first one's counts: a file hides files and whole directories of later
//! roots, a directory hides their files.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use crate::image::ImageError;
use strata_layer::links::LinkEntry;

use crate::error::Error;

/// What is at a path below a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A directory.
    Directory,
    /// Anything else.
    Other,
}

/// The files of one root.
#[derive(Debug)]
pub(crate) struct Tree {
    /// Label of the package, for messages.
    pub(crate) label: String,
    /// Its prefix.
    pub(crate) prefix: PathBuf,
    /// What is below, as bytes relative to the prefix; `.spack` is left out of the view whether it is here or not.
    pub(crate) paths: Vec<(Vec<u8>, Kind)>,
}

/// A view, planned.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// Directories and links, parents first, the view's own parents included.
    pub(crate) entries: Vec<LinkEntry>,
    /// What several roots have: path, the label of the root whose file is linked, and of the one that is hidden. A hidden
    /// directory is named once, for all that is in it.
    pub(crate) hidden: Vec<(String, String, String)>,
}

/// Merges `trees` below `root`; of what several have, the first one's is linked. The order of a tree's paths does not
/// matter, and directories need not be listed.
///
/// # Errors
/// [`ImageError::ViewRoot`](crate::image::ImageError::ViewRoot) if there can be no view at `root`.
pub(crate) fn merge(root: &Path, trees: &[Tree]) -> Result<View, Error> {
    let refused = |reason: String| Error::Image(ImageError::ViewRoot { root: root.to_owned(), reason });
    let name = name_of(root).map_err(|reason| refused(reason.to_owned()))?;
    if let Some(tree) = trees.iter().find(|tree| root.starts_with(&tree.prefix)) {
        return Err(refused(format!("that is in {}, the prefix of {}", tree.prefix.display(), tree.label)));
    }

    let mut merger = Merger::default();
    for number in 0..trees.len() {
        merger.tree(trees, number);
    }

    let mut view = View { entries: Vec::new(), hidden: merger.hidden };
    for end in memchr::memchr_iter(b'/', &name).chain([name.len()]) {
        view.entries.push(LinkEntry::Directory(name[..end].to_vec()));
    }
    for (path, place) in &merger.places {
        let name = [&name[..], b"/", path].concat();
        view.entries.push(match place.kind {
            Kind::Directory => LinkEntry::Directory(name),
            Kind::Other => {
                let absolute = Path::new("/").join(Path::new(std::ffi::OsStr::from_bytes(&name)));
                if let Some(covered) = trees.iter().find(|tree| tree.prefix.starts_with(&absolute)) {
                    let link = absolute.display();
                    return Err(refused(format!("its {link} would hide the prefix of {}", covered.label)));
                }
                let target = [trees[place.tree].prefix.as_os_str().as_bytes(), b"/", path].concat();
                LinkEntry::Link { name, target }
            }
        });
    }
    Ok(view)
}

/// Whether there can be a view at `root`, as far as its name tells.
///
/// # Errors
/// [`ImageError::ViewRoot`](crate::image::ImageError::ViewRoot).
pub(crate) fn check(root: &Path) -> Result<(), Error> {
    let refused = |reason: &str| {
        Error::Image(ImageError::ViewRoot { root: root.to_owned(), reason: reason.to_owned() })
    };
    name_of(root).map(drop).map_err(refused)
}

/// Where a container has something else, or everybody may write: a layer with the directory would take that away.
const NOT_THE_IMAGES: [&str; 8] = ["dev", "proc", "run", "sys", "tmp", "var/lock", "var/run", "var/tmp"];

/// What is a symbolic link at the root of most distributions.
const LINKS_OF_BASES: [&[u8]; 6] = [b"bin", b"sbin", b"lib", b"lib32", b"lib64", b"libx32"];

/// The view's own name in a layer, or why there can be none.
fn name_of(root: &Path) -> Result<Vec<u8>, &'static str> {
    if !root.is_absolute() {
        return Err("the directory of a view is an absolute path");
    }
    let mut name = Vec::new();
    for component in root.components() {
        match component {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(part) => {
                if !name.is_empty() {
                    name.push(b'/');
                }
                name.extend_from_slice(part.as_bytes());
            }
            _ => return Err("the directory of a view is a path without `..`"),
        }
    }
    if name.is_empty() {
        return Err("that is the root directory, whose bin and lib are the base image's");
    }
    if LINKS_OF_BASES.contains(&name.split(|byte| *byte == b'/').next().unwrap_or_default()) {
        return Err(
            "its first directory is a link to one in /usr in most images, which a layer would replace",
        );
    }
    if NOT_THE_IMAGES.iter().any(|directory| root.starts_with(Path::new("/").join(directory))) {
        return Err("containers have something else there, or it is for everybody to write to");
    }
    if name.contains(&0) {
        return Err("a path has no NUL byte");
    }
    Ok(name)
}

/// What is at a path of the view, and whose it is.
struct Place {
    kind: Kind,
    tree: usize,
}

#[derive(Default)]
struct Merger {
    places: BTreeMap<Vec<u8>, Place>,
    hidden: Vec<(String, String, String)>,
}

impl Merger {
    fn tree(&mut self, trees: &[Tree], number: usize) {
        let mut paths: Vec<(&[u8], Kind)> =
            trees[number].paths.iter().map(|(path, kind)| (&path[..], *kind)).collect();
        // A directory comes before what is in it, and what is listed as both is one.
        paths.sort_by_key(|(path, kind)| (*path, *kind == Kind::Other));
        let mut hidden_directories: HashSet<&[u8]> = HashSet::new();
        for (path, kind) in paths {
            if path.is_empty() || path == b".spack" || path.starts_with(b".spack/") {
                continue;
            }
            // The directories above it, which may not be listed, and itself.
            for end in memchr::memchr_iter(b'/', path).chain([path.len()]) {
                let (path, kind) = (&path[..end], if end == path.len() { kind } else { Kind::Directory });
                if hidden_directories.contains(path) {
                    break;
                }
                if let Some(owner) = self.put(path, kind, number) {
                    if kind == Kind::Directory {
                        hidden_directories.insert(path);
                    }
                    self.hidden.push((
                        String::from_utf8_lossy(path).into_owned(),
                        trees[owner].label.clone(),
                        trees[number].label.clone(),
                    ));
                    break;
                }
            }
        }
    }

    /// Puts something at a path, unless it is hidden by another tree's, which is given then.
    fn put(&mut self, path: &[u8], kind: Kind, tree: usize) -> Option<usize> {
        match self.places.entry(path.to_vec()) {
            Entry::Vacant(vacant) => {
                vacant.insert(Place { kind, tree });
                None
            }
            Entry::Occupied(mut found) => {
                let found = found.get_mut();
                if found.tree == tree {
                    // What has something in it is a directory, whatever it is listed as.
                    if kind == Kind::Directory {
                        found.kind = kind;
                    }
                    return None;
                }
                (found.kind != Kind::Directory || kind != Kind::Directory).then_some(found.tree)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(label: &str, paths: &[&str]) -> Tree {
        let paths = paths.iter().map(|path| match path.strip_suffix('/') {
            Some(directory) => (directory.into(), Kind::Directory),
            None => ((*path).into(), Kind::Other),
        });
        Tree { label: label.into(), prefix: format!("/opt/{label}").into(), paths: paths.collect() }
    }

    /// The entries as text: directories end in a slash, links show their target.
    fn shown(view: &View) -> Vec<String> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let entries = view.entries.iter().map(|entry| match entry {
            LinkEntry::Directory(name) => format!("{}/", text(name)),
            LinkEntry::Link { name, target } => format!("{} -> {}", text(name), text(target)),
        });
        entries.collect()
    }

    fn hidden(view: &View) -> Vec<[&str; 3]> {
        view.hidden.iter().map(|(path, by, whose)| [&path[..], by, whose]).collect()
    }

    #[test]
    fn directories_are_merged_and_files_linked() {
        let trees = [
            tree("a", &["bin/", "bin/x", "share/man/man1/x.1", ".spack/", ".spack/spec.json"]),
            tree("b", &["etc/", "bin/", "bin/y", ".spack", "bin/.spack"]),
        ];
        let view = merge(Path::new("/opt//./view/"), &trees).unwrap();
        assert_eq!(
            shown(&view),
            [
                "opt/",
                "opt/view/",
                "opt/view/bin/",
                "opt/view/bin/.spack -> /opt/b/bin/.spack",
                "opt/view/bin/x -> /opt/a/bin/x",
                "opt/view/bin/y -> /opt/b/bin/y",
                "opt/view/etc/",
                "opt/view/share/",
                "opt/view/share/man/",
                "opt/view/share/man/man1/",
                "opt/view/share/man/man1/x.1 -> /opt/a/share/man/man1/x.1",
            ]
        );
        assert!(view.hidden.is_empty());
    }

    #[test]
    fn the_first_root_has_what_several_have_and_that_is_told_once() {
        let a = tree("a", &["bin/", "bin/x", "lib", "share/", "share/doc/", "lib-y"]);
        let b = tree("b", &["bin/x", "lib/", "lib/z", "lib-y/q", "lib/sub/", "lib/sub/z", "share/doc"]);
        let view = merge(Path::new("/v"), &[a, b]).unwrap();
        assert_eq!(
            shown(&view),
            [
                "v/",
                "v/bin/",
                "v/bin/x -> /opt/a/bin/x",
                "v/lib -> /opt/a/lib",
                "v/lib-y -> /opt/a/lib-y",
                "v/share/",
                "v/share/doc/"
            ]
        );
        assert_eq!(
            hidden(&view),
            [["bin/x", "a", "b"], ["lib", "a", "b"], ["lib-y", "a", "b"], ["share/doc", "a", "b"]]
        );
    }

    #[test]
    fn the_order_in_which_a_tree_is_listed_does_not_matter() {
        let paths = ["lib/", "lib/a", "lib/sub/", "lib/sub/b", "bin/x", "lib-c", "lib.d/e"];
        let other = || tree("b", &["lib", "bin/x", "lib.d/"]);
        let expected = merge(Path::new("/v"), &[tree("a", &paths), other()]).unwrap();
        let swapped = merge(Path::new("/v"), &[other(), tree("a", &paths)]).unwrap();
        for turn in 0..paths.len() {
            let mut turned = paths;
            turned.rotate_left(turn);
            turned[..4].reverse();
            assert_eq!(merge(Path::new("/v"), &[tree("a", &turned), other()]).unwrap(), expected);
            assert_eq!(merge(Path::new("/v"), &[other(), tree("a", &turned)]).unwrap(), swapped);
        }
        assert_eq!(hidden(&swapped), [["bin/x", "b", "a"], ["lib", "b", "a"]]);
    }

    #[test]
    fn what_has_something_in_it_is_a_directory() {
        let view = merge(Path::new("/v"), &[tree("a", &["x", "x/y", "x/y/z"])]).unwrap();
        assert_eq!(shown(&view), ["v/", "v/x/", "v/x/y/", "v/x/y/z -> /opt/a/x/y/z"]);
    }

    #[test]
    fn a_view_is_not_made_where_it_would_do_harm() {
        let trees = [tree("a", &["bin/x", "a", "store"])];
        for (root, words) in [
            ("view", "absolute"),
            ("", "absolute"),
            ("/", "root directory"),
            ("//.", "root directory"),
            ("/opt/../etc", "`..`"),
            ("/lib/view", "a link to one in /usr"),
            ("/bin", "a link to one in /usr"),
            ("/tmp/view", "for everybody"),
            ("/var//tmp", "for everybody"),
            ("/proc", "containers have"),
            ("/opt/a", "the prefix of a"),
            ("/opt//a/view", "the prefix of a"),
            ("/opt", "its /opt/a would hide the prefix of a"),
        ] {
            let error = merge(Path::new(root), &trees).unwrap_err().to_string();
            assert!(error.contains(words) && error.contains(&format!("at {root}: ")), "{root}: {error}");
        }
        for root in ["/opt/ab", "/usr/local", "/library", "/usr/lib/view", "/tmpfiles", "/var/view"] {
            assert!(merge(Path::new(root), &trees).is_ok(), "{root}");
        }
    }

    #[test]
    fn nothing_gives_an_empty_view() {
        assert_eq!(shown(&merge(Path::new("/v"), &[]).unwrap()), ["v/"]);
    }
}
