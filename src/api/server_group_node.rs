//! `ServerGroupNode`: the operator's own record of one node. Its leadership is the compare-and-swap object of a
//! failover; nothing but the operator writes it.
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{foreign, rules};

/// Which node of which server group.
#[derive(Clone, CustomResource, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[kube(
    group = "howdah.dev",
    version = "v1alpha1",
    kind = "ServerGroupNode",
    shortname = "sgn",
    namespaced,
    derive = "PartialEq",
    status = "ServerGroupNodeStatus",
    doc = "The operator's own record of one node of a server group. Not for people to write.",
    printcolumn(name = "Group", type_ = "string", json_path = ".spec.serverGroup"),
    printcolumn(name = "Node", type_ = "string", json_path = ".spec.node"),
    printcolumn(name = "Primary", type_ = "string", json_path = ".status.leadership.primary"),
    printcolumn(name = "Term", type_ = "integer", json_path = ".status.leadership.term"),
    printcolumn(name = "Leadership", type_ = "string", json_path = ".status.leadership.phase"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::immutable()))]
pub struct ServerGroupNodeSpec {
    #[schemars(length(min = 1, max = 40))]
    pub server_group: String,
    /// coordinator, w0, w1, …
    #[schemars(length(max = 63), regex(pattern = "^(coordinator|w[0-9]+)$"))]
    pub node: String,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServerGroupNodeStatus {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leadership: Option<Leadership>,
}

/// Who may accept writes, and who must agree before that changes.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Leadership {
    pub term: i64,
    pub phase: LeadershipPhase,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<String>,
    /// All members that belong to the node.
    #[serde(default)]
    pub cohort: Vec<String>,
    /// Those that may become primary.
    #[serde(default)]
    pub promotable: Vec<String>,
    /// How many of them acknowledge each commit.
    #[serde(default)]
    pub sync_number: u32,
    pub mode: LeadershipMode,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outgoing: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "foreign::time")]
    pub since: Option<Time>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum LeadershipPhase {
    Leading,
    Suspect,
    Handover,
    Fencing,
    Recruiting,
    Choosing,
    Promoting,
    Gate,
    Blocked,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum LeadershipMode {
    Synchronous,
    Asynchronous,
}
