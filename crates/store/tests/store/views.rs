//! Views on disk: what goes together, and how one view takes the place of another.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use strata_store::ViewError;
use strata_store::view::{Merged, Merger, ViewPlace};

/// A prefix with these files in it; `x -> y` is a link, `x/` a directory.
fn prefix(below: &Path, name: &str, files: &[&str]) -> PathBuf {
    let prefix = below.join(name);
    fs::create_dir_all(&prefix).unwrap();
    for file in files {
        let (path, target) =
            file.split_once(" -> ").map_or((*file, None), |(path, target)| (path, Some(target)));
        let at = prefix.join(path);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        match target {
            Some(target) => symlink(target, &at).unwrap(),
            None if path.ends_with('/') => fs::create_dir_all(&at).unwrap(),
            None => fs::write(&at, name).unwrap(),
        }
    }
    prefix
}

fn merged(prefixes: &[&PathBuf]) -> Result<Merged, ViewError> {
    let mut merger = Merger::default();
    for (number, prefix) in prefixes.iter().enumerate() {
        merger.add(number, prefix, Path::new("")).unwrap();
    }
    merger.finish(Path::new("/the/view"))
}

/// `path` and the number of the package whose file it is.
fn files(merged: &Merged) -> Vec<(String, usize)> {
    merged.files.iter().map(|file| (file.path.to_str().unwrap().to_owned(), file.package)).collect()
}

#[test]
fn of_files_of_one_name_the_first_is_shown_and_the_other_is_told() {
    let below = tempfile::tempdir().unwrap();
    let a = prefix(below.path(), "a", &["share/readme", "bin/a"]);
    let b = prefix(below.path(), "b", &["share/readme", "share/b", ".spack/spec.json"]);
    let merged = merged(&[&a, &b]).unwrap();
    let expected = [("bin/a", 0), ("share/b", 1), ("share/readme", 0)];
    assert_eq!(files(&merged), expected.map(|(path, package)| (path.to_owned(), package)));
    assert_eq!(merged.directories, ["bin", "share"].map(PathBuf::from));
    let [conflict] = &merged.conflicts[..] else { panic!("{:?}", merged.conflicts) };
    assert_eq!((&conflict.first, &conflict.second), (&a.join("share/readme"), &b.join("share/readme")));
}

#[test]
fn a_file_in_the_place_of_a_directory_is_an_error_that_names_both() {
    let below = tempfile::tempdir().unwrap();
    let a = prefix(below.path(), "a", &["share/x/y", "etc"]);
    let b = prefix(below.path(), "b", &["share/x", "etc/b"]);
    for (first, second) in [(&a, &b), (&b, &a)] {
        let error = merged(&[first, second]).unwrap_err();
        let ViewError::Blocked { conflicts, .. } = &error else { panic!("{error}") };
        assert_eq!(conflicts.len(), 2, "all of them");
        let text = error.to_string();
        for prefix in [first, second] {
            assert!(text.contains(prefix.join("share/x").to_str().unwrap()), "{text}");
        }
    }
}

#[test]
fn a_link_to_a_directory_counts_as_one_if_it_leads_further_down() {
    let below = tempfile::tempdir().unwrap();
    let a =
        prefix(below.path(), "a", &["lib/libx.so", "lib64 -> lib", "lib/self -> .", "share/up -> ../lib"]);
    let b = prefix(below.path(), "b", &["lib64/liby.so"]);
    let merged = merged(&[&a, &b]).unwrap();
    let shown: Vec<String> = files(&merged).into_iter().map(|(path, _)| path).collect();
    assert!(
        shown.contains(&"lib64/libx.so".to_owned()) && shown.contains(&"lib64/liby.so".to_owned()),
        "{shown:?}"
    );
    assert!(shown.contains(&"share/up".to_owned()), "leads elsewhere: {shown:?}");
    assert!(shown.len() < 12, "links that lead in circles end: {shown:?}");
}

/// Fills a view with one file, and puts it in its place.
fn make(place: &ViewPlace, hash: &str) -> Result<(), ViewError> {
    let new = place.begin(hash, || ())?;
    fs::write(new.path().join("file"), hash).unwrap();
    new.finish()
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_view_takes_the_place_of_the_one_before() {
    let below = tempfile::tempdir().unwrap();
    let root = below.path().join("view");
    let place = ViewPlace::new(&root).unwrap();
    assert!(!place.has("one").unwrap());
    fs::create_dir(&root).unwrap();
    for hash in ["one", "two", "one"] {
        make(&place, hash).unwrap();
        assert!(place.has(hash).unwrap());
        assert_eq!(fs::read_to_string(root.join("file")).unwrap(), hash);
        assert_eq!(fs::read_link(&root).unwrap(), below.path().join("._view").join(hash));
        assert_eq!(names(&below.path().join("._view")), [hash]);
    }
    assert!(place.remove().unwrap());
    assert!(names(below.path()).is_empty());
    assert!(!place.remove().unwrap());
}

#[test]
fn what_a_killed_process_left_is_in_nobodys_way() {
    let below = tempfile::tempdir().unwrap();
    let place = ViewPlace::new(&below.path().join("view")).unwrap();
    make(&place, "one").unwrap();
    let trees = below.path().join("._view");
    fs::create_dir_all(trees.join(".strata-new-1/bin")).unwrap();
    symlink("nowhere", trees.join(".strata-link-1")).unwrap();
    fs::create_dir(trees.join("two")).unwrap();
    fs::write(trees.join("two/part"), "").unwrap();
    // One that gives up leaves nothing, and the view is as it was.
    drop(place.begin("three", || ()).unwrap());
    assert!(place.has("one").unwrap());
    assert_eq!(names(&trees), ["one", "two"]);
    make(&place, "two").unwrap();
    assert_eq!((names(&trees), names(&trees.join("two"))), (vec!["two".to_owned()], vec!["file".to_owned()]));
}

#[test]
fn what_is_no_view_is_left_alone() {
    let below = tempfile::tempdir().unwrap();
    let root = below.path().join("view");
    let place = ViewPlace::new(&root).unwrap();
    fs::create_dir(&root).unwrap();
    fs::write(root.join("precious"), "").unwrap();
    assert!(matches!(make(&place, "one"), Err(ViewError::Foreign { .. })));
    assert!(root.join("precious").exists());
    fs::remove_dir_all(&root).unwrap();
    fs::write(&root, "precious").unwrap();
    assert!(matches!(make(&place, "one"), Err(ViewError::Foreign { .. })));
    assert_eq!(fs::read_to_string(&root).unwrap(), "precious");
    // A link of the user's is replaced, and where it led stays.
    fs::remove_file(&root).unwrap();
    let elsewhere = below.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("precious"), "").unwrap();
    symlink(&elsewhere, &root).unwrap();
    make(&place, "one").unwrap();
    assert!(place.has("one").unwrap() && elsewhere.join("precious").exists());
    assert!(ViewPlace::new(Path::new("/")).is_err());
}

#[test]
fn processes_wait_for_each_other() {
    let below = tempfile::tempdir().unwrap();
    let place = ViewPlace::new(&below.path().join("view")).unwrap();
    let first = place.begin("one", || panic!("nobody else is there")).unwrap();
    let waits = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let second = scope.spawn(|| {
            let new = place.begin("two", || waits.0.send(()).unwrap()).unwrap();
            new.finish().unwrap();
        });
        waits.1.recv().unwrap();
        first.finish().unwrap();
        assert!(place.has("one").unwrap() || place.has("two").unwrap());
        second.join().unwrap();
    });
    assert!(place.has("two").unwrap());
}
