//! Rung 2: the worker query of a statement that every shard group answers for itself, and how rows are merged.

use howdah_sql::ast::{LimitOption, SelectStmt, SortByDir, SortByNulls};
use howdah_sql::{Node, NodeEnum};

use super::analysis::Analysis;
use super::block::{Block, Element};
use super::expression::{
    any, bare_name, call_node, cast_node, column_node, integer, integer_node, is_null_constant,
    operator_node, target_node,
};
use super::functions::returns_set;
use super::query::{is_limited, sort_nodes};
use super::refused::Refused;
use super::relation::{Output, Shards};
use super::template::{combine_pieces, is_time, worker_template};
use crate::combine::Parts;
use crate::{Bound, Combine, Merge, MultiShard, SortKey};

/// LIMIT and OFFSET of a statement.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Limits {
    pub(crate) limit: Option<Bound>,
    pub(crate) offset: Option<Bound>,
}

/// The plan of a SELECT whose result is all the results of the shard groups.
pub(crate) fn block(analysis: &Analysis<'_>, block: &Block<'_>) -> Result<MultiShard, Refused> {
    let mut worker = block.select.clone();
    let mut keys = Vec::new();
    let nodes = sort_nodes(block.select)?;
    for (node, sort) in nodes.into_iter().zip(&block.select.sort_clause) {
        let column = sort_column(analysis, block, node, &mut worker)?;
        keys.push(sort_key(sort, column)?);
    }
    let hidden = worker.target_list.len() - block.select.target_list.len();
    let output_columns = block.targets.len();
    if !keys.is_empty() {
        require_portable(analysis, block)?;
    }
    plan(analysis, worker, keys, output_columns, hidden, &block.relation.shards)
}

/// The plan of a set operation whose result is all the results of the shard groups.
pub(crate) fn set_operation(
    analysis: &Analysis<'_>,
    select: &SelectStmt,
    output: &Output,
) -> Result<MultiShard, Refused> {
    if !select.sort_clause.is_empty() && !output.columns.iter().all(|it| it.facts.portable) {
        return Err(not_portable());
    }
    let keys =
        output_sort_keys(select, &output.columns.iter().map(|it| it.name.as_str()).collect::<Vec<_>>())?;
    plan(analysis, select.clone(), keys, output.columns.len(), 0, &output.shards)
}

/// The parts of a query with LIMIT below another query.
pub(crate) fn plan_limited(analysis: &Analysis<'_>, block: &Block<'_>) -> Result<Parts, Refused> {
    require_portable(analysis, block)?;
    check_locking(analysis, block.select)?;
    let mut worker = block.select.clone();
    let mut keys = Vec::new();
    for (node, sort) in sort_nodes(block.select)?.into_iter().zip(&block.select.sort_clause) {
        let column = sort_column(analysis, block, node, &mut worker)?;
        keys.push(sort_key(sort, column)?);
    }
    let columns = block.targets.len() + worker.target_list.len() - block.select.target_list.len();
    let combine = sorted_select(&worker, &keys, block.targets.len());
    let limits = limits(&worker)?;
    push_limit(&mut worker, limits);
    Ok(Parts { worker, combine, columns, of_distinct: false, shards: block.relation.shards.clone() })
}

/// All values of a query's rows must be fit to be sorted by the coordinator.
pub(crate) fn require_portable(analysis: &Analysis<'_>, block: &Block<'_>) -> Result<(), Refused> {
    let targets = block.targets.iter().map(|it| &it.value);
    let elements = sort_nodes(block.select)?.into_iter().map(|it| block.element(it, false));
    let expressions = elements.filter_map(|it| match it {
        Element::Expression(node) => Some(node),
        Element::Target(_) => None,
    });
    match targets.chain(expressions).all(|it| analysis.is_portable(it, &block.scope)) {
        true => Ok(()),
        false => Err(not_portable()),
    }
}

pub(crate) fn not_portable() -> Refused {
    Refused::new(
        "a value that is sorted or grouped is of a user's type, a row, or under a collation of its own",
    )
}

/// ORDER BY of a set operation: only names and numbers of output columns.
pub(crate) fn output_sort_keys(select: &SelectStmt, names: &[&str]) -> Result<Vec<SortKey>, Refused> {
    let column = |node: &Node| match integer(node) {
        Some(number) => usize::try_from(number - 1).ok().filter(|it| *it < names.len()),
        None => bare_name(node).and_then(|name| names.iter().position(|it| *it == name)),
    };
    let nodes = sort_nodes(select)?;
    let keys = nodes.into_iter().zip(&select.sort_clause).map(|(node, sort)| {
        let column = column(node).ok_or_else(|| Refused::new("ORDER BY is not understood"))?;
        sort_key(sort, column)
    });
    keys.collect()
}

fn plan(
    analysis: &Analysis<'_>,
    mut worker: SelectStmt,
    keys: Vec<SortKey>,
    output_columns: usize,
    hidden: usize,
    shards: &Shards,
) -> Result<MultiShard, Refused> {
    let limits = limits(&worker)?;
    check_locking(analysis, &worker)?;
    let ties = worker.limit_option() == LimitOption::WithTies;
    let merge = if keys.is_empty() {
        Merge::Concat { limit: limits.limit, offset: limits.offset }
    } else {
        let fallback = sorted(&worker, &keys, output_columns, hidden)?;
        match ties {
            true => Merge::Combine(fallback),
            false => {
                let Limits { limit, offset } = limits;
                Merge::Ordered { keys, output_columns, limit, offset, fallback }
            }
        }
    };
    push_limit(&mut worker, limits);
    if worker.limit_count.is_none() && matches!(merge, Merge::Combine(_)) {
        worker.sort_clause.clear();
    }
    finish(analysis, worker, merge, shards)
}

/// The plan of a worker query and a merge.
pub(crate) fn finish(
    analysis: &Analysis<'_>,
    worker: SelectStmt,
    merge: Merge,
    shards: &Shards,
) -> Result<MultiShard, Refused> {
    let anchor = analysis.anchor().ok_or_else(|| Refused::new("no distributed table is read"))?;
    let template = worker_template(worker, &analysis.tables)?;
    Ok(MultiShard {
        anchor: anchor.oid,
        shards: shards.indexes(anchor.shards().len()),
        uses_time: template.uses_time(),
        template,
        merge,
        writes: false,
        live: true,
    })
}

/// Which column of the worker's rows a sort expression is; appended if no output column is.
fn sort_column(
    analysis: &Analysis<'_>,
    block: &Block<'_>,
    node: &Node,
    worker: &mut SelectStmt,
) -> Result<usize, Refused> {
    let element = block.element(node, false);
    if let Element::Target(index) = element {
        return match index < block.targets.len() {
            true => Ok(index),
            false => Err(Refused::new("ORDER BY is not understood")),
        };
    }
    let wanted = analysis.canonical(node, &block.scope);
    let same = |it: &Node| wanted.is_some() && analysis.canonical(it, &block.scope) == wanted;
    if let Some(index) = block.targets.iter().position(|it| same(&it.value)) {
        return Ok(index);
    }
    let plain_distinct = block.select.distinct_clause.iter().any(|it| it.node.is_none());
    if any(node, &returns_set) || plain_distinct {
        return Err(Refused::new("ORDER BY is not understood"));
    }
    let hidden = worker.target_list.len() - block.select.target_list.len();
    worker.target_list.push(target_node(&format!("howdah_sort_{hidden}"), node.clone()));
    Ok(block.targets.len() + hidden)
}

pub(crate) fn sort_key(sort: &Node, column: usize) -> Result<SortKey, Refused> {
    let Some(NodeEnum::SortBy(sort)) = sort.node.as_ref() else {
        return Err(Refused::new("ORDER BY is not understood"));
    };
    let descending = match sort.sortby_dir() {
        SortByDir::SortbyDesc => true,
        SortByDir::SortbyAsc | SortByDir::SortbyDefault | SortByDir::Undefined => false,
        SortByDir::SortbyUsing => return Err(Refused::new("ORDER BY … USING is used")),
    };
    let nulls_first = match sort.sortby_nulls() {
        SortByNulls::SortbyNullsFirst => true,
        SortByNulls::SortbyNullsLast => false,
        SortByNulls::SortbyNullsDefault | SortByNulls::Undefined => descending,
    };
    Ok(SortKey { column, descending, nulls_first })
}

/// LIMIT and OFFSET, if they are constants or parameters.
pub(crate) fn limits(select: &SelectStmt) -> Result<Limits, Refused> {
    Ok(Limits {
        limit: bound(select.limit_count.as_deref())?,
        offset: bound(select.limit_offset.as_deref())?,
    })
}

fn bound(node: Option<&Node>) -> Result<Option<Bound>, Refused> {
    let Some(node) = node.filter(|it| !is_null_constant(it)) else { return Ok(None) };
    if let Some(value) = integer(node).and_then(|it| u64::try_from(it).ok()) {
        return Ok(Some(Bound::Constant(value)));
    }
    match node.node.as_ref() {
        Some(NodeEnum::ParamRef(it)) if 0 < it.number => Ok(Some(Bound::Parameter(it.number as usize))),
        _ => Err(Refused::new("LIMIT or OFFSET is not a constant or a parameter")),
    }
}

/// Limits the worker query to the rows that may be needed: any shard may have them all.
pub(crate) fn push_limit(worker: &mut SelectStmt, limits: Limits) {
    worker.limit_offset = None;
    let Some(limit) = limits.limit else {
        worker.limit_count = None;
        return;
    };
    let count = match (limit, limits.offset) {
        (Bound::Constant(limit), None) => constant(limit),
        (Bound::Constant(limit), Some(Bound::Constant(offset))) => constant(limit.saturating_add(offset)),
        (limit, None) => cast_node(bound_node(limit), "int8"),
        (limit, Some(offset)) => {
            let no_null = coalesced(cast_node(bound_node(offset), "int8"));
            operator_node(cast_node(bound_node(limit), "int8"), "+", no_null)
        }
    };
    worker.limit_count = Some(Box::new(count));
    if worker.limit_option() == LimitOption::Default {
        worker.set_limit_option(LimitOption::Count);
    }
}

fn coalesced(value: Node) -> Node {
    let call = howdah_sql::ast::CoalesceExpr { args: vec![value, integer_node(0)], ..Default::default() };
    Node { node: Some(NodeEnum::CoalesceExpr(Box::new(call))) }
}

fn bound_node(bound: Bound) -> Node {
    match bound {
        Bound::Constant(value) => constant(value),
        Bound::Parameter(number) => Node {
            node: Some(NodeEnum::ParamRef(howdah_sql::ast::ParamRef { number: number as i32, location: -1 })),
        },
    }
}

fn constant(value: u64) -> Node {
    match i32::try_from(value) {
        Ok(value) => integer_node(value),
        Err(_) => {
            let val = howdah_sql::ast::a_const::Val::Fval(howdah_sql::ast::Float { fval: value.to_string() });
            Node {
                node: Some(NodeEnum::AConst(howdah_sql::ast::AConst {
                    isnull: false,
                    location: -1,
                    val: Some(val),
                })),
            }
        }
    }
}

/// The combine query that sorts and limits, with the columns behind the output left out.
fn sorted(
    worker: &SelectStmt,
    keys: &[SortKey],
    output_columns: usize,
    hidden: usize,
) -> Result<Combine, Refused> {
    combine_query(sorted_select(worker, keys, output_columns), output_columns + hidden)
}

fn sorted_select(worker: &SelectStmt, keys: &[SortKey], output_columns: usize) -> SelectStmt {
    let mut select = intermediate_select(output_columns);
    select.sort_clause =
        keys.iter().zip(&worker.sort_clause).map(|(key, sort)| sort_by(sort, key.column)).collect();
    select.limit_count.clone_from(&worker.limit_count);
    select.limit_offset.clone_from(&worker.limit_offset);
    select.limit_option = worker.limit_option;
    select
}

/// `SELECT c0 AS o0, … FROM howdah_intermediate`.
pub(crate) fn intermediate_select(columns: usize) -> SelectStmt {
    let target = |index| target_node(&format!("o{index}"), intermediate_column(index));
    SelectStmt {
        target_list: (0..columns).map(target).collect(),
        from_clause: vec![intermediate_relation()],
        limit_option: LimitOption::Default as i32,
        op: howdah_sql::ast::SetOperation::SetopNone as i32,
        ..SelectStmt::default()
    }
}

pub(crate) fn intermediate_relation() -> Node {
    let range = howdah_sql::ast::RangeVar {
        relname: "howdah_intermediate".into(),
        inh: true,
        relpersistence: "p".into(),
        ..Default::default()
    };
    Node { node: Some(NodeEnum::RangeVar(range)) }
}

pub(crate) fn intermediate_column(index: usize) -> Node {
    column_node(&[&format!("c{index}")])
}

/// The sort entry with its expression replaced by a column of the workers' rows.
pub(crate) fn sort_by(sort: &Node, column: usize) -> Node {
    let mut sort = sort.clone();
    if let Some(NodeEnum::SortBy(it)) = sort.node.as_mut() {
        it.node = Some(Box::new(intermediate_column(column)));
    }
    sort
}

/// The sort entry with its expression replaced by a value.
pub(crate) fn sort_by_value(sort: &Node, value: Node) -> Result<Node, Refused> {
    // Refuses what is not understood.
    sort_key(sort, 0)?;
    let mut sort = sort.clone();
    if let Some(NodeEnum::SortBy(it)) = sort.node.as_mut() {
        it.node = Some(Box::new(value));
    }
    Ok(sort)
}

/// Makes a combine query of a tree: its parameters are numbered anew, and the transaction's clock is refused.
pub(crate) fn combine_query(mut select: SelectStmt, columns: usize) -> Result<Combine, Refused> {
    let mut parameters: Vec<usize> = Vec::new();
    let mut uses_time = false;
    super::template::for_each_expression(&mut select, &mut |node| match node.node.as_mut() {
        Some(NodeEnum::ParamRef(it)) => {
            let number = usize::try_from(it.number).unwrap_or(0);
            let at = parameters.iter().position(|it| *it == number).unwrap_or_else(|| {
                parameters.push(number);
                parameters.len() - 1
            });
            it.number = at as i32 + 1;
        }
        Some(it) => uses_time |= is_time(it),
        None => {}
    });
    match uses_time {
        true => Err(Refused::new("the transaction's time is used above the aggregates")),
        false => Ok(Combine { query: combine_pieces(select)?, parameters, columns, of_distinct: false }),
    }
}

/// FOR UPDATE and its like: only where exactly the rows that a worker returns are the rows of the result, and not
/// for reference tables, which are locked on the coordinator.
fn check_locking(analysis: &Analysis<'_>, select: &SelectStmt) -> Result<(), Refused> {
    if select.locking_clause.is_empty() {
        return Ok(());
    }
    if is_limited(select) {
        return Err(Refused::new("rows are locked with a LIMIT over several shards"));
    }
    let reference =
        |oid: &howdah_catalog::TableOid| analysis.catalog.table(*oid).is_none_or(|it| it.is_reference());
    match analysis.tables.values().any(reference) {
        true => Err(Refused::new("rows of reference tables would be locked on one node only")),
        false => Ok(()),
    }
}

/// A call of the aggregate `name` over a column of the workers' rows.
pub(crate) fn aggregate_of_column(name: &str, column: usize) -> Node {
    call_node(name, vec![intermediate_column(column)])
}
