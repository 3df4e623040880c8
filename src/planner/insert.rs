//! INSERT into distributed tables.
//!
//! Rows of VALUES go to their shards each with its own key. What only the coordinator can compute (nextval, keys that are expressions,
//! functions not of the whitelist) is computed there once per row and sent as a value. INSERT … SELECT runs per shard if the
//! query's rows surely stay where they are, else its rows come through the router.

mod clauses;
mod defaults;
mod select;
mod values;

pub(crate) use self::defaults::{Default, default_of};

use howdah_catalog::Table;
use howdah_sql::{NodeEnum, ast};

use crate::analysis::{bind_insert_clauses, insert_columns};
use crate::modify::set_of;
use crate::planning::{last_rung, slots};
use crate::statement::Facts;
use crate::{Error, Plan, PlanScope, Planned, Rung, router_query};

/// Why the rows are not sent by a plan: the statement is wrong, or another plan has to be tried.
pub(crate) enum Refusal {
    Error(Error),
    Reason(String),
}

impl From<String> for Refusal {
    fn from(reason: String) -> Self {
        Self::Reason(reason)
    }
}

impl From<&str> for Refusal {
    fn from(reason: &str) -> Self {
        Self::Reason(reason.to_owned())
    }
}

pub(crate) fn plan(insert: &ast::InsertStmt, facts: &Facts<'_>) -> Result<Planned, Error> {
    let mut reasons = Vec::new();
    if let Err(refusal) = check_clauses(insert, facts) {
        return refused(refusal, Rung::Router, facts, reasons);
    }
    if is_values(insert) {
        match values::plan(insert, facts) {
            Ok(plan) => {
                let plan = values::as_single_shard(plan, facts);
                return Ok(planned(plan, Rung::Router, reasons, PlanScope::Shape));
            }
            Err(Refusal::Reason(reason)) => reasons.push((Rung::Router, reason)),
            Err(error) => return refused(error, Rung::Router, facts, reasons),
        }
    } else {
        match router_query::plan(facts, &slots(facts)) {
            Ok((plan, scope)) => return Ok(planned(plan, Rung::Router, reasons, scope)),
            Err(reason) => reasons.push((Rung::Router, reason)),
        }
        match select::colocated(insert, facts) {
            Ok(plan) => return Ok(planned(Plan::MultiShard(plan), Rung::Pushdown, reasons, PlanScope::Text)),
            Err(reason) => reasons.push((Rung::Pushdown, reason)),
        }
    }
    match select::through_router(insert, facts) {
        Ok(plan) => {
            Ok(planned(Plan::InsertSelect(Box::new(plan)), Rung::Recursive, reasons, PlanScope::Text))
        }
        Err(refusal) => refused(refusal, Rung::Recursive, facts, reasons),
    }
}

fn planned(plan: Plan, rung: Rung, reasons: Vec<(Rung, String)>, scope: PlanScope) -> Planned {
    Planned { plan, rung, reasons, scope }
}

fn refused(
    refusal: Refusal,
    rung: Rung,
    facts: &Facts<'_>,
    mut reasons: Vec<(Rung, String)>,
) -> Result<Planned, Error> {
    match refusal {
        Refusal::Error(error) => Err(error),
        Refusal::Reason(reason) => {
            reasons.insert(0, (rung, reason));
            last_rung(facts, reasons)
        }
    }
}

fn is_values(insert: &ast::InsertStmt) -> bool {
    match source(insert) {
        Some(select) => !select.values_lists.is_empty(),
        None => true,
    }
}

/// The query or VALUES; none for DEFAULT VALUES.
fn source(insert: &ast::InsertStmt) -> Option<&ast::SelectStmt> {
    match insert.select_stmt.as_deref().and_then(|it| it.node.as_ref()) {
        Some(NodeEnum::SelectStmt(it)) => Some(it),
        _ => None,
    }
}

fn target<'a>(insert: &ast::InsertStmt, facts: &Facts<'a>) -> Result<&'a Table, String> {
    let range = insert.relation.as_ref().ok_or("an INSERT has no target")?;
    facts.context.table(range).map(|it| &**it).ok_or_else(|| "the target is not distributed".to_owned())
}

/// ON CONFLICT and RETURNING run on the shard, and must not move a row.
fn check_clauses(insert: &ast::InsertStmt, facts: &Facts<'_>) -> Result<(), Refusal> {
    let table = target(insert, facts)?;
    insert_columns(insert, table)?;
    let conflict = insert.on_conflict_clause.as_deref();
    if let (Some(key), Some(conflict)) = (table.distribution_column(), conflict)
        && set_of(&conflict.target_list, &key.name).is_some_and(|it| !keeps_key(it, &key.name, insert))
    {
        return Err(Refusal::Error(Error::DistributionColumnChanged {
            table: table.name.clone(),
            column: key.name.clone(),
        }));
    }
    let no_slots = crate::splice::Slots::default();
    let bound = bind_insert_clauses(insert, facts.context, &no_slots)?;
    let others = bound.tables.values().filter(|it| !it.table.is_reference()).count();
    match others {
        1 => Ok(()),
        _ => Err("ON CONFLICT or RETURNING reads a distributed table".into()),
    }
}

/// `SET key = excluded.key` or `= t.key`: the rows in conflict have the same.
fn keeps_key(target: &ast::ResTarget, key: &str, insert: &ast::InsertStmt) -> bool {
    let Some(NodeEnum::ColumnRef(value)) = target.val.as_deref().and_then(|it| it.node.as_ref()) else {
        return false;
    };
    let table = insert.relation.as_ref().map(|it| it.alias.as_ref().map_or(&it.relname, |it| &it.aliasname));
    match howdah_sql::names(&value.fields)[..] {
        [name] => name == key,
        [relation, name] => name == key && (relation == "excluded" || table.is_some_and(|it| it == relation)),
        _ => false,
    }
}
