//! For the Prometheus operator, where the user asks for it.
use kube::api::DynamicObject;
use serde_json::json;

use super::{Blueprint, untyped};
use crate::names::{GROUP, ROLE, ROUTER};

/// The routers' metrics.
pub(crate) fn pod_monitor(blueprint: &Blueprint<'_>) -> Option<DynamicObject> {
    let wanted = &blueprint.spec().monitoring.pod_monitor;
    let names = &blueprint.names;
    wanted.enabled.then(|| {
        let labels = names.labels().into_iter().chain(wanted.labels.clone());
        untyped(&json!({
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PodMonitor",
            "metadata": blueprint.metadata(&names.group, labels),
            "spec": {
                "selector": {"matchLabels": {GROUP: names.group, ROLE: ROUTER}},
                "podMetricsEndpoints": [{"port": "metrics", "interval": wanted.interval}],
            },
        }))
    })
}
