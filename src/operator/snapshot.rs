//! What Kubernetes has of a server group. Every list is asked of the API server itself, and an error is an error: that
//! something could not be read never means that it is not there.
use std::collections::BTreeMap;

use howdah_group::NodeName;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::{Resource, ResourceExt as _};

use crate::Error;
use crate::cluster::Cluster;
use crate::names::{NODE, Names, POSTGRES, ROUTER, TEMPLATE};

#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) stateful_sets: BTreeMap<NodeName, StatefulSet>,
    /// Of nodes; those of the routers' Deployment are its own affair.
    pub(crate) pods: BTreeMap<NodeName, Pod>,
    pub(crate) claims: BTreeMap<NodeName, PersistentVolumeClaim>,
    pub(crate) deployment: Option<Deployment>,
    pub(crate) config_maps: Vec<ConfigMap>,
    pub(crate) secrets: Vec<Secret>,
    pub(crate) services: Vec<Service>,
    pub(crate) policies: Vec<NetworkPolicy>,
    pub(crate) budgets: Vec<PodDisruptionBudget>,
}

impl Snapshot {
    /// On the heap: nine requests at once are much to carry about.
    pub(crate) async fn take(cluster: &Cluster, names: &Names) -> Result<Self, Error> {
        Box::pin(Self::read(cluster, names)).await
    }

    async fn read(cluster: &Cluster, names: &Names) -> Result<Self, Error> {
        let (namespace, selector) = (names.namespace.as_str(), names.selector());
        let selector = selector.as_str();
        let (stateful_sets, pods, claims, deployments, config_maps, secrets, services, policies, budgets) = tokio::try_join!(
            cluster.list::<StatefulSet>(namespace, selector),
            cluster.list::<Pod>(namespace, selector),
            cluster.list::<PersistentVolumeClaim>(namespace, selector),
            cluster.list::<Deployment>(namespace, selector),
            cluster.list::<ConfigMap>(namespace, selector),
            cluster.list::<Secret>(namespace, selector),
            cluster.list::<Service>(namespace, selector),
            cluster.list::<NetworkPolicy>(namespace, selector),
            cluster.list::<PodDisruptionBudget>(namespace, selector),
        )?;
        let routers = names.routers();
        Ok(Self {
            stateful_sets: by_node(stateful_sets, |node| names.node(node)),
            pods: by_node(pods, |node| names.member(node)),
            claims: by_node(claims, |node| names.volume_claim(node)),
            deployment: deployments.into_iter().find(|it| it.name_any() == routers),
            config_maps,
            secrets,
            services,
            policies,
            budgets,
        })
    }

    pub(crate) fn secret(&self, name: &str) -> Option<&Secret> {
        self.secrets.iter().find(|it| it.name_any() == name)
    }

    pub(crate) fn config_map(&self, name: &str) -> Option<&ConfigMap> {
        self.config_maps.iter().find(|it| it.name_any() == name)
    }

    /// For each object that could be written: what changes when somebody changes it.
    pub(crate) fn stamps(&self) -> BTreeMap<(String, String), String> {
        let mut stamps = BTreeMap::new();
        add(&mut stamps, self.stateful_sets.values());
        add(&mut stamps, &self.deployment);
        add(&mut stamps, &self.config_maps);
        add(&mut stamps, &self.secrets);
        add(&mut stamps, &self.services);
        add(&mut stamps, &self.policies);
        add(&mut stamps, &self.budgets);
        stamps
    }
}

fn add<'a, K: Resource<DynamicType = ()> + 'a>(
    stamps: &mut BTreeMap<(String, String), String>,
    objects: impl IntoIterator<Item = &'a K>,
) {
    for object in objects {
        stamps.insert((K::kind(&()).into_owned(), object.name_any()), stamp(object.meta()));
    }
}

/// The generation where there is one (a status changes without it), else the version.
pub(crate) fn stamp(meta: &kube::api::ObjectMeta) -> String {
    let version = || meta.resource_version.clone().unwrap_or_default();
    let stamp = meta.generation.map_or_else(version, |it| format!("generation {it}"));
    // One that was deleted and made again counts from 1.
    format!("{} {stamp}", meta.uid.clone().unwrap_or_default())
}

/// Only what has the name that the node's object must have.
fn by_node<K: Resource<DynamicType = ()>>(
    objects: Vec<K>,
    name: impl Fn(NodeName) -> String,
) -> BTreeMap<NodeName, K> {
    let node_of = |object: &K| {
        let node: NodeName = object.labels().get(NODE)?.parse().ok()?;
        (object.name_any() == name(node)).then_some(node)
    };
    objects.into_iter().filter_map(|object| Some((node_of(&object)?, object))).collect()
}

/// What a pod shows of itself.
pub(crate) trait PodFacts {
    fn is_leaving(&self) -> bool;
    fn is_container_ready(&self, name: &str) -> bool;
    fn template(&self) -> Option<&str>;
    fn ip(&self) -> Option<&str>;
}

impl PodFacts for Pod {
    fn is_leaving(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    fn is_container_ready(&self, name: &str) -> bool {
        let Some(status) = &self.status else { return false };
        let is = |kind: &str| {
            let conditions = status.conditions.iter().flatten();
            conditions.into_iter().find(|it| it.type_ == kind).is_some_and(|it| it.status == "True")
        };
        // Kubernetes takes a pod's readiness away when its k8s node is silent, and leaves its containers as they were
        // last seen.
        let lost = is("ContainersReady") && !is("Ready");
        let mut containers = status.container_statuses.iter().flatten();
        !self.is_leaving() && !lost && containers.any(|it| it.name == name && it.ready)
    }

    fn template(&self) -> Option<&str> {
        self.metadata.annotations.as_ref()?.get(TEMPLATE).map(String::as_str)
    }

    fn ip(&self) -> Option<&str> {
        self.status.as_ref()?.pod_ip.as_deref()
    }
}

/// Whether all that serves in the node's pod serves.
pub(crate) fn is_ready(pod: &Pod, node: NodeName) -> bool {
    pod.is_container_ready(POSTGRES) && (node != NodeName::Coordinator || pod.is_container_ready(ROUTER))
}

/// The texts of a Secret.
pub(crate) fn texts(secret: &Secret) -> BTreeMap<String, String> {
    let data = secret.data.iter().flatten();
    data.map(|(key, bytes)| (key.clone(), String::from_utf8_lossy(&bytes.0).into_owned())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn is_ready(ready: &str, containers_ready: &str) -> bool {
        let pod: Pod = serde_json::from_value(json!({
            "status": {
                "conditions": [
                    {"type": "Ready", "status": ready}, {"type": "ContainersReady", "status": containers_ready},
                ],
                "containerStatuses": [
                    {"name": "postgres", "image": "", "imageID": "", "ready": true, "restartCount": 0},
                ],
            },
        }))
        .unwrap();
        pod.is_container_ready(POSTGRES)
    }

    #[test]
    fn a_pod_of_a_silent_k8s_node_is_not_ready() {
        assert!(is_ready("True", "True"));
        assert!(is_ready("False", "False"), "another container is not ready");
        assert!(!is_ready("False", "True"), "the k8s node is silent");
    }
}
