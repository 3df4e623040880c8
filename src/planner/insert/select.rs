//! INSERT … SELECT: per shard, or through the router.

use howdah_catalog::{Column, Identity, Table};
use howdah_sql::ast::OverridingKind;
use howdah_sql::{NodeEnum, NodeRef, ast, quote_identifier, walk};

use super::clauses::{layout, prefix, suffix};
use super::defaults::{base_type, computed_default};
use super::{Refusal, source, target};
use crate::analysis::{bind, default_is_on_shards, insert_columns};
use crate::splice::Slots;
use crate::statement::Facts;
use crate::{
    ComputedColumn, Error, InsertColumn, InsertSelect, InsertSource, Merge, MultiShard, Plan, PlanScope,
    Planned, PlannedSource, Request, Rung, Template, pushdown,
};

/// A plan by which each shard group inserts what it selects itself.
pub(super) fn colocated(insert: &ast::InsertStmt, facts: &Facts<'_>) -> Result<MultiShard, String> {
    let needs = facts.worker_safe.clone()?;
    if needs.volatile {
        return Err("a volatile function is evaluated once per row of the result".into());
    }
    let table = target(insert, facts)?;
    let columns = given_columns(insert, table, facts)?;
    let key = table.distribution_column().ok_or("the target is not distributed")?;
    let position = columns
        .iter()
        .position(|it| it.number == key.number)
        .ok_or("the distribution column is not given")?;
    check_defaults(insert, table, &columns)?;
    let mut select = source(insert).ok_or("only defaults are inserted")?.clone();
    match (&select.with_clause, &insert.with_clause) {
        (Some(_), Some(_)) => return Err("both INSERT and its query have WITH".into()),
        (None, with) => select.with_clause.clone_from(with),
        (Some(_), None) => {}
    }
    let context = facts.context;
    let tables = |range: &ast::RangeVar| context.table(range).map(|it| it.oid);
    let query =
        pushdown::per_shard(&select, context.request.catalog, &tables).map_err(|it| it.to_string())?;
    check_key(table, &query, position, facts)?;
    let layout = layout(insert, facts)?;
    let mut template = prefix(insert, table, columns.into_iter());
    template.append(query.template);
    template.append(suffix(insert, facts, &layout, &Slots::default())?);
    let uses_time = template.uses_time();
    Ok(MultiShard {
        anchor: query.anchor,
        shards: query.shards,
        template,
        merge: Merge::Modified,
        writes: true,
        uses_time,
        live: false,
    })
}

/// The rows stay in their shard group: the query's column for the distribution column is one by which its rows are distributed.
fn check_key(
    table: &Table,
    query: &pushdown::PerShard,
    position: usize,
    facts: &Facts<'_>,
) -> Result<(), String> {
    let anchor = facts.context.request.catalog.table(query.anchor).ok_or("no distributed table is read")?;
    if anchor.colocation() != table.colocation() {
        return Err(format!("tables \"{}\" and \"{}\" are not colocated", anchor.name, table.name));
    }
    // A modifier may change the value (`varchar(3)` drops blanks).
    if table.distribution_column().is_some_and(|it| it.typmod != -1 && !is_kept(it, facts)) {
        return Err("the type of the distribution column may change its values".into());
    }
    match query.keys.contains(&position) {
        true => Ok(()),
        false => {
            Err("the query does not give the distribution column of its rows for that of the target".into())
        }
    }
}

/// Whether all distributed tables of the statement have the same modifier.
fn is_kept(key: &Column, facts: &Facts<'_>) -> bool {
    let mut kept = true;
    let known = walk(facts.context.request.statement.node().to_ref(), &mut |it| {
        if let NodeRef::RangeVar(range) = it
            && let Some(other) = facts.context.table(range).and_then(|it| it.distribution_column())
        {
            kept &= other.typmod == key.typmod;
        }
    });
    kept && known.is_ok()
}

fn check_defaults(insert: &ast::InsertStmt, table: &Table, given: &[&Column]) -> Result<(), String> {
    if insert.r#override() == OverridingKind::OverridingUserValue {
        return Err("values of identity columns are overridden".into());
    }
    let missing = table.columns.iter().filter(|column| !given.iter().any(|it| it.number == column.number));
    match missing.into_iter().find(|it| !default_is_on_shards(it)) {
        Some(column) => {
            Err(format!("the default of \"{}\" has to be computed on the coordinator", column.name))
        }
        None => Ok(()),
    }
}

/// The columns that the query gives values for. Without a list of them, the first of the table are meant.
fn given_columns<'t>(
    insert: &ast::InsertStmt,
    table: &'t Table,
    facts: &Facts<'_>,
) -> Result<Vec<&'t Column>, String> {
    let columns = insert_columns(insert, table)?;
    let select = source(insert).ok_or("only defaults are inserted")?;
    if !insert.cols.is_empty() {
        return Ok(columns);
    }
    let count = match output_count(select) {
        Some(count) => count,
        None => bound_output_count(insert, select, facts)?,
    };
    Ok(columns.into_iter().take(count).collect())
}

/// How many columns a query has, if no star hides it.
fn output_count(select: &ast::SelectStmt) -> Option<usize> {
    if let Some(left) = select.larg.as_deref() {
        return output_count(left);
    }
    if let Some(NodeEnum::List(row)) = select.values_lists.first().and_then(|it| it.node.as_ref()) {
        return Some(row.items.len());
    }
    let is_star = |target: &howdah_sql::Node| match target.node.as_ref() {
        Some(NodeEnum::ResTarget(it)) => match it.val.as_deref().and_then(|it| it.node.as_ref()) {
            Some(NodeEnum::ColumnRef(it)) => {
                it.fields.iter().any(|it| matches!(it.node, Some(NodeEnum::AStar(_))))
            }
            _ => false,
        },
        _ => true,
    };
    (!select.target_list.iter().any(is_star)).then_some(select.target_list.len())
}

fn bound_output_count(
    insert: &ast::InsertStmt,
    select: &ast::SelectStmt,
    facts: &Facts<'_>,
) -> Result<usize, String> {
    let mut select = select.clone();
    if select.with_clause.is_none() {
        select.with_clause.clone_from(&insert.with_clause);
    }
    let query = NodeEnum::SelectStmt(Box::new(select));
    let slots = Slots::default();
    match bind(&query, facts.context, &slots)?.block.outputs.len() {
        0 => Err("how many columns the query has is not known".into()),
        count => Ok(count),
    }
}

/// A plan by which the query runs by itself, and the router sends its rows.
pub(super) fn through_router(insert: &ast::InsertStmt, facts: &Facts<'_>) -> Result<InsertSelect, Refusal> {
    let table = target(insert, facts)?;
    let select = source(insert).ok_or("only defaults are inserted")?;
    check_source(insert, select)?;
    let layout = layout(insert, facts)?;
    let text = facts.context.request.statement.text();
    // Where the number of columns is not known here, all are meant, or the executor sees that it is not so.
    let given = given_columns(insert, table, facts).or_else(|_| insert_columns(insert, table))?;
    let computed = computed_columns(table, &given);
    let key = table.distribution_column().ok_or("the target is not distributed")?;
    let all = || given.iter().copied().chain(computed.iter().map(|it| it.0));
    let Some(key) = all().position(|it| it.number == key.number) else {
        let (table, column) = (table.name.clone(), key.name.clone());
        return Err(Refusal::Error(Error::NullDistributionColumn { table, column }));
    };
    let query = format!("{}{}", &text[layout.with.clone()], text[layout.source.clone()].trim_end());
    let ordered = !select.sort_clause.is_empty() && !computed.is_empty();
    let source = InsertSource {
        converted: converted_source(converted(&query, &given), ordered, facts)?,
        written: planned_source(query, ordered, facts)?,
    };
    Ok(InsertSelect {
        table: table.oid,
        source,
        columns: given.iter().map(|it| insert_column(it)).collect(),
        key,
        prefix: prefix(insert, table, all()),
        suffix: suffix_for_rows(insert, facts, &layout)?,
        returning: insert.returning_clause.is_some(),
        computed: computed
            .iter()
            .map(|(column, it)| ComputedColumn { column: insert_column(column), expression: it.clone() })
            .collect(),
    })
}

/// The plan of a source: what it would be of the same SELECT by itself.
fn planned_source(query: String, ordered: bool, facts: &Facts<'_>) -> Result<PlannedSource, Refusal> {
    let mut statements = howdah_sql::parse(&query).map_err(|it| it.to_string())?;
    let statement = statements.pop().ok_or("the source is no query")?;
    let request = Request { statement: &statement, single_shard_allowed: true, ..facts.context.request };
    let planned = crate::plan(&request).map_err(Refusal::Error)?;
    Ok(PlannedSource { query, planned, ordered })
}

/// The same for a source below conversions. Where the order of the rows is seen, only PostgreSQL itself is known to keep that of a
/// subquery.
fn converted_source(query: String, ordered: bool, facts: &Facts<'_>) -> Result<PlannedSource, Refusal> {
    let mut source = planned_source(query, ordered, facts)?;
    if ordered && matches!(source.planned.plan, Plan::MultiShard(_)) {
        let reason = "the rows of a subquery are wanted in its order".to_owned();
        let reasons = vec![(source.planned.rung, reason)];
        let plan = Plan::Coordinator { writes: false };
        source.planned = Planned { plan, rung: Rung::Live, reasons, scope: PlanScope::Text };
    }
    Ok(source)
}

fn suffix_for_rows(
    insert: &ast::InsertStmt,
    facts: &Facts<'_>,
    layout: &super::clauses::Layout,
) -> Result<Template, String> {
    let objects = facts.context.request.catalog.objects();
    if let Some(conflict) = insert.on_conflict_clause.as_deref() {
        crate::whitelist::check(NodeRef::OnConflictClause(conflict), objects)?;
    }
    if let Some(returning) = &insert.returning_clause {
        crate::whitelist::check(NodeRef::ReturningClause(returning), objects)?;
    }
    suffix(insert, facts, layout, &Slots::default())
}

/// The source must be a query that means the same by itself.
fn check_source(insert: &ast::InsertStmt, select: &ast::SelectStmt) -> Result<(), String> {
    if insert.r#override() == OverridingKind::OverridingUserValue {
        return Err("values of identity columns are overridden".into());
    }
    if insert.with_clause.is_some() && select.with_clause.is_some() {
        return Err("both INSERT and its query have WITH".into());
    }
    let mut writes = false;
    let mut defaults = false;
    let mut look = |it: NodeRef<'_>| {
        writes |= matches!(
            it,
            NodeRef::InsertStmt(_) | NodeRef::UpdateStmt(_) | NodeRef::DeleteStmt(_) | NodeRef::MergeStmt(_)
        );
        defaults |= matches!(it, NodeRef::SetToDefault(_));
    };
    walk(NodeRef::SelectStmt(select), &mut look).map_err(|it| it.to_string())?;
    if let Some(with) = &insert.with_clause {
        walk(NodeRef::WithClause(with), &mut look).map_err(|it| it.to_string())?;
    }
    match (writes, defaults) {
        (true, _) => Err("the query writes".into()),
        (_, true) => Err("a row has DEFAULT among values that the workers cannot compute".into()),
        _ => Ok(()),
    }
}

/// Missing columns whose defaults are not the shards' own, with the expression that computes them.
fn computed_columns<'t>(table: &'t Table, given: &[&Column]) -> Vec<(&'t Column, Template)> {
    let missing = table.columns.iter().filter(|column| !given.iter().any(|it| it.number == column.number));
    let key = table.distribution_column().map(|it| it.number);
    missing
        .filter(|it| !it.generated && (Some(it.number) == key || !default_is_on_shards(it)))
        .filter(|it| it.default.is_some() || it.identity != Identity::None)
        .filter_map(|it| Some((it, computed_default(it, table)?.expression)))
        .collect()
}

fn insert_column(column: &Column) -> InsertColumn {
    InsertColumn { name: column.name.clone(), type_oid: column.type_oid, type_name: column.type_name.clone() }
}

fn converted(query: &str, columns: &[&Column]) -> String {
    let casts: Vec<_> =
        (0..).zip(columns).map(|(index, it)| format!("c{index}::{}", base_type(it))).collect();
    let names: Vec<_> = (0..columns.len()).map(|it| format!("c{it}")).collect();
    let source = quote_identifier("howdah_source");
    format!("SELECT {} FROM ({query}) AS {source} ({})", casts.join(", "), names.join(", "))
}
