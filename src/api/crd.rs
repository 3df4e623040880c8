//! The CustomResourceDefinitions, generated from the structs.
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt as _;
use serde_json::{Map, Value, json};

use crate::node::{COORDINATOR_STORAGE, WORKER_STORAGE};
use crate::{ServerGroup, ServerGroupNode, ServerGroupOperation};

/// All kinds, each with the name of its file in `crds/`.
pub fn crds() -> [(&'static str, Value); 3] {
    [
        ("servergroups.yaml", server_group()),
        ("servergroupnodes.yaml", structural(&ServerGroupNode::crd())),
        ("servergroupoperations.yaml", structural(&ServerGroupOperation::crd())),
    ]
}

/// JSON with indentation is YAML, and this crate needs no YAML library.
pub fn crd_yaml(crd: &Value) -> String {
    let json = serde_json::to_string_pretty(crd).expect("a JSON value has only text keys");
    format!("# Written by `howdah crd`. Do not edit.\n{json}\n")
}

pub(crate) fn server_group() -> Value {
    let mut crd = structural(&ServerGroup::crd());
    let root = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    // A ServerGroup may have no spec at all.
    root["properties"]["spec"]["default"] = json!({});
    root.as_object_mut().expect("a schema is an object").remove("required");
    for (node, size) in [("coordinator", COORDINATOR_STORAGE), ("workers", WORKER_STORAGE)] {
        let storage = &mut root["properties"]["spec"]["properties"][node]["properties"]["storage"];
        storage["properties"]["size"]["default"] = json!(size);
        storage.as_object_mut().expect("a schema is an object").remove("required");
    }
    crd
}

/// What the derived schema has more than the API server wants to see.
fn structural(crd: &CustomResourceDefinition) -> Value {
    let mut crd = serde_json::to_value(crd).expect("a CRD is plain data");
    let root = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    walk(root, &mut |schema| {
        // What the field is called, and what the type is called in Rust, is no help.
        schema.remove("title");
        // A null is no value: the API server drops it where there is a default, and refuses it elsewhere.
        schema.remove("nullable");
        if let Some(Value::Array(values)) = schema.get_mut("enum") {
            values.retain(|it| !it.is_null());
        }
        // `uint32` is schemars' own word.
        if schema.get("format").and_then(Value::as_str).is_some_and(|it| it.starts_with("uint")) {
            schema.remove("format");
        }
        if schema.get("required") == Some(&json!([])) {
            schema.remove("required");
        }
    });
    walk(&mut root["properties"]["status"], &mut |schema| drop(schema.remove("default")));
    crd
}

/// Every schema below this one, and itself.
fn walk(schema: &mut Value, visit: &mut impl FnMut(&mut Map<String, Value>)) {
    let Value::Object(object) = schema else { return };
    visit(object);
    if let Some(Value::Object(properties)) = object.get_mut("properties") {
        properties.values_mut().for_each(|it| walk(it, visit));
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = object.get_mut(key) {
            walk(inner, visit);
        }
    }
}

#[cfg(test)]
mod tests;
