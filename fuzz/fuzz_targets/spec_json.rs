//! Any `spec.json` is read or refused; what was read is passed on as it was.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use strata_spec::dag::{DependencyTypes, preorder, shallow_tree, topological};
use strata_spec::{Catalog, ConcreteSpec, dag_hash, format};

fuzz_target!(|text: &str| {
    let Ok(json) = RawValue::from_string(text.to_owned()) else { return };
    let Ok(spec) = ConcreteSpec::parse(&json) else { return };
    let again = RawValue::from_string(spec.to_json()).expect("what is written is JSON");
    let again = ConcreteSpec::parse(&again).expect("what is written can be read");
    assert_eq!(again.to_json(), spec.to_json());
    let _ = dag_hash::verify(spec.nodes());
    for node in spec.nodes() {
        let _ = (format::canonical(node), node.label());
    }
    let _ = preorder(&spec, spec.root(), DependencyTypes::ALL);
    let _ = shallow_tree(&spec, spec.root(), DependencyTypes::ALL);
    let _ = topological(&spec, &[spec.root()], DependencyTypes::ALL);
    let catalog = Catalog::of_nodes(spec.nodes().map(|node| (node, true)));
    assert_eq!(catalog.len(), spec.nodes().count());
});
