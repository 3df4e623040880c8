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
mod nested;

use howdah_sql::ast::{self, LimitOption, SelectStmt, SetOperation};
use howdah_sql::{Node, NodeEnum};

use crate::pushdown::{
    Analysis, Block, IntoNode, Refused, Scope, Shards, combine_query, finish, target_node,
};
use crate::{Combine, Merge, MultiShard};

pub(crate) use self::nested::nested;

/// The two queries that a statement becomes, as trees.
pub(crate) struct Parts {
    pub(crate) worker: SelectStmt,
    /// Reads `howdah_intermediate`. Its output columns are the statement's, in order, under other names.
    pub(crate) combine: SelectStmt,
    /// How many columns the worker query has.
    pub(crate) columns: usize,
    /// Whether a row that several shards have counts once.
    pub(crate) of_distinct: bool,
    pub(crate) shards: Shards,
}

impl Parts {
    pub(crate) fn plan(self, analysis: &Analysis<'_>) -> Result<MultiShard, Refused> {
        let combine = combine_query(without_with(self.combine), self.columns)?;
        let combine = Combine { of_distinct: self.of_distinct, ..combine };
        finish(analysis, self.worker, Merge::Combine(combine), &self.shards)
    }
}

/// The parts of a SELECT over a sharded FROM list.
pub(crate) fn block(analysis: &Analysis<'_>, block: &Block<'_>) -> Result<Parts, Refused> {
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
    grouped::block(analysis, block)
}

/// The parts of a UNION that removes duplicates across shards, and the names of its columns.
pub(crate) fn set_operation(
    analysis: &mut Analysis<'_>,
    select: &SelectStmt,
    with: &Scope<'_>,
) -> Result<(Parts, Vec<String>), Refused> {
    if select.op() != SetOperation::SetopUnion || select.all {
        return Err(Refused::new("only UNION can be computed from the results of the shards"));
    }
    distinct::union(analysis, select, with)
}

/// The executor puts a WITH of its own in front, of which a statement can have only one. The rows keep their order: a
/// subquery in FROM that is all there is.
fn without_with(select: SelectStmt) -> SelectStmt {
    if select.with_clause.is_none() {
        return select;
    }
    let subquery = NodeEnum::SelectStmt(Box::new(select)).into_node();
    let alias = ast::Alias { aliasname: "howdah_rows".into(), colnames: Vec::new() };
    let from = ast::RangeSubselect { lateral: false, subquery: Some(Box::new(subquery)), alias: Some(alias) };
    SelectStmt {
        target_list: vec![target_node("", star_node())],
        from_clause: vec![NodeEnum::RangeSubselect(Box::new(from)).into_node()],
        limit_option: LimitOption::Default as i32,
        op: SetOperation::SetopNone as i32,
        ..SelectStmt::default()
    }
}

fn star_node() -> Node {
    let star = NodeEnum::AStar(ast::AStar {}).into_node();
    NodeEnum::ColumnRef(ast::ColumnRef { fields: vec![star], location: -1 }).into_node()
}
