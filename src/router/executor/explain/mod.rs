//! EXPLAIN of a distributed statement: the rung and why not the ones above it, the shards, and the plan of a worker.
//!
//! With ANALYZE every task is run, one after the other, and the slowest is shown. Writes are written, as
//! they are by PostgreSQL.

mod document;
mod options;

use howdah_catalog::{Catalog, GroupId};
use howdah_pg::wire::{backend, frontend};
use howdah_planner::{Plan, Planned};
use howdah_sql::Statement;

use self::document::Value;
pub(crate) use self::options::put_plan_column;
use self::options::{Format, Options};
use super::multi_shard::{anchor, tasks};
use super::task::{Parameters, RowFormats, Task, queue_task};
use super::{for_client, single_shard_task, time_constant};
use crate::error::{Error, Result};
use crate::execution::Execution;
use crate::server::{error_fields, text_row};
use crate::session::Session;

/// What a server said of its part.
#[derive(Default)]
struct Shown {
    tasks: usize,
    /// The worker's query and where it runs.
    task: Option<(String, String)>,
    /// The answer's rows: lines, or one document.
    plan: Vec<String>,
}

pub(super) async fn run(session: &mut Session, explain: &Statement, execution: &Execution<'_>) -> Result<()> {
    let options = Options::of(explain)?;
    let shown = match &execution.planned.plan {
        Plan::Coordinator { .. } => on_coordinator(session, execution, &options).await?,
        Plan::SingleShard(_) | Plan::MultiShard(_) => on_workers(session, execution, &options).await?,
        Plan::InsertValues(_) | Plan::InsertSelect(_) if options.analyze => {
            return Err(Error::not_supported(
                "cannot EXPLAIN ANALYZE an INSERT that is dealt out to shards",
                "Use EXPLAIN without ANALYZE.",
            ));
        }
        Plan::InsertValues(_) | Plan::InsertSelect(_) => {
            check_options(session, &options).await?;
            Shown::default()
        }
    };
    session.end_statement().await?;
    let words = howdah_planner::explain(execution.planned, execution.catalog);
    let rows = match options.format {
        Format::Text => lines(words, shown, &options),
        format => vec![format.write(&document(execution.planned, &words, shown)?)],
    };
    let buffer = session.client.buffer();
    if execution.bind.is_none() {
        put_plan_column(explain, buffer)?;
    }
    for row in rows {
        backend::put_data_row(buffer, [Some(row.as_bytes())]);
    }
    session.client.push_command_complete("EXPLAIN");
    Ok(())
}

fn lines(mut lines: Vec<String>, shown: Shown, options: &Options) -> Vec<String> {
    let Some((node, query)) = shown.task else {
        lines.extend(shown.plan.into_iter().map(|it| format!("  {it}")));
        return lines;
    };
    let which = if options.analyze && shown.tasks > 1 { " (the slowest)" } else { "" };
    lines.push(format!("  tasks: {}", shown.tasks));
    lines.push(format!("  task{which} on {node}: {query}"));
    lines.extend(shown.plan.into_iter().map(|it| format!("    {it}")));
    lines
}

/// The server's document, with what the router does above the server's plan. Programs that show plans find a node there
/// as they know them.
fn document(planned: &Planned, words: &[String], shown: Shown) -> Result<Value> {
    let mut query = match Value::parse(shown.plan.first().map_or("[]", |it| it))? {
        Value::List(queries) => queries.into_iter().next().unwrap_or(Value::Object(Vec::new())),
        other => other,
    };
    let mut members = vec![
        ("Node Type".to_owned(), Value::string("Custom Scan")),
        ("Custom Plan Provider".to_owned(), Value::string("Howdah")),
        ("Parallel Aware".to_owned(), Value::Scalar("false".to_owned())),
        ("Async Capable".to_owned(), Value::Scalar("false".to_owned())),
        ("Rung".to_owned(), Value::string(&words[0])),
    ];
    let reasons = planned.reasons.iter().map(|(rung, reason)| format!("not {}: {reason}", rung.name()));
    members.push(("Rungs Not Taken".to_owned(), Value::strings(reasons)));
    let details = words.iter().skip(1 + planned.reasons.len()).map(|it| it.trim());
    members.push(("Details".to_owned(), Value::strings(details)));
    if let Some((node, text)) = shown.task {
        members.push(("Tasks".to_owned(), Value::Scalar(shown.tasks.to_string())));
        members.push(("Node".to_owned(), Value::string(node)));
        members.push(("Query".to_owned(), Value::string(text)));
    }
    members.extend(query.take("Plan").map(|it| ("Plans".to_owned(), Value::List(vec![it]))));
    let mut all = vec![("Plan".to_owned(), Value::Object(members))];
    if let Value::Object(rest) = query {
        all.extend(rest);
    }
    Ok(Value::List(vec![Value::Object(all)]))
}

/// Where no server explains anything, one says at least whether it knows the options.
async fn check_options(session: &mut Session, options: &Options) -> Result<()> {
    let coordinator = session.participant(GroupId::COORDINATOR).await?;
    coordinator.queue_query(&options.text("SELECT 1"));
    coordinator.flush().await?;
    session.coordinator_rows().await.map(drop)
}

/// The coordinator's own plan, over live tables.
async fn on_coordinator(
    session: &mut Session,
    execution: &Execution<'_>,
    options: &Options,
) -> Result<Shown> {
    session.transaction.open_statement();
    session.live.statement(execution.text);
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
    Ok(Shown { plan: rows.into_iter().flatten().flatten().collect(), ..Shown::default() })
}

async fn on_workers(session: &mut Session, execution: &Execution<'_>, options: &Options) -> Result<Shown> {
    let tasks = worker_tasks(session, execution).await?;
    let Some(first) = tasks.first() else { return Ok(Shown::default()) };
    let writes = execution.planned.plan.writes() && options.analyze;
    if writes {
        session.transaction.open_statement();
    }
    let count = tasks.len();
    let mut slowest = (first, Vec::new(), -1.0);
    for task in tasks.iter().take(if options.analyze { count } else { 1 }) {
        let plan = worker_plan(session, execution, task, options, writes).await?;
        let time = execution_time(&plan, options.format);
        if slowest.2 < time {
            slowest = (task, plan, time);
        }
    }
    let (task, plan, _) = slowest;
    Ok(Shown { tasks: count, task: Some((node(execution.catalog, task.group), task.text.clone())), plan })
}

/// The worker queries of a plan; none where the keys are not known yet.
async fn worker_tasks(session: &mut Session, execution: &Execution<'_>) -> Result<Vec<Task>> {
    match &execution.planned.plan {
        Plan::MultiShard(plan) => {
            let time = time_constant(session, plan.uses_time).await?;
            tasks(plan, execution, &*anchor(execution.catalog, plan)?, time.as_deref())
        }
        Plan::SingleShard(plan) => {
            Ok(single_shard_task(session, execution, plan).await?.into_iter().collect())
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

/// Of a plan that was run.
fn execution_time(plan: &[String], format: Format) -> f64 {
    let time = match format {
        // `Execution Time: 0.031 ms`
        Format::Text => plan
            .iter()
            .find_map(|it| it.trim().strip_prefix("Execution Time: ")?.strip_suffix(" ms")?.parse().ok()),
        Format::Json | Format::Yaml | Format::Xml => {
            match plan.first().and_then(|it| Value::parse(it).ok()) {
                Some(Value::List(queries)) => queries.first().and_then(|it| it.number("Execution Time")),
                _ => None,
            }
        }
    };
    time.unwrap_or(0.0)
}

fn node(catalog: &Catalog, group: GroupId) -> String {
    catalog.node(group).map_or_else(|| group.to_string(), |it| format!("{}:{}", it.name, it.port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_plan_is_read() {
        let plan = ["Seq Scan on t".to_owned(), "Execution Time: 1.250 ms".to_owned()];
        assert!((execution_time(&plan, Format::Text) - 1.25).abs() < 1e-9);
        assert!(execution_time(&plan[..1], Format::Text).abs() < 1e-9);
    }
}
