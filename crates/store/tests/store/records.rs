//! What installing and removing does to records, on small DAGs made by hand.

use crate::support::{Nodes, hash, node, record_installs};
use std::path::Path;
use strata_spec::{Database, Record};
use strata_store::{NewInstall, RegistrationError, StoreRoot, installed_dependents, layout, record_removal};

/// a → b → c, each links; a is built by d, which links c; b runs the external e.
fn nodes() -> Nodes {
    let external = r#""external":{"path":"/usr","module":null,"extra_attributes":{}},"#;
    Nodes::new([
        node('a', &[('b', &["build", "link"]), ('d', &["build"])], ""),
        node('b', &[('c', &["link"]), ('e', &["run"])], ""),
        node('c', &[], ""),
        node('d', &[('c', &["link"]), ('f', &["test"])], ""),
        node('e', &[], external),
        node('f', &[], r#""external":{"path":null,"module":["f/1"]},"#),
    ])
}

fn root() -> StoreRoot {
    StoreRoot::open_or_new(Path::new("/store"), None).unwrap()
}

fn install(database: &mut Database, nodes: &Nodes, names: &str, now: f64) -> Result<(), RegistrationError> {
    let installs: Vec<_> = names
        .chars()
        .map(|name| NewInstall {
            node: nodes.get(name),
            prefix: layout::prefix(&root(), database, nodes.get(name)).unwrap(),
            explicit: name == 'a',
        })
        .collect();
    record_installs(database, &root(), nodes, &installs, now)
}

fn record(database: &Database, name: char) -> &Record {
    &database.records[&hash(name)]
}

/// Name, references and `i`nstalled or `-`, of each record by name.
fn summary(database: &Database) -> String {
    let mut names: Vec<_> = database.records.values().collect();
    names.sort_by(|a, b| a.node.name.cmp(&b.node.name));
    let one = |r: &&Record| format!("{}{}{}", r.node.name, r.ref_count, if r.installed { 'i' } else { '-' });
    names.iter().map(one).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_batch_is_recorded_with_all_that_its_dags_name() {
    let (mut database, nodes) = (Database::default(), nodes());
    install(&mut database, &nodes, "abc", 7.25).unwrap();
    assert_eq!(summary(&database), "a0i b1i c2i d1- e1i f1i");
    let order: Vec<_> = database.records.values().map(|r| r.node.name.clone()).collect();
    assert_eq!(order, ["c", "e", "b", "f", "d", "a"], "dependencies come first");
    assert_eq!(
        record(&database, 'a').path.as_deref(),
        Some(format!("/store/linux-x86_64/a-1.0-{}", hash('a')).as_str())
    );
    assert_eq!(
        record(&database, 'd').path.as_deref(),
        Some(format!("/store/linux-x86_64/d-1.0-{}", hash('d')).as_str())
    );
    assert_eq!(record(&database, 'e').path.as_deref(), Some("/usr"));
    assert_eq!(record(&database, 'f').path, None);
    assert!(record(&database, 'a').explicit && !record(&database, 'b').explicit);
    assert!(database.records.values().all(|r| r.installation_time == Some(7.25)));
    let again = Database::parse(&database.to_store_json()).unwrap();
    assert_eq!(summary(&again), summary(&database));
}

#[test]
fn order_within_a_batch_does_not_matter() {
    let nodes = nodes();
    let mut expected = Database::default();
    install(&mut expected, &nodes, "cba", 1.0).unwrap();
    for order in ["abc", "bca", "acb"] {
        let mut database = Database::default();
        install(&mut database, &nodes, order, 1.0).unwrap();
        assert_eq!(summary(&database), summary(&expected), "{order}");
    }
}

#[test]
fn a_known_spec_is_revived_with_its_references() {
    let (mut database, nodes) = (Database::default(), nodes());
    install(&mut database, &nodes, "abc", 1.0).unwrap();
    // What another layout put it at wins over ours.
    database.records[&hash('d')].path = Some("/store/elsewhere/d".to_owned());
    assert_eq!(layout::prefix(&root(), &database, nodes.get('d')).unwrap(), Path::new("/store/elsewhere/d"));
    install(&mut database, &nodes, "d", 2.0).unwrap();
    let d = record(&database, 'd');
    assert_eq!((d.ref_count, d.installed, d.explicit, d.installation_time), (1, true, false, Some(2.0)));
    assert_eq!(d.path.as_deref(), Some("/store/elsewhere/d"));
    assert_eq!(summary(&database), "a0i b1i c2i d1i e1i f1i");
}

#[test]
fn removing_keeps_what_others_refer_to() {
    let (mut database, nodes) = (Database::default(), nodes());
    install(&mut database, &nodes, "abc", 1.0).unwrap();
    assert!(!record_removal(&mut database, &hash('c')).unwrap());
    assert_eq!(summary(&database), "a0i b1i c2- d1- e1i f1i");
    // With a go d, which nothing else needs, and not c, which b does; externals stay, they are there.
    assert!(record_removal(&mut database, &hash('a')).unwrap());
    assert_eq!(summary(&database), "b0i c1- e1i f0i");
    assert!(record_removal(&mut database, &hash('b')).unwrap());
    assert_eq!(summary(&database), "e0i f0i");
    assert!(matches!(record_removal(&mut database, &hash('b')), Err(RegistrationError::NotRecorded { .. })));
}

#[test]
fn removing_a_deprecated_spec_lets_go_of_its_successor() {
    let (mut database, nodes) = (Database::default(), nodes());
    install(&mut database, &nodes, "abc", 1.0).unwrap();
    database.records[&hash('a')].deprecated_for = Some(hash('c'));
    database.records[&hash('c')].ref_count += 1;
    record_removal(&mut database, &hash('a')).unwrap();
    assert_eq!(record(&database, 'c').ref_count, 1);
}

#[test]
fn dependents_are_those_that_link_or_run() {
    let (mut database, nodes) = (Database::default(), nodes());
    install(&mut database, &nodes, "abcd", 1.0).unwrap();
    let names = |database: &Database, names: &[char]| {
        let hashes: Vec<_> = names.iter().map(|name| hash(*name)).collect();
        let mut found: Vec<_> =
            installed_dependents(database, &hashes).iter().map(|r| r.node.name.clone()).collect();
        found.sort();
        found.concat()
    };
    assert_eq!(names(&database, &['c']), "abd");
    assert_eq!(names(&database, &['e']), "ab");
    assert_eq!(names(&database, &['d']), "", "a needs d only to build");
    assert_eq!(names(&database, &['f']), "");
    assert_eq!(names(&database, &['b', 'c']), "ad", "those asked about are left out");
    // A dependent that is not installed is in nobody's way, but what depends on it is.
    database.records[&hash('b')].installed = false;
    assert_eq!(names(&database, &['c']), "ad");
}

#[test]
fn incomplete_and_old_dags_are_refused() {
    let mut database = Database::default();
    let nodes = Nodes::new([node('a', &[('b', &["link"])], "")]);
    assert!(matches!(install(&mut database, &nodes, "a", 1.0), Err(RegistrationError::MissingNode(_))));

    let compiler = r#""compiler":{"name":"gcc","version":"12.2.0"},"#;
    let nodes = Nodes::new([node('a', &[], compiler)]);
    let error = install(&mut Database::default(), &nodes, "a", 1.0).unwrap_err();
    assert!(matches!(error, RegistrationError::OldSpecFormat { .. }), "{error}");
    assert!(error.to_string().contains("a@1.0/aaaaaaa"), "{error}");
    // Written by a new Spack, an old spec has it in its annotations.
    let annotated = r#""annotations":{"original_specfile_version":4,"compiler":"gcc@12.2.0"},"#;
    install(&mut Database::default(), &Nodes::new([node('a', &[], annotated)]), "a", 1.0).unwrap();
}

#[test]
fn a_prefix_that_json_cannot_hold_is_refused() {
    use std::os::unix::ffi::OsStringExt;
    let nodes = nodes();
    let prefix = std::ffi::OsString::from_vec(b"/store/\xff".to_vec()).into();
    let installs = [NewInstall { node: nodes.get('c'), prefix, explicit: true }];
    let error = record_installs(&mut Database::default(), &root(), &nodes, &installs, 1.0).unwrap_err();
    assert!(matches!(error, RegistrationError::NotUtf8 { .. }), "{error}");
}
