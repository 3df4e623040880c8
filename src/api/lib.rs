//! The resources of `howdah.dev/v1alpha1` as data: structs, defaults, the schema and the rules of the CRDs.
//!
//! The same file drives the operator and the local driver. Defaults live here and nowhere else, so that
//! `kubectl explain`, GitOps tools and people see them. The API server prunes unknown fields (kubectl and helm
//! refuse them), and [`unknown_field`] tells them to those without one: a typo must not pass silently, and an
//! operator that is older than its CRD must read what it knows. This crate holds no logic: what a spec *means* is
//! decided by its readers.
// Several printer columns are not one attribute written twice.
#![expect(clippy::duplicated_attributes)]

mod backup;
mod crd;
mod foreign;
mod ha;
mod maintenance;
mod networking;
mod node;
mod operation;
mod pods;
mod rules;
mod server_group_node;
mod spec;
mod status;
mod unknown;

pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

pub use self::backup::{
    Backup, BackupRepository, Bootstrap, PvcRepository, Restore, S3Repository, SecretRef,
};
pub use self::crd::{crd_yaml, crds};
pub use self::ha::{Detection, Durability, HighAvailability};
pub use self::maintenance::{MaintenanceWindow, PrimaryUpdateMethod, Update, UpdateStrategy, Weekday};
pub use self::networking::{IssuerRef, NetworkPolicyMode, Networking, Service, ServiceType, Tls, TlsMode};
pub use self::node::{
    Coordinator, Edition, Parameters, Resources, Scalar, Storage, StorageOverride, WorkerOverride, Workers,
};
pub use self::operation::{
    OperationPhase, OperationType, ServerGroupOperation, ServerGroupOperationSpec, ServerGroupOperationStatus,
};
pub use self::pods::{
    AntiAffinity, Monitoring, PersistentVolumeClaimRetention, PodMonitor, RetentionPolicy, Scheduling,
};
pub use self::rules::{RESERVED_PARAMETERS, RESERVED_PREFIXES};
pub use self::server_group_node::{
    Leadership, LeadershipMode, LeadershipPhase, ServerGroupNode, ServerGroupNodeSpec, ServerGroupNodeStatus,
};
pub use self::spec::{
    PasswordSecretRef, Pool, ReadReplicas, Rebalance, RebalancePolicy, RebalanceStrategy, Router,
    ServerGroup, ServerGroupSpec,
};
pub use self::status::{
    BackupStatus, ConditionType, HaStatus, LastFailover, NodePhase, NodeStatus, Phase, RebalanceState,
    RebalanceStatus, ServerGroupStatus, WorkersStatus,
};
pub use self::unknown::unknown_field;

pub const API_VERSION: &str = "howdah.dev/v1alpha1";
pub const KIND: &str = "ServerGroup";
