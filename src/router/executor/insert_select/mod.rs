//! INSERT … SELECT by way of the router: the source runs on whatever rung is right for it, and its rows are dealt out to their shards.
//!
//! Rows are read and written in portions over the same connections, with no more than a few portions in memory. The source's
//! portals were opened before the first row is written, so that a source which reads the target does not see what is being
//! inserted.
//!
//! Rows go to their shards by COPY ([`copies`]), but where ON CONFLICT, RETURNING or row-level security wants an INSERT
//! ([`statements`]).

mod coordinator;
mod copies;
mod statements;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use howdah_catalog::{Column, GroupId, Table};
use howdah_pg::TypeOid;
use howdah_pg::wire::{ErrorFields, Field, Format};
use howdah_planner::{InsertColumn, InsertSelect, PlannedSource};

use self::coordinator::{compute, source_types};
use self::copies::Copies;
use self::statements::Statements;
use super::for_client;
use super::intermediate::{Encoding, builtin_name, splits_letters};
use super::rows::values;
use super::shard_key::{KeyValue, ask_shard, hash, null_key};
use super::source::{Source, Wanted};
use super::task::{ColumnFormat, text_is_exact};
use super::time_constant;
use crate::error::{Error, Result};
use crate::execution::Execution;
use crate::session::Session;

pub(super) async fn run(session: &mut Session, execution: &Execution<'_>, plan: &InsertSelect) -> Result<()> {
    let table = execution.catalog.table(plan.table).cloned();
    let table = table.ok_or_else(|| Error::Internal("the plan is of another catalog".to_owned()))?;
    session.transaction.open_statement();
    match insert(session, execution, plan, &table).await {
        Ok(tag) => {
            session.end_statement().await?;
            session.client.push_command_complete(&tag);
            Ok(())
        }
        Err(error) => {
            drain(session).await;
            Err(for_client(error, "", execution))
        }
    }
}

/// Where rows are gathered until they are sent.
enum Target<'a> {
    Copies(Copies<'a>),
    Statements(Statements<'a>),
}

/// The command tag.
async fn insert(
    session: &mut Session,
    execution: &Execution<'_>,
    plan: &InsertSelect,
    table: &Table,
) -> Result<String> {
    let written = source_types(session, execution, &plan.source.written.query).await?;
    let same = written.iter().eq(plan.columns.iter().map(|it| &it.type_oid));
    let source = if same { &plan.source.written } else { &plan.source.converted };
    let copies = plan.suffix.is_empty() && !table.row_security;
    let encoding = encoding(session, plan, table, copies)?;
    let mut target = match copies {
        true => Target::Copies(Copies::new(execution, plan, table, &encoding)),
        false => Target::Statements(Statements::new(execution, plan, table, &encoding)),
    };
    let time = time_constant(session, uses_time(plan)).await?;
    let mut source = open(session, execution, plan, source, &encoding).await?;
    let given = plan.columns.len();
    let formats = encoding.of_columns(given..given + plan.computed.len());
    let key = Key::of(plan, table, &encoding)?;
    loop {
        let rows = source.read(session).await.map_err(without_position)?;
        if rows.is_empty() {
            break;
        }
        if copies {
            source.hold(session).await.map_err(without_position)?;
        }
        let computed = compute(session, execution, plan, &formats, rows.len(), time.as_deref()).await?;
        for (row, more) in rows.iter().zip(computed.iter().map(|it| &it[..]).chain(std::iter::repeat(NONE))) {
            let shard = key.shard(session, row, more).await?;
            match &mut target {
                Target::Copies(it) => it.push(shard, row, more),
                Target::Statements(it) => it.push(shard, row, more),
            }
        }
        match &mut target {
            Target::Copies(it) => it.send(session).await?,
            Target::Statements(it) => it.send(session).await?,
        }
    }
    source.close(session).await?;
    match target {
        Target::Copies(it) => it.finish(session).await,
        Target::Statements(it) => it.finish(session, time.as_deref()).await,
    }
}

/// The body of a DataRow without values.
const NONE: &[u8] = &[0, 0];

async fn open(
    session: &mut Session,
    execution: &Execution<'_>,
    plan: &InsertSelect,
    source: &PlannedSource,
    encoding: &Encoding,
) -> Result<Source> {
    let mut shape = howdah_sql::Shape::default();
    shape.read(source.query.as_bytes());
    let statement = howdah_sql::parse(&source.query).ok().and_then(|mut it| it.pop());
    let statement = statement.ok_or_else(|| Error::Internal("the source is no query".to_owned()))?;
    let execution = Execution {
        planned: &source.planned,
        statement: &Arc::new(statement),
        text: source.query.as_bytes(),
        literals: &shape.literals,
        ..*execution
    };
    let wanted = Wanted {
        encoding: encoding.of_columns(0..plan.columns.len()),
        types: plan.columns.iter().map(|it| type_name(it).to_owned()).collect(),
        ordered: source.ordered,
    };
    Source::open(session, &execution, &wanted).await.map_err(without_position)
}

fn uses_time(plan: &InsertSelect) -> bool {
    let computed = plan.computed.iter().any(|it| it.expression.uses_time());
    plan.prefix.uses_time() || plan.suffix.uses_time() || computed
}

fn type_name(column: &InsertColumn) -> &str {
    builtin_name(column.type_oid).unwrap_or(&column.type_name)
}

/// All columns of a row on its way to a shard.
fn columns(plan: &InsertSelect) -> impl Iterator<Item = &InsertColumn> {
    plan.columns.iter().chain(plan.computed.iter().map(|it| &it.column))
}

/// Binary where that loses nothing, is the same on every node and can be hashed here.
fn encoding(session: &Session, plan: &InsertSelect, table: &Table, copies: bool) -> Result<Encoding> {
    let key = table.distribution_column();
    let hashed = key.is_some_and(|it| it.typmod < 0 || is_text(it.type_oid));
    if copies && hashed && columns(plan).all(|it| is_plain(it.type_oid)) {
        return Ok(Encoding::Binary);
    }
    if splits_letters(&session.settings) {
        return Err(Error::not_supported(
            "this INSERT is not possible with this client_encoding",
            "SET client_encoding = 'UTF8'.",
        ));
    }
    if text_is_exact(&session.settings) {
        return Ok(Encoding::Text(vec![]));
    }
    Ok(Encoding::Text(columns(plan).map(|it| ColumnFormat::exact(it.type_oid)).collect()))
}

/// PostgreSQL's own types whose binary form says nothing of other types.
fn is_plain(type_oid: TypeOid) -> bool {
    builtin_name(type_oid).is_some_and(|it| !it.ends_with("[]"))
}

fn is_text(type_oid: TypeOid) -> bool {
    matches!(type_oid, TypeOid::TEXT | TypeOid::VARCHAR | TypeOid::BPCHAR)
}

/// Where in a row the distribution column is, and how to read it.
struct Key<'a> {
    table: &'a Table,
    column: &'a Column,
    index: usize,
    format: Format,
}

impl<'a> Key<'a> {
    fn of(plan: &InsertSelect, table: &'a Table, encoding: &Encoding) -> Result<Self> {
        let column = table.distribution_column();
        let column =
            column.ok_or_else(|| Error::Internal("the table has no distribution column".to_owned()))?;
        let only: Range<usize> = plan.key..plan.key + 1;
        let format = encoding.of_columns(only).formats().first().copied().unwrap_or_default();
        Ok(Self { table, column, index: plan.key, format })
    }

    async fn shard(&self, session: &mut Session, row: &[u8], more: &[u8]) -> Result<usize> {
        let Some(value) = values(row).chain(values(more)).nth(self.index).flatten() else {
            return Err(null_key(self.table, self.column));
        };
        let type_oid = if self.format == Format::Binary { self.column.type_oid } else { TypeOid(0) };
        let key = KeyValue { value: Cow::Borrowed(value), format: self.format, type_oid };
        // In another encoding the same letters are other bytes than on the server, and hash differently.
        let readable = session.utf8 || value.is_ascii() || !is_text(self.column.type_oid);
        match hash(self.column, &key).filter(|_| readable) {
            Some(hash) => Ok(self.table.shard_index_for_hash(hash)),
            None => ask_shard(session, self.table, &key).await,
        }
    }
}

/// A place in the source is none in the client's statement.
fn without_position(error: Error) -> Error {
    changed(error, |fields| fields.remove(Field::Position))
}

fn changed(error: Error, change: impl FnOnce(&mut ErrorFields)) -> Error {
    match error {
        Error::Postgres(mut fields) => {
            change(&mut fields);
            Error::Postgres(fields)
        }
        other => other,
    }
}

/// After an error: what nodes still answer concerns nobody, but it must be read.
async fn drain(session: &mut Session) {
    let groups: Vec<GroupId> = session.transaction.groups();
    for group in groups {
        if let Some(connection) = session.transaction.sound(group) {
            // An error marks the connection as broken.
            let _ = connection.flush().await;
            let _ = session.finish_on(group).await;
        }
    }
}

/// Rows that wait for their shard, in bytes: beyond this all are sent.
const HELD: usize = 4 << 20;

fn group_of(table: &Table, shard: usize) -> Result<GroupId> {
    let shard = table.shards().get(shard);
    shard.map(|it| it.group).ok_or_else(|| Error::Internal("the plan is of another catalog".to_owned()))
}

type Computed = Vec<Bytes>;
