//! A distributed or reference table: its columns, and where its rows are.

use howdah_pg::{TypeOid, ident};

use crate::{ColocationId, ColumnNumber, GroupId, ShardId, TableOid};

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Table {
    pub oid: TableOid,
    pub schema: String,
    pub name: String,
    /// Role name of the owner.
    pub owner: String,
    /// In order of their numbers; dropped columns are absent, so numbers may have gaps.
    pub columns: Vec<Column>,
    /// Constraints and indexes whose names are clipped on shards; see [`Table::unclipped`].
    pub long_names: Vec<String>,
    pub distribution: Distribution,
    pub on_coordinator: OnCoordinator,
    /// Whether it has row-level security, with which PostgreSQL does not COPY into it.
    pub row_security: bool,
    /// Whether a write to it may change rows of other tables: foreign keys onto it that do more than check.
    pub cascades: bool,
}

/// Which statements on a table the coordinator must run over live tables, because workers would not do all that the table asks.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OnCoordinator {
    #[default]
    Nothing,
    /// Triggers of the user, which fire there.
    Writes,
    /// Row-level security that workers cannot enforce as the coordinator does.
    Everything,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Distribution {
    Hash {
        column: ColumnNumber,
        colocation: ColocationId,
        /// Sorted by range; together they cover all of i32.
        shards: Vec<ShardInterval>,
    },
    Reference {
        colocation: ColocationId,
        shard: ShardId,
        /// The nodes that hold a copy. Never empty.
        groups: Vec<GroupId>,
    },
}

/// A shard and the hash values, both ends included, of the rows in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ShardInterval {
    pub id: ShardId,
    pub min: i32,
    pub max: i32,
    /// The node of its only placement.
    pub group: GroupId,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Column {
    pub number: ColumnNumber,
    pub name: String,
    pub type_oid: TypeOid,
    pub typmod: i32,
    /// As `format_type` writes it, with the type modifier.
    pub type_name: String,
    /// `None` for types without collation.
    pub collation: Option<Collation>,
    pub not_null: bool,
    /// `None` as well for identity and generated columns.
    pub default: Option<ColumnDefault>,
    pub identity: Identity,
    /// `GENERATED ALWAYS AS (…) STORED`.
    pub generated: bool,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Collation {
    pub schema: String,
    pub name: String,
    /// Equal strings are equal bytes; only then is the hash the hash of the bytes.
    pub deterministic: bool,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ColumnDefault {
    /// As `pg_get_expr` writes it.
    pub expression: String,
    pub class: DefaultClass,
}

/// What must be known before a default expression may run on a worker.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DefaultClass {
    Immutable,
    Stable,
    Volatile,
    /// Uses a sequence, which only the coordinator has.
    Sequence,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Identity {
    None,
    Always,
    ByDefault,
}

impl Table {
    pub fn column(&self, number: ColumnNumber) -> Option<&Column> {
        self.columns.iter().find(|it| it.number == number)
    }

    pub fn column_named(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|it| it.name == name)
    }

    /// The distribution column; `None` for a reference table.
    pub fn distribution_column(&self) -> Option<&Column> {
        match &self.distribution {
            Distribution::Hash { column, .. } => self.column(*column),
            Distribution::Reference { .. } => None,
        }
    }

    pub fn colocation(&self) -> ColocationId {
        match &self.distribution {
            Distribution::Hash { colocation, .. } | Distribution::Reference { colocation, .. } => *colocation,
        }
    }

    pub fn is_reference(&self) -> bool {
        matches!(self.distribution, Distribution::Reference { .. })
    }

    /// The hash shards in order of their ranges; none for a reference table.
    pub fn shards(&self) -> &[ShardInterval] {
        match &self.distribution {
            Distribution::Hash { shards, .. } => shards,
            Distribution::Reference { .. } => &[],
        }
    }

    /// Every shard id, also the one of a reference table.
    pub fn shard_ids(&self) -> impl Iterator<Item = ShardId> + '_ {
        let reference = match &self.distribution {
            Distribution::Hash { .. } => None,
            Distribution::Reference { shard, .. } => Some(*shard),
        };
        self.shards().iter().map(|it| it.id).chain(reference)
    }

    /// The bare name of a shard on its node; the schema is the table's.
    pub fn shard_name(&self, shard: ShardId) -> String {
        ident::shard_name(&self.name, shard.0)
    }

    /// What stands at the end of `text`, if that is the clipped name of a shard, or of a constraint or index on it: how many
    /// bytes of the text it is, and the name that the client knows.
    pub fn unclipped<'a>(&'a self, text: &str, shard: ShardId) -> Option<(usize, &'a str)> {
        [&self.name].into_iter().chain(&self.long_names).find_map(|name| {
            let clipped = ident::shard_name(name, shard.0);
            let is_clipped = !clipped.starts_with(name.as_str());
            (is_clipped && text.ends_with(&clipped)).then_some((clipped.len(), name.as_str()))
        })
    }

    /// Index into [`Table::shards`] of the shard for a hash value of the distribution column.
    ///
    /// # Panics
    /// For a reference table, which has no such shard.
    pub fn shard_index_for_hash(&self, hash: i32) -> usize {
        let shards = self.shards();
        let index = shards.partition_point(|it| it.max < hash);
        debug_assert!(shards[index].min <= hash && hash <= shards[index].max);
        index
    }
}
