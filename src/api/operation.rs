//! `ServerGroupOperation`: one piece of day-2 work, asked for once, done once, kept as a record.
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{foreign, rules};

/// What to do to which server group. Immutable.
#[derive(Clone, CustomResource, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[kube(
    group = "howdah.dev",
    version = "v1alpha1",
    kind = "ServerGroupOperation",
    shortname = "sgop",
    namespaced,
    derive = "PartialEq",
    status = "ServerGroupOperationStatus",
    doc = "One piece of work on a server group: asked for once, done once, kept as a record.",
    printcolumn(name = "Group", type_ = "string", json_path = ".spec.serverGroup"),
    printcolumn(name = "Type", type_ = "string", json_path = ".spec.type"),
    printcolumn(name = "Node", type_ = "string", json_path = ".spec.node"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::operation()))]
pub struct ServerGroupOperationSpec {
    /// The server group, in the same namespace.
    #[schemars(length(min = 1, max = 40))]
    pub server_group: String,
    #[serde(rename = "type")]
    pub kind: OperationType,
    /// coordinator, w0, w1, … Empty: all nodes, where the type allows it.
    #[serde(default)]
    #[schemars(length(max = 63), regex(pattern = "^(coordinator|w[0-9]+)?$"))]
    pub node: String,
    /// Switchover and ForceFailover: the pod that becomes primary; empty lets the operator choose.
    #[serde(default)]
    #[schemars(length(max = 63))]
    pub member: String,
    /// CreateRestorePoint: its name.
    #[serde(default)]
    #[schemars(length(max = 63))]
    pub restore_point: String,
    /// ForceFailover loses what the lost primary alone had: say that this is understood.
    #[serde(default)]
    pub acknowledge_data_loss: bool,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum OperationType {
    Switchover,
    Rebalance,
    DrainNode,
    Restart,
    CreateRestorePoint,
    ForceFailover,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServerGroupOperationStatus {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<OperationPhase>,
    /// Why, or how far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Nodes that are done, so that an operator that starts anew goes on with the next.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nodes_done: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "foreign::time")]
    pub started_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "foreign::time")]
    pub completed_at: Option<Time>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum OperationPhase {
    Pending,
    Running,
    Succeeded,
    Failed,
}
