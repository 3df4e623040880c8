//! INSERT … SELECT by way of the router: the coordinator runs the source, its rows are dealt out to their shards.
//!
//! All rows are read before the first is inserted, so that a source which reads the target does not see what is
//! being inserted. Each shard gets one INSERT with an array per column, because ON CONFLICT DO UPDATE must see all
//! rows of a shard at once to refuse a second change of the same row.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use howdah_catalog::{GroupId, Table};
use howdah_pg::wire::frontend::{self, Target};
use howdah_pg::wire::{Format, backend};
use howdah_planner::{InsertColumn, InsertSelect};

use super::intermediate::{Arrays, Encoding, Rows, builtin_name, from_arrays};
use super::multi_shard::write;
use super::rows::values;
use super::shard_key::{KeyValue, null_key, shard_of};
use super::task::{Parameters, Task};
use super::{rendering, time_constant};
use crate::error::{Error, Result};
use crate::execution::Execution;
use crate::server::error_fields;
use crate::session::Session;

pub(super) async fn run(session: &mut Session, execution: &Execution<'_>, plan: &InsertSelect) -> Result<()> {
    let table = execution.catalog.table(plan.table).cloned();
    let table = table.ok_or_else(|| Error::Internal("the plan is of another catalog".to_owned()))?;
    session.transaction.open_statement();
    let query = source(session, execution, plan).await?;
    let rows = read(session, execution, query).await?;
    execution.put_description(session.client.buffer());
    if rows.is_empty() {
        session.end_statement().await?;
        session.client.push_command_complete("INSERT 0 0");
        return Ok(());
    }
    let uses_time = plan.prefix.uses_time()
        || plan.suffix.uses_time()
        || plan.computed.iter().any(|it| it.expression.uses_time());
    let time = time_constant(session, uses_time).await?;
    let computed = compute(session, execution, plan, rows.len(), time.as_deref()).await?;
    let shards = deal(session, plan, &table, &rows, &computed).await?;
    let width = plan.columns.len() + plan.computed.len();
    let tasks = shards.into_iter().map(|(shard, rows)| {
        let text = task_text(execution, plan, shard, time.as_deref())?;
        Ok(Task { group: table.shards()[shard].group, text, arrays: Arrays::of(&rows, width) })
    });
    let tasks: Vec<Task> = tasks.collect::<Result<_>>()?;
    write(session, execution, tasks, None).await
}

/// The source as it stands if its columns have the table's types already, else with conversions.
async fn source<'a>(
    session: &mut Session,
    execution: &Execution<'_>,
    plan: &'a InsertSelect,
) -> Result<&'a str> {
    let parameters = Parameters::on_coordinator(execution);
    let coordinator = session.participant(GroupId::COORDINATOR).await?;
    let buffer = coordinator.buffer();
    frontend::put_parse(buffer, b"", plan.source.query.as_bytes(), &parameters.types);
    frontend::put_describe(buffer, Target::Statement(b""));
    coordinator.queue_sync();
    coordinator.flush().await?;
    let mut types = Vec::new();
    let mut result = Ok(());
    while session.transaction.opened(GroupId::COORDINATOR).is_some_and(|it| it.is_busy()) {
        let message = session.next_coordinator_message().await?;
        match message.tag {
            b'T' => {
                if let Ok(backend::Message::RowDescription(columns)) = backend::parse(b'T', &message.body) {
                    types = columns.into_iter().map(|it| it.type_oid).collect();
                }
            }
            b'E' if result.is_ok() => result = Err(Error::from(error_fields(&message.body))),
            _ => {}
        }
    }
    result?;
    let same = types.iter().eq(plan.columns.iter().map(|it| &it.type_oid));
    Ok(if same { &plan.source.query } else { &plan.source.converted })
}

/// Of the source's rows.
const MAX_BYTES: usize = 512 << 20;

fn too_large() -> Error {
    let megabytes = MAX_BYTES >> 20;
    Error::LimitExceeded(format!("the source's result is larger than {megabytes} MB"))
}

/// Runs the source on the coordinator, whose tables are live.
async fn read(session: &mut Session, execution: &Execution<'_>, query: &str) -> Result<Vec<Bytes>> {
    let parameters = Parameters::on_coordinator(execution);
    session.live.statement();
    let coordinator = session.participant(GroupId::COORDINATOR).await?;
    let buffer = coordinator.buffer();
    frontend::put_parse(buffer, b"", query.as_bytes(), &parameters.types);
    frontend::put_bind(buffer, b"", b"", &parameters.formats, parameters.values.iter().copied(), &[]);
    frontend::put_execute(buffer, b"", 0);
    coordinator.queue_sync();
    coordinator.flush().await?;
    let (mut rows, mut bytes) = (Vec::new(), 0);
    let mut result = Ok(());
    while session.transaction.opened(GroupId::COORDINATOR).is_some_and(|it| it.is_busy()) {
        let message = session.next_coordinator_message().await?;
        match message.tag {
            b'D' if result.is_ok() => {
                bytes += message.body.len();
                rows.push(message.body);
                if bytes > MAX_BYTES {
                    result = Err(too_large());
                    rows.clear();
                }
            }
            b'E' if result.is_ok() => result = Err(Error::from(error_fields(&message.body))),
            b'N' => session.client.push(b'N', &message.body),
            _ => {}
        }
    }
    result.map(|()| rows)
}

/// The values of the columns that the source lacks, row by row.
async fn compute(
    session: &mut Session,
    execution: &Execution<'_>,
    plan: &InsertSelect,
    rows: usize,
    time: Option<&str>,
) -> Result<Vec<Vec<Option<String>>>> {
    if plan.computed.is_empty() {
        return Ok(vec![vec![]; rows]);
    }
    let rendering = rendering(execution, 0, time, &[]);
    let list = plan.computed.iter().map(|it| rendering.render(&it.expression));
    let list = list.collect::<Result<Vec<_>>>()?.join(", ");
    let query = format!("SELECT {list} FROM pg_catalog.generate_series(1, {rows})");
    let parameters = Parameters::on_coordinator(execution);
    let coordinator = session.participant(GroupId::COORDINATOR).await?;
    let buffer = coordinator.buffer();
    frontend::put_parse(buffer, b"", query.as_bytes(), &parameters.types);
    frontend::put_bind(buffer, b"", b"", &parameters.formats, parameters.values.iter().copied(), &[]);
    frontend::put_execute(buffer, b"", 0);
    coordinator.queue_sync();
    coordinator.flush().await?;
    session.coordinator_rows().await
}

/// Deals the rows out to their shards.
async fn deal(
    session: &mut Session,
    plan: &InsertSelect,
    table: &Table,
    rows: &[Bytes],
    computed: &[Vec<Option<String>>],
) -> Result<BTreeMap<usize, Rows>> {
    let column = table.distribution_column();
    let column = column.ok_or_else(|| Error::Internal("the table has no distribution column".to_owned()))?;
    let mut shards: BTreeMap<usize, Rows> = BTreeMap::new();
    for (row, more) in rows.iter().zip(computed) {
        let more = || more.iter().map(|it| it.as_deref().map(str::as_bytes));
        let Some(key) = values(row).chain(more()).nth(plan.key).flatten() else {
            return Err(null_key(table, column));
        };
        let key =
            KeyValue { value: Cow::Borrowed(key), format: Format::Text, type_oid: howdah_pg::TypeOid(0) };
        let shard = shard_of(session, table, &key).await?;
        let rows = shards.entry(shard).or_insert_with(|| Rows::new(Encoding::Text(vec![])));
        rows.push_extended(row, more());
    }
    Ok(shards)
}

fn task_text(
    execution: &Execution<'_>,
    plan: &InsertSelect,
    shard: usize,
    time: Option<&str>,
) -> Result<String> {
    let rendering = rendering(execution, shard, time, &[]);
    let columns: Vec<&InsertColumn> =
        plan.columns.iter().chain(plan.computed.iter().map(|it| &it.column)).collect();
    let first = execution.bind.map_or(0, |_| execution.description.parameters.len()) + 1;
    let types = columns.iter().map(|it| builtin_name(it.type_oid).unwrap_or(&it.type_name));
    let prefix = rendering.render(&plan.prefix)?;
    let suffix = rendering.render(&plan.suffix)?;
    Ok(format!("{prefix}{}{suffix}", from_arrays(types, first)))
}
