//! The objects of a server group, from its spec and a few facts. Pure: the same input gives the same objects.
//!
//! Objects are written as JSON, which reads like the YAML that people know, and pass through the typed structs of
//! Kubernetes' API; a test sees to it that no field is lost on that way (a misspelt one would be).
mod config;
mod deployment;
mod disruption;
mod network_policy;
mod overlay;
mod pod;
mod pod_monitor;
mod resources;
mod secrets;
mod service;
mod stateful_set;

use howdah_api::ServerGroup;
use howdah_group::NodeName;
use kube::api::DynamicObject;
use kube::{Resource as _, ResourceExt as _};
use serde_json::{Map, Value, json};

pub(crate) use self::config::{instance_settings, node_config, router_config, settings_of};
pub(crate) use self::deployment::routers;
pub(crate) use self::disruption::router_budget;
pub(crate) use self::network_policy::network_policies;
pub(crate) use self::pod::template_hash;
pub(crate) use self::pod_monitor::pod_monitor;
pub(crate) use self::secrets::{Login, app_secret, certificate_secret};
pub(crate) use self::service::services;
pub(crate) use self::stateful_set::{stateful_set, storage};

use crate::names::Names;

/// A server group and what the operator brings to it.
#[derive(Clone, Debug)]
pub(crate) struct Blueprint<'a> {
    pub(crate) names: Names,
    pub(crate) group: &'a ServerGroup,
    pub(crate) images: Images,
    /// Of the operator; without it (outside of a cluster) no NetworkPolicy admits it.
    pub(crate) operator_namespace: Option<String>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Images {
    /// Brings the binary into pods.
    pub(crate) howdah: String,
    pub(crate) pull_policy: String,
    pub(crate) postgres: String,
    /// What `postgres` would be if the spec named none.
    pub(crate) default_postgres: String,
}

impl<'a> Blueprint<'a> {
    pub(crate) fn spec(&self) -> &'a howdah_api::ServerGroupSpec {
        &self.group.spec
    }

    pub(crate) fn nodes(&self) -> impl Iterator<Item = NodeName> + use<> {
        let workers = self.group.spec.workers.count;
        std::iter::once(NodeName::Coordinator).chain((0..workers).map(NodeName::Worker))
    }

    /// Of an object that goes with the group.
    fn metadata(&self, name: &str, labels: impl IntoIterator<Item = (String, String)>) -> Value {
        let labels: Map<String, Value> =
            labels.into_iter().map(|(name, value)| (name, value.into())).collect();
        json!({
            "name": name,
            "namespace": self.names.namespace,
            "labels": labels,
            "ownerReferences": [self.owner()],
        })
    }

    fn owner(&self) -> Value {
        json!({
            "apiVersion": ServerGroup::api_version(&()),
            "kind": ServerGroup::kind(&()),
            "name": self.group.name_any(),
            "uid": self.group.uid().unwrap_or_default(),
            "controller": true,
            "blockOwnerDeletion": true,
        })
    }
}

/// Passes JSON through the struct of its kind.
fn typed<T: serde::de::DeserializeOwned + serde::Serialize>(json: Value) -> DynamicObject {
    let object: T = serde_json::from_value(json.clone()).expect("the builder follows Kubernetes' schema");
    let object = untyped(&object);
    debug_assert_eq!(lost(&json, &json!(object)), None, "no such field in Kubernetes' schema");
    object
}

/// The first field that is not there any more. Empty ones may go.
fn lost(before: &Value, after: &Value) -> Option<String> {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => before.iter().find_map(|(key, value)| {
            let empty = value.is_null() || value.as_object().is_some_and(Map::is_empty);
            match after.get(key) {
                Some(after) => lost(value, after).map(|it| format!("{key}.{it}")),
                None => (!empty).then(|| key.clone()),
            }
        }),
        (Value::Array(before), Value::Array(after)) => {
            before.iter().zip(after).find_map(|(before, after)| lost(before, after))
        }
        _ => None,
    }
}

fn untyped<T: serde::Serialize>(object: &T) -> DynamicObject {
    let json = serde_json::to_value(object).expect("an object of Kubernetes has only text keys");
    serde_json::from_value(json).expect("every object has a kind and metadata")
}

#[cfg(test)]
mod tests;
