//! Rung 3: what stands above the part that every shard group computes for itself.
//!
//! The worker query computes groups and partial aggregates of its shard group; the combine query, run by the
//! coordinator's PostgreSQL, makes of them what one server would have computed. Its text is the statement's own
//! select list, HAVING, ORDER BY and so on, in which group columns and aggregates are replaced by columns of
//! `howdah_intermediate` and aggregates of them. Grouping twice is right, because the equality is the same one both
//! times; where that is not certain (collations, users' types), or an aggregate has no partial form that is
//! smaller than its input, the statement goes down the ladder.

mod aggregates;
mod distinct;
mod grouped;

use howdah_sql::ast::{SelectStmt, SetOperation};

use crate::MultiShard;
use crate::pushdown::{Analysis, Block, Refused, Scope, any, returns_set};

/// The plan of a SELECT over a sharded FROM list.
pub(crate) fn block(analysis: &Analysis<'_>, block: &Block<'_>) -> Result<MultiShard, Refused> {
    if !block.select.locking_clause.is_empty() {
        return Err(Refused::new("rows are locked below aggregates or DISTINCT"));
    }
    if block.is_distinct() && block.groups_and_windows_per_shard().is_ok() {
        return distinct::block(analysis, block);
    }
    if !block.is_grouped() {
        block.groups_and_windows_per_shard()?;
        return Err(Refused::new("nothing is left to be combined"));
    }
    if block.targets.iter().any(|it| any(&it.value, &returns_set)) {
        return Err(Refused::new("a function that returns rows stands above aggregates"));
    }
    grouped::block(analysis, block)
}

/// The plan of a UNION that removes duplicates across shards.
pub(crate) fn set_operation(
    analysis: &mut Analysis<'_>,
    select: &SelectStmt,
    with: &Scope<'_>,
) -> Result<MultiShard, Refused> {
    if select.op() != SetOperation::SetopUnion || select.all {
        return Err(Refused::new("only UNION can be computed from the results of the shards"));
    }
    distinct::union(analysis, select, with)
}
