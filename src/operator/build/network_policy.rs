//! Who may talk to whom: certificates decide, and these policies keep the rest of the cluster away from the door.
use howdah_api::NetworkPolicyMode;
use howdah_instance::pods::{
    CONTROL_PORT, COORDINATOR_PORT, POSTGRES_PORT, ROUTER_LOOPBACK_PORT, ROUTER_PROBES_PORT,
};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::{Blueprint, typed};
use crate::names::{APP, GROUP, NODE_TYPE, ROLE, ROUTER};

/// None when the spec switches them off.
pub(crate) fn network_policies(blueprint: &Blueprint<'_>) -> Vec<DynamicObject> {
    let names = &blueprint.names;
    if blueprint.spec().networking.network_policy == NetworkPolicyMode::Off {
        return Vec::new();
    }
    let routers = || json!({"podSelector": {"matchLabels": {GROUP: names.group, ROLE: ROUTER}}});
    let operator = operator(blueprint);
    let from_operator = |ports: &[u16]| operator.as_ref().map(|it| rule(Some(it.clone()), ports));
    let clients = || rule(None, &[POSTGRES_PORT]);
    // Metrics are plain HTTP: they are open to those who ask for them by a PodMonitor, and otherwise to nobody.
    let metrics = blueprint.spec().monitoring.pod_monitor.enabled.then(|| rule(None, &[ROUTER_PROBES_PORT]));

    let mut worker = vec![rule(Some(routers()), &[POSTGRES_PORT])];
    worker.extend(from_operator(&[POSTGRES_PORT, CONTROL_PORT]));
    let mut coordinator = vec![clients(), rule(Some(routers()), &[COORDINATOR_PORT, POSTGRES_PORT])];
    coordinator.extend(from_operator(&[COORDINATOR_PORT, CONTROL_PORT]));
    coordinator.extend(metrics.clone());
    let from_coordinator =
        json!({"podSelector": {"matchLabels": {GROUP: names.group, NODE_TYPE: "coordinator"}}});
    let mut router = vec![clients(), rule(Some(from_coordinator), &[ROUTER_LOOPBACK_PORT])];
    router.extend(metrics);
    vec![
        policy(blueprint, "worker", &worker),
        policy(blueprint, "coordinator", &coordinator),
        policy(blueprint, ROUTER, &router),
    ]
}

fn policy(blueprint: &Blueprint<'_>, node_type: &str, ingress: &[Value]) -> DynamicObject {
    let names = &blueprint.names;
    typed::<NetworkPolicy>(json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": blueprint.metadata(&format!("{}-{node_type}", names.group), names.labels()),
        "spec": {
            "podSelector": {"matchLabels": {GROUP: names.group, NODE_TYPE: node_type}},
            "policyTypes": ["Ingress"],
            "ingress": ingress,
        },
    }))
}

fn rule(from: Option<Value>, ports: &[u16]) -> Value {
    let ports: Vec<Value> = ports.iter().map(|it| json!({"protocol": "TCP", "port": it})).collect();
    match from {
        Some(from) => json!({"from": [from], "ports": ports}),
        None => json!({"ports": ports}),
    }
}

fn operator(blueprint: &Blueprint<'_>) -> Option<Value> {
    let namespace = blueprint.operator_namespace.as_ref()?;
    Some(json!({
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "podSelector": {"matchLabels": {APP: "howdah", "app.kubernetes.io/component": "operator"}},
    }))
}
