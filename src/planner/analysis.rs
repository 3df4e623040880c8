//! Which rows of which distributed table can matter to a statement.
//!
//! A statement is bound to a tree of [`Block`]s (queries) in which columns are [`Term`]s; then [`check`] carries the equalities that
//! surely hold for all rows that matter down to every distributed table. A table may be read from one shard alone
//! only if no row of another shard could change the result.
//! Never a guess: what is not understood yields no equality, or refuses the statement.

mod bind;
mod block;
mod check;
mod facts;
mod key;

pub(crate) use self::bind::{Bound, bind, bind_insert_clauses, default_is_on_shards, insert_columns};
pub(crate) use self::block::{Block, Cond, JoinKind, Leaf, Output, Term, Tree};
pub(crate) use self::check::{check_colocated, check_single_shard};
pub(crate) use self::facts::Facts;
pub(crate) use self::key::key_of;
