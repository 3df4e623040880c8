//! One query per shard group on all workers at once, and the merge of their results.

use std::collections::BTreeSet;
use std::sync::Arc;

use howdah_catalog::{Catalog, GroupId, Table};
use howdah_pg::wire::backend::{self, ColumnDescription};
use howdah_planner::{Merge, MultiShard};
use howdah_sql::{Kind, NodeEnum};

use super::combine::{self, Collector};
use super::intermediate::splits_letters;
use super::lanes::{Access, Lanes};
use super::live::{self, Obstacle};
use super::merge::{self, Window};
use super::rows::ClientRows;
use super::summary::Summary;
use super::task::{ColumnFormat, Form, RowFormats, Task, queue_description, text_is_exact};
use super::{rendering, time_constant};
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
    match &plan.merge {
        Merge::Modified => {
            let serialised = !matches!(execution.statement.kind(), Kind::Insert);
            write(session, execution, tasks, serialised.then_some(&anchor)).await
        }
        Merge::Concat { limit, offset } => {
            let window = Window::of(*limit, *offset, execution)?;
            concat(session, execution, tasks, window).await
        }
        Merge::Combine(it) => combine(session, execution, tasks, it).await,
        Merge::Ordered { keys, output_columns, limit, offset, fallback } => {
            let window = Window::of(*limit, *offset, execution)?;
            let order = merge::Order { keys, output_columns: *output_columns };
            match locks_rows(execution) {
                true => combine(session, execution, tasks, fallback).await,
                false => merge::ordered(session, execution, tasks, &order, window, fallback).await,
            }
        }
    }
}

/// FOR UPDATE and its like, which allow no UNION ALL.
pub(super) fn locks_rows(execution: &Execution<'_>) -> bool {
    matches!(execution.statement.node(), NodeEnum::SelectStmt(it) if !it.locking_clause.is_empty())
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

async fn concat(
    session: &mut Session,
    execution: &Execution<'_>,
    tasks: Vec<Task>,
    window: Window,
) -> Result<()> {
    let access = match (locks_rows(execution), window.wanted()) {
        (true, _) => Access::Write,
        (false, None) => Access::Read,
        (false, Some(rows)) => Access::ReadSome(rows),
    };
    let form = Form::Statement { execution, formats: RowFormats::Client };
    let mut lanes = Lanes::start(session, form, tasks, access).await?;
    let mut rows = ClientRows::new(window);
    lanes.read(session, &mut rows).await?;
    lanes.finish(session).await?;
    session.client.push_command_complete(&format!("SELECT {}", rows.passed()));
    Ok(())
}

pub(super) async fn combine(
    session: &mut Session,
    execution: &Execution<'_>,
    tasks: Vec<Task>,
    combine: &howdah_planner::Combine,
) -> Result<()> {
    if splits_letters(&session.settings) {
        return live::run(session, execution, Obstacle::Encoding).await;
    }
    let formats = exact_formats(session, execution, &tasks[0]).await?;
    let worker = tasks[0].group;
    let collector = Collector::new(&formats, combine.of_distinct);
    let access = if locks_rows(execution) { Access::Write } else { Access::Read };
    let lanes = Lanes::start(session, Form::Statement { execution, formats }, tasks, access).await?;
    combine::run(session, execution, lanes, worker, combine, collector).await
}

/// In which formats intermediate rows lose nothing. Text does, but for floats of which the session wants to
/// see fewer digits than they have: these are asked for in binary.
pub(super) async fn exact_formats(
    session: &mut Session,
    execution: &Execution<'_>,
    task: &Task,
) -> Result<RowFormats> {
    if text_is_exact(&session.settings) {
        return Ok(RowFormats::Text);
    }
    let connection = session.participant(task.group).await?;
    let columns = describe(connection, task, execution).await?;
    Ok(RowFormats::Columns(columns.iter().map(|it| ColumnFormat::exact(it.type_oid)).collect()))
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
    tasks: Vec<Task>,
    serialised: Option<&Table>,
) -> Result<()> {
    let summary = write_tasks(session, execution, tasks, serialised).await?;
    session.end_statement().await?;
    session.client.push_command_complete(&summary.tag());
    Ok(())
}

/// The same, but for the statement's end.
pub(super) async fn write_tasks(
    session: &mut Session,
    execution: &Execution<'_>,
    tasks: Vec<Task>,
    serialised: Option<&Table>,
) -> Result<Summary> {
    // One statement on one node commits by itself.
    if tasks.len() > 1 || serialised.is_some() {
        session.transaction.open_statement();
    }
    if let Some(table) = serialised {
        lock_table(session, table).await?;
    }
    let groups: BTreeSet<GroupId> = tasks.iter().map(|it| it.group).collect();
    session.join(groups.iter().copied()).await?;
    groups.iter().for_each(|it| session.transaction.mark_writer(*it));
    let form = Form::Statement { execution, formats: RowFormats::Client };
    let mut lanes = Lanes::start(session, form, tasks, Access::Write).await?;
    lanes.read(session, &mut ClientRows::new(Window::default())).await?;
    lanes.finish(session).await
}

async fn lock_table(session: &mut Session, table: &Table) -> Result<()> {
    let Some((group, lock)) = write_lock(table) else { return Ok(()) };
    session.participant(group).await?.run(&lock).await
}
