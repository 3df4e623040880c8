use super::*;

/// The chart has its own copy, because helm packs only what is in its directory.
#[test]
fn generated_files_are_current() {
    for (name, crd) in crds() {
        check_file(name, &crd, "crds");
        check_file(name, &crd, "charts/howdah/files/crds");
    }
}

fn check_file(name: &str, crd: &Value, directory: &str) {
    let file = format!("{}/../../{directory}/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&file, crd_yaml(crd)).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
    assert!(written == crd_yaml(crd), "{directory}/{name} is not what `howdah crd` writes: run `make crds`");
}

#[test]
fn every_schema_has_a_type() {
    for (name, mut crd) in crds() {
        let root = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        walk(root, &mut |schema| {
            let open = ["x-kubernetes-preserve-unknown-fields", "x-kubernetes-int-or-string"];
            let open = open.iter().any(|it| schema.contains_key(*it));
            assert!(
                open || schema.get("type").is_some_and(Value::is_string),
                "{name}: no type in {schema:?}"
            );
            for key in ["oneOf", "anyOf", "allOf", "$ref", "$defs"] {
                assert!(!schema.contains_key(key), "{name}: {key} in {schema:?}");
            }
        });
    }
}
