//! Backups, and where a restored group comes from.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
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
#[serde(rename_all = "camelCase", default)]
pub struct BackupRepository {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3: Option<S3Repository>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pvc: Option<PvcRepository>,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct S3Repository {
    pub bucket: String,
    pub endpoint: String,
    pub region: String,
    pub prefix: String,
    pub credentials_secret_ref: SecretRef,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PvcRepository {
    pub size: String,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SecretRef {
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
pub struct Restore {
    pub server_group: String,
    pub backup: String,
    pub target_time: String,
    pub target_restore_point: String,
}
