//! What is done to a shell's variables for a few packages of our own: never anything that only whoever built them has.

use super::super::*;
use super::sources::{Store, hash};

/// What `app` is loaded with, when this is what was kept of its config.
fn loaded(store: &Store, env: &[String], spack: Option<&Path>) -> (Variables, Vec<String>) {
    let cached = Cached { env: env.to_vec(), has_base: false, unclear: Vec::new() };
    let cached = HashMap::from([(hash('a'), cached)]);
    let inspections = Inspections::default();
    let installed = Installed {
        database: &store.database,
        inspections: &inspections,
        spack,
        cached: &cached,
        unopened: None,
    };
    let loading = loading(&installed, &[&[hash('a')]]).unwrap().remove(0);
    let mut variables = Variables::new();
    apply(&loading.modifications, &mut variables);
    (variables, warnings(loading.told.as_slice()))
}

/// Where `app` and what it needs lay on the machine that they were built on.
fn built(letter: char) -> String {
    let name = match letter {
        'a' => "app",
        'b' => "lib",
        _ => "tool",
    };
    format!("/builder/store/{name}-1-{}", hash(letter))
}

#[test]
fn no_path_of_a_builder_gets_into_a_shell() {
    let store = Store::new("{}");
    let (app, lib, tool) = (built('a'), built('b'), built('c'));
    let told = [
        format!("PATH={app}/bin:{tool}/bin:/bin:/usr/bin"),
        format!("CMAKE_PREFIX_PATH={app}:{lib}:{tool}"),
        format!("APP_FLAGS=-I{app}/include -L{lib}/lib -Wl,-rpath,{lib}/lib"),
        format!("APP_HOME=file://{app}"),
    ];
    let (variables, warnings) = loaded(&store, &told, None);
    let (app, lib) = (store.prefix('a'), store.prefix('b'));
    assert_eq!(variables["APP_FLAGS"], format!("-I{app}/include -L{lib}/lib -Wl,-rpath,{lib}/lib"));
    assert_eq!(variables["APP_HOME"], format!("file://{app}"));
    assert_eq!(warnings, Vec::<String>::new());

    // What it was built with is not here, and neither are what lies beside packages, and names that only begin like theirs.
    let compiler = "/builder/store/gcc-1-ffffffffffffffffffffffffffffffff/bin";
    let more = [
        format!("CC={compiler}/gcc"),
        format!("APP_PATH={}/a:{compiler}", built('a')),
        format!("APP_NOTE=see {}.txt", built('a')),
        "APP_CACHE=/builder/store".to_owned(),
        "APP_OTHER=/builder/storage".to_owned(),
    ];
    let (variables, warnings) = loaded(&store, &[&told[..], &more].concat(), None);
    assert_eq!(variables["APP_PATH"], format!("{app}/a"));
    assert_eq!(variables["APP_OTHER"], "/builder/storage");
    for (name, value) in &variables {
        assert!(!value.contains("/builder/store/") && !value.ends_with("/builder/store"), "{name}={value}");
    }
    for name in ["CC", "APP_NOTE", "APP_CACHE"] {
        assert!(!variables.contains_key(name), "{name}");
    }
    assert!(
        warnings.len() == 1 && warnings[0].contains("lacks what") && warnings[0].contains("app@1"),
        "{warnings:?}"
    );

    // A Spack can tell what was left out.
    let answer = r#"echo '== environment == {"changes": [{"variable": "CC", "change": "set", "value": "/here/gcc", "separator": ":"}]}'"#;
    let (variables, warnings) = loaded(&store, &[&told[..], &more].concat(), Some(&store.program(answer)));
    assert_eq!(variables, Variables::from([("CC".to_owned(), "/here/gcc".to_owned())]));
    assert!(warnings.is_empty(), "{warnings:?}");
}

#[test]
fn recipes_that_nobody_knows_are_told_of_unless_they_are_spacks_own() {
    let store = Store::new("{}");
    let inspections = Inspections::default();
    let cached = HashMap::new();
    let failing = store.program("exit 1");
    for (namespace, spack, expected) in [
        ("mine", None, &["lacks whatever"][..]),
        ("mine", Some(&*failing), &["no environment can be asked of Spack", "lacks whatever"]),
        ("builtin", None, &[]),
        ("builtin", Some(&*failing), &[]),
    ] {
        let mut database = store.database.clone();
        for record in database.records.values_mut() {
            record.node.namespace = Some(namespace.to_owned());
        }
        let installed = Installed {
            database: &database,
            inspections: &inspections,
            spack,
            cached: &cached,
            unopened: None,
        };
        let loading = loading(&installed, &[&[hash('a')]]).unwrap().remove(0);
        let said = warnings(loading.told.as_slice());
        assert_eq!(said.len(), expected.len(), "{namespace}: {said:?}");
        for (said, expected) in said.iter().zip(expected) {
            assert!(said.contains(expected), "{namespace}: {said}");
        }
        assert!(!loading.modifications.is_empty());
    }
}
