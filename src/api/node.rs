//! The nodes: coordinator and workers, their size, storage and settings.
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Coordinator {
    /// Sugar for cpu; the memory follows from the edition.
    pub vcores: u32,
    pub edition: Edition,
    /// Explicit requests and limits win over vcores and edition.
    pub resources: Resources,
    pub storage: Storage,
    /// Shards on the coordinator too; forced while there are no workers.
    pub hold_shards: bool,
    /// Settings of postgresql.conf of the coordinator only.
    pub parameters: Parameters,
}

impl Default for Coordinator {
    fn default() -> Self {
        Self {
            vcores: 2,
            edition: Edition::GeneralPurpose,
            resources: Resources::default(),
            storage: Storage { size: "32Gi".into(), class_name: String::new() },
            hold_shards: false,
            parameters: Parameters::default(),
        }
    }
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Workers {
    pub count: u32,
    pub vcores: u32,
    pub edition: Edition,
    pub resources: Resources,
    pub storage: Storage,
    /// Settings of postgresql.conf of the workers only.
    pub parameters: Parameters,
    pub overrides: Vec<WorkerOverride>,
}

impl Default for Workers {
    fn default() -> Self {
        Self {
            count: 2,
            vcores: 4,
            edition: Edition::MemoryOptimized,
            resources: Resources::default(),
            storage: Storage { size: "128Gi".into(), class_name: String::new() },
            parameters: Parameters::default(),
            overrides: Vec::new(),
        }
    }
}

/// What differs for one worker.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkerOverride {
    pub index: u32,
    #[serde(default)]
    pub storage: Option<Storage>,
    #[serde(default)]
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
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Resources {
    pub requests: BTreeMap<String, Scalar>,
    pub limits: BTreeMap<String, Scalar>,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Storage {
    /// Grows, never shrinks.
    pub size: String,
    pub class_name: String,
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

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "x-kubernetes-preserve-unknown-fields": true })
    }
}
