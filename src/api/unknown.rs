//! Fields that no schema knows: typos.
use serde_json::Value;

use crate::crd;

/// The first field of this ServerGroup's spec that the CRD does not have, as a message with its path.
pub fn unknown_field(spec: &Value) -> Option<String> {
    let crd = crd::server_group();
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    find("spec", spec, schema)
}

fn find(path: &str, value: &Value, schema: &Value) -> Option<String> {
    match value {
        Value::Array(items) => {
            let mut items = items.iter().enumerate();
            items.find_map(|(index, it)| find(&format!("{path}[{index}]"), it, &schema["items"]))
        }
        Value::Object(fields) => fields.iter().find_map(|(name, it)| field(path, name, it, schema)),
        _ => None,
    }
}

fn field(path: &str, name: &str, value: &Value, schema: &Value) -> Option<String> {
    let open = schema.get("x-kubernetes-preserve-unknown-fields").is_some();
    match (schema["properties"].as_object(), schema.get("additionalProperties")) {
        (None, None) => None,
        (Some(known), _) if known.contains_key(name) => find(&format!("{path}.{name}"), value, &known[name]),
        (_, Some(each)) => find(&format!("{path}.{name}"), value, each),
        (Some(known), None) if !open => {
            let names: Vec<_> = known.keys().map(|it| format!("`{it}`")).collect();
            Some(format!("{path}: unknown field `{name}`, expected one of {}", names.join(", ")))
        }
        (Some(_), None) => None,
    }
}
