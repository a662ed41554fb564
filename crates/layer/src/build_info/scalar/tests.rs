use base64::Engine;

use super::*;

/// What Spack's own emitter made of some 900 texts as item, value and key; see the README beside the file.
#[test]
fn scalars_are_written_as_by_spacks_emitter() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/yaml_scalars.json");
    let rows: Vec<serde_json::Value> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut wrong = Vec::new();
    for row in &rows {
        let text = base64::prelude::BASE64_STANDARD.decode(row["text"].as_str().unwrap()).unwrap();
        let mut out = b"{item: [".to_vec();
        push_scalar(&mut out, &text);
        out.extend_from_slice(b", ");
        push_scalar(&mut out, &text);
        out.extend_from_slice(b"], value: ");
        push_scalar(&mut out, &text);
        out.extend_from_slice(b", nested: {k: ");
        push_scalar(&mut out, &text);
        out.extend_from_slice(b"}, key: {");
        push_key(&mut out, &text);
        out.extend_from_slice(b"v}}\n");
        let written = String::from_utf8(out).unwrap();
        let expected = row["document"].as_str().unwrap();
        if matches!(&text[..], b": x" | b"? x") {
            // Spack writes these without quotes, and its reader then sees something else or nothing.
            let text = String::from_utf8(text).unwrap();
            assert_eq!(written, expected.replace(&text, &format!("'{text}'")));
        } else if written != expected {
            wrong.push(format!("{}\n  spack: {expected}  here:  {written}", text.escape_ascii()));
        }
    }
    assert!(rows.len() >= 900);
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}
