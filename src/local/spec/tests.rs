use expect_test::{Expect, expect};

use super::*;

fn check_error(text: &str, expect: &Expect) {
    expect.assert_eq(&parse(text).expect_err("the text is wrong"));
}

const HEAD: &str = "apiVersion: howdah.dev/v1alpha1\nkind: ServerGroup\nmetadata: {name: demo}\n";

#[test]
fn nothing_but_a_name_is_needed() {
    let group = parse(&format!("{HEAD}spec: {{}}\n")).unwrap();
    assert_eq!(group, ServerGroup::named("demo"));
    assert_eq!((group.spec.workers.count, group.spec.high_availability.instances), (2, 1));
    assert_eq!(parse(HEAD).unwrap(), group);
}

#[test]
fn broken_yaml_names_the_line() {
    check_error(
        &format!("{HEAD}spec:\n  database: app\n adminUser: x\n"),
        &expect!["did not find expected key at line 6 column 2, while parsing a block mapping"],
    );
}

#[test]
fn an_unknown_field_names_its_path() {
    check_error(
        &format!("{HEAD}spec:\n  workers:\n    cuont: 3\n"),
        &expect![
            "spec.workers: unknown field `cuont`, expected one of `count`, `edition`, `overrides`, `parameters`, `resources`, `storage`, `vcores`"
        ],
    );
}

#[test]
fn a_wrong_type_names_path_and_line() {
    check_error(
        &format!("{HEAD}spec:\n  workers: {{count: many}}\n"),
        &expect![[r#"spec.workers.count: invalid type: string "many", expected u32 at line 5 column 20"#]],
    );
}

#[test]
fn values_are_checked() {
    let spec = |it: &str| format!("{HEAD}spec: {{{it}}}\n");
    check_error(
        &spec("postgresVersion: '14'"),
        &expect![[r#"spec.postgresVersion: "14" is not a major version from 15 to 18"#]],
    );
    check_error(
        &spec("parameters: {SSL_cert_file: x}"),
        &expect!["spec.parameters.SSL_cert_file: this setting is reserved"],
    );
    check_error(&spec("adminUser: postgres"), &expect![[r#"spec.adminUser: "postgres" is reserved"#]]);
    check_error(
        &spec("workers: {count: 0}"),
        &expect![
            "spec: shards on the coordinator are not supported yet: set workers.count to 1 or more and coordinator.holdShards to false"
        ],
    );
    check_error(
        &HEAD.replace("demo", "Demo_1"),
        &expect![[r#"metadata.name: "Demo_1" must be 1 to 40 lower-case letters, digits and inner hyphens"#]],
    );
    check_error(
        &HEAD.replace("v1alpha1", "v1"),
        &expect![[r#"apiVersion: "howdah.dev/v1" is not "howdah.dev/v1alpha1""#]],
    );
}

#[test]
fn what_only_kubernetes_reads_is_named() {
    let text = format!(
        "{HEAD}spec:\n  image: postgres:17\n  workers: {{count: 3, storage: {{size: 1Gi}}}}\n  \
         highAvailability: {{instances: 2}}\n  parameters: {{work_mem: 8MB}}\n"
    );
    let fields = ignored_fields(&parse(&text).unwrap().spec).join(" ");
    expect!["spec.highAvailability.instances spec.image spec.workers.storage"].assert_eq(&fields);
}

#[test]
fn every_sample_is_valid() {
    let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/samples");
    let mut count = 0;
    for entry in fs::read_dir(samples).unwrap() {
        let path = entry.unwrap().path();
        read(&path).unwrap_or_else(|error| panic!("{error}"));
        count += 1;
    }
    assert!(count >= 2, "{samples} has {count} files");
}
