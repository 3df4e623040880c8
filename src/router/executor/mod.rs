//! Performs plans that concern more than one message to one node: renders the worker queries, runs them, makes
//! one result of theirs.
//!
//! What reaches the client goes into its buffer as it arrives; nobody reads more from a worker than the
//! client takes. The caller ends the statement: ReadyForQuery and ErrorResponse are not written here.

mod combine;
mod explain;
mod insert;
mod insert_select;
mod intermediate;
mod lane;
mod lanes;
mod limits;
mod live;
mod merge;
mod multi_shard;
mod pace;
mod portion;
mod rows;
mod shard_key;
mod snapshot;
mod source;
mod stop;
mod summary;
mod task;

use howdah_planner::{Plan, SingleShard};
use howdah_sql::Statement;

pub(crate) use self::explain::put_plan_column;
pub(crate) use self::lanes::{Access, Lanes};
pub(crate) use self::pace::Pace;
pub(crate) use self::portion::Portions;
pub(crate) use self::rows::values as row_values;
pub(crate) use self::shard_key::{KeyValue, hash, null_key, shard_of};
pub(crate) use self::summary::Sink;
pub(crate) use self::task::{Form, Task};

use howdah_catalog::Catalog;

use crate::copy::{self, Copied};
use crate::error::{Error, MissingShard, Result};
use crate::execution::Execution;
use crate::session::Session;
use crate::session::single_shard::{Rendering, Values, shard_group};

/// Whether a value's text is the value, whatever its type.
pub(crate) fn text_says_all(session: &Session) -> bool {
    task::text_is_exact(&session.settings) && merge::iso_dates(session)
}

/// Runs every plan but those that are one message to one node, which the session forwards by itself.
pub(crate) async fn execute(session: &mut Session, execution: &Execution<'_>) -> Result<()> {
    match &execution.planned.plan {
        Plan::MultiShard(plan) => multi_shard::run(session, execution, plan).await,
        Plan::InsertValues(plan) => insert::run(session, execution, plan).await,
        Plan::InsertSelect(plan) => insert_select::run(session, execution, plan).await,
        Plan::Coordinator { .. } | Plan::SingleShard(_) => {
            Err(Error::Internal("a plan for one node came to the executor".to_owned()))
        }
    }
}

/// EXPLAIN: `execution` is of the statement inside.
pub(crate) async fn explain(
    session: &mut Session,
    explain: &Statement,
    execution: &Execution<'_>,
) -> Result<()> {
    explain::run(session, explain, execution).await
}

/// COPY of a table of the catalog.
pub(crate) async fn copy(session: &mut Session, statement: &Statement) -> Result<Copied> {
    copy::copy(session, statement).await
}

/// An error of a shard without the shard's number.
pub(crate) fn without_shards(error: Error, catalog: &Catalog) -> Error {
    match error {
        Error::Postgres(mut fields) => {
            let missing = crate::shard_error::misses_shard(&fields, catalog);
            crate::shard_error::for_client(&mut fields, "", b"", catalog);
            match missing {
                true => Error::MissingShard(MissingShard { fields, alone: false }),
                false => Error::Postgres(fields),
            }
        }
        other => other,
    }
}

/// The query of a plan for one shard group; none where its keys do not tell which.
async fn single_shard_task(
    session: &mut Session,
    execution: &Execution<'_>,
    plan: &SingleShard,
) -> Result<Option<Task>> {
    let values = Values {
        text: execution.text,
        literals: execution.literals,
        bind: execution.bind,
        parameter_types: &execution.description.parameters,
        utf8: execution.utf8,
    };
    let Some(shard) = shard_group(plan, execution.catalog, &values) else { return Ok(None) };
    let time = time_constant(session, plan.uses_time).await?;
    let text = rendering(execution, shard.index, time.as_deref(), &[]).render(&plan.template)?;
    Ok(Some(Task::new(shard.group, text)))
}

/// Fills templates in for one shard group.
fn rendering<'a>(
    execution: &Execution<'a>,
    shard: usize,
    time: Option<&'a str>,
    values: &'a [Option<String>],
) -> Rendering<'a> {
    Rendering {
        catalog: execution.catalog,
        shard,
        text: execution.text,
        literals: execution.literals,
        parameters: &[],
        client_parameters: 0,
        time,
        values,
    }
}

/// The transaction's time as a constant, where a plan uses it.
async fn time_constant(session: &mut Session, uses_time: bool) -> Result<Option<String>> {
    if !uses_time {
        return Ok(None);
    }
    Ok(Some(format!("'{}'::pg_catalog.timestamptz", session.transaction_time().await?)))
}

/// An error of a worker query in the client's terms.
fn for_client(error: Error, query: &str, execution: &Execution<'_>) -> Error {
    match error {
        Error::Postgres(mut fields) => {
            let missing = crate::shard_error::misses_shard(&fields, execution.catalog);
            crate::shard_error::for_client(&mut fields, query, execution.text, execution.catalog);
            match missing {
                true => Error::MissingShard(MissingShard { fields, alone: !execution.planned.plan.writes() }),
                false => Error::Postgres(fields),
            }
        }
        other => other,
    }
}
