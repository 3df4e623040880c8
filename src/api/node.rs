//! The nodes: coordinator and workers, their size, storage and settings.
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

use crate::rules;

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = rules::coordinator()))]
pub struct Coordinator {
    /// Sugar for resources: so many cpus, and the memory that the edition gives them. Without it, and without
    /// resources, the pods ask for little and have no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1024))]
    pub vcores: Option<u32>,
    pub edition: Edition,
    /// Explicit requests and limits; cpu and memory only where vcores is not set.
    pub resources: Resources,
    #[serde(deserialize_with = "coordinator_storage")]
    pub storage: Storage,
    /// Shards on the coordinator too; forced while there are no workers.
    pub hold_shards: bool,
    /// Settings of postgresql.conf of the coordinator only.
    #[schemars(extend("maxProperties" = 200, "x-kubernetes-validations" = rules::parameters()))]
    pub parameters: Parameters,
}

impl Default for Coordinator {
    fn default() -> Self {
        Self {
            vcores: None,
            edition: Edition::GeneralPurpose,
            resources: Resources::default(),
            storage: Storage::of_size(COORDINATOR_STORAGE),
            hold_shards: false,
            parameters: Parameters::default(),
        }
    }
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = rules::workers()))]
pub struct Workers {
    #[schemars(range(min = 0, max = 256))]
    pub count: u32,
    /// Sugar for resources, as for the coordinator.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1024))]
    pub vcores: Option<u32>,
    pub edition: Edition,
    pub resources: Resources,
    #[serde(deserialize_with = "worker_storage")]
    pub storage: Storage,
    /// Settings of postgresql.conf of the workers only.
    #[schemars(extend("maxProperties" = 200, "x-kubernetes-validations" = rules::parameters()))]
    pub parameters: Parameters,
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["index"]))]
    pub overrides: Vec<WorkerOverride>,
}

impl Default for Workers {
    fn default() -> Self {
        Self {
            count: 2,
            vcores: None,
            edition: Edition::MemoryOptimized,
            resources: Resources::default(),
            storage: Storage::of_size(WORKER_STORAGE),
            parameters: Parameters::default(),
            overrides: Vec::new(),
        }
    }
}

/// What differs for one worker.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerOverride {
    /// Which one: 0 is w0.
    #[schemars(range(min = 0, max = 255))]
    pub index: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<StorageOverride>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Edition {
    /// 4Gi of memory a vcore.
    GeneralPurpose,
    /// 8Gi of memory a vcore.
    MemoryOptimized,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = rules::resources()))]
pub struct Resources {
    #[schemars(schema_with = "quantities")]
    pub requests: BTreeMap<String, Scalar>,
    #[schemars(schema_with = "quantities")]
    pub limits: BTreeMap<String, Scalar>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Storage {
    /// Grows, never shrinks.
    #[schemars(length(max = 32), regex(pattern = QUANTITY), extend("x-kubernetes-validations" = rules::size()))]
    pub size: String,
    /// Empty: the cluster's default StorageClass. Immutable.
    #[serde(default)]
    #[schemars(length(max = 253), extend("x-kubernetes-validations" = rules::immutable()))]
    pub class_name: String,
}

impl Storage {
    fn of_size(size: &str) -> Self {
        Self { size: size.into(), class_name: String::new() }
    }
}

/// What one worker's volume has different; what is left out is as for all workers.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StorageOverride {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = QUANTITY), extend("x-kubernetes-validations" = rules::size()))]
    pub size: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253), extend("x-kubernetes-validations" = rules::immutable()))]
    pub class_name: Option<String>,
}

/// Kubernetes' quantities, but not negative ones.
pub(crate) const QUANTITY: &str = r"^([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$";

fn quantities(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 16,
        "additionalProperties": {
            "x-kubernetes-int-or-string": true,
            "maxLength": 32,
            "minimum": 0,
            "pattern": QUANTITY,
        },
    })
}

/// The two kinds of nodes have different default sizes, so that the default cannot be the type's.
pub(crate) const COORDINATOR_STORAGE: &str = "32Gi";
pub(crate) const WORKER_STORAGE: &str = "128Gi";

fn coordinator_storage<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Storage, D::Error> {
    storage(deserializer, COORDINATOR_STORAGE)
}

fn worker_storage<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Storage, D::Error> {
    storage(deserializer, WORKER_STORAGE)
}

fn storage<'de, D: Deserializer<'de>>(deserializer: D, size: &str) -> Result<Storage, D::Error> {
    let written = StorageOverride::deserialize(deserializer)?;
    Ok(Storage {
        size: written.size.unwrap_or_else(|| size.into()),
        class_name: written.class_name.unwrap_or_default(),
    })
}

/// Settings of postgresql.conf by name.
pub type Parameters = BTreeMap<String, Scalar>;

/// A setting or a quantity: YAML's 200, true and "25%" are all texts to those who read them.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Scalar(pub String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a text, a number or a boolean")]
        enum Written {
            Text(String),
            Boolean(bool),
            Integer(i64),
            Number(f64),
        }
        Ok(Self(match Written::deserialize(deserializer)? {
            Written::Text(text) => text,
            // PostgreSQL's own spelling, which its documentation and SHOW use.
            Written::Boolean(true) => "on".into(),
            Written::Boolean(false) => "off".into(),
            Written::Integer(number) => number.to_string(),
            Written::Number(number) => number.to_string(),
        }))
    }
}

impl JsonSchema for Scalar {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Scalar".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-kubernetes-int-or-string": true,
            "maxLength": 1024,
            "pattern": r"^[^\n\r]*$",
        })
    }
}
