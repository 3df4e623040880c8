//! A plan on the workers that turns out to be impossible at the last moment: the coordinator's PostgreSQL runs the statement over live
//! tables instead, before the client has seen anything of its rows.

use howdah_catalog::GroupId;
use howdah_pg::wire::frontend;
use howdah_planner::Plan;

use super::combine::relay;
use super::task::Parameters;
use crate::error::{Error, Result};
use crate::execution::Execution;
use crate::session::Session;

/// Why the workers' rows cannot be combined.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Obstacle {
    ReadOnly,
    Encoding,
}

pub(super) async fn run(session: &mut Session, execution: &Execution<'_>, obstacle: Obstacle) -> Result<()> {
    if !matches!(&execution.planned.plan, Plan::MultiShard(plan) if plan.live) {
        return Err(match obstacle {
            Obstacle::ReadOnly => Error::not_supported(
                "cannot store the intermediate result of this statement in a read-only transaction",
                "Use a transaction that may write.",
            ),
            Obstacle::Encoding => Error::not_supported(
                "cannot combine the results of shards with this client_encoding",
                "SET client_encoding = 'UTF8'.",
            ),
        });
    }
    let parameters = Parameters::on_coordinator(execution);
    let row_formats: Vec<_> = execution.bind.map_or(vec![], |it| it.result_formats.iter().collect());
    session.transaction.open_statement();
    session.live.statement(execution.text);
    let coordinator = session.participant(GroupId::COORDINATOR).await?;
    let buffer = coordinator.buffer();
    frontend::put_parse(buffer, b"", execution.text, &parameters.types);
    let values = parameters.values.iter().copied();
    frontend::put_bind(buffer, b"", b"", &parameters.formats, values, &row_formats);
    frontend::put_execute(buffer, b"", 0);
    coordinator.queue_sync();
    coordinator.flush().await?;
    relay(session).await
}
