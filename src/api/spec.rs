//! The spec, top down. Comments are what `kubectl explain` prints.
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Backup, Bootstrap, Coordinator, HighAvailability, MaintenanceWindow, Monitoring, Networking, Parameters,
    PersistentVolumeClaimRetention, Resources, Scheduling, ServerGroupStatus, Tls, Update, Workers, rules,
};

/// What the server group should be.
#[derive(Clone, CustomResource, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[kube(
    group = "howdah.dev",
    version = "v1alpha1",
    kind = "ServerGroup",
    shortname = "sg",
    category = "all",
    namespaced,
    derive = "PartialEq",
    status = "ServerGroupStatus",
    doc = "A server group: one coordinator and its workers, one database to its clients.",
    scale(
        spec_replicas_path = ".spec.workers.count",
        status_replicas_path = ".status.workers.ready",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(
        name = "Coord",
        type_ = "string",
        json_path = ".status.nodes[?(@.name==\"coordinator\")].ready"
    ),
    printcolumn(name = "Workers", type_ = "string", json_path = ".status.workers.summary"),
    printcolumn(name = "HA", type_ = "string", json_path = ".status.ha.summary"),
    printcolumn(name = "PG", type_ = "string", json_path = ".status.postgresVersion"),
    printcolumn(name = "Endpoint", type_ = "string", json_path = ".status.endpoint"),
    printcolumn(
        name = "Rebalance",
        type_ = "string",
        json_path = ".status.rebalance.state",
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = rules::name_length(),
    validation = rules::name_form(),
    validation = rules::version_of_the_data()
)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = rules::spec()))]
pub struct ServerGroupSpec {
    /// Major version of PostgreSQL, 15 to 18. Empty: the image's, or the newest found by the local driver.
    /// It never goes down.
    #[schemars(length(max = 2), regex(pattern = "^(1[5-8])?$"), extend("x-kubernetes-validations" = rules::version()))]
    pub postgres_version: String,
    /// Any image with that PostgreSQL; empty means the operator's default.
    #[schemars(length(max = 512), regex(pattern = r"^\S*$"))]
    pub image: String,
    /// The database of the applications. Immutable.
    #[schemars(length(min = 1, max = 63), extend("x-kubernetes-validations" = rules::database()))]
    pub database: String,
    /// The administrator's role, not a superuser. Immutable.
    #[schemars(length(min = 1, max = 63), extend("x-kubernetes-validations" = rules::admin_user()))]
    pub admin_user: String,
    pub admin_password_secret_ref: PasswordSecretRef,
    pub coordinator: Coordinator,
    pub workers: Workers,
    /// Settings of postgresql.conf on all nodes; replication, ssl and archive settings are reserved.
    #[schemars(extend("maxProperties" = 200, "x-kubernetes-validations" = rules::parameters()))]
    pub parameters: Parameters,
    pub high_availability: HighAvailability,
    pub rebalance: Rebalance,
    pub router: Router,
    pub networking: Networking,
    pub tls: Tls,
    pub backup: Backup,
    /// How the first data come to be. Immutable.
    #[schemars(extend("x-kubernetes-validations" = rules::immutable()))]
    pub bootstrap: Bootstrap,
    #[schemars(length(max = 14))]
    pub maintenance_windows: Vec<MaintenanceWindow>,
    pub update: Update,
    pub monitoring: Monitoring,
    pub scheduling: Scheduling,
    /// Merged into the pod templates last: the escape hatch.
    pub pod_template_overlay: serde_json::Map<String, serde_json::Value>,
    pub persistent_volume_claim_retention: PersistentVolumeClaimRetention,
    /// No reconciliation while true.
    pub paused: bool,
    /// No pods while true; the data are kept.
    pub hibernate: bool,
}

impl ServerGroup {
    /// A server group with every default.
    pub fn named(name: &str) -> Self {
        Self::new(name, ServerGroupSpec::default())
    }

    /// Empty only in an object that no API server and no file has given a name.
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }
}

impl Default for ServerGroupSpec {
    fn default() -> Self {
        Self {
            postgres_version: String::new(),
            image: String::new(),
            database: "app".into(),
            admin_user: "citus".into(),
            admin_password_secret_ref: PasswordSecretRef::default(),
            coordinator: Coordinator::default(),
            workers: Workers::default(),
            parameters: Parameters::default(),
            high_availability: HighAvailability::default(),
            rebalance: Rebalance::default(),
            router: Router::default(),
            networking: Networking::default(),
            tls: Tls::default(),
            backup: Backup::default(),
            bootstrap: Bootstrap::default(),
            maintenance_windows: Vec::new(),
            update: Update::default(),
            monitoring: Monitoring::default(),
            scheduling: Scheduling::default(),
            pod_template_overlay: serde_json::Map::new(),
            persistent_volume_claim_retention: PersistentVolumeClaimRetention::default(),
            paused: false,
            hibernate: false,
        }
    }
}

/// The secret with the administrator's password; an empty name means generated into `<name>-app`.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PasswordSecretRef {
    #[schemars(length(max = 253), regex(pattern = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$"))]
    pub name: String,
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    pub key: String,
}

impl Default for PasswordSecretRef {
    fn default() -> Self {
        Self { name: String::new(), key: "password".into() }
    }
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rebalance {
    pub policy: RebalancePolicy,
    pub strategy: RebalanceStrategy,
    #[schemars(range(min = 0, max = 100))]
    pub threshold_percent: u32,
    #[schemars(range(min = 1, max = 64))]
    pub max_parallel_moves: u32,
    pub only_in_maintenance_window: bool,
}

impl Default for Rebalance {
    fn default() -> Self {
        Self {
            policy: RebalancePolicy::Auto,
            strategy: RebalanceStrategy::ByDiskSize,
            threshold_percent: 10,
            max_parallel_moves: 1,
            only_in_maintenance_window: false,
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum RebalancePolicy {
    Auto,
    Manual,
}

/// The names are those of pg_dist_rebalance_strategy.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RebalanceStrategy {
    ByDiskSize,
    ByShardCount,
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Router {
    /// Routers beside the one in the coordinator's pods.
    #[schemars(range(min = 0, max = 100))]
    pub replicas: u32,
    pub resources: Resources,
    pub pool: Pool,
    pub read_replicas: ReadReplicas,
}

impl Default for Router {
    fn default() -> Self {
        Self {
            replicas: 0,
            resources: Resources::default(),
            pool: Pool::default(),
            read_replicas: ReadReplicas::Off,
        }
    }
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Pool {
    /// Server connections per node that one router may hold.
    #[schemars(range(min = 1, max = 10_000))]
    pub default_pool_size: u32,
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_client_connections: u32,
    /// How long statements wait for a node that fails over before they fail.
    #[schemars(range(min = 0, max = 300))]
    pub failover_buffer_seconds: u32,
}

impl Default for Pool {
    fn default() -> Self {
        Self { default_pool_size: 50, max_client_connections: 10_000, failover_buffer_seconds: 10 }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum ReadReplicas {
    Off,
    ReadOnlyTransactions,
}
