//! What a real Spack computes, for whatever packages its store has: `STRATA_SPACK` names its executable.

use super::super::*;
use super::Dice;
use std::path::PathBuf;
use strata_config::PrefixInspections;
use strata_testkit::golden;

/// A Spack to compare with, and the database of its store. `STRATA_SPACK` names its executable.
fn spack(test: &str) -> Option<(PathBuf, Database)> {
    let Some(spack) = std::env::var_os("STRATA_SPACK").map(PathBuf::from) else {
        golden::skipped(test, "STRATA_SPACK names no Spack");
        return None;
    };
    let print = "import spack.store; print('root=' + str(spack.store.STORE.root))";
    let output = std::process::Command::new(&spack).args(["python", "-c", print]).output().unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    let root = output.lines().find_map(|line| line.strip_prefix("root=")).expect("the root of its store");
    let database = std::fs::read_to_string(Path::new(root).join(".spack-db/index.json")).unwrap();
    Some((spack, Database::parse(&database).unwrap()))
}

/// Packages of a store that lie somewhere.
fn packages(database: &Database) -> Vec<DagHash> {
    let records = database.records.values().filter(|record| record.installed && !record.node.is_external());
    records.map(|record| record.node.hash.clone()).collect()
}

/// Asks Spack about several images.
fn asked(spack: &Path, database: &Database, images: &[Vec<DagHash>], base: &Environment) -> Vec<Vec<String>> {
    let path = |hash: &DagHash| database.records[hash].path.as_deref().unwrap();
    let questions: Vec<spack::Question<'_>> = images
        .iter()
        .map(|roots| spack::Question {
            roots: roots.iter().map(|hash| (hash, path(hash))).collect(),
            env: base.iter().collect(),
        })
        .collect();
    let answers = spack::ask(spack, &questions).unwrap();
    answers.into_iter().map(|answer| answer.unwrap().to_entries()).collect()
}

/// What is computed is what a real Spack computes on this machine, for as many roots in any order: wherever recipes say
/// nothing it is the same, and where they do, each of our entries is in its list, in the same order.
#[test]
fn what_is_computed_is_what_spack_computes() {
    let Some((executable, database)) = spack("what_is_computed_is_what_spack_computes") else { return };
    let packages = packages(&database);
    let mut dice = Dice(4);
    let images: Vec<Vec<DagHash>> = (0..300).map(|_| dice.some(&packages)).collect();
    let roots: Vec<&[DagHash]> = images.iter().map(Vec::as_slice).collect();
    let mut base = Environment::of_base(None);
    base.set("ACLOCAL_PATH", "/base/aclocal");
    let (inspections, cached) = (Inspections::default(), HashMap::new());
    let mut installed = Installed {
        database: &database,
        inspections: &inspections,
        spack: None,
        cached: &cached,
        unopened: None,
    };
    let computed = of_installed(&installed, &roots, &base).unwrap();
    let expected = asked(&executable, &database, &images, &base);
    let (mut plain, mut more) = (0, 0);
    for ((told, expected), roots) in computed.iter().zip(&expected).zip(&images) {
        if told.unclear.is_empty() {
            plain += 1;
            assert_eq!(&told.environment.to_entries(), expected, "{roots:?}");
            continue;
        }
        more += 1;
        let spacks = Environment::of_entries(expected);
        for (name, value) in told.environment.iter() {
            let mut theirs = spacks.get(name).unwrap_or_else(|| panic!("{name} of {roots:?}")).split(':');
            let all = value.split(':').all(|entry| theirs.any(|their| their == entry));
            assert!(all, "{name} of {roots:?}:\n{value}\n{:?}", spacks.get(name));
        }
    }
    eprintln!("{plain} images without recipes that say more, {more} with");
    // With that Spack at hand, everything is known.
    installed.spack = Some(&executable);
    for (told, expected) in of_installed(&installed, &roots, &base).unwrap().iter().zip(&expected) {
        assert_eq!(&told.environment.to_entries(), expected);
        assert!(told.unclear.is_empty() && told.unknown.is_empty() && told.warnings.is_empty());
    }
}

/// The changes that a real Spack tells come to the environment that it computes itself, and what is found without asking it
/// is no different: for as many roots in any order, loaded into a shell that has something in its lists.
#[test]
fn what_is_loaded_is_what_spack_changes() {
    let Some((executable, database)) = spack("what_is_loaded_is_what_spack_changes") else { return };
    let packages = packages(&database);
    let mut dice = Dice(6);
    let images: Vec<Vec<DagHash>> = (0..60).map(|_| dice.some(&packages)).collect();
    let mut base = Environment::of_base(None);
    for (name, value) in
        [("PATH", "/mine/bin:/usr/bin:/bin"), ("ACLOCAL_PATH", "/mine/aclocal"), ("MANPATH", "/mine/man")]
    {
        base.set(name, value);
    }
    let before: Variables = base.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let comparable = |variables: &Variables| {
        let mut entries: Vec<String> =
            variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
        // The system's own manuals are for the shell, and not for an image.
        entries.iter_mut().filter(|entry| entry.starts_with("MANPATH=")).for_each(|entry| {
            entry.truncate(entry.trim_end_matches(':').len());
        });
        entries.sort();
        entries
    };
    let expected = asked(&executable, &database, &images, &base);
    let path = |hash: &DagHash| database.records[hash].path.as_deref().unwrap();
    let questions: Vec<spack::ChangesQuestion<'_>> = images
        .iter()
        .map(|roots| spack::ChangesQuestion { roots: roots.iter().map(|hash| (hash, path(hash))).collect() })
        .collect();
    let told = spack::ask_changes(&executable, &questions).unwrap();
    let (inspections, cached) = (Inspections::default(), HashMap::new());
    let installed = Installed {
        database: &database,
        inspections: &inspections,
        spack: Some(&executable),
        cached: &cached,
        unopened: None,
    };
    let groups: Vec<&[DagHash]> = images.iter().map(Vec::as_slice).collect();
    let loadings = loading(&installed, &groups).unwrap();
    for (((told, loading), expected), roots) in told.into_iter().zip(&loadings).zip(&expected).zip(&images) {
        let mut expected = expected.clone();
        expected.sort();
        let told = told.unwrap();
        assert!(!told.is_empty() && warnings(loading.told.as_slice()).is_empty());
        for modifications in [&told, &loading.modifications] {
            let mut after = before.clone();
            apply(modifications, &mut after);
            assert_eq!(comparable(&after), expected, "{roots:?}");
            let back: Vec<Modification> =
                modifications.iter().rev().filter_map(Modification::reversed).collect();
            apply(&back, &mut after);
            assert_eq!(comparable(&after), comparable(&before), "{roots:?} taken out");
        }
    }
}

/// What recipes say is taken from configs that Spack wrote: each package's own, and put together for several.
#[test]
fn what_recipes_say_is_taken_from_configs() {
    let Some((executable, database)) = spack("what_recipes_say_is_taken_from_configs") else { return };
    let packages = packages(&database);
    let bare = Environment::of_base(None);
    let each: Vec<Vec<DagHash>> = packages.iter().map(|hash| vec![hash.clone()]).collect();
    let envs = asked(&executable, &database, &each, &bare);
    let cached: HashMap<DagHash, Cached> = packages
        .iter()
        .cloned()
        .zip(envs)
        .map(|(hash, env)| (hash, Cached { env, has_base: false, unclear: Vec::new() }))
        .collect();
    let inspections = Inspections::default();
    let installed = Installed {
        database: &database,
        inspections: &inspections,
        spack: None,
        cached: &cached,
        unopened: None,
    };

    let mut based = Environment::of_base(None);
    for (name, value) in [("LANG", "C"), ("PATH", "/base/bin:/usr/bin"), ("MANPATH", "/base/man")] {
        based.set(name, value);
    }
    let mut dice = Dice(5);
    let several: Vec<Vec<DagHash>> = (0..150).map(|_| dice.some(&packages)).collect();
    for (images, base, what) in [
        (&each, &bare, "one root"),
        (&each, &based, "one root on a base"),
        (&several, &bare, "several roots"),
        (&several, &based, "several roots on a base"),
    ] {
        let expected = asked(&executable, &database, images, base);
        let roots: Vec<&[DagHash]> = images.iter().map(Vec::as_slice).collect();
        let told = of_installed(&installed, &roots, base).unwrap();
        let (mut same, mut put_together) = (0, 0);
        for ((told, expected), roots) in told.iter().zip(&expected).zip(images) {
            let ours = told.environment.to_entries();
            same += usize::from(&ours == expected);
            let cached = of_cached(&database, roots, &cached, base).unwrap().environment.to_entries();
            put_together += usize::from(&cached == expected);
            if roots.len() == 1 {
                assert_eq!(&ours, expected, "of_installed, {what}");
                assert_eq!(&cached, expected, "of_cached, {what}");
            }
            // Whatever the order, no entry is lost, and none is made up. How often a recipe puts the same directory into a
            // list for each of several dependents cannot be told from configs.
            assert_eq!(sorted(&ours), sorted(expected), "of_installed, {what}: {roots:?}");
            assert_eq!(sorted(&cached), sorted(expected), "of_cached, {what}: {roots:?}");
        }
        eprintln!("{what}: of {}, of_installed has {same} the same, of_cached {put_together}", images.len());
    }
}

/// Variables by name, the entries of each sorted and each once.
fn sorted(env: &[String]) -> Vec<String> {
    let mut env: Vec<String> = env
        .iter()
        .map(|entry| {
            let (name, value) = entry.split_once('=').unwrap();
            let mut values: Vec<&str> = value.split(':').collect();
            values.sort_unstable();
            values.dedup();
            format!("{name}={}", values.join(":"))
        })
        .collect();
    env.sort_unstable();
    env
}

/// Scopes are merged as Spack merges them.
#[test]
fn modules_yaml_is_read_as_spack_reads_it() {
    let Some((executable, _)) = spack("modules_yaml_is_read_as_spack_reads_it") else { return };
    for text in [
        "modules:\n  prefix_inspections:\n    lib: [LD_LIBRARY_PATH]\n    ./bin: [MY, PATH]\n    ./man::  [OTHER]\n",
        "modules:\n  prefix_inspections:\n    ./bin-:  [LAST]\n    ./share/man+: [FIRST]\n    a/../b/: [X, X]\n",
        "modules:\n  prefix_inspections::\n    bin: [PATH]\n    '': [ROOT]\n",
        "modules:\n  prefix_inspections:: {}\n",
        "modules::\n  default:\n    enable: []\n",
        "modules::\n  prefix_inspections:\n    bin: [PATH]\n",
        "modules: {}\n",
    ] {
        let scope = tempfile::tempdir().unwrap();
        let file = scope.path().join("modules.yaml");
        std::fs::write(&file, text).unwrap();
        let print = "import json, spack.user_environment as u; print('is=' + json.dumps(list(map(list, u.prefix_inspections('linux').items()))))";
        let output = std::process::Command::new(&executable)
            .arg("-C")
            .arg(scope.path())
            .args(["python", "-c", print])
            .output()
            .unwrap();
        let output = String::from_utf8(output.stdout).unwrap();
        let theirs = output.lines().find_map(|line| line.strip_prefix("is=")).expect(text);
        let theirs: Vec<(String, Vec<String>)> = serde_json::from_str(theirs).unwrap();
        let theirs = theirs
            .into_iter()
            .map(|(path, names)| (PathBuf::from(variables::normal(&path)), names))
            .collect();
        let ours = Inspections::from(&PrefixInspections::default().with_file(&file).unwrap());
        assert_eq!(ours, Inspections(theirs), "{text}");
    }
}

/// No recipe of Spack's whose class has one of the functions is taken for one that says nothing.
#[test]
fn recipes_say_more_where_spacks_classes_do() {
    let test = "recipes_say_more_where_spacks_classes_do";
    let Some((executable, _)) = spack(test) else { return };
    let print = r#"exec("""
import spack.repo
repo = spack.repo.PATH.get_repo('builtin')
for name in sorted(repo.all_package_names()):
    classes = [c for c in repo.get_pkg_class(name).__mro__ if c.__module__ != 'spack.package_base']
    has = [any(f in c.__dict__ for c in classes) for f in ('setup_run_environment', 'setup_dependent_run_environment')]
    if any(has):
        print('has', int(has[0]), int(has[1]), name, repo.filename_for_package_name(name))
""")"#;
    let output = std::process::Command::new(&executable).args(["python", "-c", print]).output().unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    let mut count = 0;
    for line in output.lines().filter_map(|line| line.strip_prefix("has ")) {
        let [run, dependent, name, file] = line.splitn(4, ' ').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        count += 1;
        let text = std::fs::read_to_string(file).unwrap();
        let recipe::Recipe::Known { run: finds_run, dependent: finds_dependent } =
            recipe::Recipe::read(&text)
        else {
            panic!("{name}")
        };
        assert!(finds_run || run == "0", "{name}");
        assert!(finds_dependent || dependent == "0", "{name}");
    }
    assert!(count > 300, "{count} packages have one of the functions");
}
