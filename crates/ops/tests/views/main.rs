//! Views of an environment: the same as Spack's, entry by entry.

#![allow(clippy::unwrap_used)]

mod handmade;
mod recorded;

use handmade::Handmade;
use recorded::{Case, Line, cases, described};
use std::collections::{BTreeMap, HashMap};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use strata_config::{Asked, Configuration, Surroundings, ViewDescriptor, ViewLinkType};
use strata_ops::Silent;
use strata_ops::environment::view::{ViewSource, ViewSummary, content_hash, regenerate};
use strata_spec::{DagHash, Database};
use strata_testkit::golden;

/// A store to make views of.
struct Store {
    root: PathBuf,
    database: Database,
}

impl Store {
    /// The first listed one that has all of `roots`.
    fn with(roots: &[DagHash]) -> Option<Self> {
        golden::stores().into_iter().find_map(|root| {
            let text = std::fs::read_to_string(root.join(".spack-db/index.json")).unwrap();
            let database = Database::parse(&text).unwrap();
            let has_all = roots.iter().all(|root| database.records.get(root).is_some_and(|r| r.installed));
            has_all.then_some(Self { root, database })
        })
    }

    /// A copy of it in `directory`: hard links to a store that others use would change it.
    fn copied(&self, directory: &Path) -> Self {
        let root = directory.join("store");
        assert!(Command::new("cp").arg("-a").arg(&self.root).arg(&root).status().unwrap().success());
        let mut database = self.database.clone();
        for record in database.records.values_mut() {
            let below = record.path.as_deref().and_then(|path| Path::new(path).strip_prefix(&self.root).ok());
            if let Some(below) = below.map(|below| root.join(below)) {
                record.path = Some(below.to_str().unwrap().to_owned());
            }
        }
        Self { root, database }
    }

    fn views(&self, roots: &[DagHash], views: &[ViewDescriptor]) -> Vec<ViewSummary> {
        let installed =
            ViewSource { nodes: &self.database, databases: &[&self.database], store_root: &self.root };
        regenerate(roots, installed, views, &Silent).unwrap()
    }
}

/// The views of an environment in `directory` with that manifest.
fn described_by(directory: &Path, manifest: &str) -> Vec<ViewDescriptor> {
    std::fs::create_dir_all(directory).unwrap();
    std::fs::write(directory.join("spack.yaml"), manifest).unwrap();
    let asked = Asked { environment: Some(("e".to_owned(), directory.to_owned())), ..Asked::default() };
    let surroundings = Surroundings {
        home: directory.to_owned(),
        variables: HashMap::from([("SPACK_DISABLE_LOCAL_CONFIG".to_owned(), "1".to_owned())]),
        ..Surroundings::default()
    };
    ViewDescriptor::all(&Configuration::load(surroundings, &asked).unwrap()).unwrap()
}

/// An environment with a manifest, in a directory whose path is as long as that of the recorded one: strings that are cut
/// short keep as much of their old end.
fn environment(below: &Path, case: &Case) -> (PathBuf, Vec<ViewDescriptor>) {
    let mut path = below.join("e").into_os_string().into_string().unwrap();
    assert!(path.len() <= recorded_length(), "the directory for temporary files has too long a name");
    path.extend(std::iter::repeat_n('-', recorded_length() - path.len()));
    let path = PathBuf::from(path);
    let views = described_by(&path, &case.manifest);
    (path, views)
}

/// In bytes.
fn recorded_length() -> usize {
    80
}

fn lines_by_path(lines: Vec<Line>) -> BTreeMap<String, Line> {
    lines.into_iter().map(|line| (line.path.clone(), line)).collect()
}

/// Every entry of every recorded view is in ours, of the same type, with the same target, permissions and content; and there
/// is nothing else. Their hashes are the same, so that Spack takes ours for its own.
///
/// Copies differ where Spack's are broken: byte-code, descriptions of terminals and libraries of objects, in which it changes
/// the length of paths. There ours are the package's own files.
#[test]
fn views_are_those_of_spack() {
    let mut compared = 0;
    for case in cases() {
        let Some(mut store) = Store::with(&case.roots) else { continue };
        let temporary = tempfile::tempdir().unwrap();
        let (environment, views) = environment(temporary.path(), &case);
        let is_recorded_store = store.root == case.store;
        let is_hard = views[0].link_type == ViewLinkType::Hardlink;
        if is_hard {
            store = store.copied(temporary.path());
        }
        let summary = store.views(&case.roots, &views).remove(0);
        assert!(summary.changed);
        if is_recorded_store && !is_hard {
            assert_eq!(summary.tree.file_name().unwrap().to_str(), Some(&*case.hash), "{}", case.name);
            let link = std::fs::read_link(&summary.root).unwrap();
            let link = link.to_str().unwrap().replace(environment.to_str().unwrap(), "$ENVIRONMENT");
            assert_eq!(link, case.link, "{}", case.name);
        }
        let ours = lines_by_path(described(&summary.tree, &store.root, is_hard));
        let mut expected = lines_by_path(case.lines);
        let mut broken = Vec::new();
        for (path, line) in &mut expected {
            let Some(our) = ours.get(path) else { panic!("{}: {path} is missing", case.name) };
            if our.sha256 != line.sha256 && is_broken_by_spack(&summary.tree.join(path)) {
                broken.push(path.clone());
                line.sha256.clone_from(&our.sha256);
            }
            assert_eq!(our, line, "{}: {path}", case.name);
        }
        let more: Vec<&String> = ours.keys().filter(|path| !expected.contains_key(*path)).collect();
        assert!(more.is_empty(), "{}: {more:?}", case.name);
        assert!(broken.is_empty() || views[0].link_type == ViewLinkType::Copy, "{}: {broken:?}", case.name);
        // Those are the package's own files, byte by byte: what a view of links leads to.
        if !broken.is_empty() {
            let root = temporary.path().join("links");
            let links = ViewDescriptor { root, link_type: ViewLinkType::Symlink, ..views[0].clone() };
            let links = store.views(&case.roots, &[links]).remove(0);
            for path in &broken {
                let [ours, own] =
                    [&summary.tree, &links.tree].map(|tree| std::fs::read(tree.join(path)).unwrap());
                assert!(links.tree.join(path).is_symlink() && ours == own, "{}: {path}", case.name);
            }
        }
        println!(
            "{}: {} entries, {} of them whole where Spack's are broken",
            case.name,
            ours.len(),
            broken.len()
        );
        // There is nothing left to do.
        assert!(!store.views(&case.roots, &views)[0].changed);
        compared += 1;
    }
    if compared == 0 {
        golden::skipped(
            "views_are_those_of_spack",
            "STRATA_STORES lists no store with the packages of these views",
        );
    }
}

/// Whether a file is data in which paths cannot change their length, and no text: Spack replaces them all the same.
fn is_broken_by_spack(path: &Path) -> bool {
    let content = std::fs::read(path).unwrap();
    let is_bytecode = path.extension().is_some_and(|extension| extension == "pyc");
    let is_terminal = path.components().any(|part| part.as_os_str() == "terminfo");
    (is_bytecode || is_terminal || content.starts_with(b"!<arch>\n")) && content.contains(&0)
}

/// The programs of the store run from every kind of view.
#[test]
fn programs_run_from_views() {
    let mut ran = 0;
    for case in cases().into_iter().filter(|case| ["symlink", "hardlink", "copy"].contains(&&*case.name)) {
        let Some(mut store) = Store::with(&case.roots) else { continue };
        let temporary = tempfile::tempdir().unwrap();
        let (_, views) = environment(temporary.path(), &case);
        if views[0].link_type == ViewLinkType::Hardlink {
            let root = store.root.clone();
            if std::fs::metadata(&root).unwrap().dev() != std::fs::metadata(temporary.path()).unwrap().dev() {
                continue;
            }
            store = store.copied(temporary.path());
        }
        let summary = store.views(&case.roots, &views).remove(0);
        let run = |program: &str, arguments: &[&str]| {
            let output = Command::new(summary.root.join("bin").join(program))
                .args(arguments)
                .env_clear()
                .env("PYTHONDONTWRITEBYTECODE", "1")
                .output()
                .unwrap();
            assert!(output.status.success(), "{}: {program}: {output:?}", case.name);
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let prefix = run("python3", &["-c", "import ssl, ctypes, lzma, sys; print(sys.prefix)"]);
        assert!(
            Path::new(prefix.trim()).starts_with(summary.root.parent().unwrap()),
            "{}: python is not that of the view but of {prefix}",
            case.name
        );
        assert!(run("vim", &["--version"]).contains("VIM"));
        assert!(run("curl", &["--version"]).contains("curl"));
        ran += 1;
    }
    if ran == 0 {
        golden::skipped(
            "programs_run_from_views",
            "STRATA_STORES lists no store with the packages of these views",
        );
    }
}

/// Extensions of Python, links to directories, files that several packages have, runtimes, externals: all in the views of
/// hand-made packages is what Spack makes of it, but for libraries of objects, which Spack's copies break.
#[test]
fn views_of_handmade_packages_are_those_of_spack() {
    let handmade = Handmade::new();
    for (number, case) in handmade.cases.iter().enumerate() {
        let views = described_by(&handmade.base.join(format!("environment-{number}")), &case.manifest);
        let installed =
            |database| ViewSource { nodes: database, databases: &[], store_root: &handmade.store };
        let here = ViewSource { databases: &[&handmade.database], ..installed(&handmade.database) };
        let summary = regenerate(&case.roots, here, &views, &Silent).unwrap().remove(0);
        let mut expected = case.entries.clone();
        if case.name.starts_with("cop") {
            let root = handmade.base.join(format!("links-{number}"));
            let links = ViewDescriptor { root, link_type: ViewLinkType::Symlink, ..views[0].clone() };
            let links = regenerate(&case.roots, here, &[links], &Silent).unwrap().remove(0);
            for (path, row) in expected.iter_mut().filter(|(path, _)| path.ends_with(".a")) {
                let whole = std::fs::read_to_string(summary.tree.join(path)).unwrap();
                assert_eq!(whole, std::fs::read_to_string(links.tree.join(path)).unwrap(), "{path}");
                let whole = whole.replace(handmade.store.to_str().unwrap(), "$STORE");
                assert_ne!(row["content"], whole.as_str());
                row["content"] = whole.into();
            }
        }
        let ours = handmade.entries(&summary.tree);
        for (path, row) in &expected {
            assert_eq!(ours.get(path), Some(row), "{}: {path}", case.name);
        }
        let more: Vec<&String> = ours.keys().filter(|path| !expected.contains_key(*path)).collect();
        assert!(more.is_empty(), "{}: {more:?}", case.name);
        assert!(!regenerate(&case.roots, here, &views, &Silent).unwrap()[0].changed);
    }
}

/// The hash that stands for a view is Spack's: it depends on where packages are, so that the store is one that is not here.
#[test]
fn hashes_of_views_are_those_of_spack() {
    let handmade = Handmade::new();
    let database = &handmade.recorded_database;
    for case in &handmade.cases {
        let directory = tempfile::tempdir().unwrap();
        let views = described_by(directory.path(), &case.manifest);
        let there = ViewSource { nodes: database, databases: &[database], store_root: &handmade.store };
        assert_eq!(content_hash(&case.roots, there, &views[0]).unwrap(), case.hash, "{}", case.name);
    }
}
