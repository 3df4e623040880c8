//! EXECUTE of a statement that the client prepared by SQL, and that writes to distributed tables.
//!
//! PostgreSQL keeps what PREPARE made, and can run a SELECT of it over live tables. A write it cannot: that is
//! planned here, as the statement it stands for. Only constants are accepted as arguments, because only they
//! mean the same in the place of a parameter.

use howdah_catalog::GroupId;
use howdah_sql::ast::{AConst, a_const};
use howdah_sql::{Kind, NodeEnum, NodeRef, Statement, quote_literal};

use super::Session;
use crate::error::Result;
use crate::settings::literal;

impl Session {
    /// The text to run instead of an EXECUTE; `None` where the coordinator runs it.
    pub(super) async fn translate_execute(&mut self, text: &[u8]) -> Result<Option<String>> {
        let Some(text) = str::from_utf8(text).ok().filter(|it| self.kept.has_statements() && may_execute(it))
        else {
            return Ok(None);
        };
        let statements = howdah_sql::parse(text).unwrap_or_default();
        let [statement] = statements.as_slice() else { return Ok(None) };
        let NodeEnum::ExecuteStmt(execute) = statement.node() else { return Ok(None) };
        let arguments: Option<Vec<String>> =
            execute.params.iter().map(|it| constant(it.node.as_ref()?)).collect();
        let Some(arguments) = arguments else { return Ok(None) };
        let Some((prepared, types)) = self.find_prepared(&execute.name).await? else { return Ok(None) };
        if arguments.len() != types.len() || !self.is_distributed_write(&prepared) {
            return Ok(None);
        }
        Ok(substitute(&prepared, &arguments, &types))
    }

    fn is_distributed_write(&self, statement: &Statement) -> bool {
        let catalog = self.catalog();
        matches!(statement.kind(), Kind::Insert | Kind::Update | Kind::Delete | Kind::Merge)
            && howdah_sql::relation_names(statement).bare().any(|it| catalog.knows_name(it))
    }

    /// What PREPARE of this name holds, and the types of its parameters.
    async fn find_prepared(&mut self, name: &str) -> Result<Option<(Statement, Vec<String>)>> {
        let query = format!(
            "SELECT statement, pg_catalog.array_to_string(parameter_types::text[], '|') \
             FROM pg_catalog.pg_prepared_statements WHERE from_sql AND name = {}",
            literal(name)
        );
        let connection = self.participant(GroupId::COORDINATOR).await?;
        connection.queue_query(&query);
        connection.flush().await?;
        let rows = self.take_coordinator_rows().await?;
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
