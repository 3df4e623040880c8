//! Where the parts of an INSERT stand in its text, and the parts of the shard's INSERT.

use std::ops::Range;

use howdah_catalog::{Column, Table};
use howdah_sql::ast::OverridingKind;
use howdah_sql::{NodeRef, Token, Tokens, ast, quote_identifier};

use crate::analysis::bind_insert_clauses;
use crate::router_query::name_shards;
use crate::splice::{Slots, Splice};
use crate::statement::Facts;
use crate::{Piece, Template, defaults_in_place, time};

pub(super) struct Layout {
    pub(super) tokens: Tokens,
    /// WITH …, before INSERT.
    pub(super) with: Range<usize>,
    /// VALUES … or the query; empty for DEFAULT VALUES.
    pub(super) source: Range<usize>,
    /// ON CONFLICT and RETURNING.
    pub(super) clauses: Range<usize>,
}

pub(super) fn layout(insert: &ast::InsertStmt, facts: &Facts<'_>) -> Result<Layout, String> {
    let tokens = facts.tokens()?;
    let text = facts.context.request.statement.text();
    let range = insert.relation.as_ref().ok_or("an INSERT has no target")?;
    let name = usize::try_from(range.location).ok().and_then(|it| tokens.name_range(it));
    let name = name.ok_or("a table has no position in the text")?;
    let mut at = tokens.from(name.end);
    if range.alias.is_some() {
        at += if tokens.token(at) == Some(Token::As) { 2 } else { 1 };
    }
    if !insert.cols.is_empty() {
        at = tokens.closing(at).ok_or("a list of columns has no end")? + 1;
    }
    if insert.r#override() != OverridingKind::OverridingNotSet {
        at += 3;
    }
    let start = tokens.range(at).map_or(text.len(), |it| it.start);
    let clauses = clauses_start(insert, &tokens, at).unwrap_or(text.len());
    // INSERT INTO stands right before the name.
    let verb =
        tokens.from(name.start).checked_sub(2).and_then(|it| tokens.range(it)).map_or(0, |it| it.start);
    Ok(Layout { with: 0..verb, source: start..clauses, clauses: clauses..text.len(), tokens })
}

fn clauses_start(insert: &ast::InsertStmt, tokens: &Tokens, from: usize) -> Option<usize> {
    let conflict = insert.on_conflict_clause.is_some();
    if !conflict && insert.returning_clause.is_none() {
        return None;
    }
    let mut depth = 0_i32;
    let mut found = None;
    for index in from..tokens.len() {
        match (tokens.token(index)?, tokens.token(index + 1)) {
            (Token::Ascii40 | Token::Ascii91, _) => depth += 1,
            (Token::Ascii41 | Token::Ascii93, _) => depth -= 1,
            // JOIN … ON may be followed by a column "conflict": the clause is the last.
            (Token::On, Some(Token::Conflict)) if depth == 0 && conflict => found = Some(index),
            (Token::Returning, _) if depth == 0 && !conflict => return Some(tokens.range(index)?.start),
            _ => {}
        }
    }
    Some(tokens.range(found?)?.start)
}

/// `INSERT INTO shard AS t (columns) `.
pub(super) fn prefix<'c>(
    insert: &ast::InsertStmt,
    table: &Table,
    columns: impl Iterator<Item = &'c Column>,
) -> Template {
    let mut template = Template::text("INSERT INTO ");
    template.push(Piece::Shard(table.oid));
    let alias = insert.relation.as_ref().map(|it| it.alias.as_ref().map_or(&it.relname, |it| &it.aliasname));
    let columns: Vec<_> = columns.map(|it| quote_identifier(&it.name)).collect();
    template.push_text(&format!(
        " AS {} ({}) ",
        quote_identifier(alias.unwrap_or(&table.name)),
        columns.join(", ")
    ));
    template
}

/// ON CONFLICT and RETURNING for a shard, with a blank before it.
pub(super) fn suffix(
    insert: &ast::InsertStmt,
    facts: &Facts<'_>,
    layout: &Layout,
    slots: &Slots,
) -> Result<Template, String> {
    if layout.clauses.is_empty() {
        return Ok(Template::default());
    }
    let mut splice = Splice::default();
    let mut bound = bind_insert_clauses(insert, facts.context, slots)?;
    bound.tables.retain(|position, _| layout.clauses.contains(position));
    name_shards(&bound, &layout.tokens, &mut splice)?;
    if !defaults_in_place::write(&bound.missing, facts, &layout.tokens, &mut splice)?.is_empty() {
        return Err("a default is computed for one row".into());
    }
    if let Some(conflict) = insert.on_conflict_clause.as_deref() {
        time::replace(NodeRef::OnConflictClause(conflict), &layout.tokens, &mut splice)?;
        name_constraint(conflict, insert, facts, layout, &mut splice)?;
    }
    if let Some(returning) = &insert.returning_clause {
        time::replace(NodeRef::ReturningClause(returning), &layout.tokens, &mut splice)?;
    }
    let mut template = Template::text(" ");
    let text = facts.context.request.statement.text();
    template.append(splice.template(text, layout.clauses.clone(), slots));
    Ok(template)
}

/// The constraint of ON CONFLICT ON CONSTRAINT has another name on each shard.
fn name_constraint(
    conflict: &ast::OnConflictClause,
    insert: &ast::InsertStmt,
    facts: &Facts<'_>,
    layout: &Layout,
    splice: &mut Splice,
) -> Result<(), String> {
    let Some(infer) = conflict.infer.as_deref().filter(|it| !it.conname.is_empty()) else { return Ok(()) };
    let first = layout.tokens.from(layout.clauses.start);
    let keyword = (first..layout.tokens.len()).find(|it| layout.tokens.token(*it) == Some(Token::Constraint));
    let range = keyword
        .and_then(|it| layout.tokens.range(it + 1))
        .ok_or("a constraint has no position in the text")?;
    let table = super::target(insert, facts)?.oid;
    splice.replace(range, vec![Piece::ShardObject { table, name: infer.conname.clone() }]);
    Ok(())
}
