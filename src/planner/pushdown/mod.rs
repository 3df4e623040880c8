//! Rungs 2 and 3: SELECTs that every shard group answers for itself.
//!
//! Notation: `Q(D)` is the result of a query over the whole database; `D_i` is the database in which every
//! distributed table holds only the rows of shard group `i`, and every reference table all of its rows: what the
//! worker query for `i` sees. A relation within the statement is
//!
//! - *everywhere*, if it reads no distributed table: `R(D_i) = R(D)`;
//! - *sharded*, if `R(D)` is the union, with duplicates, of all `R(D_i)`;
//! - *local* (a query with an outer row), if for an outer row that exists in `D_i`, `R(D_i) = R(D)`.
//!
//! A *key* is a column that is never NULL and hashes to the shard group of its row, so that equal values are in one
//! shard group. The rules, each provable by itself:
//!
//! 1. A distributed table is sharded, its distribution column a key. A reference table is everywhere.
//! 2. Inner joins of sharded relations are sharded, if equalities that hold for all surviving rows connect keys of
//!    all of them: then rows of different shard groups never meet. What is equal to a key is a key. Joined to
//!    something everywhere, sharded stays sharded.
//! 3. A left join of a sharded relation is sharded, if what is optional is everywhere, or connected by keys in ON. Keys of the
//!    optional side may be NULL: good to be compared, not to group by. Nothing everywhere may be kept against
//!    something sharded. A full join connects keys in ON; its USING column is a key.
//! 4. A relation is local, if its sharded parts are all connected by equalities to keys of rows around it (LATERAL, correlated
//!    subqueries). What is computed from it is as one server computes it: aggregates, LIMIT, anything.
//! 5. GROUP BY, DISTINCT, DISTINCT ON and PARTITION BY of a sharded relation leave it sharded, if a key is among
//!    their columns: whole groups are in one shard group. LIMIT and aggregates without such a GROUP BY do not.
//! 6. UNION ALL of sharded queries is sharded; other set operations are, if a key is in the same column of both
//!    sides, since only equal rows concern each other. INTERSECT or EXCEPT of something everywhere is harmless.
//! 7. A subquery in an expression must be everywhere or local. `k IN (SELECT key …)`, `= ANY` and NOT IN are
//!    right for a sharded subquery too: keys of other shard groups differ from `k`, without NULL.
//! 8. What is everywhere must be the same on every node: no LIMIT, windows or aggregates that see the order of rows.
//!
//! If the whole query is sharded, its rows are concatenated or merged in order (rung 2). If only what is below its aggregates, DISTINCT
//! or UNION is, the rest is a combine query ([`crate::combine`], rung 3).
//!
//! Not understood, and so refused: whole rows, system columns, WITH RECURSIVE, TABLESAMPLE, XMLTABLE, functions in
//! FROM with unknown columns. That functions, operators and types may run on workers is checked before.

mod analysis;
mod block;
mod columns;
mod expression;
mod functions;
mod merge;
mod names;
mod prune;
mod query;
mod refused;
mod relation;
mod scope;
mod set_operation;
mod template;
mod types;

pub(crate) use self::analysis::{Analysis, Tables};
pub(crate) use self::block::{Block, Element};
pub(crate) use self::expression::{
    IntoNode, any, call_node, cast_node, children, children_mut, integer_node, name_node, operator_node,
    target_node, visit,
};
pub(crate) use self::functions::{aggregate, ignores_order, returns_set};
pub(crate) use self::merge::{
    aggregate_of_column, combine_query, finish, intermediate_column, intermediate_relation,
    intermediate_select, limits, not_portable, output_sort_keys, plan_limited, require_portable, sort_by,
    sort_by_value,
};
pub(crate) use self::query::{is_limited, reject_common, sort_nodes};
pub(crate) use self::refused::Refused;
pub(crate) use self::relation::{Key, Shards, Spread};
pub(crate) use self::scope::Scope;
pub(crate) use self::template::type_of;
pub(crate) use self::types::infer;

use howdah_catalog::{Catalog, TableOid};
use howdah_sql::ast::{RangeVar, SelectStmt, SetOperation};
use howdah_sql::{NodeEnum, RelationName};

use crate::{MultiShard, Request, Rung, Template, combine};

/// Why neither rung takes the statement.
pub(crate) type Reasons = Vec<(Rung, String)>;

/// [`plan_select`] for a request, whatever functions it calls: for tests of the rules by themselves.
#[doc(hidden)]
pub fn plan_request(request: &Request<'_>) -> Result<(Rung, MultiShard), Vec<(Rung, String)>> {
    let table = |it: &RangeVar| request.names.get(&RelationName::of(it)).copied().flatten();
    match request.statement.node() {
        NodeEnum::SelectStmt(select) => {
            plan_select(select, request.catalog, &table).map(|(rung, plan, _)| (rung, plan))
        }
        _ => Err(Vec::new()),
    }
}

/// A plan on rung 2 or 3 for a SELECT of which every function and type may run on workers. With the reasons
/// against rung 2, if it is rung 3.
#[allow(dead_code)]
pub(crate) fn plan_select(
    select: &SelectStmt,
    catalog: &Catalog,
    tables: Tables<'_>,
) -> Result<(Rung, MultiShard, Reasons), Reasons> {
    let reasons = match plan_flat(select, catalog, tables) {
        Ok(plan) => return Ok(plan),
        Err(reasons) => reasons,
    };
    match combine::nested(select, catalog, tables) {
        Ok(plan) => {
            let reasons = reasons.into_iter().filter(|it| it.0 == Rung::Pushdown).collect();
            Ok((Rung::Combine, plan, reasons))
        }
        Err(_) => Err(reasons),
    }
}

/// Without a combine query inside of another.
fn plan_flat(
    select: &SelectStmt,
    catalog: &Catalog,
    tables: Tables<'_>,
) -> Result<(Rung, MultiShard, Reasons), Reasons> {
    let mut analysis = Analysis::new(catalog, tables);
    let outermost = Scope::default();
    let mut with = Scope::inside(&outermost);
    let whole = |it: Refused| vec![(Rung::Pushdown, it.to_string()), (Rung::Combine, it.to_string())];
    understand(&mut analysis, select, &mut with).map_err(whole)?;
    if is_set_operation(select) {
        plan_set_operation(&mut analysis, select, &with)
    } else {
        plan_block(&mut analysis, select, &with)
    }
}

/// A query that every shard group can answer for itself, to be a part of another statement (INSERT … SELECT).
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct PerShard {
    pub(crate) anchor: TableOid,
    /// Indexes into the anchor's shards.
    pub(crate) shards: Vec<usize>,
    pub(crate) template: Template,
    /// Output columns that are never NULL and hash, as the type of the anchor's distribution column, to the shard
    /// group that gives the row.
    pub(crate) keys: Vec<usize>,
}

#[allow(dead_code)]
pub(crate) fn per_shard(
    select: &SelectStmt,
    catalog: &Catalog,
    tables: Tables<'_>,
) -> Result<PerShard, Refused> {
    let mut analysis = Analysis::new(catalog, tables);
    let output = analysis.query(select, &Scope::default())?;
    let anchor = analysis.anchor().filter(|_| output.spread == Spread::Sharded);
    let anchor = anchor.ok_or_else(|| Refused::new("no distributed table is read"))?;
    let type_oid = anchor.distribution_column().map(|it| it.type_oid);
    let keys = output
        .columns
        .iter()
        .enumerate()
        .filter(|(_, it)| it.key == Key::Certain && it.facts.type_oid == type_oid);
    Ok(PerShard {
        anchor: anchor.oid,
        shards: output.shards.indexes(anchor.shards().len()),
        keys: keys.map(|(index, _)| index).collect(),
        template: template::worker_template(select.clone(), &analysis.tables)?,
    })
}

fn understand(analysis: &mut Analysis<'_>, select: &SelectStmt, with: &mut Scope<'_>) -> Result<(), Refused> {
    reject_common(select)?;
    if !select.values_lists.is_empty() {
        return Err(Refused::new("no distributed table is read"));
    }
    analysis.with_list(select, with)
}

fn is_set_operation(select: &SelectStmt) -> bool {
    !matches!(select.op(), SetOperation::SetopNone | SetOperation::Undefined)
}

fn plan_block(
    analysis: &mut Analysis<'_>,
    select: &SelectStmt,
    with: &Scope<'_>,
) -> Result<(Rung, MultiShard, Reasons), Reasons> {
    let whole = |it: Refused| vec![(Rung::Pushdown, it.to_string()), (Rung::Combine, it.to_string())];
    let block = analysis.block(select, with).map_err(whole)?;
    if block.relation.spread != Spread::Sharded {
        return Err(whole(Refused::new(
            "FROM has no distributed table whose shards could be read one by one",
        )));
    }
    let pushed = block.per_shard().and_then(|()| merge::block(analysis, &block));
    let reason = match pushed {
        Ok(plan) => return Ok((Rung::Pushdown, plan, Vec::new())),
        Err(reason) => (Rung::Pushdown, reason.to_string()),
    };
    match combine::block(analysis, &block).and_then(|it| it.plan(analysis)) {
        Ok(plan) => Ok((Rung::Combine, plan, vec![reason])),
        Err(other) => Err(vec![reason, (Rung::Combine, other.to_string())]),
    }
}

fn plan_set_operation(
    analysis: &mut Analysis<'_>,
    select: &SelectStmt,
    with: &Scope<'_>,
) -> Result<(Rung, MultiShard, Reasons), Reasons> {
    let pushed = analysis.set_operation(select, with).and_then(|it| match it.spread {
        Spread::Sharded => merge::set_operation(analysis, select, &it),
        _ => Err(Refused::new("no distributed table is read")),
    });
    let reason = match pushed {
        Ok(plan) => return Ok((Rung::Pushdown, plan, Vec::new())),
        Err(reason) => (Rung::Pushdown, reason.to_string()),
    };
    match combine::set_operation(analysis, select, with).and_then(|it| it.0.plan(analysis)) {
        Ok(plan) => Ok((Rung::Combine, plan, vec![reason])),
        Err(other) => Err(vec![reason, (Rung::Combine, other.to_string())]),
    }
}

#[cfg(test)]
mod tests;
