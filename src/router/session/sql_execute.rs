//! EXECUTE of a statement that the client prepared by SQL, and that writes to distributed tables.
//!
//! PostgreSQL keeps what PREPARE made, and can run a SELECT of it over live tables. A write it cannot: that is
//! planned here, as the statement it stands for, with constants in the place of its parameters: only they mean the same
//! there. Other arguments are computed first.

use howdah_catalog::{Catalog, GroupId};
use howdah_sql::ast::{AConst, a_const};
use howdah_sql::{Kind, NodeEnum, NodeRef, Statement, Token, quote_literal};

use super::Session;
use crate::error::Result;
use crate::server::Draws;
use crate::settings::literal;

impl Session {
    /// The text to run instead of an EXECUTE whose arguments are constants; `None` where the coordinator runs it.
    pub(super) async fn translate_execute(&mut self, text: &[u8]) -> Result<Option<String>> {
        let Some(execute) = self.read_execute(text) else { return Ok(None) };
        let Some(arguments) = execute.constants() else { return Ok(None) };
        let Some((prepared, types)) = self.find_prepared(&execute.name).await? else { return Ok(None) };
        if arguments.len() != types.len() || !self.is_distributed_write(&prepared) {
            return Ok(None);
        }
        Ok(substitute(&prepared, &arguments, &types))
    }

    /// The same for one that runs now, so that arguments may be computed.
    pub(super) async fn evaluate_execute(&mut self, text: &[u8]) -> Result<Option<String>> {
        let Some(execute) = self.read_execute(text) else { return Ok(None) };
        let Some((prepared, types)) = self.find_prepared(&execute.name).await? else { return Ok(None) };
        if execute.arguments.len() != types.len() || !self.is_distributed_write(&prepared) {
            return Ok(None);
        }
        let arguments = match execute.constants() {
            Some(constants) => constants,
            None => self.evaluate_arguments(&execute, &types).await?,
        };
        Ok(substitute(&prepared, &arguments, &types))
    }

    fn read_execute(&self, text: &[u8]) -> Option<Execute> {
        let text = str::from_utf8(text).ok().filter(|it| self.kept.has_statements() && may_execute(it))?;
        let statements = howdah_sql::parse(text).ok()?;
        let [statement] = statements.as_slice() else { return None };
        Execute::of(statement)
    }

    /// PostgreSQL computes the arguments and makes them values of the parameters' types, in an EXECUTE of its own.
    async fn evaluate_arguments(&mut self, execute: &Execute, types: &[String]) -> Result<Vec<String>> {
        if execute.calls_any(&self.catalog()) {
            // What it writes is part of the statement.
            self.transaction.open_statement();
        }
        let values: Vec<String> = (1..=types.len()).map(|it| format!("${it}::pg_catalog.text")).collect();
        let query = format!(
            "PREPARE {HELPER}({}) AS SELECT {}; EXECUTE {HELPER}({})",
            types.join(", "),
            values.join(", "),
            execute.list
        );
        let connection = self.coordinator_for(Draws::Likely).await?;
        connection.queue_query(&query);
        connection.flush().await?;
        self.transaction.mark_writer(GroupId::COORDINATOR);
        let rows = self.take_coordinator_rows().await;
        // An error in a block leaves it, because prepared statements outlive rollbacks: the next SELECT of it removes it.
        if rows.is_ok() || !self.transaction.is_in_progress() {
            self.forget_helper().await?;
        }
        let row = rows?.into_iter().next().unwrap_or_default();
        Ok(row.into_iter().map(|it| it.map_or_else(|| "NULL".to_owned(), |it| literal(&it))).collect())
    }

    async fn forget_helper(&mut self) -> Result<()> {
        let connection = self.participant(GroupId::COORDINATOR).await?;
        connection.queue_query(&format!("DEALLOCATE {HELPER}"));
        connection.flush().await?;
        self.take_coordinator_rows().await.map(drop)
    }

    fn is_distributed_write(&self, statement: &Statement) -> bool {
        let catalog = self.catalog();
        matches!(statement.kind(), Kind::Insert | Kind::Update | Kind::Delete | Kind::Merge)
            && howdah_sql::relation_names(statement).bare().any(|it| catalog.knows_name(it))
    }

    /// What PREPARE of this name holds, and the types of its parameters.
    async fn find_prepared(&mut self, name: &str) -> Result<Option<(Statement, Vec<String>)>> {
        let query = format!(
            "SELECT statement, pg_catalog.array_to_string(parameter_types::text[], '|'), name = '{HELPER}' \
             FROM pg_catalog.pg_prepared_statements WHERE from_sql AND name IN ({}, '{HELPER}')",
            literal(name)
        );
        let connection = self.participant(GroupId::COORDINATOR).await?;
        connection.queue_query(&query);
        connection.flush().await?;
        let mut rows = self.take_coordinator_rows().await?;
        let helpers = rows.len();
        rows.retain(|it| it.last().is_some_and(|it| it.as_deref() == Some("f")));
        if rows.len() < helpers {
            self.forget_helper().await?;
        }
        rows.iter_mut().for_each(|it| it.truncate(2));
        let Some([Some(text), types]) = rows.into_iter().next().and_then(|it| <[_; 2]>::try_from(it).ok())
        else {
            return Ok(None);
        };
        let prepared =
            howdah_sql::parse(&text).unwrap_or_default().into_iter().next().and_then(|it| it.inner());
        let types = types.unwrap_or_default();
        let types = types.split('|').filter(|it| !it.is_empty()).map(str::to_owned).collect();
        Ok(prepared.map(|it| (it, types)))
    }
}

/// An EXECUTE as the client wrote it.
struct Execute {
    name: String,
    arguments: Vec<NodeEnum>,
    /// The text of all arguments.
    list: String,
}

/// The prepared statement that computes arguments.
const HELPER: &str = "howdah_execute";

impl Execute {
    fn of(statement: &Statement) -> Option<Self> {
        let NodeEnum::ExecuteStmt(execute) = statement.node() else { return None };
        let arguments: Option<Vec<NodeEnum>> = execute.params.iter().map(|it| it.node.clone()).collect();
        let tokens = statement.tokens().ok()?;
        let open = (0..tokens.len()).find(|it| tokens.token(*it) == Some(Token::Ascii40));
        let list = match open {
            Some(open) => {
                let close = tokens.closing(open)?;
                statement.text().get(tokens.range(open)?.end..tokens.range(close)?.start)?
            }
            None => "",
        };
        Some(Self { name: execute.name.clone(), arguments: arguments?, list: list.to_owned() })
    }

    fn constants(&self) -> Option<Vec<String>> {
        self.arguments.iter().map(constant).collect()
    }

    /// Whether a function of users is called.
    fn calls_any(&self, catalog: &Catalog) -> bool {
        let mut found = false;
        let known = self.arguments.iter().try_for_each(|it| {
            howdah_sql::walk(it.to_ref(), &mut |node| {
                if let NodeRef::FuncCall(call) = node {
                    let name = howdah_sql::names(&call.funcname).last().copied().unwrap_or_default();
                    found |= !catalog.objects().functions_named(name).is_empty();
                }
            })
        });
        found || known.is_err()
    }
}

fn may_execute(text: &str) -> bool {
    text.trim_start().get(..7).is_some_and(|it| it.eq_ignore_ascii_case("execute"))
}

/// A constant as SQL; `None` for anything that would have to be computed.
fn constant(node: &NodeEnum) -> Option<String> {
    let NodeEnum::AConst(AConst { isnull, val, .. }) = node else { return None };
    if *isnull {
        return Some("NULL".to_owned());
    }
    Some(match val.as_ref()? {
        a_const::Val::Ival(it) => it.ival.to_string(),
        a_const::Val::Fval(it) => it.fval.clone(),
        a_const::Val::Boolval(it) => it.boolval.to_string(),
        a_const::Val::Sval(it) => quote_literal(&it.sval),
        a_const::Val::Bsval(_) => return None,
    })
}

/// The statement with constants in the place of its parameters, each in the parameter's type.
fn substitute(statement: &Statement, arguments: &[String], types: &[String]) -> Option<String> {
    let mut places = Vec::new();
    howdah_sql::walk(statement.node().to_ref(), &mut |node| {
        if let NodeRef::ParamRef(it) = node {
            places.push((usize::try_from(it.location).ok(), usize::try_from(it.number).ok()));
        }
    })
    .ok()?;
    places.sort();
    let text = statement.text();
    let mut result = String::with_capacity(text.len() + 64);
    let mut copied = 0;
    for (at, number) in places {
        let (at, index) = (at?, number?.checked_sub(1)?);
        let digits = text.get(at + 1..)?.bytes().take_while(u8::is_ascii_digit).count();
        result.push_str(text.get(copied..at)?);
        let (value, type_name) = (arguments.get(index)?, types.get(index)?);
        // An integer is one already; everything else takes the parameter's type, as EXECUTE would make it.
        match type_name.as_str() {
            "integer" if value.parse::<i32>().is_ok_and(|it| it >= 0) => result.push_str(value),
            _ => result.push_str(&format!("CAST({value} AS {type_name})")),
        }
        copied = at + 1 + digits;
    }
    result.push_str(text.get(copied..)?);
    Some(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_take_the_place_of_parameters() {
        let statement = howdah_sql::parse("INSERT INTO t VALUES ($1, $2, $1 + 1)").unwrap().remove(0);
        let arguments = ["940".to_owned(), "'it''s'".to_owned()];
        let types = ["integer".to_owned(), "text".to_owned()];
        assert_eq!(
            substitute(&statement, &arguments, &types).as_deref(),
            Some("INSERT INTO t VALUES (940, CAST('it''s' AS text), 940 + 1)")
        );
    }
}
