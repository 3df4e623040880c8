//! DISTINCT, DISTINCT ON and UNION: duplicates are removed on each shard group, and once more above.

use howdah_sql::Node;
use howdah_sql::ast::{SelectStmt, SetOperation};

use super::Parts;
use crate::pushdown::{
    Analysis, Block, Element, Refused, Scope, Shards, Spread, any, intermediate_column, intermediate_select,
    is_limited, limits, not_portable, output_sort_keys, require_portable, returns_set, sort_by, sort_nodes,
    target_node,
};

pub(super) fn block(analysis: &Analysis<'_>, block: &Block<'_>) -> Result<Parts, Refused> {
    require_portable(analysis, block)?;
    limits(block.select)?;
    let mut worker = block.select.clone();
    (worker.limit_count, worker.limit_offset) = (None, None);
    let on = block.select.distinct_clause.iter().filter(|it| it.node.is_some());
    let on: Vec<usize> = on.map(|it| column(analysis, block, it, &mut worker)).collect::<Result<_, _>>()?;
    let mut sort_clause = Vec::new();
    for (node, sort) in sort_nodes(block.select)?.into_iter().zip(&block.select.sort_clause) {
        sort_clause.push(sort_by(sort, column(analysis, block, node, &mut worker)?));
    }
    if on.is_empty() {
        worker.sort_clause.clear();
    }
    let columns = block.targets.len() + worker.target_list.len() - block.select.target_list.len();
    let mut select = intermediate_select(block.targets.len());
    select.distinct_clause = match on.is_empty() {
        true => vec![Node { node: None }],
        false => on.into_iter().map(intermediate_column).collect(),
    };
    select.sort_clause = sort_clause;
    limit_like(&mut select, block.select);
    let shards = block.relation.shards.clone();
    Ok(Parts { worker, combine: select, columns, of_distinct: true, shards })
}

/// Which column of the worker's rows an entry of DISTINCT ON or ORDER BY is; appended where DISTINCT ON allows it.
fn column(
    analysis: &Analysis<'_>,
    block: &Block<'_>,
    node: &Node,
    worker: &mut SelectStmt,
) -> Result<usize, Refused> {
    let index = match block.element(node, false) {
        Element::Target(index) => Some(index).filter(|it| *it < block.targets.len()),
        Element::Expression(node) => {
            let wanted = analysis.canonical(node, &block.scope);
            let same = |it: &Node| wanted.is_some() && analysis.canonical(it, &block.scope) == wanted;
            block.targets.iter().position(|it| same(&it.value))
        }
    };
    if let Some(index) = index {
        return Ok(index);
    }
    // What DISTINCT ON sorts by besides its output is checked like the output.
    if !analysis.is_portable(node, &block.scope) {
        return Err(not_portable());
    }
    let plain_distinct = block.select.distinct_clause.iter().all(|it| it.node.is_none());
    if plain_distinct || any(node, &returns_set) {
        return Err(Refused::new("ORDER BY is not understood"));
    }
    let hidden = worker.target_list.len() - block.select.target_list.len();
    worker.target_list.push(target_node(&format!("howdah_sort_{hidden}"), node.clone()));
    Ok(block.targets.len() + hidden)
}

pub(super) fn union(
    analysis: &mut Analysis<'_>,
    select: &SelectStmt,
    with: &Scope<'_>,
) -> Result<(Parts, Vec<String>), Refused> {
    limits(select)?;
    let union = branches(analysis, select, with)?;
    if union.spread != Spread::Sharded {
        return Err(Refused::new("no distributed table is read"));
    }
    let names: Vec<&str> = union.names.iter().map(String::as_str).collect();
    let keys = output_sort_keys(select, &names)?;
    let mut combined = intermediate_select(names.len());
    combined.distinct_clause = vec![Node { node: None }];
    combined.sort_clause =
        select.sort_clause.iter().zip(keys).map(|(sort, key)| sort_by(sort, key.column)).collect();
    limit_like(&mut combined, select);
    let mut worker = select.clone();
    worker.sort_clause.clear();
    (worker.limit_count, worker.limit_offset) = (None, None);
    worker.limit_option = combined_default();
    let columns = names.len();
    let parts = Parts { worker, combine: combined, columns, of_distinct: true, shards: union.shards };
    Ok((parts, union.names))
}

/// What the branches of a UNION are together. Duplicates do not matter, so it does not matter either that
/// every shard repeats the rows of a reference table.
struct Union {
    spread: Spread,
    names: Vec<String>,
    shards: Shards,
}

fn branches(analysis: &mut Analysis<'_>, select: &SelectStmt, with: &Scope<'_>) -> Result<Union, Refused> {
    match (&select.larg, &select.rarg) {
        (Some(left), Some(right)) if select.op() == SetOperation::SetopUnion => {
            let (left, right) = (branch(analysis, left, with)?, branch(analysis, right, with)?);
            let (spread, shards) = match (left.spread, right.spread) {
                (Spread::Sharded, Spread::Sharded) => (Spread::Sharded, left.shards.or(right.shards)),
                (Spread::Sharded, Spread::Everywhere) => (Spread::Sharded, left.shards),
                (Spread::Everywhere, Spread::Sharded) => (Spread::Sharded, right.shards),
                (spread, _) => (spread, left.shards),
            };
            Ok(Union { spread, names: left.names, shards })
        }
        _ => branch(analysis, select, with),
    }
}

fn branch(analysis: &mut Analysis<'_>, select: &SelectStmt, with: &Scope<'_>) -> Result<Union, Refused> {
    let plain_union = select.op() == SetOperation::SetopUnion
        && select.with_clause.is_none()
        && select.sort_clause.is_empty()
        && !is_limited(select);
    if plain_union {
        return branches(analysis, select, with);
    }
    let output = analysis.query(select, with)?;
    if !output.columns.iter().all(|it| it.facts.portable) {
        return Err(not_portable());
    }
    let names = output.columns.iter().map(|it| it.name.clone()).collect();
    Ok(Union { spread: output.spread, names, shards: output.shards })
}

pub(super) fn limit_like(select: &mut SelectStmt, original: &SelectStmt) {
    select.limit_count.clone_from(&original.limit_count);
    select.limit_offset.clone_from(&original.limit_offset);
    select.limit_option = original.limit_option;
}

fn combined_default() -> i32 {
    howdah_sql::ast::LimitOption::Default as i32
}
