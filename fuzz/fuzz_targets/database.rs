//! Any database or index is read or refused; what was read is written so that it is read again, and answers questions.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use strata_spec::format::Template;
use strata_spec::{AbstractSpec, Catalog, Database, dag_hash, matching};

/// Questions of every kind.
static SPECS: LazyLock<Vec<AbstractSpec>> = LazyLock::new(|| {
    let texts = [
        "zlib@1.2:",
        "+shared",
        "^mpi",
        "%gcc@12",
        "target=x86_64:",
        "cflags=-O2",
        "/6",
        "python ^zlib %c=gcc",
    ];
    texts.iter().map(|text| text.parse().expect("a spec")).collect()
});

static TEMPLATE: LazyLock<Template> = LazyLock::new(|| {
    "{fullname}{@version}{version.up_to_2}{variants}{compilers}{%compiler}{prefix.bin}{/hash:7}"
        .parse()
        .expect("a format string")
});

fuzz_target!(|text: &str| {
    let parsed = Catalog::parse(text.to_owned());
    let Ok(database) = Database::parse(text) else { return };
    let (direct, _) = parsed.expect("what is a database is one for a catalog");
    let written = Database::parse(&database.to_store_json()).expect("what is written can be read");
    assert_eq!(written.to_store_json(), database.to_store_json());
    let _ = dag_hash::verify(database.records.values().map(|record| &record.node));
    for record in database.records.values() {
        let _ = TEMPLATE.render(&record.node, &database);
    }
    for catalog in [direct, Catalog::of_database(&database)] {
        for node in catalog.nodes() {
            for spec in &*SPECS {
                let mismatch = matching::mismatch(node, spec);
                assert_eq!(mismatch.is_none(), matching::satisfies(node, spec));
            }
        }
    }
});
