//! INSERT … VALUES: each row goes to its own shard.

use std::collections::BTreeMap;

use howdah_catalog::Table;
use howdah_pg::wire::frontend;
use howdah_planner::{InsertValues, Template};

use super::multi_shard::write;
use super::shard_key::{null_key, shard_of, value_of};
use super::task::{Parameters, Task};
use super::{rendering, time_constant};
use crate::error::{Error, Result};
use crate::execution::Execution;
use crate::server::Draws;
use crate::session::Session;
use crate::session::single_shard::Rendering;

/// A select list has at most 1664 entries.
const EXPRESSIONS_PER_QUERY: usize = 1000;

pub(super) async fn run(session: &mut Session, execution: &Execution<'_>, plan: &InsertValues) -> Result<()> {
    let table = execution.catalog.table(plan.table).cloned();
    let table = table.ok_or_else(|| Error::Internal("the plan is of another catalog".to_owned()))?;
    let time = time_constant(session, plan.uses_time).await?;
    let expressions: Vec<&Template> = plan.values.iter().map(|it| &it.expression).collect();
    let computed = compute(session, execution, &expressions, time.as_deref()).await?;
    let shards = shards_of_rows(session, execution, plan, &table, &computed).await?;
    let tasks = shards.iter().map(|(shard, rows)| {
        let group = table.shards()[*shard].group;
        let rendering = rendering(execution, *shard, time.as_deref(), &computed);
        Ok(Task::new(group, task_text(plan, rows, &rendering)?))
    });
    let tasks: Vec<Task> = tasks.collect::<Result<_>>()?;
    execution.put_description(session.client.buffer());
    write(session, execution, tasks, None).await
}

/// Evaluates expressions on the coordinator, in order, in one flight; each result as text.
pub(super) async fn compute(
    session: &mut Session,
    execution: &Execution<'_>,
    expressions: &[&Template],
    time: Option<&str>,
) -> Result<Vec<Option<String>>> {
    if expressions.is_empty() {
        return Ok(vec![]);
    }
    let queries = expressions.chunks(EXPRESSIONS_PER_QUERY).map(|some| {
        let rendering = rendering(execution, 0, time, &[]);
        let texts = some.iter().map(|it| rendering.render(it));
        Ok(format!("SELECT {}", texts.collect::<Result<Vec<_>>>()?.join(", ")))
    });
    let queries: Vec<String> = queries.collect::<Result<_>>()?;
    let coordinator = session.coordinator_for(Draws::Likely).await?;
    for query in &queries {
        let parameters = Parameters::on_coordinator(execution);
        let buffer = coordinator.buffer();
        frontend::put_parse(buffer, b"", query.as_bytes(), &parameters.types);
        frontend::put_bind(buffer, b"", b"", &parameters.formats, parameters.values.iter().copied(), &[]);
        frontend::put_execute(buffer, b"", 0);
    }
    coordinator.queue_sync();
    coordinator.flush().await?;
    let values: Vec<Option<String>> = session.coordinator_rows().await?.into_iter().flatten().collect();
    if values.len() != expressions.len() {
        return Err(Error::Internal("the coordinator computed another number of values".to_owned()));
    }
    Ok(values)
}

/// For each shard the rows that go there, in their order.
async fn shards_of_rows(
    session: &mut Session,
    execution: &Execution<'_>,
    plan: &InsertValues,
    table: &Table,
    computed: &[Option<String>],
) -> Result<BTreeMap<usize, Vec<usize>>> {
    let column = table.distribution_column();
    let column = column.ok_or_else(|| Error::Internal("the table has no distribution column".to_owned()))?;
    let mut shards: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (number, row) in plan.rows.iter().enumerate() {
        let Some(key) = value_of(&row.key, execution, computed)? else {
            return Err(null_key(table, column));
        };
        shards.entry(shard_of(session, table, &key).await?).or_default().push(number);
    }
    Ok(shards)
}

fn task_text(plan: &InsertValues, rows: &[usize], rendering: &Rendering<'_>) -> Result<String> {
    let mut text = rendering.render(&plan.prefix)?;
    for (place, row) in rows.iter().enumerate() {
        if place > 0 {
            text.push_str(", ");
        }
        let template = &plan.rows[*row].template;
        template.0.iter().try_for_each(|it| rendering.put(it, &mut text))?;
    }
    plan.suffix.0.iter().try_for_each(|it| rendering.put(it, &mut text))?;
    Ok(text)
}
