//! Defaults that shards do not have, written into the text of a statement that goes to a shard as it is.

use std::sync::Arc;

use howdah_catalog::{Column, ColumnNumber, Table};
use howdah_sql::{NodeEnum, Token, Tokens, ast, quote_identifier};

use crate::insert::{Default, default_of};
use crate::splice::Splice;
use crate::statement::Facts;
use crate::{ComputedValue, Piece};

/// A place of the statement where a default has to be written.
#[derive(Clone, Debug)]
pub(crate) enum Missing<'a> {
    /// `SET column = DEFAULT`.
    Set { position: i32, table: Arc<Table>, column: ColumnNumber },
    /// INSERT of one row of VALUES that does not give all columns, or gives DEFAULT.
    Row { insert: &'a ast::InsertStmt, table: Arc<Table>, given: Vec<ColumnNumber> },
}

/// Writes all of them; returns what has to be computed on the coordinator before.
pub(crate) fn write(
    missing: &[Missing<'_>],
    facts: &Facts<'_>,
    tokens: &Tokens,
    splice: &mut Splice,
) -> Result<Vec<ComputedValue>, String> {
    let mut values = Vec::new();
    for place in missing {
        match place {
            Missing::Set { position, table, column } => {
                let column = table.column(*column).ok_or("an unknown column is set")?;
                let range = usize::try_from(*position).ok().and_then(|it| tokens.range(tokens.at(it)?));
                let range = range.ok_or("a default has no position in the text")?;
                match default_of(column, table, facts) {
                    Default::OnShard => {}
                    Default::Expression(expression) => splice.replace(range, expression.0),
                    // One value for all rows would not be what one server sets.
                    Default::Computed(_) => return Err(computed_elsewhere(column)),
                }
            }
            Missing::Row { insert, table, given } => {
                row(insert, table, given, facts, tokens, splice, &mut values)?
            }
        }
    }
    Ok(values)
}

fn row(
    insert: &ast::InsertStmt,
    table: &Table,
    given: &[ColumnNumber],
    facts: &Facts<'_>,
    tokens: &Tokens,
    splice: &mut Splice,
    values: &mut Vec<ComputedValue>,
) -> Result<(), String> {
    let (columns_end, open) = brackets(insert, tokens)?;
    let close = tokens.closing(open).ok_or("a row has no end")?;
    let items = tokens.parts(open, close);
    let mut write = |column: &Column| match default_of(column, table, facts) {
        Default::OnShard => vec![Piece::Text("DEFAULT".into())],
        Default::Expression(expression) => expression.0,
        Default::Computed(value) => {
            values.push(value);
            vec![Piece::Value(values.len() - 1)]
        }
    };
    for (item, column) in items.iter().zip(given) {
        if tokens.token(tokens.from(item.start)) == Some(Token::Default)
            && let Some(column) = table.column(*column)
        {
            splice.replace(item.clone(), write(column));
        }
    }
    let mut names = Vec::new();
    let mut pieces = Vec::new();
    let absent = table.columns.iter().filter(|it| !given.contains(&it.number) && !it.generated);
    for column in absent.filter(|it| !crate::analysis::default_is_on_shards(it)) {
        names.push(Piece::Text(format!(", {}", quote_identifier(&column.name))));
        pieces.push(Piece::Text(", ".into()));
        pieces.extend(write(column));
    }
    if !names.is_empty() {
        let columns_end = columns_end.ok_or("the columns of an INSERT are not named")?;
        splice.replace(columns_end..columns_end, names);
        let end = tokens.range(close).ok_or("a row has no end")?.start;
        splice.replace(end..end, pieces);
    }
    Ok(())
}

/// Where the list of columns ends, if there is one, and the bracket that opens the row.
fn brackets(insert: &ast::InsertStmt, tokens: &Tokens) -> Result<(Option<usize>, usize), String> {
    let range = insert.relation.as_ref().ok_or("an INSERT has no target")?;
    let name = usize::try_from(range.location).ok().and_then(|it| tokens.name_range(it));
    let mut at = tokens.from(name.ok_or("a table has no position in the text")?.end);
    if range.alias.is_some() {
        at += if tokens.token(at) == Some(Token::As) { 2 } else { 1 };
    }
    let mut columns_end = None;
    if !insert.cols.is_empty() {
        let close = tokens.closing(at).ok_or("a list of columns has no end")?;
        columns_end = tokens.range(close).map(|it| it.start);
        at = close + 1;
    }
    match tokens.token(at) {
        Some(Token::Values) => Ok((columns_end, at + 1)),
        _ => Err("VALUES is not found in the text".into()),
    }
}

/// Whether an INSERT has one row of VALUES.
pub(crate) fn is_one_row(insert: &ast::InsertStmt) -> bool {
    match insert.select_stmt.as_deref().and_then(|it| it.node.as_ref()) {
        Some(NodeEnum::SelectStmt(it)) => it.values_lists.len() == 1 && it.with_clause.is_none(),
        _ => false,
    }
}

pub(crate) fn computed_elsewhere(column: &Column) -> String {
    format!("the default of \"{}\" has to be computed on the coordinator", column.name)
}
