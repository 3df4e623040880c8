//! Intermediate results: rows that one part of a statement has computed, and that another part reads as a relation on some node.
//!
//! [`Rows`] gathers them as they come. Small ones travel in the parameters of the statement that reads them, one array a column
//! ([`arrays_of`], [`from_arrays`]): nothing is created in the catalog. Larger ones go in portions into a [`Table`] of the session's
//! transaction on that node, coordinator or worker, so that no more than a portion of them is ever in memory here; the reading
//! statement names [`Table::relation`], and [`Table::drop`] ends it. A transaction that may only read cannot have one:
//! then [`Table::create`] gives none, and the caller has to do without.
//!
//! Invariant: a table is of one transaction. Whatever ends or undoes it (ROLLBACK, ROLLBACK TO, a lost connection, the death of this
//! process) takes the table along, so nothing has to be cleaned up, and nobody else ever sees it.

mod arrays;
mod limit;
mod rows;
mod table;
mod types;

pub(super) use self::arrays::{arrays_of, from_arrays, splits_letters};
pub(super) use self::rows::{Encoding, Rows};
pub(super) use self::table::Table;
pub(super) use self::types::{builtin_name, type_names};

/// What may be held here before it goes to a node. Up to this size an array parameter is the quicker way.
pub(super) const IN_MEMORY: usize = 4 << 20;
/// What is sent to a table at once.
pub(super) const PORTION: usize = 512 << 10;
