//! PodDisruptionBudgets. A node with one member has none: it would forbid every drain of its k8s node.
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::DynamicObject;
use serde_json::json;

use super::{Blueprint, typed};
use crate::names::{GROUP, NODE_TYPE, ROUTER};

/// Of the routers, where there are several.
pub(crate) fn router_budget(blueprint: &Blueprint<'_>) -> Option<DynamicObject> {
    let names = &blueprint.names;
    (blueprint.spec().router.replicas > 1).then(|| {
        typed::<PodDisruptionBudget>(json!({
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": blueprint.metadata(&names.routers(), names.labels()),
            "spec": {
                "maxUnavailable": 1,
                "selector": {"matchLabels": {GROUP: names.group, NODE_TYPE: ROUTER}},
            },
        }))
    })
}
