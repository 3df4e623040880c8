//! The CustomResourceDefinition, generated from the structs.
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::ServerGroupSpec;

/// The CRD of `ServerGroup` as JSON.
pub fn crd() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "servergroups.howdah.dev"},
        "spec": {
            "group": "howdah.dev",
            "names": {
                "kind": "ServerGroup", "listKind": "ServerGroupList", "plural": "servergroups",
                "singular": "servergroup", "shortNames": ["sg"], "categories": ["all"],
            },
            "scope": "Namespaced",
            "versions": [{
                "name": "v1alpha1", "served": true, "storage": true,
                "additionalPrinterColumns": printer_columns(),
                "subresources": {
                    "status": {},
                    "scale": {
                        "specReplicasPath": ".spec.workers.count",
                        "statusReplicasPath": ".status.workers.ready",
                        "labelSelectorPath": ".status.selector",
                    },
                },
                "schema": {"openAPIV3Schema": {
                    "type": "object",
                    "description": "A server group: one coordinator and its workers, one database to its clients.",
                    "properties": {
                        "apiVersion": {"type": "string"},
                        "kind": {"type": "string"},
                        "metadata": {"type": "object"},
                        "spec": spec_schema(),
                        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                    },
                }},
            }],
        },
    })
}

/// The file `crds/servergroups.yaml`: JSON with indentation is YAML, and this crate needs no YAML library.
pub fn crd_yaml() -> String {
    let json = serde_json::to_string_pretty(&crd()).expect("a JSON value has only text keys");
    format!("# Written by `howdah crd`. Do not edit.\n{json}\n")
}

fn printer_columns() -> Value {
    let column = |name: &str, path: &str, priority: u8| json!({"name": name, "type": "string", "jsonPath": path, "priority": priority});
    json!([
        column("Phase", ".status.phase", 0),
        column("Coord", ".status.nodes[?(@.name==\"coordinator\")].ready", 0),
        column("Workers", ".status.workers.summary", 0),
        column("HA", ".status.ha.summary", 0),
        column("PG", ".status.postgresVersion", 0),
        column("Endpoint", ".status.endpoint", 0),
        column("Rebalance", ".status.rebalance.state", 1),
        column("Message", ".status.conditions[?(@.type==\"Ready\")].message", 1),
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ])
}

fn spec_schema() -> Value {
    let settings = SchemaSettings::openapi3().with(|it| it.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<ServerGroupSpec>().to_value();
    make_structural(&mut schema);
    schema
}

/// Kubernetes accepts only "structural" schemas: no `$schema`, no closed objects, no `title`, `nullable` for
/// a null type, and no value whose type is left open unless it says so.
fn make_structural(schema: &mut Value) {
    let Value::Object(object) = schema else { return };
    for key in ["$schema", "title", "components", "definitions", "$defs"] {
        object.remove(key);
    }
    if object.get("additionalProperties") == Some(&Value::Bool(false)) {
        object.remove("additionalProperties");
    }
    if object.get("additionalProperties") == Some(&Value::Bool(true)) {
        object.remove("additionalProperties");
        object.insert("x-kubernetes-preserve-unknown-fields".into(), Value::Bool(true));
    }
    drop_unsigned_format(object);
    merge_variants(object);
    if let Some(Value::Object(properties)) = object.get_mut("properties") {
        properties.values_mut().for_each(make_structural);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = object.get_mut(key) {
            make_structural(inner);
        }
    }
}

/// `uint32` is schemars' own word.
fn drop_unsigned_format(object: &mut Map<String, Value>) {
    if object.get("format").and_then(Value::as_str).is_some_and(|it| it.starts_with("uint")) {
        object.remove("format");
    }
}

/// Documented variants of an enum come as `oneOf` of single texts; an optional object as `anyOf`/`allOf` of one.
fn merge_variants(object: &mut Map<String, Value>) {
    if let Some(Value::Array(variants)) = object.remove("oneOf") {
        let names: Vec<Value> = variants
            .iter()
            .flat_map(|it| match (it.get("const"), it.get("enum")) {
                (Some(name), _) => vec![name.clone()],
                (None, Some(Value::Array(names))) => names.clone(),
                _ => vec![],
            })
            .collect();
        object.insert("type".into(), "string".into());
        object.insert("enum".into(), Value::Array(names));
    }
    for key in ["allOf", "anyOf"] {
        if let Some(Value::Array(variants)) = object.remove(key) {
            for variant in variants {
                let Value::Object(variant) = variant else { continue };
                if variant.get("enum") == Some(&json!([null])) {
                    object.insert("nullable".into(), Value::Bool(true));
                    continue;
                }
                for (name, value) in variant {
                    object.entry(name).or_insert(value);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
