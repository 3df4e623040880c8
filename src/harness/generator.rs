//! Random SELECTs and transactions over a fixed schema, from a seed: joins, subqueries, aggregates, windows, set operations, NULLs.
//!
//! Every query has one right result (as a bag of rows, or in order where its ORDER BY is total), so that two servers can
//! be compared: LIMIT only under an order of all output columns, order-sensitive aggregates only with an order of their own,
//! floats only as multiples of 1/4, of which sums are exact.

mod expression;
mod query;
mod random;
mod schedule;
mod transaction;
mod write;

pub use self::random::Random;
pub use self::schedule::{SCHEDULE_ROWS, ScheduledStep, schedule_setup_sql};
pub use self::transaction::{GeneratedStep, transaction_setup_sql};

/// Makes one query after the other.
#[derive(Clone, Debug)]
pub struct Generator {
    random: Random,
    aliases: usize,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GeneratedQuery {
    pub text: String,
    /// Whether its own ORDER BY leaves no two rows in an open order.
    pub ordered: bool,
}

/// How a table of the schema is distributed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Placement {
    /// By its first column; tables with the same number are colocated.
    Hash(i32),
    Reference,
}

#[derive(Clone, Copy, Debug)]
pub struct GeneratedTable {
    pub name: &'static str,
    /// As in CREATE TABLE.
    pub columns: &'static str,
    pub placement: Placement,
    /// A SELECT that yields the rows.
    rows: &'static str,
}

/// The type of an expression, as coarse as operators need it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Int,
    Numeric,
    Float,
    Text,
    Date,
    Bool,
    /// Values that are only compared, grouped by and handed on: types with little in common but that.
    Opaque(&'static str),
}

/// The schema. The first column of distributed tables is the distribution column.
pub const TABLES: &[GeneratedTable] = &[
    GeneratedTable {
        name: "t1",
        columns: "k int, a int, b bigint, c text, d numeric(10,2), e float8, f date, g bool",
        placement: Placement::Hash(1),
        rows: "SELECT i % 17 + 1, nullif(i % 7, 3), (i * 37) % 11 - 3, \
               CASE WHEN i % 9 = 0 THEN NULL ELSE chr(97 + i % 5) || (i % 3) END, \
               CASE WHEN i % 8 <> 0 THEN (i * 13 % 50) / 4.0 END, (i % 13) / 4.0, \
               CASE WHEN i % 10 <> 0 THEN date '2024-01-01' + i % 6 END, \
               CASE WHEN i % 6 <> 0 THEN i % 2 = 0 END FROM generate_series(1, 70) i",
    },
    GeneratedTable {
        name: "t2",
        columns: "k int, a int, b smallint, c varchar(20), d numeric, e real, f date, g bool",
        placement: Placement::Hash(1),
        rows: "SELECT (i * 5) % 23 + 1, nullif(i % 5, 2), (i * 7) % 9, \
               CASE WHEN i % 7 <> 0 THEN chr(97 + i % 6) || (i % 2) END, (i * 29 % 40) / 8.0, \
               CASE WHEN i % 5 <> 0 THEN (i % 9) / 4.0 END, date '2024-01-02' + i % 4, i % 3 = 0 \
               FROM generate_series(1, 45) i",
    },
    GeneratedTable {
        name: "t3",
        columns: "k int, a int, b int, c text, h timestamptz, i interval, j jsonb, u uuid, l int[], m char(4)",
        placement: Placement::Hash(1),
        rows: "SELECT i % 12 + 5, i % 4, nullif(i % 6, 1), CASE WHEN i % 4 <> 0 THEN 'b' || (i % 3) END, \
               CASE WHEN i % 5 <> 0 THEN timestamptz '2024-01-01 12:00:00.5+02' + i % 3 * interval '1 day' END, \
               i % 3 * interval '1 month 2 days', CASE WHEN i % 6 <> 0 THEN jsonb_build_object('n', i % 2) END, \
               ('00000000-0000-0000-0000-00000000000' || i % 4)::uuid, \
               CASE WHEN i % 7 <> 0 THEN ARRAY[i % 2, NULL, i % 3] END, 'm' || i % 3 FROM generate_series(1, 25) i",
    },
    GeneratedTable {
        name: "s1",
        columns: "sk text, a int, b bigint, c text",
        placement: Placement::Hash(2),
        rows: "SELECT chr(97 + i % 6) || (i % 3), i % 5, nullif(i % 8, 4), 'x' || (i % 4) FROM generate_series(1, 40) i",
    },
    GeneratedTable {
        name: "r1",
        columns: "id int, a int, c text, d numeric",
        placement: Placement::Reference,
        rows: "SELECT i, i % 3, CASE WHEN i % 4 <> 0 THEN chr(97 + i % 5) || (i % 3) END, i / 2.0 FROM generate_series(1, 12) i",
    },
    GeneratedTable {
        name: "r2",
        columns: "id int, b bigint, g bool",
        placement: Placement::Reference,
        rows: "SELECT i, nullif(i % 5, 0), i % 2 = 0 FROM generate_series(3, 9) i",
    },
];

/// Creates the tables and their rows.
pub fn setup_sql() -> Vec<String> {
    let create = |it: &GeneratedTable| format!("CREATE TABLE {} ({})", it.name, it.columns);
    let fill = |it: &GeneratedTable| format!("INSERT INTO {} {}", it.name, it.rows);
    TABLES.iter().flat_map(|it| [create(it), fill(it)]).collect()
}

/// Distributes the tables of [`setup_sql`] in a server group.
pub fn distribute_sql() -> Vec<String> {
    let distribute = |it: &GeneratedTable| match it.placement {
        Placement::Hash(1) if it.name != "t1" => {
            format!("SELECT create_distributed_table('{}', 'k', colocate_with => 't1')", it.name)
        }
        Placement::Hash(_) => {
            let column = it.columns.split(' ').next().unwrap_or("k");
            format!("SELECT create_distributed_table('{}', '{column}', colocate_with => 'none')", it.name)
        }
        Placement::Reference => format!("SELECT create_reference_table('{}')", it.name),
    };
    TABLES.iter().map(distribute).collect()
}

impl Generator {
    pub fn new(seed: u64) -> Self {
        Self { random: Random::new(seed), aliases: 0 }
    }

    /// The next query, without a semicolon.
    pub fn next_select(&mut self) -> GeneratedQuery {
        self.aliases = 0;
        let (text, ordered) = self.statement();
        GeneratedQuery { text, ordered }
    }

    /// An INSERT, UPDATE or DELETE of a few rows.
    pub fn next_write(&mut self) -> String {
        self.write()
    }
}

impl GeneratedTable {
    pub(crate) fn typed_columns(&self) -> Vec<(&'static str, Kind)> {
        // The comma in numeric(10,2) splits off a part without a name.
        let parts = self.columns.split(',').filter_map(|it| it.trim().split_once(' '));
        parts.map(|(name, declared)| (name, Kind::of(declared))).collect()
    }
}

impl Kind {
    fn of(declared: &str) -> Self {
        match declared.split('(').next().unwrap_or(declared) {
            "int" | "bigint" | "smallint" => Self::Int,
            "numeric" => Self::Numeric,
            "float8" | "real" => Self::Float,
            "date" => Self::Date,
            "bool" => Self::Bool,
            "timestamptz" => Self::Opaque("timestamptz"),
            "interval" => Self::Opaque("interval"),
            "jsonb" => Self::Opaque("jsonb"),
            "uuid" => Self::Opaque("uuid"),
            "int[]" => Self::Opaque("int[]"),
            "char" => Self::Opaque("char(4)"),
            _ => Self::Text,
        }
    }
}
