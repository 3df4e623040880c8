//! What pods and volumes look like, where pods run, who watches them.
use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Toleration, TopologySpreadConstraint};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::foreign;

#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Monitoring {
    pub pod_monitor: PodMonitor,
    pub grafana_dashboard: bool,
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodMonitor {
    pub enabled: bool,
    #[schemars(extend("maxProperties" = 64))]
    pub labels: BTreeMap<String, String>,
    #[schemars(length(max = 16), regex(pattern = "^([0-9]+(ms|s|m|h))+$"))]
    pub interval: String,
}

impl Default for PodMonitor {
    fn default() -> Self {
        Self { enabled: false, labels: BTreeMap::new(), interval: "15s".into() }
    }
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Scheduling {
    pub anti_affinity: AntiAffinity,
    #[schemars(schema_with = "foreign::topology_spread_constraints")]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    #[schemars(extend("maxProperties" = 64))]
    pub node_selector: BTreeMap<String, String>,
    #[schemars(schema_with = "foreign::tolerations")]
    pub tolerations: Vec<Toleration>,
}

impl Default for Scheduling {
    fn default() -> Self {
        Self {
            anti_affinity: AntiAffinity::Preferred,
            topology_spread_constraints: Vec::new(),
            node_selector: BTreeMap::new(),
            tolerations: Vec::new(),
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum AntiAffinity {
    Preferred,
    Required,
    Off,
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PersistentVolumeClaimRetention {
    pub when_deleted: RetentionPolicy,
    pub when_scaled: RetentionPolicy,
}

impl Default for PersistentVolumeClaimRetention {
    fn default() -> Self {
        Self { when_deleted: RetentionPolicy::Retain, when_scaled: RetentionPolicy::Delete }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum RetentionPolicy {
    Retain,
    Delete,
}
