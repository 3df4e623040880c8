//! Routers beside the coordinator's: as many as the spec asks for, without state.
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::{Blueprint, pod, typed};
use crate::names::{GROUP, NODE_TYPE, ROUTER, TEMPLATE};

/// None without replicas. A template that differs from the `existing` one only by what another operator would write
/// is left as it is: it would replace every router, and with them all sessions.
pub(crate) fn routers(blueprint: &Blueprint<'_>, existing: Option<&Deployment>) -> Option<DynamicObject> {
    let names = &blueprint.names;
    let spec = blueprint.spec();
    if spec.router.replicas == 0 {
        return None;
    }
    let template = existing
        .and_then(|it| same_template(it, &pod::template_hash(blueprint, None)))
        .unwrap_or_else(|| pod::router_template(blueprint));
    Some(typed::<Deployment>(json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": blueprint.metadata(&names.routers(), names.router_labels()),
        "spec": {
            "replicas": if spec.hibernate { 0 } else { spec.router.replicas },
            "selector": {"matchLabels": {GROUP: names.group, NODE_TYPE: ROUTER}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": template,
        },
    })))
}

fn same_template(existing: &Deployment, hash: &str) -> Option<Value> {
    let template = &existing.spec.as_ref()?.template;
    let annotations = template.metadata.as_ref()?.annotations.as_ref()?;
    let same = annotations.get(TEMPLATE).is_some_and(|it| it == hash);
    same.then(|| serde_json::to_value(template).expect("a template has only text keys"))
}
