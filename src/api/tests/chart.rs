//! The chart, rendered by helm.
#![allow(clippy::unwrap_used)] // clippy knows `#[test]` functions, not their helpers

mod programs;

use std::path::Path;
use std::process::Command;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;

#[test]
fn the_chart_renders_what_it_promises() {
    let Some(programs) = programs::directory_with(&["helm"]) else { return };
    let helm = |arguments: &[&str]| helm(&programs.join("helm"), arguments);
    helm(&["lint", "--strict", "."]).expect("helm lint");
    crds_are_upgraded_and_kept(&objects(&helm(&TEMPLATE).unwrap()));
    one_namespace_means_no_other(&objects(
        &helm(&[&TEMPLATE[..], &["--set", "watchNamespaces={a,b}"]].concat()).unwrap(),
    ));
    rights_in_config_are_current(&helm(&[&TEMPLATE[..], &RIGHTS].concat()).unwrap());
    one_replica_has_no_budget(&objects(
        &helm(&[&TEMPLATE[..], &["--set-string", "replicas=1"]].concat()).unwrap(),
    ));
    let typo = helm(&[&TEMPLATE[..], &["--set", "watchNamespace={a}"]].concat());
    assert!(typo.expect_err("a typo in a value").contains("watchNamespace"));
}

const TEMPLATE: [&str; 5] = ["template", "howdah", ".", "--namespace", "howdah-system"];
const RIGHTS: [&str; 4] =
    ["--show-only", "templates/serviceaccount.yaml", "--show-only", "templates/rbac.yaml"];

fn crds_are_upgraded_and_kept(objects: &[Value]) {
    let crds: Vec<_> = of(objects, "CustomResourceDefinition").collect();
    let wanted = howdah_api::crds();
    assert_eq!(crds.len(), wanted.len());
    for (_, wanted) in wanted {
        let crd = crds.iter().find(|it| it["metadata"]["name"] == wanted["metadata"]["name"]).unwrap();
        assert!(typed(crd).spec == typed(&wanted).spec, "helm changes {}", wanted["metadata"]["name"]);
        assert_eq!(crd["metadata"]["annotations"]["helm.sh/resource-policy"], "keep");
    }
}

/// Numbers of JSON and of YAML are the same only to those who know what they should be.
fn typed(crd: &Value) -> CustomResourceDefinition {
    serde_json::from_value(crd.clone()).unwrap()
}

fn one_namespace_means_no_other(objects: &[Value]) {
    for kind in ["Role", "RoleBinding"] {
        let namespaces: Vec<_> = of(objects, kind).map(|it| it["metadata"]["namespace"].clone()).collect();
        assert_eq!(namespaces, ["a", "b", "howdah-system"], "{kind}");
    }
    let bound: Vec<_> = of(objects, "ClusterRoleBinding").map(|it| it["roleRef"]["name"].clone()).collect();
    assert_eq!(bound, ["howdah-system-howdah-storage"]);
}

fn rights_in_config_are_current(rendered: &str) {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/rbac.yaml");
    let written = std::fs::read_to_string(file).unwrap();
    assert!(written == rendered, "config/rbac.yaml is not what the chart says: run `make crds`");
}

fn one_replica_has_no_budget(objects: &[Value]) {
    assert_eq!(of(objects, "PodDisruptionBudget").count(), 0);
    assert_eq!(of(objects, "Deployment").next().unwrap()["spec"]["replicas"], 1);
}

fn of<'a>(objects: &'a [Value], kind: &str) -> impl Iterator<Item = &'a Value> {
    objects.iter().filter(move |it| it["kind"] == kind)
}

fn objects(yaml: &str) -> Vec<Value> {
    use serde::Deserialize as _;
    serde_yaml::Deserializer::from_str(yaml).map(|it| Value::deserialize(it).unwrap()).collect()
}

fn helm(program: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../charts/howdah"));
    let output = command.output().unwrap();
    let text = |it| String::from_utf8(it).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}
