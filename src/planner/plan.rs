//! What is to be done: a value that EXPLAIN, tests, the plan cache and the executor read.

use howdah_catalog::{TableOid, TypeOid};

use crate::Merge;

/// A plan and how it came about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Planned {
    pub plan: Plan,
    pub rung: Rung,
    /// Why the rungs above were not taken, in order.
    pub reasons: Vec<(Rung, String)>,
    pub scope: PlanScope,
}

/// For which statements a plan holds (under one catalog, search path and set of parameter types).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PlanScope {
    /// All of the same shape, whatever stands in the shape's literal slots.
    Shape,
    /// Only this very text.
    Text,
}

/// The ladder of sql.md section 2.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Rung {
    Local,
    Router,
    Pushdown,
    Combine,
    /// Through the coordinator: intermediate rows are collected and sent on (INSERT … SELECT).
    Recursive,
    Live,
}

impl Rung {
    /// As EXPLAIN shows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Local => "Local",
            Self::Router => "Router",
            Self::Pushdown => "Pushdown",
            Self::Combine => "Combine",
            Self::Recursive => "Recursive",
            Self::Live => "Live",
        }
    }
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Plan {
    /// Rungs 0 and 6, and writes of reference tables: the client's text unchanged, to the coordinator.
    /// `writes`: it may write, or call code of users.
    Coordinator {
        writes: bool,
    },
    SingleShard(SingleShard),
    MultiShard(MultiShard),
    InsertValues(InsertValues),
    InsertSelect(Box<InsertSelect>),
}

/// A part of the text of a worker query.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Piece {
    Text(String),
    /// The n-th literal of the shape, from 0, verbatim.
    Literal(usize),
    /// The quoted, schema-qualified shard of a distributed table in the task's shard group, or the copy of a
    /// reference table.
    Shard(TableOid),
    /// The quoted name on that shard of an index or constraint of the table.
    ShardObject {
        table: TableOid,
        name: String,
    },
    /// The transaction's time, `'…'::timestamptz` (with the cast).
    TransactionTime,
    /// The n-th computed value of the execution as a quoted literal, or NULL.
    Value(usize),
}

#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Template(pub Vec<Piece>);

/// A value that the distribution column is known to be equal to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ShardKey {
    pub source: KeySource,
    /// Type of the distribution column. A parameter may be of another type of the same hash family
    /// (int2, int4, int8; text, varchar): its value is hashed as this type.
    pub type_oid: TypeOid,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum KeySource {
    /// `$n`, counted from 1 as in the text.
    Parameter(usize),
    /// The shape's n-th literal, from 0.
    Literal { slot: usize, negated: bool },
    /// The text form of a constant that is no slot.
    Constant(String),
    /// The n-th computed value of the execution.
    Value(usize),
}

/// A statement that concerns one shard group.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SingleShard {
    /// The table whose shards the keys choose from.
    pub anchor: TableOid,
    /// Never empty. They must all choose one shard, and none may be NULL or impossible to hash here; else plan again with
    /// [`crate::Request::single_shard_allowed`] false.
    pub keys: Vec<ShardKey>,
    pub template: Template,
    /// The literals of the template, if all of them may be sent as parameters behind the client's own.
    pub parameters: Option<Vec<SlotParameter>>,
    pub writes: bool,
    pub uses_time: bool,
}

/// A literal that may be sent as a parameter.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SlotParameter {
    pub slot: usize,
    /// Zero if PostgreSQL is to infer it, as it does for a string constant.
    pub type_oid: TypeOid,
}

/// A query per shard group, and what is made of the results.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MultiShard {
    pub anchor: TableOid,
    /// Indexes into the anchor's shards, in order.
    pub shards: Vec<usize>,
    pub template: Template,
    pub merge: Merge,
    pub writes: bool,
    pub uses_time: bool,
    /// Whether the coordinator's PostgreSQL gives the same answer over live tables.
    pub live: bool,
}

/// INSERT … VALUES: each row goes to its own shard.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InsertValues {
    pub table: TableOid,
    /// `INSERT INTO shard (columns) … VALUES `.
    pub prefix: Template,
    pub rows: Vec<InsertRow>,
    /// ON CONFLICT and RETURNING, with a blank before it; may be empty.
    pub suffix: Template,
    /// To be computed on the coordinator, in order, before the shards are known.
    pub values: Vec<ComputedValue>,
    pub uses_time: bool,
    pub returning: bool,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InsertRow {
    pub key: ShardKey,
    /// `(…)`.
    pub template: Template,
}

/// A value that one server would compute once per row, and that workers cannot: nextval, a key's expression.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ComputedValue {
    /// An expression that selects the value in the column's type, without its modifier; may use the statement's parameters.
    pub expression: Template,
    /// For error messages.
    pub column: String,
}

/// INSERT … SELECT (or VALUES that cannot be split) by way of the router: the source runs as a SELECT on any rung, its rows are sent
/// to their shards.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InsertSelect {
    pub table: TableOid,
    pub source: InsertSource,
    /// Columns of the source's rows, in order, as columns of the table.
    pub columns: Vec<InsertColumn>,
    /// Columns that each row gets beside the source's, in order.
    pub computed: Vec<ComputedColumn>,
    /// Which value of a row is the distribution column's: an index into `columns`, then `computed`.
    pub key: usize,
    /// `INSERT INTO shard (columns, computed columns) …`, before VALUES or SELECT; with a blank after it.
    pub prefix: Template,
    /// ON CONFLICT and RETURNING, with a blank before it; may be empty.
    pub suffix: Template,
    pub returning: bool,
}

/// The query that yields the rows, with the statement's parameters.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InsertSource {
    /// As the client wrote it. Right if Describe shows for each column the type of the table's column.
    pub written: PlannedSource,
    /// The same with each column converted to the type of the table's column, as assignment would.
    /// The type's modifier is left for the INSERT, which is strict where an explicit cast truncates.
    pub converted: PlannedSource,
}

/// A query with a plan of its own, on any rung.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PlannedSource {
    pub query: String,
    pub planned: Planned,
    /// The order of its rows is seen: in what their defaults draw from sequences.
    pub ordered: bool,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InsertColumn {
    pub name: String,
    pub type_oid: TypeOid,
    /// As `format_type` writes it.
    pub type_name: String,
}

/// A column with a default that only the coordinator can compute, once per row.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ComputedColumn {
    pub column: InsertColumn,
    /// Selects the value in the column's type, without its modifier.
    pub expression: Template,
}

impl Plan {
    /// Whether executing it may change data.
    pub fn writes(&self) -> bool {
        match self {
            Self::Coordinator { writes } => *writes,
            Self::SingleShard(it) => it.writes,
            Self::MultiShard(it) => it.writes,
            Self::InsertValues(_) | Self::InsertSelect(_) => true,
        }
    }
}

impl Template {
    /// Of fixed text.
    pub fn text(text: impl Into<String>) -> Self {
        Self(vec![Piece::Text(text.into())])
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Appends fixed text, joined to text before it.
    pub fn push_text(&mut self, text: &str) {
        match self.0.last_mut() {
            _ if text.is_empty() => {}
            Some(Piece::Text(last)) => last.push_str(text),
            _ => self.0.push(Piece::Text(text.to_owned())),
        }
    }

    pub fn push(&mut self, piece: Piece) {
        match piece {
            Piece::Text(text) => self.push_text(&text),
            piece => self.0.push(piece),
        }
    }

    pub fn append(&mut self, other: Self) {
        other.0.into_iter().for_each(|it| self.push(it));
    }

    pub fn has_literals(&self) -> bool {
        self.0.iter().any(|it| matches!(it, Piece::Literal(_)))
    }

    pub fn uses_time(&self) -> bool {
        self.0.contains(&Piece::TransactionTime)
    }
}
