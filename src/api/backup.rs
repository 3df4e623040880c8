//! Backups, and where a restored group comes from.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::node::QUANTITY;
use crate::rules;

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = rules::backup()))]
pub struct Backup {
    pub enabled: bool,
    pub repository: BackupRepository,
    /// Five fields as cron has them, in UTC.
    #[schemars(length(max = 128), regex(pattern = rules::cron()))]
    pub schedule: String,
    #[schemars(range(min = 1, max = 3650))]
    pub retention_days: u32,
    /// Distance of the points that are consistent across all nodes.
    #[schemars(range(min = 1, max = 1440))]
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
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = rules::repository()))]
pub struct BackupRepository {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3: Option<S3Repository>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pvc: Option<PvcRepository>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct S3Repository {
    #[schemars(length(min = 3, max = 63), regex(pattern = r"^[a-z0-9][-.a-z0-9]*[a-z0-9]$"))]
    pub bucket: String,
    #[serde(default)]
    #[schemars(length(max = 253), regex(pattern = r"^\S*$"))]
    pub endpoint: String,
    #[serde(default)]
    #[schemars(length(max = 63), regex(pattern = r"^\S*$"))]
    pub region: String,
    #[serde(default)]
    #[schemars(length(max = 253), regex(pattern = r"^\S*$"))]
    pub prefix: String,
    #[serde(default)]
    pub credentials_secret_ref: SecretRef,
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PvcRepository {
    #[schemars(length(max = 32), regex(pattern = QUANTITY), extend("x-kubernetes-validations" = rules::size()))]
    pub size: String,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SecretRef {
    #[schemars(length(max = 253), regex(pattern = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$"))]
    pub name: String,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Bootstrap {
    pub restore: Restore,
}

/// Where a restored group comes from; empty means a new, empty group.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = rules::restore()))]
pub struct Restore {
    /// The group whose backups these are.
    #[schemars(length(max = 40))]
    pub server_group: String,
    /// Empty: the newest that serves.
    #[schemars(length(max = 253))]
    pub backup: String,
    /// RFC 3339, with its offset: 2026-03-01T12:00:00Z. Empty: the end.
    #[schemars(length(max = 40), regex(pattern = TIME))]
    pub target_time: String,
    #[schemars(length(max = 63))]
    pub target_restore_point: String,
}

const TIME: &str =
    r"^([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2}))?$";
