//! The JSON that a DAG hash is taken of: compact, ASCII alone, its keys in the order in which Spack writes them (`to_node_dict`
//! in its `spec.py`), without the hash itself.

use crate::format::COMPILER_FLAGS;
use crate::node::{Edge, Node};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The JSON of a node is not what Spack writes.
#[derive(Debug, thiserror::Error)]
#[error("its DAG hash cannot be computed: {0}")]
pub struct NotCanonical(#[from] pub(super) serde_json::Error);

/// What a node of formats 3 and 4 was hashed as: all of it but its hashes, in the order written; with line breaks and
/// indentation before Spack 0.21 or so, compact since.
pub(super) fn as_written(node: &Node) -> Result<[String; 2], NotCanonical> {
    let mut keys: Map<String, Value> = serde_json::from_str(node.json())?;
    keys.retain(|key, _| !matches!(key.as_str(), "hash" | "full_hash" | "build_hash"));
    let (pretty, compact) = (serde_json::to_string_pretty(&keys)?, serde_json::to_string(&keys)?);
    Ok([ascii(&pretty).into_owned(), ascii(&compact).into_owned()])
}

/// What a node of format 5 is hashed as.
pub(super) fn of_format_5(node: &Node) -> Result<String, NotCanonical> {
    let wire: Wire<'_> = serde_json::from_str(node.json())?;
    let mut out = Object::new();
    out.text("name", &node.name);
    out.text("version", &node.version);
    let mut architecture = Object::new();
    architecture.text("platform", &node.architecture.platform);
    architecture.text("platform_os", &node.architecture.os);
    // A name, or all that archspec knew of it at the time.
    architecture.raw("target", &ascii(wire.arch.target.get()));
    out.raw("arch", &architecture.end());
    if let Some(namespace) = node.namespace.as_deref().filter(|namespace| !namespace.is_empty()) {
        out.text("namespace", namespace);
    }
    let parameters = parameters(node);
    if !parameters.is_empty() {
        out.raw("parameters", &parameters.end());
    }
    if let Some(external) = &node.external {
        let mut object = Object::new();
        object.value("path", &Value::from(external.path.clone()));
        let modules = Some(&external.modules).filter(|modules| !modules.is_empty());
        object.value("module", &Value::from(modules.cloned()));
        object.value("extra_attributes", &sorted(&Value::Object(external.extra_attributes.clone())));
        out.raw("external", &object.end());
    }
    if !node.patches.is_empty() {
        out.value("patches", &Value::from(node.patches.clone()));
    }
    if let Some(hash) = node.package_hash.as_deref().filter(|hash| !hash.is_empty()) {
        out.text("package_hash", hash);
    }
    if !node.dependencies.is_empty() {
        out.raw("dependencies", &dependencies(node));
    }
    if let (Some(hash), Some(build_spec)) = (&node.build_spec, &wire.build_spec) {
        let mut object = Object::new();
        object.text("name", &build_spec.name);
        object.text("hash", hash.as_str());
        out.raw("build_spec", &object.end());
    }
    out.raw("annotations", "{\"original_specfile_version\":5}");
    Ok(out.end())
}

/// Variants by name, then compiler flags by name.
fn parameters(node: &Node) -> Object {
    let mut variants: BTreeMap<&str, Value> = BTreeMap::new();
    let mut flags: BTreeMap<&str, &Value> = BTreeMap::new();
    for (name, value) in &node.parameters {
        if COMPILER_FLAGS.contains(&name.as_str()) {
            flags.insert(name, value);
        } else {
            variants.insert(name, variant(value));
        }
    }
    if !node.patches.is_empty() {
        variants.insert("patches", values(node.patches.iter().cloned().map(Value::from).collect()));
    }
    let mut object = Object::new();
    for (name, value) in &variants {
        object.value(name, value);
    }
    for (name, value) in &flags {
        object.value(name, value);
    }
    object
}

fn variant(value: &Value) -> Value {
    match value {
        Value::Array(several) => values(several.clone()),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Value::Bool(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Value::Bool(false),
        one => one.clone(),
    }
}

/// Several values of a variant: sorted, each once.
fn values(mut values: Vec<Value>) -> Value {
    values.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
    values.dedup();
    Value::Array(values)
}

/// Edges by name; those to one name by their types.
fn dependencies(node: &Node) -> String {
    let mut edges: Vec<&Edge> = node.dependencies.iter().collect();
    edges.sort_by(|a, b| (&a.name, a.types).cmp(&(&b.name, b.types)));
    let mut out = String::from("[");
    for edge in edges {
        let mut virtuals = edge.virtuals.clone();
        virtuals.sort_unstable();
        virtuals.dedup();
        let mut parameters = Object::new();
        parameters.value("deptypes", &Value::from(edge.types.names().collect::<Vec<_>>()));
        parameters.value("virtuals", &Value::from(virtuals));
        if edge.direct {
            parameters.raw("direct", "true");
        }
        let mut object = Object::new();
        object.text("name", &edge.name);
        object.text("hash", edge.hash.as_str());
        object.raw("parameters", &parameters.end());
        if out.len() > 1 {
            out.push(',');
        }
        out.push_str(&object.end());
    }
    out.push(']');
    out
}

/// What a [`Node`] does not keep apart from its JSON.
#[derive(Deserialize)]
struct Wire<'j> {
    #[serde(borrow)]
    arch: WireArchitecture<'j>,
    #[serde(default)]
    build_spec: Option<WireBuildSpec>,
}

#[derive(Deserialize)]
struct WireArchitecture<'j> {
    #[serde(borrow)]
    target: &'j RawValue,
}

/// Its name is that of the spliced spec as a rule, but that one may stand in for another provider.
#[derive(Deserialize)]
struct WireBuildSpec {
    name: String,
}

/// The same with the keys of all objects in order.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let by_key: BTreeMap<&String, Value> = object.iter().map(|(k, v)| (k, sorted(v))).collect();
            Value::Object(by_key.into_iter().map(|(key, value)| (key.clone(), value)).collect())
        }
        Value::Array(values) => Value::Array(values.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

/// A JSON object being written.
struct Object(String);

impl Object {
    fn new() -> Self {
        Self("{".to_owned())
    }

    fn is_empty(&self) -> bool {
        self.0.len() == 1
    }

    fn raw(&mut self, key: &str, json: &str) {
        if !self.is_empty() {
            self.0.push(',');
        }
        push_string(&mut self.0, key);
        self.0.push(':');
        self.0.push_str(json);
    }

    fn text(&mut self, key: &str, text: &str) {
        let mut json = String::with_capacity(text.len() + 2);
        push_string(&mut json, text);
        self.raw(key, &json);
    }

    fn value(&mut self, key: &str, value: &Value) {
        self.raw(key, &ascii(&value.to_string()));
    }

    fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

fn push_string(out: &mut String, text: &str) {
    out.push_str(&ascii(&Value::from(text).to_string()));
}

/// JSON with everything beyond ASCII escaped, as UTF-16 units. Valid JSON has such characters in strings alone.
fn ascii(json: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii() && c != '\u{7f}';
    if json.chars().all(plain) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 16);
    for character in json.chars() {
        if plain(character) {
            out.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_python_does() {
        let mut json = String::new();
        push_string(&mut json, "a\"\\/\n\u{8}\u{1}\u{7f}é𝄞");
        assert_eq!(json, r#""a\"\\/\n\b\u0001\u007f\u00e9\ud834\udd1e""#);
    }
}
