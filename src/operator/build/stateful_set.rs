//! One StatefulSet per node.
use howdah_api::ServerGroupSpec;
use howdah_group::NodeName;
use k8s_openapi::api::apps::v1::StatefulSet;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::{Blueprint, pod, typed};
use crate::names::{DEFAULT_IMAGE, GROUP, NODE, VOLUME};

/// `existing` is there because the template of a volume claim cannot be changed: claims grow by themselves.
pub(crate) fn stateful_set(
    blueprint: &Blueprint<'_>,
    node: NodeName,
    existing: Option<&StatefulSet>,
) -> DynamicObject {
    let names = &blueprint.names;
    let spec = blueprint.spec();
    let mut metadata = blueprint.metadata(&names.node(node), names.node_labels(node));
    metadata["annotations"] = json!({DEFAULT_IMAGE: blueprint.images.default_postgres});
    typed::<StatefulSet>(json!({
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": metadata,
        "spec": {
            "replicas": if spec.hibernate { 0 } else { 1 },
            "serviceName": names.node(node),
            "selector": {"matchLabels": {GROUP: names.group, NODE: node.to_string()}},
            // The operator replaces pods: one node at a time, and only for what the user has changed.
            "updateStrategy": {"type": "OnDelete"},
            "podManagementPolicy": "Parallel",
            "persistentVolumeClaimRetentionPolicy": {
                "whenDeleted": spec.persistent_volume_claim_retention.when_deleted,
                // Hibernation scales to none and keeps the data.
                "whenScaled": "Retain",
            },
            "template": pod::node_template(blueprint, node),
            "volumeClaimTemplates": [existing.and_then(claim_of).unwrap_or_else(|| claim(blueprint, node))],
        },
    }))
}

/// Size and class of a node's volume.
pub(crate) fn storage(spec: &ServerGroupSpec, node: NodeName) -> (&str, &str) {
    let NodeName::Worker(index) = node else {
        let it = &spec.coordinator.storage;
        return (&it.size, &it.class_name);
    };
    let all = &spec.workers.storage;
    let own = spec.workers.overrides.iter().find(|it| it.index == index).and_then(|it| it.storage.as_ref());
    let size = own.and_then(|it| it.size.as_deref()).unwrap_or(&all.size);
    let class = own.and_then(|it| it.class_name.as_deref()).unwrap_or(&all.class_name);
    (size, class)
}

fn claim(blueprint: &Blueprint<'_>, node: NodeName) -> Value {
    let (size, class) = storage(blueprint.spec(), node);
    let mut claim = json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": VOLUME, "labels": blueprint.names.node_labels(node)},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "volumeMode": "Filesystem",
            "resources": {"requests": {"storage": size}},
        },
    });
    if !class.is_empty() {
        claim["spec"]["storageClassName"] = class.into();
    }
    claim
}

/// As the API server shows it, less what it has added.
fn claim_of(existing: &StatefulSet) -> Option<Value> {
    let mut claim = existing.spec.as_ref()?.volume_claim_templates.as_ref()?.first()?.clone();
    claim.status = None;
    claim.metadata.creation_timestamp = None;
    serde_json::to_value(claim).ok()
}
