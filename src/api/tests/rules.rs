//! Every rule of the CRDs with an object that a real API server accepts and one that it refuses.
#![allow(clippy::unwrap_used)] // clippy knows `#[test]` functions, not their helpers

mod programs;
mod server;

use std::fmt::Write as _;

use serde_json::{Value, json};

use self::server::Server;

/// Specs as a person would write them: YAML. A refusal must contain the text, which names the field.
struct Case {
    accepted: &'static str,
    refused: &'static [(&'static str, &'static str)],
}

/// From one spec to another.
struct Change {
    from: &'static str,
    accepted: &'static [&'static str],
    refused: &'static [(&'static str, &'static str)],
}

#[path = "rules/cases.rs"]
mod cases;

#[tokio::test]
async fn every_rule_accepts_and_refuses() {
    let Some(server) = Server::start().await else { return };
    let mut wrong = String::new();
    names(&server, &mut wrong).await;
    for case in cases::CASES {
        check(&server, "ServerGroup", case, &mut wrong).await;
    }
    for case in cases::OPERATIONS {
        check(&server, "ServerGroupOperation", case, &mut wrong).await;
    }
    for case in cases::NODES {
        check(&server, "ServerGroupNode", case, &mut wrong).await;
    }
    for (number, change) in cases::CHANGES.iter().enumerate() {
        check_change(&server, &format!("change-{number}"), change, &mut wrong).await;
    }
    check_operation_is_immutable(&server, &mut wrong).await;
    version_of_the_data_never_goes_down(&server, &mut wrong).await;
    samples_are_accepted(&server, &mut wrong).await;
    defaults_are_those_of_the_structs(&server).await;
    assert!(wrong.is_empty(), "\n{wrong}");
}

fn object(kind: &str, name: &str, spec: &str) -> Value {
    let spec: Value = serde_yaml::from_str(spec).unwrap_or_else(|error| panic!("{spec}: {error}"));
    json!({"apiVersion": "howdah.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

async fn check(server: &Server, kind: &str, case: &Case, wrong: &mut String) {
    if let Err(message) = server.try_create(&object(kind, "demo", case.accepted)).await {
        writeln!(wrong, "refused {}: {message}", case.accepted).unwrap();
    }
    for (spec, expected) in case.refused {
        expect_refusal(server.try_create(&object(kind, "demo", spec)).await, spec, expected, wrong);
    }
}

async fn check_change(server: &Server, name: &str, change: &Change, wrong: &mut String) {
    if let Err(message) = server.create(&object("ServerGroup", name, change.from)).await {
        return writeln!(wrong, "refused {}: {message}", change.from).unwrap();
    }
    for spec in change.accepted {
        if let Err(message) = server.try_replace(&object("ServerGroup", name, spec)).await {
            writeln!(wrong, "refused {} -> {spec}: {message}", change.from).unwrap();
        }
    }
    for (spec, expected) in change.refused {
        let said = server.try_replace(&object("ServerGroup", name, spec)).await;
        expect_refusal(said, &format!("{} -> {spec}", change.from), expected, wrong);
    }
}

fn expect_refusal<T>(said: Result<T, String>, what: &str, expected: &str, wrong: &mut String) {
    match said {
        Ok(_) => writeln!(wrong, "accepted {what}").unwrap(),
        Err(message) if !message.contains(expected) => {
            writeln!(wrong, "{what}: expected \"{expected}\" in: {message}").unwrap();
        }
        Err(_) => {}
    }
}

async fn names(server: &Server, wrong: &mut String) {
    for (length, accepted) in [(40, true), (41, false)] {
        let said = server.try_create(&object("ServerGroup", &"n".repeat(length), "{}")).await;
        match (said, accepted) {
            (Err(message), true) => writeln!(wrong, "name of {length}: {message}").unwrap(),
            (said, false) => expect_refusal(said, "a long name", "metadata.name: at most 40", wrong),
            (Ok(_), true) => {}
        }
    }
    for name in ["a.b", "1a"] {
        let said = server.try_create(&object("ServerGroup", name, "{}")).await;
        expect_refusal(said, name, "metadata.name: lower-case letters", wrong);
    }
}

async fn check_operation_is_immutable(server: &Server, wrong: &mut String) {
    let kind = "ServerGroupOperation";
    server.create(&object(kind, "restart", "{serverGroup: demo, type: Restart}")).await.unwrap();
    let changed = object(kind, "restart", "{serverGroup: other, type: Restart}");
    expect_refusal(server.try_replace(&changed).await, "another group", "immutable", wrong);
    let kind = "ServerGroupNode";
    server.create(&object(kind, "demo-w0", "{serverGroup: demo, node: w0}")).await.unwrap();
    let changed = object(kind, "demo-w0", "{serverGroup: demo, node: w1}");
    expect_refusal(server.try_replace(&changed).await, "another node", "immutable", wrong);
}

/// The spec left it open; the status knows it.
async fn version_of_the_data_never_goes_down(server: &Server, wrong: &mut String) {
    server.create(&object("ServerGroup", "data", "{}")).await.unwrap();
    let status = json!({"status": {"postgresVersion": "17.6"}});
    let (parameters, patch) = (kube::api::PatchParams::default(), kube::api::Patch::Merge(&status));
    server.objects("ServerGroup").patch_status("data", &parameters, &patch).await.unwrap();
    let said = server.try_replace(&object("ServerGroup", "data", "{postgresVersion: '16'}")).await;
    expect_refusal(said, "16 on data of 17", "spec.postgresVersion: the version never goes down", wrong);
    for version in ["17", "18"] {
        let spec = format!("{{postgresVersion: '{version}'}}");
        if let Err(message) = server.try_replace(&object("ServerGroup", "data", &spec)).await {
            writeln!(wrong, "{version} on data of 17: {message}").unwrap();
        }
    }
}

async fn samples_are_accepted(server: &Server, wrong: &mut String) {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/samples");
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let sample: Value = serde_yaml::from_str(&text).unwrap();
        if let Some(message) = howdah_api::unknown_field(&sample["spec"]) {
            writeln!(wrong, "{}: {message}", path.display()).unwrap();
        }
        if let Err(message) = server.try_create(&sample).await {
            writeln!(wrong, "{}: {message}", path.display()).unwrap();
        }
    }
}

/// The local driver fills in defaults from the structs, the API server from the schema.
async fn defaults_are_those_of_the_structs(server: &Server) {
    for spec in ["{}", "{workers: {storage: {className: fast}}, coordinator: {vcores: 2}, tls: {}}"] {
        let stored = server.try_create(&object("ServerGroup", "defaults", spec)).await.unwrap();
        let from_server: howdah_api::ServerGroupSpec =
            serde_json::from_value(stored["spec"].clone()).unwrap();
        let from_structs: howdah_api::ServerGroupSpec = serde_yaml::from_str(spec).unwrap();
        assert_eq!(from_server, from_structs);
        assert_eq!(stored["spec"], serde_json::to_value(from_structs).unwrap());
    }
    let without =
        json!({"apiVersion": "howdah.dev/v1alpha1", "kind": "ServerGroup", "metadata": {"name": "none"}});
    let stored = server.try_create(&without).await.unwrap();
    assert_eq!(stored["spec"]["workers"]["count"], 2);
}
