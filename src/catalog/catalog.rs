//! The [`Catalog`] value: checked once when it is made, then only read.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::{
    CatalogVersion, ColocationId, ColumnNumber, Distribution, GroupId, Node, ShardId, ShardInterval, Table,
    TableOid, TypeOid, UserObjects,
};

/// One version of everything that decides where a statement runs. Readers share it by `Arc`.
#[derive(Clone, Debug)]
pub struct Catalog {
    version: CatalogVersion,
    database: Database,
    nodes: BTreeMap<GroupId, Node>,
    tables: BTreeMap<TableOid, Arc<Table>>,
    objects: Arc<UserObjects>,
    /// Bare name, then schema.
    names: HashMap<String, BTreeMap<String, TableOid>>,
    shards: HashMap<ShardId, TableOid>,
}

/// What a [`Catalog`] is made of.
#[derive(Clone, Debug)]
pub struct Contents {
    pub version: CatalogVersion,
    pub database: Database,
    pub nodes: Vec<Node>,
    pub tables: Vec<Table>,
    pub objects: UserObjects,
}

/// Facts of the database, the same on every node.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Database {
    /// `pg_database.datcollate`.
    pub default_collation: String,
    /// `pg_encoding_to_char(encoding)`.
    pub encoding: String,
}

/// Why contents are not a catalog. Each is damage in the `pg_dist_*` tables.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidCatalog {
    #[error("node group {0} is registered twice")]
    DuplicateGroup(GroupId),
    #[error("table {0} is described twice")]
    DuplicateTable(TableOid),
    #[error("two tables are named {schema}.{name}")]
    DuplicateName { schema: String, name: String },
    #[error("shard {0} belongs to two tables")]
    DuplicateShard(ShardId),
    #[error("table {table} has no column {column}, by which it is distributed")]
    NoDistributionColumn { table: TableOid, column: ColumnNumber },
    #[error("the shards of table {0} do not cover all hash values in order")]
    ShardRanges(TableOid),
    #[error("reference table {0} has no placement")]
    NoPlacement(TableOid),
    #[error("a shard of table {table} is placed on unknown node group {group}")]
    UnknownGroup { table: TableOid, group: GroupId },
    #[error("tables {0} and {1} share a colocation group, but not their shard ranges, nodes or type")]
    NotColocated(TableOid, TableOid),
}

impl Catalog {
    pub fn new(contents: Contents) -> Result<Self, InvalidCatalog> {
        let mut catalog = Self {
            version: contents.version,
            database: contents.database,
            nodes: BTreeMap::new(),
            tables: BTreeMap::new(),
            objects: Arc::new(contents.objects),
            names: HashMap::new(),
            shards: HashMap::new(),
        };
        for node in contents.nodes {
            let group = node.group;
            if catalog.nodes.insert(group, node).is_some() {
                return Err(InvalidCatalog::DuplicateGroup(group));
            }
        }
        for table in contents.tables {
            catalog.add(table)?;
        }
        catalog.check_colocation()?;
        Ok(catalog)
    }

    /// This catalog and one more table, or a new description of one that it has.
    pub fn with_table(&self, table: Table) -> Result<Self, InvalidCatalog> {
        let mut catalog = self.clone();
        catalog.remove(table.oid);
        catalog.add(table)?;
        catalog.check_colocation()?;
        Ok(catalog)
    }

    pub fn version(&self) -> CatalogVersion {
        self.version
    }

    pub fn database(&self) -> &Database {
        &self.database
    }

    pub fn objects(&self) -> &UserObjects {
        &self.objects
    }

    /// Every node, the coordinator first where it is registered.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }

    pub fn node(&self, group: GroupId) -> Option<&Node> {
        self.nodes.get(&group)
    }

    /// The nodes other than the coordinator, in order of their groups.
    pub fn workers(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values().filter(|it| it.group != GroupId::COORDINATOR)
    }

    pub fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.tables.values()
    }

    pub fn table(&self, oid: TableOid) -> Option<&Arc<Table>> {
        self.tables.get(&oid)
    }

    pub fn table_named(&self, schema: &str, name: &str) -> Option<&Arc<Table>> {
        self.table(*self.names.get(name)?.get(schema)?)
    }

    /// Whether some schema has a distributed or reference table of this bare name.
    pub fn knows_name(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    /// The table that a shard is part of.
    pub fn table_of_shard(&self, shard: ShardId) -> Option<&Arc<Table>> {
        self.table(*self.shards.get(&shard)?)
    }

    /// Whether rows of both that match on their distribution columns are on one node; a reference table is
    /// colocated only with other reference tables here.
    pub fn colocated(&self, a: TableOid, b: TableOid) -> bool {
        match (self.table(a), self.table(b)) {
            (Some(a), Some(b)) => a.colocation() == b.colocation(),
            _ => false,
        }
    }

    /// The tables of a colocation group, in order of their OIDs.
    pub fn colocation_group(&self, colocation: ColocationId) -> impl Iterator<Item = &Arc<Table>> {
        self.tables.values().filter(move |it| it.colocation() == colocation)
    }

    fn add(&mut self, table: Table) -> Result<(), InvalidCatalog> {
        self.check_table(&table)?;
        let oid = table.oid;
        let schemas = self.names.entry(table.name.clone()).or_default();
        if schemas.insert(table.schema.clone(), oid).is_some() {
            return Err(InvalidCatalog::DuplicateName { schema: table.schema, name: table.name });
        }
        for shard in table.shard_ids() {
            if self.shards.insert(shard, oid).is_some() {
                return Err(InvalidCatalog::DuplicateShard(shard));
            }
        }
        match self.tables.insert(oid, Arc::new(table)) {
            Some(_) => Err(InvalidCatalog::DuplicateTable(oid)),
            None => Ok(()),
        }
    }

    fn remove(&mut self, oid: TableOid) {
        let Some(table) = self.tables.remove(&oid) else { return };
        if let Some(schemas) = self.names.get_mut(&table.name) {
            schemas.remove(&table.schema);
            if schemas.is_empty() {
                self.names.remove(&table.name);
            }
        }
        for shard in table.shard_ids() {
            self.shards.remove(&shard);
        }
    }

    fn check_table(&self, table: &Table) -> Result<(), InvalidCatalog> {
        let groups: Vec<GroupId> = match &table.distribution {
            Distribution::Hash { column, shards, .. } => {
                if table.column(*column).is_none() {
                    return Err(InvalidCatalog::NoDistributionColumn { table: table.oid, column: *column });
                }
                if !cover_all_hashes(shards) {
                    return Err(InvalidCatalog::ShardRanges(table.oid));
                }
                shards.iter().map(|it| it.group).collect()
            }
            Distribution::Reference { groups, .. } => {
                if groups.is_empty() {
                    return Err(InvalidCatalog::NoPlacement(table.oid));
                }
                groups.clone()
            }
        };
        match groups.into_iter().find(|it| !self.nodes.contains_key(it)) {
            Some(group) => Err(InvalidCatalog::UnknownGroup { table: table.oid, group }),
            None => Ok(()),
        }
    }

    fn check_colocation(&self) -> Result<(), InvalidCatalog> {
        let mut first_of: HashMap<ColocationId, &Table> = HashMap::new();
        for table in self.tables.values() {
            let first = first_of.entry(table.colocation()).or_insert(table);
            if Footprint::of(first) != Footprint::of(table) {
                return Err(InvalidCatalog::NotColocated(first.oid, table.oid));
            }
        }
        Ok(())
    }
}

/// What tables of one colocation group must have in common. Reference tables may lag behind each other
/// while a node receives its copies, so only their kind counts.
#[derive(Eq, PartialEq)]
enum Footprint {
    Hash { type_oid: TypeOid, shards: Vec<(i32, i32, GroupId)> },
    Reference,
}

impl Footprint {
    fn of(table: &Table) -> Self {
        match table.distribution_column() {
            Some(column) => Self::Hash {
                type_oid: column.type_oid,
                shards: table.shards().iter().map(|it| (it.min, it.max, it.group)).collect(),
            },
            None => Self::Reference,
        }
    }
}

fn cover_all_hashes(shards: &[ShardInterval]) -> bool {
    let mut next = Some(i32::MIN);
    for shard in shards {
        if next != Some(shard.min) || shard.max < shard.min {
            return false;
        }
        next = shard.max.checked_add(1);
    }
    !shards.is_empty() && next.is_none()
}

#[cfg(test)]
mod tests;
