//! What satisfies what: Spack's own tables over real specs (`golden/README.md`), and how a miss is put into words.

#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use strata_spec::host::{Host, Libc, unfit};
use strata_spec::matching::{Constraint, Question, mismatch, satisfies};
use strata_spec::{AbstractSpec, Catalog, Database};
use strata_testkit::golden;

/// Compares a table with what we make of the specs that it was asked of.
fn compare(test: &str, table: &str, index: &str, asked_of: impl Fn(&Database, &str) -> bool) {
    let (Some(table), Some(index)) = (golden::file(table), golden::file(index)) else {
        return golden::skipped(test, &format!("no {table} or no {index} in the golden data"));
    };
    let database = Database::parse(&golden::text(&index)).unwrap();
    let catalog = Catalog::of_database(&database);
    let asked: Vec<_> = catalog.nodes().filter(|node| asked_of(&database, node.hash())).collect();
    let rows = golden::rows(&table);
    assert!(!rows.is_empty() && !asked.is_empty());
    for row in rows {
        let text = row["spec"].as_str().unwrap();
        let spec = text.parse::<AbstractSpec>();
        let Some(expected) = row["satisfied_by"].as_array() else {
            assert!(spec.is_err(), "`{text}` is no spec: {}", row["parse_error"]);
            continue;
        };
        let spec = spec.unwrap();
        let expected: BTreeSet<&str> = expected.iter().map(|hash| hash.as_str().unwrap()).collect();
        let mut found = BTreeSet::new();
        let mut question = Question::new(&catalog, &spec);
        for node in &asked {
            let miss = mismatch(*node, &spec);
            assert_eq!(miss.is_none(), satisfies(*node, &spec), "{} and `{text}`", node.label());
            assert_eq!(miss.is_none(), question.is_met_by(*node), "{} and `{text}`", node.label());
            match miss {
                None => assert!(found.insert(node.hash())),
                Some(miss) => assert!(!miss.to_string().is_empty()),
            }
        }
        assert_eq!(found, expected, "`{text}`");
    }
}

#[test]
fn installed_specs_satisfy_what_spack_says() {
    // The table was made from what the store's database calls installed; the index has no record of installation, but
    // all of the records and one more.
    let not_installed = |name: &str| name == "compiler-wrapper";
    compare(
        "installed_specs_satisfy_what_spack_says",
        "spec/satisfies.jsonl",
        "push/index.json",
        |database, hash| {
            let record = database.records.values().find(|record| record.node.hash.as_str() == hash);
            !not_installed(&record.unwrap().node.name)
        },
    );
}

#[test]
fn specs_of_an_index_satisfy_what_spack_says() {
    compare(
        "specs_of_an_index_satisfy_what_spack_says",
        "spec/satisfies-index-750.jsonl",
        "spec/index-750.json.zst",
        |_, _| true,
    );
}

/// A node with the usual of everything, `changes` made to it.
fn node(name: &str, version: &str, changes: Value) -> Value {
    let mut node = json!({
        "name": name,
        "version": version,
        "arch": {"platform": "linux", "platform_os": "debian12", "target": "x86_64_v2"},
        "namespace": "builtin",
        "parameters": {"cflags": [], "ldflags": ["-lm"], "build_system": "cmake"},
        "annotations": {"original_specfile_version": 5},
        "hash": hash(name),
    });
    for (key, value) in changes.as_object().unwrap() {
        match (&mut node[key], value) {
            (Value::Object(present), Value::Object(more)) => present.extend(more.clone()),
            (present, value) => *present = value.clone(),
        }
    }
    node
}

/// A hash that begins with the letters of the name.
fn hash(name: &str) -> String {
    let letters: String = name.chars().filter(char::is_ascii_lowercase).collect();
    format!("{letters:a<32}")
}

fn edge(name: &str, types: &[&str], virtuals: &[&str]) -> Value {
    json!({"name": name, "hash": hash(name), "parameters": {"deptypes": types, "virtuals": virtuals}})
}

fn catalog(nodes: Vec<Value>) -> Catalog {
    let installs: BTreeMap<String, Value> = nodes
        .into_iter()
        .map(|node| {
            (
                node["hash"].as_str().unwrap().to_owned(),
                json!({"spec": node, "ref_count": 0, "in_buildcache": true}),
            )
        })
        .collect();
    let index = json!({"database": {"version": "8", "installs": installs}});
    Catalog::of_database(&Database::parse(&index.to_string()).unwrap())
}

/// hdf5 over openmpi, which is linked against zlib; both built by an external gcc.
fn sample() -> Catalog {
    catalog(vec![
        node(
            "hdf5",
            "1.14.3",
            json!({
                "parameters": {"mpi": true, "shared": false, "api": "default", "libs": ["shared", "static"]},
                "dependencies": [
                    edge("gcc", &["build"], &["c", "cxx"]),
                    edge("glibc", &["link"], &["libc"]),
                    edge("openmpi", &["build", "link"], &["mpi"]),
                ],
            }),
        ),
        node(
            "openmpi",
            "5.0.3",
            json!({
                "parameters": {"cuda": false, "fabrics": ["none"]},
                "dependencies": [edge("gcc", &["build"], &["c"]), edge("zlib", &["link"], &["zlib-api"])],
            }),
        ),
        node("zlib", "1.2.13", json!({"parameters": {"shared": true, "mpi": false}})),
        node(
            "gcc",
            "12.2.0",
            json!({
                "external": {"path": "/usr", "module": null}, "parameters": {"languages": ["c", "c++"]},
            }),
        ),
        node("glibc", "2.36", json!({"external": {"path": "/usr", "module": null}})),
    ])
}

fn miss(catalog: &Catalog, name: &str, spec: &str) -> Option<String> {
    let node = catalog.named(name).next().unwrap();
    mismatch(node, &spec.parse().unwrap()).map(|miss| miss.to_string())
}

#[test]
fn a_miss_says_what_is_there_instead() {
    let catalog = sample();
    for (spec, expected) in [
        ("hdf5@1.15:", "version 1.14.3, asked for @1.15:"),
        ("hdf5@1.12,1.13", "version 1.14.3, asked for @1.12:1.13"),
        ("hdf5+shared", "~shared, asked for +shared"),
        ("hdf5+cuda", "no variant cuda (asked for +cuda)"),
        ("hdf5 api=v18", "api=default, asked for api=v18"),
        ("hdf5 libs:=shared", "libs=shared,static, asked for libs:=shared"),
        ("hdf5 fabrics=ucx", "no variant fabrics (asked for fabrics=ucx)"),
        ("zlib", "package hdf5, asked for zlib"),
        ("mpi", "package hdf5, asked for mpi"),
        ("other.hdf5", "namespace builtin, asked for other"),
        ("/zzz", "hash hdfaaaa, asked for /zzz"),
        ("hdf5 target=zen2", "target=x86_64_v2, asked for target=zen2"),
        ("hdf5 os=ubuntu22.04", "os=debian12, asked for os=ubuntu22.04"),
        ("hdf5 platform=darwin", "platform=linux, asked for platform=darwin"),
        ("hdf5 ldflags=-lrt", "ldflags='-lm', asked for ldflags=-lrt"),
        ("hdf5 cflags=-O2", "no cflags (asked for cflags=-O2)"),
        ("hdf5++shared", "~shared, asked for ++shared"),
        ("hdf5++mpi", "~mpi in zlib@1.2.13, asked for ++mpi"),
        ("hdf5 ^zlib@1.3", "depends on zlib@1.2.13, asked for ^zlib@1.3"),
        ("hdf5 ^zlib~shared", "depends on zlib@1.2.13+shared, asked for ^zlib~shared"),
        ("hdf5 ^openmpi+rocm", "depends on openmpi@5.0.3: no variant rocm (asked for +rocm)"),
        ("hdf5 ^mpi@4:", "depends on openmpi@5.0.3, asked for ^mpi@4:"),
        ("hdf5 ^mpich", "no dependency on mpich"),
        ("hdf5 %zlib", "no dependency on zlib"),
        ("hdf5 %gcc@13", "depends on gcc@12.2.0, asked for %gcc@13"),
        ("hdf5 ^openmpi %gcc@13", "depends on gcc@12.2.0, asked for %gcc@13"),
        ("hdf5 %fortran=gcc", "depends on gcc@12.2.0 for another purpose, asked for %fortran=gcc"),
        ("hdf5 %c=nvhpc", "depends on gcc@12.2.0 for c, asked for %c=nvhpc"),
        ("hdf5 ^mpi=mpich", "depends on openmpi@5.0.3 for mpi, asked for ^mpi=mpich"),
        (
            "hdf5 %[deptypes=run] gcc",
            "depends on gcc@12.2.0 for another purpose, asked for %[deptypes=run] gcc",
        ),
        // The first in the order of the constraints.
        ("hdf5@1.15 +shared ^mpich", "version 1.14.3, asked for @1.15"),
    ] {
        assert_eq!(miss(&catalog, "hdf5", spec).as_deref(), Some(expected), "{spec}");
    }
}

#[test]
fn specs_are_met_by_nodes_and_what_is_below_them() {
    let catalog = sample();
    for spec in [
        "",
        "hdf5",
        "builtin.hdf5@1.14 +mpi api=default libs=static ldflags=-lm arch=linux-debian12-x86_64:",
        "hdf5 ^zlib@1.2 ^openmpi~cuda",
        "hdf5 ^mpi@:3.1",
        "hdf5 ^mpi=openmpi",
        "hdf5 %c,cxx=gcc@12",
        "hdf5 %[virtuals=c,fortran] gcc",
        "hdf5 %[deptypes=link] openmpi %gcc",
        "hdf5 ^openmpi %gcc@12 ^zlib",
        "hdf5 ^libc",
        "hdf5 ^[when='~mpi'] mpich",
        "hdf5 %[when='+mpi'] mpi",
        "hdf5~~shared",
        "hdf5 ^~cuda",
        "hdf5 % languages:='c,c++'",
        "hdf5 os=* target=zen2",
    ] {
        // zlib has ~mpi and +shared.
        let expected =
            (spec == "hdf5~~shared").then(|| "+shared in zlib@1.2.13, asked for ~~shared".to_owned());
        assert_eq!(miss(&catalog, "hdf5", spec), expected, "{spec}");
    }
    assert_eq!(miss(&catalog, "openmpi", "mpi"), None);
    assert_eq!(miss(&catalog, "openmpi", "mpi@3.1"), None);
    assert_eq!(miss(&catalog, "zlib", "zlib-api"), None);
    assert_eq!(miss(&catalog, "gcc", "cxx"), None);
    assert!(miss(&catalog, "gcc", "fortran").is_some(), "its languages do not include it");
    assert!(miss(&catalog, "gcc", "gcc %gcc").is_some(), "what it was built with is not known");
}

#[test]
fn a_question_asked_of_all_nodes_has_the_answers_of_each() {
    let mut nodes = vec![
        node(
            "top",
            "1",
            json!({"dependencies": [edge("left", &["link"], &[]), edge("right", &["run"], &[])]}),
        ),
        node("left", "1", json!({"dependencies": [edge("base", &["link"], &["mpi"])]})),
        node(
            "right",
            "1",
            json!({"dependencies": [edge("base", &["build"], &[]), edge("gone", &["link"], &[])]}),
        ),
        node("base", "2", json!({"parameters": {"shared": true}})),
        node("alone", "2", json!({"parameters": {"shared": false}})),
    ];
    let questions = [
        "^base",
        "^base@2",
        "^base@3",
        "^@2",
        "^mpi",
        "^[virtuals=mpi] base",
        "^[virtuals=mpi,blas] base",
        "++shared",
        "~~shared",
        "^~~shared",
        "^gone",
        "^gone@1",
        "^[when=+shared] base",
        "left ^base %gcc",
        "top ^left ^right",
    ];
    for is_circular in [false, true] {
        if is_circular {
            // No real DAG is like that: it only has to end.
            nodes[3]["dependencies"] = json!([edge("top", &["link"], &[]), edge("base", &["link"], &[])]);
        }
        let catalog = catalog(nodes.clone());
        let mut met = 0;
        for text in questions {
            let spec: AbstractSpec = text.parse().unwrap();
            let mut question = Question::new(&catalog, &spec);
            for node in catalog.nodes() {
                let is_met = question.is_met_by(node);
                met += usize::from(is_met);
                assert!(is_circular || is_met == satisfies(node, &spec), "{} and `{text}`", node.label());
                assert_eq!(question.is_met_by(node), is_met, "{} and `{text}`, again", node.label());
            }
        }
        assert!(met > 10);
    }
}

#[test]
fn providers_that_no_recipe_of_spack_knows_are_those_of_the_edges() {
    let catalog = catalog(vec![
        node(
            "solver",
            "1",
            json!({"dependencies": [
                edge("ourblas", &["link"], &["ourapi", "blas"]),
                edge("openblas", &["link"], &["lapack"]),
            ]}),
        ),
        node("ourblas", "2", json!({"namespace": "ours"})),
        node("openblas", "0.3", json!({"parameters": {"fortran": true}})),
    ]);
    assert_eq!(miss(&catalog, "ourblas", "ourapi"), None);
    assert_eq!(miss(&catalog, "ourblas", "blas@3"), None);
    assert_eq!(miss(&catalog, "solver", "solver ^ourapi ^blas=ourblas"), None);
    assert!(miss(&catalog, "ourblas", "lapack").is_some());
    assert!(miss(&catalog, "solver", "ourapi").is_some());
}

#[test]
fn compilers_may_be_attributes() {
    let old = json!({"annotations": {"original_specfile_version": 4, "compiler": "gcc@=12.2.0"}});
    let catalog = catalog(vec![node("zlib", "1.2.13", old)]);
    for (spec, expected) in [
        ("zlib %gcc", None),
        ("zlib %gcc@12", None),
        ("zlib %gcc@=12.2.0", None),
        ("zlib %c=gcc@12.2", None),
        ("zlib %gcc@13:", Some("depends on gcc@12.2.0, asked for %gcc@13:")),
        ("zlib %clang", Some("depends on gcc@12.2.0, asked for %clang")),
        ("zlib %gcc+nvptx", Some("depends on gcc@12.2.0, asked for %gcc+nvptx")),
        ("zlib ^gcc", Some("no dependency on gcc")),
    ] {
        assert_eq!(miss(&catalog, "zlib", spec).as_deref(), expected, "{spec}");
    }
}

#[test]
fn kinds_of_constraints_keep_their_names() {
    let catalog = sample();
    let node = catalog.named("hdf5").next().unwrap();
    let miss = mismatch(node, &"hdf5 ^openmpi+rocm".parse().unwrap()).unwrap();
    assert_eq!(miss.constraint, Constraint::Dependency);
    let expected = json!({
        "constraint": "dependency", "wanted": "^openmpi+rocm", "found": "openmpi@5.0.3",
        "because": {"constraint": "variant", "wanted": "+rocm", "found": null, "because": null},
    });
    assert_eq!(serde_json::to_value(&miss).unwrap(), expected);
}

#[test]
fn binaries_fit_machines_by_platform_target_and_libc() {
    let mut nodes = vec![
        node("hdf5", "1.14.3", json!({"dependencies": [edge("glibc", &["link"], &["libc"])]})),
        node("glibc", "2.36", json!({"external": {"path": "/usr", "module": null}})),
        node("above", "1", json!({"dependencies": [edge("hdf5", &["link"], &[])]})),
        node("data", "1", json!({})),
        node("ancient", "1", json!({"annotations": {"original_specfile_version": 3, "compiler": "gcc@=8"}})),
        node("mac", "1", json!({"arch": {"platform": "darwin", "platform_os": "sonoma", "target": "m1"}})),
        node("recent", "1", json!({"arch": {"target": "x86_64_v4"}})),
    ];
    nodes[2]["dependencies"][0]["parameters"]["virtuals"] = json!([]);
    let catalog = catalog(nodes);
    let host = |os: &str, target: &str, libc: &str, version: &str| Host {
        platform: "linux".to_owned(),
        os: Some(os.to_owned()),
        target: target.to_owned(),
        libc: Some(Libc { name: libc.to_owned(), version: version.to_owned() }),
    };
    let reason =
        |name: &str, host: &Host| unfit(catalog.named(name).next().unwrap(), host).map(|u| u.to_string());
    let debian = host("debian12", "zen2", "glibc", "2.36");
    for (name, expected) in [
        ("hdf5", None),
        ("above", None),
        ("data", None),
        ("ancient", None),
        ("mac", Some("built for darwin, this machine is linux")),
        ("recent", Some("built for x86_64_v4, this machine is zen2 (x86_64_v3)")),
    ] {
        assert_eq!(reason(name, &debian).as_deref(), expected, "{name}");
    }
    let older = host("centos7", "x86_64_v3", "glibc", "2.17");
    assert_eq!(reason("above", &older).as_deref(), Some("needs glibc 2.36, this machine has 2.17"));
    assert_eq!(reason("recent", &older).as_deref(), Some("built for x86_64_v4, this machine is x86_64_v3"));
    assert_eq!(reason("ancient", &older).as_deref(), Some("built on debian12, this machine has centos7"));
    assert_eq!(reason("data", &older), None);
    let musl = host("alpine3", "x86_64_v3", "musl", "1.2.4");
    assert_eq!(reason("hdf5", &musl).as_deref(), Some("needs glibc 2.36, this machine has musl 1.2.4"));
    assert_eq!(reason("hdf5", &host("any", "x86_64_v3", "glibc", "2.40")), None);
    assert_eq!(
        reason("hdf5", &Host::default()),
        None,
        "what is not known of a machine speaks against nothing"
    );
}
