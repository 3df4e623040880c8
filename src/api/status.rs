//! The status of a ServerGroup: what the operator has seen. Nothing here is a default, nothing is required.
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::foreign;

#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServerGroupStatus {
    /// The generation of the spec that this status tells about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// Host and port for applications, as seen inside the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The version that the coordinator's PostgreSQL reports.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub postgres_version: Option<String>,
    /// Selects the workers' pods, for the scale subresource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<WorkersStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ha: Option<HaStatus>,
    /// The version of the distributed catalog.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata_version: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rebalance: Option<RebalanceStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<BackupStatus>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub nodes: Vec<NodeStatus>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "foreign::conditions")]
    pub conditions: Vec<Condition>,
}

/// What the group is doing, in a word; the conditions say why.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Phase {
    Pending,
    Provisioning,
    Ready,
    Scaling,
    Rebalancing,
    FailingOver,
    Updating,
    Degraded,
    Hibernated,
    Failed,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkersStatus {
    pub desired: u32,
    pub ready: u32,
    /// Ready of desired: "2/2".
    pub summary: String,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HaStatus {
    /// "3/3 in sync", or "off".
    pub summary: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failover: Option<LastFailover>,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LastFailover {
    pub node: String,
    pub from: String,
    pub to: String,
    pub term: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "foreign::time")]
    pub at: Option<Time>,
    pub duration_ms: i64,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RebalanceStatus {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<RebalanceState>,
    pub moves_done: u32,
    pub moves_total: u32,
    /// A quantity: "9Gi".
    pub bytes_moved: String,
    pub imbalance_percent: u32,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum RebalanceState {
    Idle,
    Waiting,
    Running,
    Failed,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BackupStatus {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "foreign::time")]
    pub last_success: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "foreign::time")]
    pub first_recoverable_point: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "foreign::time")]
    pub last_restore_point: Option<Time>,
    pub archiving: bool,
}

/// One node: the coordinator or a worker with its members.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeStatus {
    /// coordinator, w0, w1, …
    pub name: String,
    /// groupid of pg_dist_node; absent until the node is in the catalog.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_id: Option<i32>,
    /// The pod of the primary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<String>,
    /// The election epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub term: Option<i64>,
    /// Ready members of all: "2/2".
    #[serde(default)]
    pub ready: String,
    /// Bytes of WAL that the slowest standby is behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<i64>,
    /// Shard placements on this node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shards: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_used_percent: Option<u32>,
    #[serde(default)]
    pub phase: NodePhase,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum NodePhase {
    #[default]
    Pending,
    Provisioning,
    Ready,
    Updating,
    FailingOver,
    Degraded,
    Removing,
    Hibernated,
    Failed,
}

/// The types of the conditions in a ServerGroup's status.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum ConditionType {
    /// Clients can connect, and every statement that the catalog allows can run.
    Ready,
    /// The operator is changing something.
    Progressing,
    /// Something is wrong that the operator cannot mend by itself.
    Degraded,
    HaReady,
    FailoverBlocked,
    Rebalancing,
    BackupHealthy,
    CertificatesReady,
    StorageHealthy,
    /// The settings of the spec are in force on every node.
    ParametersApplied,
    /// False names the fields of the spec that this version validates and does not act upon.
    SpecInForce,
    Paused,
}

impl ConditionType {
    pub const ALL: [Self; 12] = [
        Self::Ready,
        Self::Progressing,
        Self::Degraded,
        Self::HaReady,
        Self::FailoverBlocked,
        Self::Rebalancing,
        Self::BackupHealthy,
        Self::CertificatesReady,
        Self::StorageHealthy,
        Self::ParametersApplied,
        Self::SpecInForce,
        Self::Paused,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Progressing => "Progressing",
            Self::Degraded => "Degraded",
            Self::HaReady => "HAReady",
            Self::FailoverBlocked => "FailoverBlocked",
            Self::Rebalancing => "Rebalancing",
            Self::BackupHealthy => "BackupHealthy",
            Self::CertificatesReady => "CertificatesReady",
            Self::StorageHealthy => "StorageHealthy",
            Self::ParametersApplied => "ParametersApplied",
            Self::SpecInForce => "SpecInForce",
            Self::Paused => "Paused",
        }
    }
}
