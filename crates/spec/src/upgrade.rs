//! Nodes of `spec.json` before version 5, as Spack writes them once it has read them: an index holds nodes of one version
//! only, and Spack refuses the whole of one with a compiler in the place that versions before 5 had for it.

use crate::node::{Edge, Node};
use crate::spec_json::CURRENT_VERSION;
use serde_json::{Map, Value, json};

/// The JSON of a node of a document of version `version` as one of version 5. The DAG hash is kept, though it is that of the
/// old form: the annotation says so.
///
/// # Errors
/// If it is no JSON object.
pub fn to_current(node: &Node, version: u32) -> Result<String, serde_json::Error> {
    if version >= CURRENT_VERSION {
        return Ok(node.json().to_owned());
    }
    let read = node;
    let mut node: Map<String, Value> = serde_json::from_str(node.json())?;
    let compiler = node.shift_remove("compiler");
    if let Some(edges) = node.get_mut("dependencies") {
        let written = edges_of(edges.take());
        *edges = written.into_iter().zip(&read.dependencies).map(|(json, read)| edge(json, read)).collect();
    }
    if !node.contains_key("annotations") {
        let compiler = compiler.as_ref().and_then(compiler_text).unwrap_or_else(|| "None".to_owned());
        let annotations = json!({"original_specfile_version": version, "compiler": compiler});
        node.insert("annotations".to_owned(), annotations);
    }
    // The hash is what nodes end with.
    if let Some(hash) = node.shift_remove("hash") {
        node.insert("hash".to_owned(), hash);
    }
    serde_json::to_string(&node)
}

/// `gcc@=12.2.0`
fn compiler_text(compiler: &Value) -> Option<String> {
    Some(format!("{}@={}", compiler.get("name")?.as_str()?, compiler.get("version")?.as_str()?))
}

fn edges_of(edges: Value) -> Vec<Map<String, Value>> {
    let object = |edge| if let Value::Object(edge) = edge { edge } else { Map::new() };
    match edges {
        Value::Array(edges) => edges.into_iter().map(object).collect(),
        Value::Object(by_name) => by_name.into_iter().map(|(_, edge)| object(edge)).collect(),
        _ => Vec::new(),
    }
}

/// An edge with its types where version 5 has them, and the DAG hash of what it leads to, for which versions before 4 may
/// have another. Edges of old specs are all to direct dependencies.
fn edge(mut written: Map<String, Value>, read: &Edge) -> Value {
    let types = written.shift_remove("type").unwrap_or_else(|| json!([]));
    let mut parameters = match written.shift_remove("parameters") {
        Some(Value::Object(parameters)) => parameters,
        _ => Map::from_iter([("deptypes".to_owned(), types), ("virtuals".to_owned(), json!([]))]),
    };
    parameters.insert("direct".to_owned(), Value::Bool(true));
    let mut edge = Map::new();
    edge.insert("name".to_owned(), json!(read.name));
    edge.insert("hash".to_owned(), json!(read.hash));
    written.retain(|key, _| !["name", "hash", "build_hash", "full_hash"].contains(&key.as_str()));
    edge.extend(written);
    edge.insert("parameters".to_owned(), Value::Object(parameters));
    Value::Object(edge)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ConcreteSpec;
    use serde_json::value::RawValue;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    /// What becomes of a node with those edges, and another node that it needs.
    fn upgraded(version: u32, edges: &str) -> String {
        let node = |name: &str, hash: &str, rest: &str| {
            format!(
                r#"{{"name":"{name}","version":"1","arch":{{"platform":"p","platform_os":"o","target":"t"}},{rest}"hash":"{hash}"}}"#
            )
        };
        let rest = format!(r#""compiler":{{"name":"gcc","version":"12.2.0"}},"dependencies":{edges},"#);
        let b = node("b", B, r#""build_hash":"cccccccccccccccccccccccccccccccc","#);
        let nodes = format!("{},{b}", node("a", A, &rest));
        let spec = format!(r#"{{"_meta":{{"version":{version}}},"nodes":[{nodes}]}}"#);
        let spec = ConcreteSpec::parse(&RawValue::from_string(spec).unwrap()).unwrap();
        to_current(spec.root(), version).unwrap()
    }

    #[test]
    fn the_compiler_becomes_an_annotation_and_edges_get_parameters() {
        let old = [
            (
                4,
                r#"[{"name":"b","hash":"HASH","parameters":{"deptypes":["link"],"virtuals":["v"]}}]"#,
                r#"["v"]"#,
            ),
            (4, r#"[{"name":"b","hash":"HASH","parameters":null,"type":["link"]}]"#, "[]"),
            (3, r#"[{"name":"b","hash":"HASH","type":["link"]}]"#, "[]"),
            (3, r#"[{"name":"b","build_hash":"cccccccccccccccccccccccccccccccc","type":["link"]}]"#, "[]"),
            (2, r#"{"b":{"hash":"HASH","type":["link"]}}"#, "[]"),
        ];
        for (version, edges, virtuals) in old {
            let expected = format!(
                r#""dependencies":[{{"name":"b","hash":"{B}","parameters":{{"deptypes":["link"],"virtuals":{virtuals},"direct":true}}}}],"annotations":{{"original_specfile_version":{version},"compiler":"gcc@=12.2.0"}},"hash":"{A}"}}"#
            );
            let found = upgraded(version, &edges.replace("HASH", B));
            assert!(found.ends_with(&expected), "{found}\n{expected}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_no_reason_to_panic() {
        for edges in ["[]", "null", r#"[{"name":"b","hash":"HASH","parameters":[]}]"#, r#"[["b","HASH"]]"#] {
            assert!(upgraded(4, &edges.replace("HASH", B)).contains(r#""original_specfile_version":4"#));
        }
    }

    #[test]
    fn a_current_node_is_left_as_it_is() {
        assert!(!upgraded(5, "[]").contains("annotations"));
    }
}
