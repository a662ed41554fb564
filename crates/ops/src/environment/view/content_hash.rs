//! The hash that stands for all that a view is made of: `content_hash` in Spack's `environment.py`.

use super::Packages;
use serde_json::{Map, Value, json};
use strata_config::{ViewDescriptor, ViewLink};
use strata_spec::{Node, Version, format};

/// Of a view of `nodes`, externals included, in whatever order.
pub(super) fn content_hash(view: &ViewDescriptor, nodes: &[&Node], packages: &Packages<'_>) -> String {
    strata_store::view::content_hash(&description(view, nodes, packages))
}

/// As Python's `json` writes it.
fn description(view: &ViewDescriptor, nodes: &[&Node], packages: &Packages<'_>) -> String {
    let mut descriptor = Map::new();
    descriptor.insert("root".to_owned(), json!(view.raw_root));
    if !view.projections.is_empty() {
        let pairs = view.projections.iter().map(|(spec, directory)| (spec.clone(), json!(directory)));
        descriptor.insert("projections".to_owned(), Value::Object(pairs.collect()));
    }
    for (key, specs) in [("select", &view.select), ("exclude", &view.exclude)] {
        if !specs.is_empty() {
            descriptor.insert(key.to_owned(), json!(specs));
        }
    }
    descriptor.insert("link_type".to_owned(), json!(view.link_type.as_str()));
    if view.link != ViewLink::All {
        descriptor.insert("link".to_owned(), json!(view.link.as_str()));
    }
    let prefix =
        |node: &Node| packages.prefix(node).map(|p| p.to_string_lossy().into_owned()).unwrap_or_default();
    let specs: Vec<Value> =
        sorted(nodes).into_iter().map(|node| json!([node.hash.as_str(), prefix(node)])).collect();
    let mut whole = Map::new();
    whole.insert("descriptor".to_owned(), Value::Object(descriptor));
    whole.insert("specs".to_owned(), Value::Array(specs));
    ascii(&Value::Object(whole).to_string())
}

/// In the order of Spack's specs. Those that differ in their dependencies alone, which Spack compares in turn, are in the order
/// of their hashes.
fn sorted<'n>(nodes: &[&'n Node]) -> Vec<&'n Node> {
    let mut sorted: Vec<(Option<Version>, &Node)> =
        nodes.iter().map(|node| (node.version.parse().ok(), *node)).collect();
    sorted.sort_by(|(a_version, a), (b_version, b)| {
        let place = |node: &Node| {
            let architecture = &node.architecture;
            [&architecture.platform, &architecture.os, &architecture.target].map(String::clone)
        };
        (a.name.cmp(&b.name))
            .then_with(|| a.namespace.cmp(&b.namespace))
            .then_with(|| a_version.cmp(b_version))
            .then_with(|| {
                let parameters = |node: &Node| {
                    let mut pairs: Vec<(String, String)> = node
                        .parameters
                        .iter()
                        .map(|(name, value)| (name.clone(), value.to_string()))
                        .collect();
                    pairs.sort_unstable();
                    pairs
                };
                parameters(a).cmp(&parameters(b))
            })
            .then_with(|| place(a).cmp(&place(b)))
            .then_with(|| format::canonical(a).cmp(&format::canonical(b)))
            .then_with(|| a.hash.cmp(&b.hash))
    });
    sorted.into_iter().map(|(_, node)| node).collect()
}

/// JSON with nothing but ASCII in it.
fn ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_ascii() {
            out.push(character);
        } else {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_escaped_as_python_does_it() {
        assert_eq!(ascii("\"a\u{e9}\u{1f600}\""), r#""a\u00e9\ud83d\ude00""#);
    }
}
