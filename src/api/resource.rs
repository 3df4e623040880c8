//! The object around the spec: apiVersion, kind, metadata.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ServerGroupSpec;

pub const API_VERSION: &str = "howdah.dev/v1alpha1";
pub const KIND: &str = "ServerGroup";

/// One coordinator and its workers, as a person wrote them down.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServerGroup {
    pub api_version: String,
    pub kind: String,
    pub metadata: ObjectMeta,
    #[serde(default)]
    pub spec: ServerGroupSpec,
    /// Written by the operator; accepted, and ignored, in a file that was exported from a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<serde_json::Value>,
}

/// The part of Kubernetes' ObjectMeta that means something here; the rest is accepted and left alone.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct ObjectMeta {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl ServerGroup {
    /// A server group with every default.
    pub fn named(name: &str) -> Self {
        Self {
            api_version: API_VERSION.into(),
            kind: KIND.into(),
            metadata: ObjectMeta { name: name.into(), ..ObjectMeta::default() },
            spec: ServerGroupSpec::default(),
            status: None,
        }
    }
}
