//! How the rows of the worker queries become the rows of the statement.

/// What is done with the workers' rows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Merge {
    /// The rows in any order, at most `limit` after the first `offset`. The worker queries are already limited
    /// to the sum of both.
    Concat {
        limit: Option<Bound>,
        offset: Option<Bound>,
    },
    /// Every worker's rows are sorted by `keys`; the result is their merge. Only where the router compares all
    /// key columns exactly as PostgreSQL does; else `fallback` gives the same rows in the same order.
    Ordered {
        keys: Vec<SortKey>,
        /// The first columns belong to the client, those behind are there to be sorted by.
        output_columns: usize,
        limit: Option<Bound>,
        offset: Option<Bound>,
        fallback: Combine,
    },
    Combine(Combine),
    /// Writes: the sum of the counts, and the rows of RETURNING in any order.
    Modified,
}

/// A LIMIT or OFFSET. NULL means none, a negative value is an error of the statement (2201W, 2201X).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Bound {
    Constant(u64),
    /// The value of the client's parameter `$n`, from 1.
    Parameter(usize),
}

/// One column of a worker row that rows are ordered by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SortKey {
    /// From 0.
    pub column: usize,
    pub descending: bool,
    pub nulls_first: bool,
}

/// A query of the coordinator's PostgreSQL over `howdah_intermediate`, whose columns `c0`, `c1`, … are the
/// columns of the workers' rows by position.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Combine {
    pub query: Vec<CombinePiece>,
    /// The client's parameters (from 1) that the query uses: its own `$1` is the first of them, and so on.
    /// Whatever else the executor binds comes behind.
    pub parameters: Vec<usize>,
    /// How many columns `howdah_intermediate` has.
    pub columns: usize,
    /// Whether a row that is the same as another may be left out.
    pub of_distinct: bool,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CombinePiece {
    Text(String),
    /// The name of the type of column `cN` as the workers describe it.
    TypeOf(usize),
}
