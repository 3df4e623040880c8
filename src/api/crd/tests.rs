use serde_json::Value;

use super::*;

#[test]
fn generated_file_is_current() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crds/servergroups.yaml");
    let written = std::fs::read_to_string(file).expect("crds/servergroups.yaml is in the repository");
    assert!(written == crd_yaml(), "crds/servergroups.yaml is not what `howdah crd` writes: run `make crds`");
}

#[test]
fn every_schema_has_a_type() {
    check_typed(&spec_schema(), "spec");
}

fn check_typed(schema: &Value, path: &str) {
    let open = schema.get("x-kubernetes-preserve-unknown-fields").is_some();
    assert!(open || schema.get("type").is_some_and(Value::is_string), "{path} has no type: {schema}");
    for key in ["oneOf", "anyOf", "allOf", "$ref", "$defs"] {
        assert!(schema.get(key).is_none(), "{path} has {key}");
    }
    for (name, inner) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        check_typed(inner, &format!("{path}.{name}"));
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get(key) {
            check_typed(inner, &format!("{path}.{key}"));
        }
    }
}
