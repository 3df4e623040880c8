//! UPDATE and DELETE that come through the loopback, run on the shards as the table's owner.

use std::collections::BTreeMap;

use bytes::Bytes;
use howdah_catalog::{GroupId, ShardInterval, Table};
use howdah_pg::hash::hash_text_value;
use howdah_pg::{SqlState, TypeOid};
use howdah_sql::quote_identifier;

use super::call::record_fields;
use super::fetch::{key, text_array};
use super::flight::Outcome;
use super::host::Host;
use super::live::{Caller, Live, rows_of};
use super::modify::{Command, Modify, Rows as Changed};
use super::request::{Answer, Parameters, Rows};
use super::row_id::RowId;
use super::select::Value;
use super::worker_query::{pruned, shard_reference};
use super::write::{Writes, distributed};
use crate::error::{Error, Result};
use crate::server::text_row;

impl Live {
    pub(super) async fn modify<H: Host>(
        &mut self,
        host: &mut H,
        caller: &Caller,
        modify: &Modify,
        parameters: &Parameters,
    ) -> Result<Answer> {
        host.check_writable()?;
        let catalog = host.catalog();
        let table = distributed(catalog.table(modify.table).map(|it| &**it), modify.table)?;
        let (shards, condition) = target(table, modify, parameters)?;
        check_key(table, modify, parameters, &shards)?;
        if 1 < shards.len() {
            self.take_turn(host, caller, table).await?;
        }
        let mut groups: BTreeMap<GroupId, Vec<String>> = BTreeMap::new();
        for (_, shard) in &shards {
            groups.entry(shard.group).or_default().push(shard_reference(table, shard));
        }
        let function = match modify.returns() {
            true => "SELECT howdah.write_returning($1, $2::text[], $3)",
            false => "SELECT howdah.write($1, $2::text[], $3)",
        };
        let mut writes = Writes::to(table);
        for (group, shards) in groups {
            let statements = shards.iter().map(|it| Some(statement(it, modify, &condition, parameters)));
            let statements = text_array(&statements.collect::<Vec<_>>());
            let key = key(host, group).await?;
            let flight = self.write_flight(host, &mut writes, group, &table.owner).await?;
            flight.query(function, &[Some(&key), Some(&statements), Some(&shards[0])]);
        }
        let outcomes = self.run_writes(host, caller, writes).await.map_err(moved)?;
        let command = modify.command.name();
        match modify.returns() {
            true => Ok(Answer::Returned(command, returned(&modify.returning, outcomes))),
            false => Ok(Answer::Modified(command, count(outcomes)?)),
        }
    }
}

type Shards<'a> = Vec<(usize, &'a ShardInterval)>;

/// The shards that are concerned, and the condition for their rows.
fn target<'a>(table: &'a Table, modify: &Modify, parameters: &Parameters) -> Result<(Shards<'a>, String)> {
    match &modify.rows {
        Changed::All => Ok((pruned(table, &[], parameters), String::new())),
        Changed::Where { condition, equalities } => {
            let condition = format!(" WHERE {}", condition.render(parameters));
            Ok((pruned(table, equalities, parameters), condition))
        }
        Changed::One => {
            let ctid = parameters.first().and_then(Option::as_deref);
            let ctid = ctid.ok_or_else(|| Error::Internal("a row without ctid".to_owned()))?;
            let row = RowId::decode(ctid, table.shards().len())?;
            let condition = format!(" WHERE ctid = '{}'", row.ctid());
            Ok((vec![(row.shard, &table.shards()[row.shard])], condition))
        }
    }
}

/// A row must stay in the shard of its hash.
fn check_key(table: &Table, modify: &Modify, parameters: &Parameters, shards: &Shards<'_>) -> Result<()> {
    let Some(column) = table.distribution_column() else { return Ok(()) };
    let Some(assignment) = modify.assignments.iter().find(|it| it.column == column.name) else {
        return Ok(());
    };
    let value = match &assignment.value {
        Some(Value::Constant(text)) => Some(text.as_str()),
        Some(Value::Parameter(index)) => parameters.get(*index).and_then(Option::as_deref),
        None => None,
    };
    let hash = value.and_then(|it| hash_text_value(column.type_oid, it));
    let stays = match (shards.as_slice(), hash) {
        _ if assignment.source.as_ref() == Some(&column.name) => true,
        ([(index, _)], Some(hash)) => table.shard_index_for_hash(hash) == *index,
        _ => false,
    };
    match stays {
        true => Ok(()),
        false => Err(Error::Planner(howdah_planner::Error::DistributionColumnChanged {
            table: table.name.clone(),
            column: column.name.clone(),
        })),
    }
}

/// PostgreSQL would move the row to another partition; the statement has come to this one alone.
fn moved(error: Error) -> Error {
    match error {
        Error::Postgres(fields)
            if fields.code() == SqlState::CHECK_VIOLATION
                && fields.message().contains("violates partition constraint") =>
        {
            Error::not_supported(
                "cannot move a row to another partition of a distributed table here",
                "Send the UPDATE as a statement of its own, outside of functions, or delete and insert the row.",
            )
        }
        other => other,
    }
}

fn statement(shard: &str, modify: &Modify, condition: &str, parameters: &Parameters) -> String {
    let mut sql = match modify.command {
        Command::Update => format!("UPDATE {shard} SET "),
        Command::Delete => format!("DELETE FROM {shard}"),
    };
    for (index, assignment) in modify.assignments.iter().enumerate() {
        sql.push_str(if index == 0 { "" } else { ", " });
        let column = quote_identifier(&assignment.column);
        sql.push_str(&format!("{column} = {}", assignment.expression.render(parameters)));
    }
    sql.push_str(condition);
    if modify.returns() {
        let columns: Vec<_> = modify.returning.iter().map(|it| quote_identifier(it)).collect();
        sql.push_str(&format!(" RETURNING {}", columns.join(", ")));
    }
    sql
}

pub(super) fn count(outcomes: BTreeMap<GroupId, Vec<Outcome>>) -> Result<u64> {
    let rows = outcomes.into_values().flatten().flat_map(|it| it.rows);
    let counts = rows.map(|it| text_row(&it).into_iter().next().flatten()?.parse::<u64>().ok());
    let counts: Option<Vec<u64>> = counts.collect();
    let counts = counts.ok_or_else(|| Error::Internal("a worker did not count its rows".to_owned()))?;
    Ok(counts.into_iter().sum())
}

/// The rows of RETURNING, which come as texts of records.
pub(super) fn returned(returning: &[String], outcomes: BTreeMap<GroupId, Vec<Outcome>>) -> Rows {
    let columns: Vec<_> = returning.iter().map(|it| (it.as_str(), TypeOid::TEXT, -1)).collect();
    let records = outcomes.into_values().flatten().flat_map(|it| it.rows);
    let fields = |it: Bytes| record_fields(&text_row(&it).into_iter().next().flatten().unwrap_or_default());
    rows_of(&columns, records.map(fields))
}
