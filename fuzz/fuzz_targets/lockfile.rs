//! Any lockfile is read or refused; every root and dependency of one that was read is there.

#![no_main]

use libfuzzer_sys::fuzz_target;
use strata_spec::dag::{DependencyTypes, topological};
use strata_spec::{Lockfile, NodeSource};

fuzz_target!(|text: &str| {
    let Ok(lockfile) = Lockfile::parse(text) else { return };
    let roots: Vec<_> = lockfile.roots.iter().chain(lockfile.included.values().flatten()).collect();
    for root in &roots {
        let _ = root.spec();
    }
    let nodes: Vec<_> =
        roots.iter().map(|root| lockfile.node(&root.hash).expect("a root is there")).collect();
    topological(&lockfile, &nodes, DependencyTypes::ALL).expect("every dependency is there");
});
