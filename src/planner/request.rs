//! What planning needs to know.

use std::collections::BTreeMap;

use howdah_catalog::{Catalog, TableOid, TypeOid};
use howdah_sql::{RelationName, Statement};

/// One statement to be planned. Everything in it was asked from PostgreSQL or comes from the session.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// SELECT, INSERT, UPDATE, DELETE or MERGE; others become [`crate::Plan::Coordinator`].
    pub statement: &'a Statement,
    pub catalog: &'a Catalog,
    /// What `to_regclass` said about the names of [`howdah_sql::relation_names`]. Missing and `None` alike: no table of the catalog.
    pub names: &'a BTreeMap<RelationName, Option<TableOid>>,
    /// From Describe, `$1` first.
    pub parameter_types: &'a [TypeOid],
    /// False when the keys of a rung 1 plan turned out to be NULL, on different shards or impossible to hash.
    pub single_shard_allowed: bool,
    pub settings: Settings,
}

/// Session settings that change what a text means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Settings {
    pub standard_conforming_strings: bool,
    pub transform_null_equals: bool,
    /// Whether the search path leaves `pg_catalog` implicitly first. Else any builtin name may be somebody's own.
    pub system_names_first: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { standard_conforming_strings: true, transform_null_equals: false, system_names_first: true }
    }
}
