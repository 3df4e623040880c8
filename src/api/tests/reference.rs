//! docs/reference.md: every field of every kind, from the CRDs.
#![allow(clippy::unwrap_used)] // clippy knows `#[test]` functions, not their helpers

use std::fmt::Write as _;

use serde_json::Value;

#[test]
fn reference_is_current() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference.md");
    let wanted = reference();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(file, &wanted).unwrap();
    }
    let written = std::fs::read_to_string(file).expect("docs/reference.md is in the repository");
    assert!(written == wanted, "docs/reference.md is not what the CRDs say: run `make crds`");
}

fn reference() -> String {
    let mut text = String::from(HEAD);
    for (_, crd) in howdah_api::crds() {
        let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        let names = &crd["spec"]["names"];
        let short = names["shortNames"][0].as_str().unwrap_or_default();
        let kind = names["kind"].as_str().unwrap();
        write!(text, "\n## {kind}\n\nShort name `{short}`. {}\n", said(schema)).unwrap();
        rules(&mut text, schema);
        for part in ["spec", "status"] {
            object(&mut text, part, &schema["properties"][part]);
        }
    }
    text
}

/// One object: its fields as a table, its rules, then the objects in it.
fn object(text: &mut String, path: &str, schema: &Value) {
    let Some(fields) = schema["properties"].as_object() else { return };
    write!(text, "\n### {path}\n\n").unwrap();
    let own = said(schema);
    if !own.is_empty() {
        write!(text, "{own}\n\n").unwrap();
    }
    text.push_str("| field | type | default | |\n|---|---|---|---|\n");
    let required: Vec<_> = schema["required"].as_array().into_iter().flatten().collect();
    for (name, field) in fields {
        let default = match field.get("default") {
            // The defaults of an object are those of its fields, which have their own table.
            Some(_) if field["properties"].is_object() => String::new(),
            Some(value) => format!("`{value}`"),
            None if required.iter().any(|it| *it == name) => "required".into(),
            None => String::new(),
        };
        // Those of an object stand below its own table.
        let rules = if field["properties"].is_object() { vec![] } else { rules_of(field) };
        let rules = if rules.is_empty() { String::new() } else { format!("Refused: *{}*", rules.join("; ")) };
        let about = [said(field), bounds(field), rules];
        let about = about.into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>().join(" ");
        writeln!(text, "| `{name}` | {} | {default} | {about} |", type_of(field)).unwrap();
    }
    rules(text, schema);
    for (name, field) in fields {
        object(text, &format!("{path}.{name}"), field);
        object(text, &format!("{path}.{name}[]"), &field["items"]);
    }
}

fn said(schema: &Value) -> String {
    let text = schema["description"].as_str().unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

fn type_of(schema: &Value) -> String {
    if let Some(values) = schema["enum"].as_array() {
        let values = values.iter().filter_map(Value::as_str).map(|it| format!("`{it}`"));
        return values.map(|it| if it == "``" { "empty".into() } else { it }).collect::<Vec<_>>().join(", ");
    }
    if schema["x-kubernetes-int-or-string"] == true {
        return "text or integer".into();
    }
    match schema["type"].as_str() {
        Some("array") => format!("list of {}", type_of(&schema["items"])),
        Some("object") if schema["additionalProperties"].is_object() => {
            format!("map of {}", type_of(&schema["additionalProperties"]))
        }
        Some("string") if schema["format"] == "date-time" => "time".into(),
        Some("string") => "text".into(),
        Some(other) => other.into(),
        None => "anything".into(),
    }
}

fn bounds(schema: &Value) -> String {
    match (schema["minimum"].as_f64(), schema["maximum"].as_f64()) {
        (Some(min), Some(max)) => format!("{min} to {max}."),
        _ => String::new(),
    }
}

fn rules_of(schema: &Value) -> Vec<String> {
    let rules = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
    let text = |rule: &Value| match rule["message"].as_str() {
        Some(message) => message.to_owned(),
        None => "reserved, because Howdah itself sets it".to_owned(),
    };
    rules.map(text).collect()
}

fn rules(text: &mut String, schema: &Value) {
    let rules = rules_of(schema);
    if !rules.is_empty() {
        text.push_str("\nRefused, and said so:\n\n");
        rules.iter().for_each(|it| writeln!(text, "- {it}").unwrap());
    }
}

const HEAD: &str = "# The resources\n\n\
    <!-- Written by `make crds`. Do not edit. -->\n\n\
    API group `howdah.dev`, version `v1alpha1`. `kubectl explain servergroup.spec` prints the same. The API server\n\
    checks every object before it is stored, and names the field that it refuses.\n";
