//! Services: the address for applications, and a stable name for each member.
use howdah_api::ServiceType;
use howdah_group::NodeName;
use howdah_instance::pods::{CONTROL_PORT, POSTGRES_PORT};
use k8s_openapi::api::core::v1::Service;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::config::postgres_port;
use super::{Blueprint, typed};
use crate::names::{GROUP, NODE, ROLE, ROUTER};

/// Of all nodes, also those that are to leave.
pub(crate) fn services(
    blueprint: &Blueprint<'_>,
    nodes: impl IntoIterator<Item = NodeName>,
) -> Vec<DynamicObject> {
    let headless = nodes.into_iter().map(|it| headless(blueprint, it));
    std::iter::once(for_applications(blueprint)).chain(headless).collect()
}

fn for_applications(blueprint: &Blueprint<'_>) -> DynamicObject {
    let names = &blueprint.names;
    let wanted = &blueprint.spec().networking.service;
    let mut metadata = blueprint.metadata(&names.group, names.labels());
    if !wanted.annotations.is_empty() {
        metadata["annotations"] = json!(wanted.annotations);
    }
    let mut spec = json!({
        "type": wanted.kind,
        "selector": {GROUP: names.group, ROLE: ROUTER},
        "ports": [{"name": "postgres", "port": POSTGRES_PORT, "targetPort": POSTGRES_PORT, "protocol": "TCP"}],
    });
    if wanted.kind == ServiceType::LoadBalancer && !wanted.load_balancer_source_ranges.is_empty() {
        spec["loadBalancerSourceRanges"] = json!(wanted.load_balancer_source_ranges);
    }
    service(metadata, spec)
}

/// Members are named before they are ready: the operator, and those who must agree on them, need to reach them.
fn headless(blueprint: &Blueprint<'_>, node: NodeName) -> DynamicObject {
    let names = &blueprint.names;
    let spec = json!({
        "type": "ClusterIP",
        "clusterIP": "None",
        "publishNotReadyAddresses": true,
        "selector": {GROUP: names.group, NODE: node.to_string()},
        "ports": [
            {"name": "postgres", "port": postgres_port(node), "targetPort": postgres_port(node), "protocol": "TCP"},
            {"name": "control", "port": CONTROL_PORT, "targetPort": CONTROL_PORT, "protocol": "TCP"},
        ],
    });
    service(blueprint.metadata(&names.node(node), names.node_labels(node)), spec)
}

fn service(metadata: Value, spec: Value) -> DynamicObject {
    typed::<Service>(json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}))
}
