//! The document, field by field as `sql/catalog_json.sql` writes it.

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    pub(super) version: i64,
    pub(super) database: Database,
    pub(super) nodes: Vec<Node>,
    pub(super) tables: Vec<Table>,
    pub(super) objects: Objects,
}

#[derive(Deserialize)]
pub(super) struct Database {
    pub(super) default_collation: String,
    pub(super) encoding: String,
}

#[derive(Deserialize)]
pub(super) struct Node {
    pub(super) id: i32,
    pub(super) group: i32,
    pub(super) name: String,
    pub(super) port: u16,
    pub(super) address: Option<String>,
    pub(super) active: bool,
    pub(super) should_have_shards: bool,
}

#[derive(Deserialize)]
pub(super) struct Table {
    pub(super) oid: u32,
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) owner: String,
    pub(super) columns: Vec<Column>,
    pub(super) long_names: Vec<String>,
    pub(super) distribution: Distribution,
    #[serde(default)]
    pub(super) on_coordinator: Option<OnCoordinator>,
    #[serde(default)]
    pub(super) row_security: bool,
    #[serde(default)]
    pub(super) cascades: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum OnCoordinator {
    Writes,
    All,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum Distribution {
    Hash { column: i16, colocation: i32, shards: Vec<Shard> },
    Reference { colocation: i32, shard: i64, groups: Vec<i32> },
}

#[derive(Deserialize)]
pub(super) struct Shard {
    pub(super) id: i64,
    pub(super) min: i32,
    pub(super) max: i32,
    pub(super) group: i32,
}

#[derive(Deserialize)]
pub(super) struct Column {
    pub(super) number: i16,
    pub(super) name: String,
    pub(super) type_oid: u32,
    pub(super) typmod: i32,
    pub(super) type_name: String,
    pub(super) collation: Option<Collation>,
    pub(super) not_null: bool,
    pub(super) default: Option<String>,
    pub(super) default_class: Option<DefaultClass>,
    pub(super) identity: Option<Identity>,
    pub(super) generated: bool,
}

#[derive(Deserialize)]
pub(super) struct Collation {
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) deterministic: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum DefaultClass {
    Immutable,
    Stable,
    Volatile,
    Sequence,
}

#[derive(Deserialize)]
pub(super) enum Identity {
    #[serde(rename = "always")]
    Always,
    #[serde(rename = "by default")]
    ByDefault,
}

#[derive(Deserialize)]
pub(super) struct Objects {
    pub(super) functions: Vec<Function>,
    pub(super) operators: Vec<Operator>,
    pub(super) types: Vec<Type>,
    pub(super) casts: bool,
    #[serde(default)]
    pub(super) custom_settings: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct Function {
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) volatility: char,
    pub(super) distributed: bool,
}

#[derive(Deserialize)]
pub(super) struct Type {
    pub(super) oid: u32,
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) embeds_oids: bool,
}

#[derive(Deserialize)]
pub(super) struct Operator {
    pub(super) name: String,
    pub(super) left: u32,
    pub(super) right: u32,
}
