//! The pods: what runs in them, as whom, and where.
use std::collections::BTreeMap;

use howdah_api::{AntiAffinity, Scheduling};
use howdah_group::NodeName;
use howdah_instance::pods::{MEMBER_DIR, POSTGRES_PORT, PROBES_PORT, ROUTER_PROBES_PORT, RUN_DIR};
use serde_json::{Value, json};

use super::{Blueprint, overlay, resources};
use crate::names::{GROUP, POSTGRES, ROUTER, TEMPLATE, VOLUME};

/// Of a node's StatefulSet.
pub(super) fn node_template(blueprint: &Blueprint<'_>, node: NodeName) -> Value {
    let names = &blueprint.names;
    let mut containers = vec![postgres(blueprint, node)];
    let mut volumes = vec![
        binary_volume(),
        json!({"name": "run", "emptyDir": {}}),
        json!({"name": "shm", "emptyDir": {"medium": "Memory"}}),
        json!({"name": "tmp", "emptyDir": {}}),
        json!({"name": "instance-config", "configMap": {"name": names.node(node)}}),
        secret_volume("node-tls", &names.node_certificate(node)),
    ];
    if node == NodeName::Coordinator {
        let mut router = router(blueprint);
        push_mount(&mut router, json!({"name": "run", "mountPath": RUN_DIR}));
        containers.push(router);
        volumes.extend(router_volumes(blueprint, &names.coordinator_router()));
    }
    let pod = json!({
        // A fast shutdown writes a checkpoint; the instance manager gives up a little earlier.
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": security_context(),
        "initContainers": [binary_container(blueprint)],
        "containers": containers,
        "volumes": volumes,
    });
    template(blueprint, pod, names.node_labels(node), &template_hash(blueprint, Some(node)))
}

/// Of the routers beside the coordinator's.
pub(super) fn router_template(blueprint: &Blueprint<'_>) -> Value {
    let mut volumes = vec![binary_volume()];
    volumes.extend(router_volumes(blueprint, &blueprint.names.routers()));
    let mut router = router(blueprint);
    // The router accepts nobody once it is told to stop: the Service has to have forgotten it by then.
    router["lifecycle"] = json!({"preStop": {"sleep": {"seconds": PRE_STOP_SECONDS}}});
    let pod = json!({
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": security_context(),
        "initContainers": [binary_container(blueprint)],
        "containers": [router],
        "volumes": volumes,
    });
    template(blueprint, pod, blueprint.names.router_labels(), &template_hash(blueprint, None))
}

/// Names what the user wants of a pod of this node, or of the routers. What the operator adds by itself is not in it,
/// so that another operator replaces no pod.
pub(crate) fn template_hash(blueprint: &Blueprint<'_>, node: Option<NodeName>) -> String {
    let spec = blueprint.spec();
    let mut wanted = BTreeMap::from([
        ("image", json!(blueprint.images.postgres)),
        ("scheduling", json!(spec.scheduling)),
        ("overlay", json!(spec.pod_template_overlay)),
    ]);
    if let Some(node) = node {
        wanted.insert("resources", resources::postgres(spec, node));
    }
    if matches!(node, None | Some(NodeName::Coordinator)) {
        wanted.insert("router", json!(spec.router.resources));
        wanted.insert("pool", json!(spec.router.pool));
        wanted.insert("tls", json!([spec.tls.mode, spec.tls.server_secret_name, spec.tls.min_version]));
    }
    let wanted = wanted.into_iter().map(|(name, value)| (name.to_owned(), value.to_string())).collect();
    howdah_instance::settings::hash(&wanted)
}

fn template(
    blueprint: &Blueprint<'_>,
    mut pod: Value,
    labels: BTreeMap<String, String>,
    hash: &str,
) -> Value {
    let spec = blueprint.spec();
    let Value::Object(fields) = &mut pod else { unreachable!("a pod is an object") };
    // Nothing in a pod talks to Kubernetes.
    fields.insert("automountServiceAccountToken".into(), false.into());
    fields.insert("enableServiceLinks".into(), false.into());
    fields.extend(scheduling(blueprint, &spec.scheduling));
    let mut template = json!({
        "metadata": {"labels": labels, "annotations": {TEMPLATE: hash}},
        "spec": pod,
    });
    overlay::merge(&mut template, &spec.pod_template_overlay);
    template
}

fn postgres(blueprint: &Blueprint<'_>, node: NodeName) -> Value {
    let mut probes = probes(PROBES_PORT);
    let mut container = json!({
        "name": POSTGRES,
        "image": blueprint.images.postgres,
        "command": ["/howdah/howdah", "instance", "--config", "/etc/howdah/instance/config.json"],
        "ports": [{"name": "postgres", "containerPort": super::config::postgres_port(node)}],
        "resources": resources::postgres(blueprint.spec(), node),
        "securityContext": container_security_context(),
        "volumeMounts": [
            {"name": "howdah", "mountPath": "/howdah", "readOnly": true},
            {"name": VOLUME, "mountPath": MEMBER_DIR},
            {"name": "run", "mountPath": RUN_DIR},
            {"name": "shm", "mountPath": "/dev/shm"},
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "instance-config", "mountPath": "/etc/howdah/instance", "readOnly": true},
            {"name": "instance-config", "mountPath": "/etc/passwd", "subPath": "passwd", "readOnly": true},
            {"name": "node-tls", "mountPath": "/etc/howdah/tls/node", "readOnly": true},
        ],
    });
    if let Value::Object(container) = &mut container {
        container.append(&mut probes);
    }
    container
}

fn router(blueprint: &Blueprint<'_>) -> Value {
    let mut probes = probes(ROUTER_PROBES_PORT);
    let mut container = json!({
        "name": ROUTER,
        "image": blueprint.images.postgres,
        "command": ["/howdah/howdah", "router", "--config", "/etc/howdah/router/config.json"],
        "ports": [
            {"name": "clients", "containerPort": POSTGRES_PORT},
            {"name": "metrics", "containerPort": ROUTER_PROBES_PORT},
        ],
        "resources": resources::router(blueprint.spec()),
        "securityContext": container_security_context(),
        "volumeMounts": [
            {"name": "howdah", "mountPath": "/howdah", "readOnly": true},
            {"name": "router-config", "mountPath": "/etc/howdah/router", "readOnly": true},
            {"name": "client-tls", "mountPath": "/etc/howdah/tls/client", "readOnly": true},
            {"name": "server-tls", "mountPath": "/etc/howdah/tls/server", "readOnly": true},
        ],
    });
    if let Value::Object(container) = &mut container {
        container.append(&mut probes);
    }
    container
}

fn router_volumes(blueprint: &Blueprint<'_>, config: &str) -> [Value; 3] {
    let names = &blueprint.names;
    let own = names.server_certificate();
    let server = match blueprint.spec().tls.server_secret_name.as_str() {
        "" => own.as_str(),
        named => named,
    };
    [
        json!({"name": "router-config", "configMap": {"name": config}}),
        secret_volume("client-tls", &names.router_certificate()),
        secret_volume("server-tls", server),
    ]
}

fn binary_container(blueprint: &Blueprint<'_>) -> Value {
    json!({
        "name": "howdah",
        "image": blueprint.images.howdah,
        "imagePullPolicy": blueprint.images.pull_policy,
        "args": ["install-binary", "/howdah"],
        "resources": resources::init(),
        "securityContext": container_security_context(),
        "volumeMounts": [{"name": "howdah", "mountPath": "/howdah"}],
    })
}

fn binary_volume() -> Value {
    json!({"name": "howdah", "emptyDir": {}})
}

/// Readable by the group of the pod only, which the kubelet gives the files to.
fn secret_volume(name: &str, secret: &str) -> Value {
    json!({"name": name, "secret": {"secretName": secret, "defaultMode": 0o440}})
}

fn push_mount(container: &mut Value, mount: Value) {
    let mounts = container["volumeMounts"].as_array_mut();
    mounts.expect("every container has mounts").push(mount);
}

fn probes(port: u16) -> serde_json::Map<String, Value> {
    let probe = |path: &str| json!({"path": path, "port": port});
    let probes = json!({
        // The process answers from its first moment; what it parents may take its time.
        "livenessProbe": {"httpGet": probe("/livez"), "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6},
        "readinessProbe": {"httpGet": probe("/readyz"), "periodSeconds": 2, "timeoutSeconds": 5, "failureThreshold": 3},
    });
    let Value::Object(probes) = probes else { unreachable!("written as an object") };
    probes
}

/// The same for every image, so that a volume has one owner whatever image wrote it.
fn security_context() -> Value {
    json!({
        "runAsNonRoot": true,
        "runAsUser": UID,
        "runAsGroup": UID,
        "fsGroup": UID,
        // Otherwise the kubelet makes the data directory writable for the group at the second start, and Postgres
        // refuses to start on it.
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    })
}

fn container_security_context() -> Value {
    json!({
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "capabilities": {"drop": ["ALL"]},
    })
}

fn scheduling(blueprint: &Blueprint<'_>, wanted: &Scheduling) -> serde_json::Map<String, Value> {
    let mut fields = serde_json::Map::new();
    let others = json!({
        "labelSelector": {"matchLabels": {GROUP: blueprint.names.group}},
        "topologyKey": "kubernetes.io/hostname",
    });
    let rule = match wanted.anti_affinity {
        AntiAffinity::Off => None,
        AntiAffinity::Preferred => Some(json!({
            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": others}],
        })),
        AntiAffinity::Required => Some(json!({"requiredDuringSchedulingIgnoredDuringExecution": [others]})),
    };
    if let Some(rule) = rule {
        fields.insert("affinity".into(), json!({"podAntiAffinity": rule}));
    }
    if !wanted.node_selector.is_empty() {
        fields.insert("nodeSelector".into(), json!(wanted.node_selector));
    }
    if !wanted.tolerations.is_empty() {
        fields.insert("tolerations".into(), json!(wanted.tolerations));
    }
    if !wanted.topology_spread_constraints.is_empty() {
        fields.insert("topologySpreadConstraints".into(), json!(wanted.topology_spread_constraints));
    }
    fields
}

/// As in the images of Red Hat; any fixed number would do.
pub(super) const UID: u32 = 26;
pub(super) const GRACE_SECONDS: u32 = 60;
const PRE_STOP_SECONDS: u32 = 5;
