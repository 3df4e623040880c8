//! High availability: members per node, durability, detection of failures.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rules;

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = rules::high_availability()))]
pub struct HighAvailability {
    /// Members per node: 1 is off, 2 as Azure does, 3 a quorum.
    #[schemars(range(min = 1, max = 9))]
    pub instances: u32,
    pub durability: Durability,
    /// Standbys that acknowledge each commit; fewer than instances.
    #[schemars(range(min = 0, max = 8))]
    pub sync_number: u32,
    /// The label of k8s nodes that tells what fails together.
    #[schemars(length(min = 1, max = 316), regex(pattern = r"^[-._/a-zA-Z0-9]+$"))]
    pub failure_domain: String,
    pub detection: Detection,
    #[schemars(range(min = 0, max = 3600))]
    pub switchover_drain_seconds: u32,
}

impl Default for HighAvailability {
    fn default() -> Self {
        Self {
            instances: 1,
            durability: Durability::Auto,
            sync_number: 1,
            failure_domain: "topology.kubernetes.io/zone".into(),
            detection: Detection::default(),
            switchover_drain_seconds: 10,
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Durability {
    /// Preferred at two members, Required at three and more.
    Auto,
    Preferred,
    Required,
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = rules::detection()))]
pub struct Detection {
    #[schemars(range(min = 1, max = 60))]
    pub heartbeat_seconds: u32,
    #[schemars(range(min = 1, max = 600))]
    pub suspect_after_seconds: u32,
    #[schemars(range(min = 0, max = 3600))]
    pub failover_delay_seconds: u32,
}

impl Default for Detection {
    fn default() -> Self {
        Self { heartbeat_seconds: 1, suspect_after_seconds: 3, failover_delay_seconds: 0 }
    }
}
