//! Rung 1: the statement concerns one shard group, and goes there as the client wrote it.

use howdah_sql::{Token, Tokens};

use crate::analysis::{self, Bound};
use crate::splice::{Slots, Splice};
use crate::statement::Facts;
use crate::{Piece, PlanScope, SingleShard, time};

/// A plan for one shard group, or why there is none.
pub(crate) fn plan(facts: &Facts<'_>, slots: &Slots) -> Result<(SingleShard, PlanScope), String> {
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
    let template = {
        let tokens = facts.tokens()?;
        let mut splice = Splice::default();
        name_shards(&bound, &tokens, &mut splice)?;
        time::replace(statement.node().to_ref(), &tokens, &mut splice)?;
        splice.template(statement.text(), 0..statement.text().len(), slots)
    };
    let uses_time = template.uses_time();
    let plan =
        SingleShard { anchor: anchor.oid, keys: restriction.keys, template, writes: bound.writes, uses_time };
    Ok((plan, if bound.depends_on_text { PlanScope::Text } else { PlanScope::Shape }))
}

/// Puts the shard's name for every table's, with the table's as an alias, so that `table.column` keeps its meaning.
pub(crate) fn name_shards(bound: &Bound, tokens: &Tokens, splice: &mut Splice) -> Result<(), String> {
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
