//! Small catalogs for tests, of this crate and of those that read a catalog.

use howdah_pg::TypeOid;

use crate::{
    Catalog, CatalogVersion, Collation, ColocationId, Column, ColumnDefault, ColumnNumber, Contents,
    Database, DefaultClass, Distribution, GroupId, Identity, InvalidCatalog, Node, NodeId, OnCoordinator,
    ShardId, ShardInterval, Table, TableOid, UserObjects,
};

/// Builds a catalog of a few workers and tables in schema `public`:
/// `Sample::new(2).hash("orders", "customer_id bigint, status text", 1, 4).catalog()`.
///
/// The first column is the distribution column; `serial` and `… not null` are understood.
/// Table OIDs count from 16401, shard ids from 102008, shards go round robin over the workers.
#[derive(Clone, Debug)]
pub struct Sample {
    contents: Contents,
    next_shard: i64,
}

impl Sample {
    pub fn new(workers: i32) -> Self {
        let contents = Contents {
            version: CatalogVersion(1),
            database: Database { default_collation: "C.UTF-8".into(), encoding: "UTF8".into() },
            nodes: (0..=workers).map(node).collect(),
            tables: Vec::new(),
            objects: UserObjects::default(),
        };
        Self { contents, next_shard: 102_008 }
    }

    /// A table distributed by its first column over `shards` shards.
    pub fn hash(mut self, name: &str, columns: &str, colocation: i32, shards: usize) -> Self {
        let workers = self.contents.nodes.len() as i32 - 1;
        let shards: Vec<_> = (0..shards)
            .map(|index| {
                let (min, max) = even_range(index, shards);
                let group = GroupId(index as i32 % workers + 1);
                ShardInterval { id: self.draw_shard(), min, max, group }
            })
            .collect();
        let distribution =
            Distribution::Hash { column: ColumnNumber(1), colocation: ColocationId(colocation), shards };
        self.table(name, columns, distribution)
    }

    /// A reference table on every node. Its colocation group is 1000.
    pub fn reference(mut self, name: &str, columns: &str) -> Self {
        let groups = self.contents.nodes.iter().map(|it| it.group).collect();
        let shard = self.draw_shard();
        self.table(name, columns, Distribution::Reference { colocation: ColocationId(1000), shard, groups })
    }

    /// Changes the contents in ways that have no method here.
    pub fn with(mut self, change: impl FnOnce(&mut Contents)) -> Self {
        change(&mut self.contents);
        self
    }

    pub fn try_catalog(self) -> Result<Catalog, InvalidCatalog> {
        Catalog::new(self.contents)
    }

    /// # Panics
    /// If what was built is not a valid catalog.
    pub fn catalog(self) -> Catalog {
        self.try_catalog().expect("samples are built valid")
    }

    fn draw_shard(&mut self) -> ShardId {
        self.next_shard += 1;
        ShardId(self.next_shard - 1)
    }

    fn table(mut self, name: &str, columns: &str, distribution: Distribution) -> Self {
        let tables = &mut self.contents.tables;
        tables.push(Table {
            oid: TableOid(16401 + tables.len() as u32),
            schema: "public".into(),
            name: name.into(),
            owner: "app".into(),
            columns: split_columns(columns)
                .into_iter()
                .zip(1..)
                .map(|(it, number)| column(number, it.trim()))
                .collect(),
            long_names: Vec::new(),
            distribution,
            on_coordinator: OnCoordinator::Nothing,
            row_security: false,
            cascades: false,
        });
        self
    }
}

/// The `index`th of `count` hash ranges, cut as Citus cuts them: the last takes the remainder.
fn even_range(index: usize, count: usize) -> (i32, i32) {
    let width = (1_u64 << 32) / count as u64;
    let min = i64::from(i32::MIN) + (index as u64 * width) as i64;
    let max = if index + 1 == count { i64::from(i32::MAX) } else { min + width as i64 - 1 };
    (min as i32, max as i32)
}

fn node(group: i32) -> Node {
    Node {
        id: NodeId(group + 1),
        group: GroupId(group),
        name: "localhost".into(),
        port: 5432 + group as u16,
        address: None,
        active: true,
        should_have_shards: group != 0,
    }
}

/// Splits at commas outside of parentheses.
fn split_columns(columns: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    columns
        .split(move |it: char| {
            match it {
                '(' => depth += 1,
                ')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            it == ',' && depth == 0
        })
        .collect()
}

fn column(number: i16, text: &str) -> Column {
    let (text, not_null) = match text.strip_suffix(" not null") {
        Some(text) => (text, true),
        None => (text, false),
    };
    let (name, declared) = text.split_once(' ').expect("a sample column is written as name and type");
    let (type_oid, type_name) = sample_type(declared);
    let sequence = declared.ends_with("serial");
    Column {
        number: ColumnNumber(number),
        name: name.into(),
        type_oid,
        typmod: -1,
        type_name: type_name.into(),
        collation: is_text(type_oid).then(|| Collation {
            schema: "pg_catalog".into(),
            name: "default".into(),
            deterministic: true,
        }),
        not_null: not_null || sequence,
        default: sequence.then(|| ColumnDefault {
            expression: format!("nextval('{name}_seq'::regclass)"),
            class: DefaultClass::Sequence,
        }),
        identity: Identity::None,
        generated: false,
    }
}

fn is_text(type_oid: TypeOid) -> bool {
    [TypeOid::TEXT, TypeOid::VARCHAR, TypeOid::BPCHAR, TypeOid::NAME].contains(&type_oid)
}

fn sample_type(declared: &str) -> (TypeOid, &str) {
    let bare = declared.split('(').next().unwrap_or(declared).trim();
    match bare {
        "bool" | "boolean" => (TypeOid::BOOL, "boolean"),
        "bytea" => (TypeOid::BYTEA, "bytea"),
        "smallint" | "int2" => (TypeOid::INT2, "smallint"),
        "int" | "integer" | "int4" | "serial" => (TypeOid::INT4, "integer"),
        "bigint" | "int8" | "bigserial" => (TypeOid::INT8, "bigint"),
        "real" | "float4" => (TypeOid::FLOAT4, "real"),
        "double precision" | "float8" => (TypeOid::FLOAT8, "double precision"),
        "numeric" => (TypeOid::NUMERIC, declared),
        "text" => (TypeOid::TEXT, "text"),
        "varchar" | "character varying" => (TypeOid::VARCHAR, "character varying"),
        "char" | "bpchar" | "character" => (TypeOid::BPCHAR, "character"),
        "date" => (TypeOid::DATE, "date"),
        "timestamp" => (TypeOid::TIMESTAMP, "timestamp without time zone"),
        "timestamptz" => (TypeOid::TIMESTAMPTZ, "timestamp with time zone"),
        "time" => (TypeOid::TIME, "time without time zone"),
        "interval" => (TypeOid::INTERVAL, "interval"),
        "uuid" => (TypeOid::UUID, "uuid"),
        "json" => (TypeOid::JSON, "json"),
        "jsonb" => (TypeOid::JSONB, "jsonb"),
        "int[]" => (TypeOid(1007), "integer[]"),
        other => panic!("samples do not know the type {other:?}"),
    }
}
