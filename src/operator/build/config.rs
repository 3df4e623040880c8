//! What the processes in the pods are told: ConfigMaps with the JSON of an instance manager and of a router.
use std::collections::BTreeMap;

use howdah_api::{ServerGroupSpec, TlsMode};
use howdah_group::NodeName;
use howdah_instance::pods::{
    CONTROL_PORT, COORDINATOR_PORT, LOOPBACK_DIR, MEMBER_DIR, POSTGRES_PORT, PROBES_PORT,
    ROUTER_LOOPBACK_PORT, ROUTER_LOOPBACK_SOCKET, ROUTER_PROBES_PORT, SOCKET_DIR, passwd,
};
use howdah_instance::{InstanceConfig, settings};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::pod::{GRACE_SECONDS, UID};
use super::{Blueprint, typed};

type Settings = BTreeMap<String, String>;

/// Which port a node's own PostgreSQL has: beside the coordinator's the router has the usual one.
pub(super) fn postgres_port(node: NodeName) -> u16 {
    match node {
        NodeName::Coordinator => COORDINATOR_PORT,
        NodeName::Worker(_) => POSTGRES_PORT,
    }
}

/// The settings that the spec wants on a node.
pub(crate) fn instance_settings(spec: &ServerGroupSpec, node: NodeName) -> Settings {
    let own = match node {
        NodeName::Coordinator => &spec.coordinator.parameters,
        NodeName::Worker(_) => &spec.workers.parameters,
    };
    let layers = spec.parameters.iter().chain(own);
    settings::layered(layers.map(|(name, value)| (name.as_str(), value.0.as_str())))
}

/// The ConfigMap of a node. `settings` are those to begin the next start with.
pub(crate) fn node_config(blueprint: &Blueprint<'_>, node: NodeName, settings: &Settings) -> DynamicObject {
    let names = &blueprint.names;
    let coordinator = node == NodeName::Coordinator;
    let major: Option<u32> = blueprint.spec().postgres_version.parse().ok();
    let loopback = coordinator.then(|| {
        json!({
            "listen_dir": LOOPBACK_DIR,
            "router_socket": ROUTER_LOOPBACK_SOCKET,
            "remote_port": ROUTER_LOOPBACK_PORT,
        })
    });
    let config = json!({
        "name": format!("{}/{node}", names.group),
        "postgres_major": major,
        "member_dir": MEMBER_DIR,
        "socket_dir": SOCKET_DIR,
        "listen_addresses": "*",
        "port": postgres_port(node),
        "tls": tls("node"),
        "settings": settings,
        "loopback": loopback,
        "control": {"api": any(CONTROL_PORT), "probes": any(PROBES_PORT)},
        "log": "stderr",
        // The kubelet kills what is left at the end of the grace period.
        "stop_patience": GRACE_SECONDS - 15,
    });
    let data = json!({"config.json": pretty(&config), "passwd": passwd(UID, UID)});
    config_map(blueprint, &names.node(node), names.node_labels(node), &data)
}

/// The settings that a node's ConfigMap holds.
pub(crate) fn settings_of(config_map: &ConfigMap) -> Option<Settings> {
    let text = config_map.data.as_ref()?.get("config.json")?;
    Some(serde_json::from_str::<InstanceConfig>(text).ok()?.settings)
}

/// The ConfigMaps of the routers: the coordinator's own reaches it by its socket, the others over the network.
pub(crate) fn router_config(blueprint: &Blueprint<'_>) -> Vec<DynamicObject> {
    let names = &blueprint.names;
    let mut own = router(blueprint);
    own["coordinator"] = json!({"host": SOCKET_DIR, "port": COORDINATOR_PORT});
    own["loopback_socket"] = ROUTER_LOOPBACK_SOCKET.into();
    let data = json!({"config.json": pretty(&own)});
    let coordinator = names.node_labels(NodeName::Coordinator);
    let mut maps = vec![config_map(blueprint, &names.coordinator_router(), coordinator, &data)];
    if blueprint.spec().router.replicas > 0 {
        let mut remote = router(blueprint);
        remote["coordinator"] = json!({"host": names.host(NodeName::Coordinator), "port": COORDINATOR_PORT});
        remote["loopback_listen"] = any(ROUTER_LOOPBACK_PORT).into();
        let data = json!({"config.json": pretty(&remote)});
        maps.push(config_map(blueprint, &names.routers(), names.router_labels(), &data));
    }
    maps
}

fn router(blueprint: &Blueprint<'_>) -> Value {
    let spec = blueprint.spec();
    let pool = &spec.router.pool;
    json!({
        "listen": [any(POSTGRES_PORT)],
        "tls": {"certificate": "/etc/howdah/tls/server/tls.crt", "key": "/etc/howdah/tls/server/tls.key"},
        "require_tls": spec.tls.mode == TlsMode::Require,
        "client_ca": "/etc/howdah/tls/client/ca.crt",
        "database": spec.database,
        "node_tls": tls("client"),
        "pool": {"max_per_node": pool.default_pool_size},
        "limits": {"clients": pool.max_client_connections},
        "probes": any(ROUTER_PROBES_PORT),
        // Sessions may end their transactions before the kubelet loses its patience.
        "shutdown_grace": GRACE_SECONDS - 20,
    })
}

fn tls(directory: &str) -> Value {
    let file = |name: &str| format!("/etc/howdah/tls/{directory}/{name}");
    json!({"certificate": file("tls.crt"), "key": file("tls.key"), "ca": file("ca.crt")})
}

fn any(port: u16) -> String {
    format!("0.0.0.0:{port}")
}

fn pretty(config: &Value) -> String {
    serde_json::to_string_pretty(config).expect("a JSON value has only text keys")
}

fn config_map(
    blueprint: &Blueprint<'_>,
    name: &str,
    labels: BTreeMap<String, String>,
    data: &Value,
) -> DynamicObject {
    let metadata = blueprint.metadata(name, labels);
    typed::<ConfigMap>(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}))
}
