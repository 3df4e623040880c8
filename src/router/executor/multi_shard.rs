//! One query per shard group on all workers at once, and the merge of their results.

use std::collections::BTreeSet;
use std::sync::Arc;

use howdah_catalog::{Catalog, GroupId, Table};
use howdah_pg::TypeOid;
use howdah_pg::wire::backend::{self, ColumnDescription};
use howdah_planner::{Merge, MultiShard};
use howdah_sql::Kind;

use super::combine::{self, Collector};
use super::gather::{Sink, Summary, gather, gather_some};
use super::merge::{self, Window};
use super::rows::ClientRows;
use super::task::{ColumnFormat, RowFormats, Task, queue_description, queue_task};
use super::{for_client, rendering, time_constant};
use crate::error::{Error, Result};
use crate::execution::Execution;
use crate::server::{ServerConnection, error_fields};
use crate::session::Session;
use crate::write_lock::write_lock;

pub(super) async fn run(session: &mut Session, execution: &Execution<'_>, plan: &MultiShard) -> Result<()> {
    let anchor = anchor(execution.catalog, plan)?;
    let time = time_constant(session, plan.uses_time).await?;
    let tasks = tasks(plan, execution, &anchor, time.as_deref())?;
    execution.put_description(session.client.buffer());
    let result = merge(session, execution, plan, &anchor, &tasks).await;
    result.map_err(|error| for_client(error, &tasks[0].text, execution))
}

async fn merge(
    session: &mut Session,
    execution: &Execution<'_>,
    plan: &MultiShard,
    anchor: &Table,
    tasks: &[Task],
) -> Result<()> {
    match &plan.merge {
        Merge::Modified => {
            let serialised = !matches!(execution.statement.kind(), Kind::Insert);
            write(session, execution, tasks, serialised.then_some(anchor)).await
        }
        Merge::Concat { limit, offset } => {
            let window = Window::of(*limit, *offset, execution)?;
            concat(session, execution, tasks, window).await
        }
        Merge::Combine(it) => combine(session, execution, tasks, it).await,
        Merge::Ordered { keys, output_columns, limit, offset, fallback } => {
            let window = Window::of(*limit, *offset, execution)?;
            let order = merge::Order { keys, output_columns: *output_columns };
            if merge::is_mergeable(execution) {
                merge::ordered(session, execution, tasks, &order, window, fallback).await
            } else {
                combine(session, execution, tasks, fallback).await
            }
        }
    }
}

pub(super) fn anchor(catalog: &Catalog, plan: &MultiShard) -> Result<Arc<Table>> {
    let table = catalog.table(plan.anchor).cloned();
    table.ok_or_else(|| Error::Internal("the plan is of another catalog".to_owned()))
}

pub(super) fn tasks(
    plan: &MultiShard,
    execution: &Execution<'_>,
    anchor: &Table,
    time: Option<&str>,
) -> Result<Vec<Task>> {
    // Without any shard there would be nobody to say what an empty result looks like.
    let indexes = if plan.shards.is_empty() { &[0][..] } else { &plan.shards };
    let task = |index: &usize| {
        let shard = anchor.shards().get(*index);
        let group = shard.ok_or_else(|| Error::Internal("the plan is of another catalog".to_owned()))?.group;
        let text = rendering(execution, *index, time, &[]).render(&plan.template)?;
        Ok(Task::new(group, text))
    };
    indexes.iter().map(task).collect()
}

pub(super) fn groups(tasks: &[Task]) -> BTreeSet<GroupId> {
    tasks.iter().map(|it| it.group).collect()
}

/// Sends each worker its tasks in one write.
pub(super) async fn send(
    session: &mut Session,
    execution: &Execution<'_>,
    tasks: &[Task],
    formats: &RowFormats,
) -> Result<()> {
    for group in groups(tasks) {
        let connection = session.participant(group).await?;
        for (number, task) in tasks.iter().filter(|it| it.group == group).enumerate() {
            queue_task(connection, task, execution, formats, number == 0);
        }
        connection.queue_sync();
    }
    for (_, connection) in session.transaction.connections().filter(|it| groups(tasks).contains(&it.0)) {
        connection.flush().await?;
    }
    Ok(())
}

/// Reads all answers of the workers that have tasks.
pub(super) async fn receive(session: &mut Session, tasks: &[Task], sink: &mut dyn Sink) -> Result<Summary> {
    let wanted = groups(tasks);
    let Session { transaction, client, .. } = session;
    let connections = transaction.connections().filter(|it| wanted.contains(&it.0)).map(|it| it.1);
    let mut connections: Vec<&mut ServerConnection> = connections.collect();
    gather(&mut connections, client, sink).await?.finish()
}

/// The same until the sink is full; true if nothing is left to be read.
pub(super) async fn receive_some(
    session: &mut Session,
    tasks: &[Task],
    sink: &mut dyn Sink,
    summary: &mut Summary,
) -> Result<bool> {
    let wanted = groups(tasks);
    let Session { transaction, client, .. } = session;
    let connections = transaction.connections().filter(|it| wanted.contains(&it.0)).map(|it| it.1);
    let mut connections: Vec<&mut ServerConnection> = connections.collect();
    gather_some(&mut connections, client, sink, summary).await
}

async fn concat(
    session: &mut Session,
    execution: &Execution<'_>,
    tasks: &[Task],
    window: Window,
) -> Result<()> {
    send(session, execution, tasks, &RowFormats::Client).await?;
    let mut sink = ClientRows::new(window);
    receive(session, tasks, &mut sink).await?;
    session.client.push_command_complete(&format!("SELECT {}", sink.passed()));
    Ok(())
}

async fn combine(
    session: &mut Session,
    execution: &Execution<'_>,
    tasks: &[Task],
    combine: &howdah_planner::Combine,
) -> Result<()> {
    let formats = exact_formats(session, execution, &tasks[0]).await?;
    send(session, execution, tasks, &formats).await?;
    let collector = Collector::new(&formats);
    combine::run(session, execution, tasks, combine, collector, Summary::default()).await
}

/// In which formats intermediate rows lose nothing. Text does, but for floats of which the session wants to
/// see fewer digits than they have: these are asked for in binary.
async fn exact_formats(session: &mut Session, execution: &Execution<'_>, task: &Task) -> Result<RowFormats> {
    let digits = session.settings.get("extra_float_digits").and_then(|it| it.parse::<i32>().ok());
    if digits.is_none_or(|it| it > 0) {
        return Ok(RowFormats::Text);
    }
    let connection = session.participant(task.group).await?;
    let columns = describe(connection, task, execution).await?;
    let formats = columns.iter().map(|it| match it.type_oid {
        TypeOid::FLOAT4 => ColumnFormat::Float4,
        TypeOid::FLOAT8 => ColumnFormat::Float8,
        _ => ColumnFormat::Text,
    });
    Ok(RowFormats::Columns(formats.collect()))
}

/// The columns of a task's rows.
async fn describe(
    connection: &mut ServerConnection,
    task: &Task,
    execution: &Execution<'_>,
) -> Result<Vec<ColumnDescription>> {
    queue_description(connection, task, execution);
    connection.queue_sync();
    connection.flush().await?;
    let mut columns = Vec::new();
    let mut result = Ok(());
    while connection.is_busy() {
        let message = connection.next_message().await?;
        match message.tag {
            b'T' => {
                if let Ok(backend::Message::RowDescription(described)) = backend::parse(b'T', &message.body) {
                    columns = described;
                }
            }
            b'E' if result.is_ok() => result = Err(Error::from(error_fields(&message.body))),
            _ => {}
        }
    }
    result.map(|()| columns)
}

/// Runs tasks that write, in one transaction; the CommandComplete comes after its commit if it is the
/// statement's own. `serialised` names the table of which only one such write may run.
pub(super) async fn write(
    session: &mut Session,
    execution: &Execution<'_>,
    tasks: &[Task],
    serialised: Option<&Table>,
) -> Result<()> {
    // One statement on one node commits by itself.
    if tasks.len() > 1 || serialised.is_some() {
        session.transaction.open_statement();
    }
    if let Some(table) = serialised {
        lock_table(session, table).await?;
    }
    session.join(groups(tasks)).await?;
    for group in groups(tasks) {
        session.transaction.mark_writer(group);
    }
    send(session, execution, tasks, &RowFormats::Client).await?;
    let mut sink = ClientRows::new(Window::default());
    let summary = receive(session, tasks, &mut sink).await?;
    session.end_statement().await?;
    session.client.push_command_complete(&summary.tag());
    Ok(())
}

async fn lock_table(session: &mut Session, table: &Table) -> Result<()> {
    let Some((group, lock)) = write_lock(table) else { return Ok(()) };
    session.participant(group).await?.run(&lock).await
}
