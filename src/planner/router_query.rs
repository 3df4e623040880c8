//! Rung 1: the statement concerns one shard group, and goes there as the client wrote it.

use howdah_catalog::TableOid;
use howdah_sql::{NodeEnum, Token, Tokens};

use crate::analysis::{self, Bound};
use crate::parameters::slot_parameters;
use crate::splice::{Slots, Splice};
use crate::statement::Facts;
use crate::{
    ComputedValue, InsertRow, InsertValues, Piece, Plan, PlanScope, ShardKey, SingleShard, Template,
    defaults_in_place, time,
};

/// A plan for one shard group, or why there is none.
pub(crate) fn plan(facts: &Facts<'_>, slots: &Slots) -> Result<(Plan, PlanScope), String> {
    if !facts.context.request.single_shard_allowed {
        return Err("the values of the distribution columns are on different shards, NULL or unknown".into());
    }
    facts.worker_safe.clone()?;
    let statement = facts.context.request.statement;
    let bound = analysis::bind(statement.node(), facts.context, slots)?;
    if bound.writes_reference {
        return Err("a reference table is written on the coordinator".into());
    }
    let restriction = analysis::check_single_shard(&bound.block)?;
    let anchor = restriction.anchor.ok_or("no distributed table is read or written")?;
    let tokens = facts.tokens()?;
    let mut splice = Splice::default();
    name_shards(&bound, &tokens, &mut splice)?;
    time::replace(statement.node().to_ref(), &tokens, &mut splice)?;
    let values = defaults_in_place::write(&bound.missing, facts, &tokens, &mut splice)?;
    let template = splice.template(statement.text(), 0..statement.text().len(), slots);
    let scope = if bound.depends_on_text { PlanScope::Text } else { PlanScope::Shape };
    if !values.is_empty() {
        return with_values(facts, anchor.oid, &restriction.keys, template, values);
    }
    let plan = single_shard(facts, anchor.oid, restriction.keys, template, bound.writes);
    Ok((Plan::SingleShard(plan), scope))
}

pub(crate) fn single_shard(
    facts: &Facts<'_>,
    anchor: TableOid,
    keys: Vec<ShardKey>,
    template: Template,
    writes: bool,
) -> SingleShard {
    let parameters = slot_parameters(&facts.context.request, &template);
    let uses_time = template.uses_time();
    SingleShard { anchor, keys, template, parameters, writes, uses_time }
}

/// A statement that needs computed values is sent as the only "row" of an INSERT, which may have some.
fn with_values(
    facts: &Facts<'_>,
    table: TableOid,
    keys: &[ShardKey],
    template: Template,
    values: Vec<ComputedValue>,
) -> Result<(Plan, PlanScope), String> {
    if template.0.iter().any(|it| matches!(it, Piece::Literal(_))) {
        // A row has one key: equal constants are one only in this very text.
        return plan(facts, &Slots::default());
    }
    let [key] = keys else { return Err("values are computed, and more than one key is compared".into()) };
    let row = InsertRow { key: key.clone(), template };
    let (prefix, suffix) = (Template::default(), Template::default());
    let returning = returns_rows(facts.context.request.statement.node());
    let uses_time = row.template.uses_time();
    let plan = InsertValues { table, prefix, rows: vec![row], suffix, values, uses_time, returning };
    Ok((Plan::InsertValues(plan), PlanScope::Text))
}

fn returns_rows(statement: &NodeEnum) -> bool {
    match statement {
        NodeEnum::InsertStmt(it) => it.returning_clause.is_some(),
        NodeEnum::UpdateStmt(it) => it.returning_clause.is_some(),
        NodeEnum::DeleteStmt(it) => it.returning_clause.is_some(),
        NodeEnum::MergeStmt(it) => it.returning_clause.is_some(),
        _ => true,
    }
}

/// Puts the shard's name for every table's, with the table's as an alias, so that `table.column` keeps its meaning.
pub(crate) fn name_shards(bound: &Bound<'_>, tokens: &Tokens, splice: &mut Splice) -> Result<(), String> {
    for (position, named) in &bound.tables {
        let range = tokens.name_range(*position).ok_or("a table has no position in the text")?;
        let mut pieces = vec![Piece::Shard(named.table.oid)];
        if let Some(alias) = &named.needs_alias {
            check_alias_allowed(*position, range.end, tokens)?;
            pieces.push(Piece::Text(format!(" AS {}", howdah_sql::quote_identifier(alias))));
        }
        splice.replace(range, pieces);
    }
    Ok(())
}

/// `TABLE t` and `ONLY (t)` have no place for an alias.
fn check_alias_allowed(position: usize, end: usize, tokens: &Tokens) -> Result<(), String> {
    let before = |back: usize| tokens.from(position).checked_sub(back).and_then(|it| tokens.token(it));
    let bracketed = before(1) == Some(Token::Ascii40)
        && before(2) == Some(Token::Only)
        && tokens.token(tokens.from(end)) == Some(Token::Ascii41);
    let table_command = before(1) == Some(Token::Table)
        || (before(1) == Some(Token::Only) && before(2) == Some(Token::Table));
    match bracketed || table_command {
        true => Err("the name of a table cannot take an alias where it stands".into()),
        false => Ok(()),
    }
}
