//! EXPLAIN of a distributed statement: the rung and why not the ones above it, the shards, and the plan of a worker.
//!
//! With ANALYZE every task is run, one after the other, and the slowest is shown. Writes are written, as
//! they are by PostgreSQL.

use howdah_catalog::{Catalog, GroupId};
use howdah_pg::TypeOid;
use howdah_pg::wire::backend::{self, ColumnDescription};
use howdah_pg::wire::{Format, frontend};
use howdah_planner::Plan;
use howdah_sql::ast::{DefElem, ExplainStmt};
use howdah_sql::{NodeEnum, Statement};

use super::multi_shard::{anchor, tasks};
use super::task::{Parameters, RowFormats, Task, queue_task};
use super::{for_client, rendering, time_constant};
use crate::error::{Error, Result};
use crate::execution::Execution;
use crate::server::{error_fields, text_row};
use crate::session::Session;
use crate::session::single_shard::{Values, shard_group};

pub(super) async fn run(session: &mut Session, explain: &Statement, execution: &Execution<'_>) -> Result<()> {
    let NodeEnum::ExplainStmt(statement) = explain.node() else {
        return Err(Error::Internal("what is explained is no EXPLAIN".to_owned()));
    };
    let options = Options::of(statement)?;
    let mut lines = howdah_planner::explain(execution.planned, execution.catalog);
    match &execution.planned.plan {
        Plan::Coordinator { .. } => lines.extend(on_coordinator(session, execution, &options).await?),
        Plan::SingleShard(_) | Plan::MultiShard(_) => {
            lines.extend(on_workers(session, execution, &options).await?);
        }
        Plan::InsertValues(_) | Plan::InsertSelect(_) if options.analyze => {
            return Err(Error::not_supported(
                "cannot EXPLAIN ANALYZE an INSERT that is dealt out to shards",
                "Use EXPLAIN without ANALYZE.",
            ));
        }
        Plan::InsertValues(_) | Plan::InsertSelect(_) => {}
    }
    session.end_statement().await?;
    answer(session, execution, &lines);
    Ok(())
}

struct Options {
    analyze: bool,
    /// The list as written, for the servers.
    list: String,
}

impl Options {
    fn of(statement: &ExplainStmt) -> Result<Self> {
        let mut options = Self { analyze: false, list: String::new() };
        let mut list = Vec::new();
        for option in statement.options.iter().filter_map(|it| it.node.as_ref()) {
            let NodeEnum::DefElem(option) = option else { continue };
            let value = value(option);
            match option.defname.as_str() {
                "format" if !value.eq_ignore_ascii_case("text") => {
                    return Err(Error::not_supported(
                        format!("EXPLAIN (FORMAT {value}) of a distributed statement is not supported"),
                        "Use FORMAT TEXT.",
                    ));
                }
                "analyze" => {
                    options.analyze = matches!(value.to_ascii_lowercase().as_str(), "" | "true" | "on" | "1")
                }
                _ => {}
            }
            list.push(format!("{} {value}", option.defname));
        }
        options.list = if list.is_empty() { String::new() } else { format!("({}) ", list.join(", ")) };
        Ok(options)
    }

    fn text(&self, query: &str) -> String {
        format!("EXPLAIN {}{query}", self.list)
    }
}

fn value(option: &DefElem) -> String {
    match option.arg.as_ref().and_then(|it| it.node.as_ref()) {
        Some(NodeEnum::String(it)) => it.sval.clone(),
        Some(NodeEnum::Integer(it)) => it.ival.to_string(),
        Some(NodeEnum::Boolean(it)) => it.boolval.to_string(),
        _ => String::new(),
    }
}

/// The coordinator's own plan, over live tables.
async fn on_coordinator(
    session: &mut Session,
    execution: &Execution<'_>,
    options: &Options,
) -> Result<Vec<String>> {
    session.transaction.open_statement();
    session.live.statement();
    let text = options.text(&String::from_utf8_lossy(execution.text));
    let parameters = Parameters::on_coordinator(execution);
    let writes = execution.planned.plan.writes() && options.analyze;
    let coordinator = session.participant(GroupId::COORDINATOR).await?;
    let buffer = coordinator.buffer();
    frontend::put_parse(buffer, b"", text.as_bytes(), &parameters.types);
    frontend::put_bind(buffer, b"", b"", &parameters.formats, parameters.values.iter().copied(), &[]);
    frontend::put_execute(buffer, b"", 0);
    coordinator.queue_sync();
    coordinator.flush().await?;
    if writes {
        session.transaction.mark_writer(GroupId::COORDINATOR);
    }
    let rows = session.coordinator_rows().await?;
    Ok(rows.into_iter().flatten().flatten().map(|it| format!("  {it}")).collect())
}

async fn on_workers(
    session: &mut Session,
    execution: &Execution<'_>,
    options: &Options,
) -> Result<Vec<String>> {
    let tasks = worker_tasks(session, execution).await?;
    let Some(first) = tasks.first() else { return Ok(vec![]) };
    let writes = execution.planned.plan.writes() && options.analyze;
    if writes {
        session.transaction.open_statement();
    }
    let count = tasks.len();
    let mut shown = (first, Vec::new(), -1.0);
    for task in tasks.iter().take(if options.analyze { count } else { 1 }) {
        let plan = worker_plan(session, execution, task, options, writes).await?;
        let time = execution_time(&plan);
        if shown.2 < time {
            shown = (task, plan, time);
        }
    }
    let which = if options.analyze && count > 1 { " (the slowest)" } else { "" };
    let mut lines = vec![
        format!("  tasks: {count}"),
        format!("  task{which} on {}: {}", node(execution.catalog, shown.0.group), shown.0.text),
    ];
    lines.extend(shown.1.into_iter().map(|it| format!("    {it}")));
    Ok(lines)
}

/// The worker queries of a plan; none where the keys are not known yet.
async fn worker_tasks(session: &mut Session, execution: &Execution<'_>) -> Result<Vec<Task>> {
    match &execution.planned.plan {
        Plan::MultiShard(plan) => {
            let time = time_constant(session, plan.uses_time).await?;
            tasks(plan, execution, &*anchor(execution.catalog, plan)?, time.as_deref())
        }
        Plan::SingleShard(plan) => {
            let values = Values {
                text: execution.text,
                literals: execution.literals,
                bind: execution.bind,
                parameter_types: &execution.description.parameters,
                utf8: execution.utf8,
            };
            let Some(shard) = shard_group(plan, execution.catalog, &values) else { return Ok(vec![]) };
            let time = time_constant(session, plan.uses_time).await?;
            let text = rendering(execution, shard.index, time.as_deref(), &[]).render(&plan.template)?;
            Ok(vec![Task::new(shard.group, text)])
        }
        Plan::Coordinator { .. } | Plan::InsertValues(_) | Plan::InsertSelect(_) => Ok(vec![]),
    }
}

async fn worker_plan(
    session: &mut Session,
    execution: &Execution<'_>,
    task: &Task,
    options: &Options,
    writes: bool,
) -> Result<Vec<String>> {
    let explained = Task::new(task.group, options.text(&task.text));
    let connection = session.participant(task.group).await?;
    queue_task(connection, &explained, execution, &RowFormats::Text, false);
    connection.queue_sync();
    connection.flush().await?;
    if writes {
        session.transaction.mark_writer(task.group);
    }
    let mut lines = Vec::new();
    let mut result = Ok(());
    while let Some(connection) = session.transaction.opened(task.group).filter(|it| it.is_busy()) {
        let message = connection.next_message().await?;
        match message.tag {
            b'D' => lines.extend(text_row(&message.body).into_iter().flatten()),
            b'E' if result.is_ok() => result = Err(Error::from(error_fields(&message.body))),
            _ => {}
        }
    }
    match result {
        Ok(()) => Ok(lines),
        Err(error) => Err(for_client(error, &task.text, execution)),
    }
}

/// `Execution Time: 0.031 ms`, of a plan that was run.
fn execution_time(plan: &[String]) -> f64 {
    let time = plan
        .iter()
        .find_map(|it| it.trim().strip_prefix("Execution Time: ")?.strip_suffix(" ms")?.parse().ok());
    time.unwrap_or(0.0)
}

fn node(catalog: &Catalog, group: GroupId) -> String {
    catalog.node(group).map_or_else(|| group.to_string(), |it| format!("{}:{}", it.name, it.port))
}

fn answer(session: &mut Session, execution: &Execution<'_>, lines: &[String]) {
    let column = ColumnDescription {
        name: b"QUERY PLAN".as_slice().into(),
        table_oid: 0,
        column: 0,
        type_oid: TypeOid::TEXT,
        type_size: -1,
        typmod: -1,
        format: Format::Text,
    };
    let buffer = session.client.buffer();
    if execution.bind.is_none() {
        backend::put_row_description(buffer, &[column]);
    }
    for line in lines {
        backend::put_data_row(buffer, [Some(line.as_bytes())]);
    }
    session.client.push_command_complete("EXPLAIN");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_plan_is_read() {
        let plan = ["Seq Scan on t".to_owned(), "Execution Time: 1.250 ms".to_owned()];
        assert!((execution_time(&plan) - 1.25).abs() < 1e-9);
        assert!(execution_time(&plan[..1]).abs() < 1e-9);
    }
}
