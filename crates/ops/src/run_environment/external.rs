//! What the configuration says of an external package's environment: `extra_attributes:environment` of `packages.yaml`, which
//! concrete specs carry (Spack's `schema/environment.py`).

use super::variables::Change;
use serde_json::Value;
use strata_spec::Node;

/// The changes that an external package asks for; none of any other.
pub(super) fn changes(node: &Node) -> Vec<(String, Change)> {
    let environment = node.external.as_ref().and_then(|e| e.extra_attributes.get("environment"));
    let Some(Value::Object(commands)) = environment else { return Vec::new() };
    commands.iter().flat_map(|(command, arguments)| command_changes(command, arguments)).collect()
}

fn command_changes(command: &str, arguments: &Value) -> Vec<(String, Change)> {
    let change: fn(String) -> Change = match command {
        "set" => Change::Set,
        "prepend_path" => Change::Prepend,
        "append_path" => Change::Append,
        "remove_path" => Change::Remove,
        "unset" => {
            let names = arguments.as_array().into_iter().flatten().filter_map(Value::as_str);
            return names.map(|name| (name.to_owned(), Change::Unset)).collect();
        }
        _ => return Vec::new(),
    };
    let pairs = arguments.as_object().into_iter().flatten();
    let texts = pairs.filter_map(|(name, value)| Some((name.clone(), change(text(value)?))));
    texts.collect()
}

/// Numbers are taken for their text.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
