//! What is said over the control API: `GET /v1/status`, `PUT /v1/settings`, `POST /v1/restart`. JSON, in camel case.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Answer of `GET /v1/status`, and of `POST /v1/restart` when the server is ready again.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    pub name: String,
    pub state: State,
    /// Why the server is not ready, for people; what Postgres said last, a version that does not fit.
    #[serde(default)]
    pub reason: Option<String>,
    /// As Postgres prints it: `17.6`.
    #[serde(default)]
    pub postgres_version: Option<String>,
    #[serde(default)]
    pub server_version_num: Option<u32>,
    /// [`hash`](crate::settings::hash) of the settings in the configuration file now.
    pub settings_hash: String,
    /// Settings that differ from what the server runs with until it is restarted.
    #[serde(default)]
    pub pending_restart: Vec<String>,
    /// Settings that were asked for and are not in force.
    #[serde(default)]
    pub settings_error: Option<SettingsError>,
    #[serde(default)]
    pub certificate: Option<CertificateStatus>,
    /// Of all databases.
    #[serde(default)]
    pub data_bytes: Option<u64>,
    /// Of the volume.
    #[serde(default)]
    pub disk_used_percent: Option<u8>,
    /// How often Postgres ended without being told to, since the instance manager began.
    pub restarts: u32,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// The data directory is being made.
    Initialising,
    Starting,
    /// Postgres accepts connections.
    Ready,
    Stopped,
}

/// The certificate that the server shows.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateStatus {
    /// In hexadecimal.
    pub serial: String,
    /// Seconds since 1970.
    pub not_after: i64,
}

/// Body of `PUT /v1/settings`: all of them; what is not named gets its default.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SettingsRequest {
    pub settings: BTreeMap<String, String>,
}

/// Answer of `PUT /v1/settings`, with 200.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SettingsApplied {
    pub settings_hash: String,
    pub pending_restart: Vec<String>,
}

/// The same with 422: nothing has changed. Also what [`Status`] shows of settings that the server did not start with.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SettingsError {
    /// Of the settings that were refused.
    pub settings_hash: String,
    /// The one that is wrong, where Postgres has named it.
    #[serde(default)]
    pub parameter: Option<String>,
    pub error: String,
}

/// Any other failure: 409 while the server is not ready, 500.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Failure {
    pub error: String,
}
