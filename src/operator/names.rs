//! What the objects of a server group are called, and their labels.
use std::collections::BTreeMap;

use howdah_group::NodeName;

/// Names follow from the group's own; they never change.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Names {
    pub(crate) group: String,
    pub(crate) namespace: String,
}

impl Names {
    /// StatefulSet, headless Service and ConfigMap of a node.
    pub(crate) fn node(&self, node: NodeName) -> String {
        match node {
            NodeName::Coordinator => format!("{}-c", self.group),
            NodeName::Worker(index) => format!("{}-w{index}", self.group),
        }
    }

    /// The pod of the node's only member.
    pub(crate) fn member(&self, node: NodeName) -> String {
        format!("{}-0", self.node(node))
    }

    pub(crate) fn volume_claim(&self, node: NodeName) -> String {
        format!("{VOLUME}-{}", self.member(node))
    }

    /// Where the member is reached; the catalog knows a worker by it.
    pub(crate) fn host(&self, node: NodeName) -> String {
        format!("{}.{}.{}.svc", self.member(node), self.node(node), self.namespace)
    }

    /// The worker that the catalog knows by this host, if it is one of this group's.
    pub(crate) fn worker_of(&self, host: &str) -> Option<NodeName> {
        let rest = host.strip_prefix(&format!("{}-w", self.group))?;
        let index = rest.split_once('-')?.0.parse().ok()?;
        let node = NodeName::Worker(index);
        (self.host(node) == host).then_some(node)
    }

    /// The Service for applications, as a host.
    pub(crate) fn service_host(&self) -> String {
        format!("{}.{}.svc", self.group, self.namespace)
    }

    /// Deployment and ConfigMap of the routers beside the coordinator's.
    pub(crate) fn routers(&self) -> String {
        format!("{}-router", self.group)
    }

    /// ConfigMap of the coordinator's own router.
    pub(crate) fn coordinator_router(&self) -> String {
        format!("{}-c-router", self.group)
    }

    pub(crate) fn app_secret(&self) -> String {
        format!("{}-app", self.group)
    }

    pub(crate) fn ca_secret(&self) -> String {
        format!("{}-ca", self.group)
    }

    pub(crate) fn node_certificate(&self, node: NodeName) -> String {
        format!("{}-tls", self.node(node))
    }

    /// How routers show themselves to nodes.
    pub(crate) fn router_certificate(&self) -> String {
        format!("{}-router-tls", self.group)
    }

    /// What clients see, unless the spec names another.
    pub(crate) fn server_certificate(&self) -> String {
        format!("{}-server-tls", self.group)
    }

    /// On every object of the group.
    pub(crate) fn labels(&self) -> BTreeMap<String, String> {
        let label = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        [(MANAGED_BY, "howdah"), (APP, "howdah"), (GROUP, self.group.as_str())].map(label).into()
    }

    pub(crate) fn node_labels(&self, node: NodeName) -> BTreeMap<String, String> {
        let mut labels = self.labels();
        labels.insert(NODE.into(), node.to_string());
        labels.insert(NODE_TYPE.into(), node_type(node).into());
        if node == NodeName::Coordinator {
            // There is a router in its pod.
            labels.insert(ROLE.into(), ROUTER.into());
        }
        labels
    }

    pub(crate) fn router_labels(&self) -> BTreeMap<String, String> {
        let mut labels = self.labels();
        labels.insert(NODE_TYPE.into(), ROUTER.into());
        labels.insert(ROLE.into(), ROUTER.into());
        labels
    }

    /// For the scale subresource.
    pub(crate) fn worker_selector(&self) -> String {
        format!("{GROUP}={},{NODE_TYPE}=worker", self.group)
    }

    pub(crate) fn selector(&self) -> String {
        format!("{MANAGED_BY}=howdah,{GROUP}={}", self.group)
    }
}

fn node_type(node: NodeName) -> &'static str {
    match node {
        NodeName::Coordinator => "coordinator",
        NodeName::Worker(_) => "worker",
    }
}

pub(crate) const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
pub(crate) const APP: &str = "app.kubernetes.io/name";
pub(crate) const GROUP: &str = "howdah.dev/server-group";
pub(crate) const NODE: &str = "howdah.dev/node";
pub(crate) const NODE_TYPE: &str = "howdah.dev/node-type";
pub(crate) const ROLE: &str = "howdah.dev/role";
pub(crate) const ROUTER: &str = "router";
/// Of what the user wants of a pod: a pod that differs in it from its StatefulSet is to be replaced.
pub(crate) const TEMPLATE: &str = "howdah.dev/template";
/// The Postgres image of a group that names none, chosen when the group was made: an operator with another default
/// leaves it alone.
pub(crate) const DEFAULT_IMAGE: &str = "howdah.dev/default-image";

/// Containers and the volume of a member.
pub(crate) const POSTGRES: &str = "postgres";
pub(crate) const VOLUME: &str = "data";
