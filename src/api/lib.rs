//! The `ServerGroup` resource (`howdah.dev/v1alpha1`) as data: structs, defaults, the schema of the CRD.
//!
//! The same file drives the operator and the local driver. Defaults live here and nowhere else, so that
//! `kubectl explain`, GitOps tools and people see them. Unknown fields are errors: a typo must not pass
//! silently. This crate holds no logic: what a spec *means* is decided by its readers.
mod crd;
mod ha;
mod kubernetes;
mod node;
mod resource;
mod spec;

pub use self::crd::{crd, crd_yaml};
pub use self::ha::{Detection, Durability, HighAvailability};
pub use self::kubernetes::{
    AntiAffinity, Backup, BackupRepository, Bootstrap, IssuerRef, MaintenanceWindow, Monitoring,
    NetworkPolicyMode, Networking, PersistentVolumeClaimRetention, PodMonitor, PrimaryUpdateMethod,
    PvcRepository, Restore, RetentionPolicy, S3Repository, Scheduling, SecretRef, Service, ServiceType, Tls,
    TlsMode, Update, UpdateStrategy, Weekday,
};
pub use self::node::{Coordinator, Edition, Parameters, Resources, Scalar, Storage, WorkerOverride, Workers};
pub use self::resource::{API_VERSION, KIND, ObjectMeta, ServerGroup};
pub use self::spec::{
    PasswordSecretRef, Pool, ReadReplicas, Rebalance, RebalancePolicy, RebalanceStrategy, Router,
    ServerGroupSpec,
};
