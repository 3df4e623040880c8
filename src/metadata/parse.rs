//! Reads the document of `howdah.catalog_json()`. Pure.

use std::collections::BTreeMap;

use howdah_catalog::{
    Catalog, CatalogVersion, Collation, ColocationId, Column, ColumnDefault, ColumnNumber, Contents,
    Database, DefaultClass, Distribution, GroupId, Identity, InvalidCatalog, Node, NodeId, OnCoordinator,
    ShardId, ShardInterval, Table, TableOid, TypeOid, UserFunction, UserObjects, UserOperator, UserType,
    Volatility,
};

mod json;

#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    #[error("the catalog is not the document of this version: {0}")]
    Malformed(#[from] serde_json::Error),
    #[error("function {0} has no known volatility")]
    Volatility(String),
    #[error(transparent)]
    Invalid(#[from] InvalidCatalog),
}

/// The catalog that `howdah.catalog_json()` described.
pub fn parse_catalog(document: &str) -> Result<Catalog, CatalogError> {
    let document: json::Document = serde_json::from_str(document)?;
    Ok(Catalog::new(Contents {
        version: CatalogVersion(document.version),
        database: Database {
            default_collation: document.database.default_collation,
            encoding: document.database.encoding,
        },
        nodes: document.nodes.into_iter().map(node).collect(),
        tables: document.tables.into_iter().map(table).collect(),
        objects: objects(document.objects)?,
    })?)
}

/// One table, as the request `register` of a session carries it.
pub fn parse_table(document: &str) -> Result<Table, CatalogError> {
    Ok(table(serde_json::from_str(document)?))
}

fn node(node: json::Node) -> Node {
    Node {
        id: NodeId(node.id),
        group: GroupId(node.group),
        name: node.name,
        port: node.port,
        address: node.address,
        active: node.active,
        should_have_shards: node.should_have_shards,
    }
}

fn table(table: json::Table) -> Table {
    Table {
        oid: TableOid(table.oid),
        schema: table.schema,
        name: table.name,
        owner: table.owner,
        columns: table.columns.into_iter().map(column).collect(),
        long_names: table.long_names,
        distribution: distribution(table.distribution),
        row_security: table.row_security,
        cascades: table.cascades,
        on_coordinator: match table.on_coordinator {
            None => OnCoordinator::Nothing,
            Some(json::OnCoordinator::Writes) => OnCoordinator::Writes,
            Some(json::OnCoordinator::All) => OnCoordinator::Everything,
        },
    }
}

fn distribution(distribution: json::Distribution) -> Distribution {
    match distribution {
        json::Distribution::Hash { column, colocation, shards } => Distribution::Hash {
            column: ColumnNumber(column),
            colocation: ColocationId(colocation),
            shards: shards.into_iter().map(shard).collect(),
        },
        json::Distribution::Reference { colocation, shard, groups } => Distribution::Reference {
            colocation: ColocationId(colocation),
            shard: ShardId(shard),
            groups: groups.into_iter().map(GroupId).collect(),
        },
    }
}

fn shard(shard: json::Shard) -> ShardInterval {
    ShardInterval { id: ShardId(shard.id), min: shard.min, max: shard.max, group: GroupId(shard.group) }
}

fn column(column: json::Column) -> Column {
    let class = match column.default_class {
        Some(json::DefaultClass::Immutable) => DefaultClass::Immutable,
        Some(json::DefaultClass::Stable) => DefaultClass::Stable,
        Some(json::DefaultClass::Sequence) => DefaultClass::Sequence,
        Some(json::DefaultClass::Volatile) | None => DefaultClass::Volatile,
    };
    Column {
        number: ColumnNumber(column.number),
        name: column.name,
        type_oid: TypeOid(column.type_oid),
        typmod: column.typmod,
        type_name: column.type_name,
        collation: column.collation.map(|it| Collation {
            schema: it.schema,
            name: it.name,
            deterministic: it.deterministic,
        }),
        not_null: column.not_null,
        default: column.default.map(|expression| ColumnDefault { expression, class }),
        identity: match column.identity {
            None => Identity::None,
            Some(json::Identity::Always) => Identity::Always,
            Some(json::Identity::ByDefault) => Identity::ByDefault,
        },
        generated: column.generated,
    }
}

fn objects(objects: json::Objects) -> Result<UserObjects, CatalogError> {
    let mut functions: BTreeMap<String, Vec<UserFunction>> = BTreeMap::new();
    for json::Function { schema, name, volatility, distributed } in objects.functions {
        let Some(volatility) = Volatility::from_char(volatility) else {
            return Err(CatalogError::Volatility(name));
        };
        functions.entry(name).or_default().push(UserFunction { schema, volatility, distributed });
    }
    let types = objects
        .types
        .into_iter()
        .map(|it| {
            (TypeOid(it.oid), UserType { schema: it.schema, name: it.name, embeds_oids: it.embeds_oids })
        })
        .collect();
    let operators = objects
        .operators
        .into_iter()
        .map(|it| UserOperator { name: it.name, left: TypeOid(it.left), right: TypeOid(it.right) })
        .collect();
    let json::Objects { casts, custom_settings, .. } = objects;
    Ok(UserObjects { functions, operators, types, casts, custom_settings })
}

#[cfg(test)]
mod tests;
