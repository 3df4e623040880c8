//! What only the operator reads. The local driver accepts these fields and says that it ignores them.
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Networking {
    pub service: Service,
    /// Strict: workers are reachable by routers, members and the operator only.
    pub network_policy: NetworkPolicyMode,
}

impl Default for Networking {
    fn default() -> Self {
        Self { service: Service::default(), network_policy: NetworkPolicyMode::Strict }
    }
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Service {
    #[serde(rename = "type")]
    pub kind: ServiceType,
    pub annotations: BTreeMap<String, String>,
    pub load_balancer_source_ranges: Vec<String>,
}

impl Default for Service {
    fn default() -> Self {
        Self {
            kind: ServiceType::ClusterIp,
            annotations: BTreeMap::new(),
            load_balancer_source_ranges: Vec::new(),
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum ServiceType {
    #[serde(rename = "ClusterIP")]
    ClusterIp,
    NodePort,
    LoadBalancer,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum NetworkPolicyMode {
    Strict,
    Off,
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Tls {
    pub mode: TlsMode,
    /// A cert-manager issuer; empty means the group's own CA, rotated by the operator.
    pub issuer_ref: IssuerRef,
    pub server_secret_name: String,
    pub min_version: String,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            mode: TlsMode::Require,
            issuer_ref: IssuerRef::default(),
            server_secret_name: String::new(),
            min_version: "1.2".into(),
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum TlsMode {
    Require,
    Prefer,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct IssuerRef {
    pub name: String,
    pub kind: String,
    pub group: String,
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Backup {
    pub enabled: bool,
    pub repository: BackupRepository,
    pub schedule: String,
    pub retention_days: u32,
    /// Distance of the points that are consistent across all nodes.
    pub restore_point_interval_minutes: u32,
}

impl Default for Backup {
    fn default() -> Self {
        Self {
            enabled: false,
            repository: BackupRepository::default(),
            schedule: "0 2 * * *".into(),
            retention_days: 35,
            restore_point_interval_minutes: 5,
        }
    }
}

/// One of the two.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BackupRepository {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3: Option<S3Repository>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pvc: Option<PvcRepository>,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct S3Repository {
    pub bucket: String,
    pub endpoint: String,
    pub region: String,
    pub prefix: String,
    pub credentials_secret_ref: SecretRef,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PvcRepository {
    pub size: String,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SecretRef {
    pub name: String,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Bootstrap {
    pub restore: Restore,
}

/// Where a restored group comes from; empty means a new, empty group.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Restore {
    pub server_group: String,
    pub backup: String,
    pub target_time: String,
    pub target_restore_point: String,
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MaintenanceWindow {
    pub day_of_week: Weekday,
    pub start_time: String,
    pub duration_minutes: u32,
    #[serde(default = "utc")]
    pub time_zone: String,
}

fn utc() -> String {
    "UTC".into()
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Weekday {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Update {
    pub primary_method: PrimaryUpdateMethod,
    pub strategy: UpdateStrategy,
    pub max_unavailable_nodes: u32,
}

impl Default for Update {
    fn default() -> Self {
        Self {
            primary_method: PrimaryUpdateMethod::Switchover,
            strategy: UpdateStrategy::Unsupervised,
            max_unavailable_nodes: 1,
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum PrimaryUpdateMethod {
    Switchover,
    Restart,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum UpdateStrategy {
    Unsupervised,
    Supervised,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Monitoring {
    pub pod_monitor: PodMonitor,
    pub grafana_dashboard: bool,
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PodMonitor {
    pub enabled: bool,
    pub labels: BTreeMap<String, String>,
    pub interval: String,
}

impl Default for PodMonitor {
    fn default() -> Self {
        Self { enabled: false, labels: BTreeMap::new(), interval: "15s".into() }
    }
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Scheduling {
    pub anti_affinity: AntiAffinity,
    pub topology_spread_constraints: Vec<serde_json::Map<String, serde_json::Value>>,
    pub node_selector: BTreeMap<String, String>,
    pub tolerations: Vec<serde_json::Map<String, serde_json::Value>>,
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
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
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
