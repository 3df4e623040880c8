//! What the coordinator is asked beside the source's rows.

use bytes::Bytes;
use howdah_catalog::GroupId;
use howdah_pg::TypeOid;
use howdah_pg::wire::backend;
use howdah_pg::wire::frontend::{self, Target};
use howdah_planner::InsertSelect;

use super::Computed;
use crate::error::{Error, Result};
use crate::execution::Execution;
use crate::executor::intermediate::Encoding;
use crate::executor::rendering;
use crate::executor::task::Parameters;
use crate::server::{Draws, Message, error_fields};
use crate::session::Session;

/// The types of a query's columns.
pub(super) async fn source_types(
    session: &mut Session,
    execution: &Execution<'_>,
    query: &str,
) -> Result<Vec<TypeOid>> {
    let parameters = Parameters::on_coordinator(execution);
    let coordinator = session.participant(GroupId::COORDINATOR).await?;
    let buffer = coordinator.buffer();
    frontend::put_parse(buffer, b"", query.as_bytes(), &parameters.types);
    frontend::put_describe(buffer, Target::Statement(b""));
    coordinator.queue_sync();
    coordinator.flush().await?;
    let mut types = Vec::new();
    take(session, |message| {
        if message.tag == b'T'
            && let Ok(backend::Message::RowDescription(columns)) = backend::parse(b'T', &message.body)
        {
            types = columns.into_iter().map(|it| it.type_oid).collect();
        }
    })
    .await?;
    Ok(types)
}

/// The values of the columns that the source lacks, row by row: bodies of DataRows. Nothing if it lacks none.
pub(super) async fn compute(
    session: &mut Session,
    execution: &Execution<'_>,
    plan: &InsertSelect,
    encoding: &Encoding,
    rows: usize,
    time: Option<&str>,
) -> Result<Computed> {
    if plan.computed.is_empty() {
        return Ok(vec![]);
    }
    let rendering = rendering(execution, 0, time, &[]);
    let list = plan.computed.iter().map(|it| rendering.render(&it.expression));
    let list = list.collect::<Result<Vec<_>>>()?.join(", ");
    let query = format!("SELECT {list} FROM pg_catalog.generate_series(1, {rows})");
    let parameters = Parameters::on_coordinator(execution);
    let coordinator = session.coordinator_for(Draws::Likely).await?;
    let buffer = coordinator.buffer();
    frontend::put_parse(buffer, b"", query.as_bytes(), &parameters.types);
    let values = parameters.values.iter().copied();
    frontend::put_bind(buffer, b"", b"", &parameters.formats, values, &encoding.formats());
    frontend::put_execute(buffer, b"", 0);
    coordinator.queue_sync();
    coordinator.flush().await?;
    let mut computed: Vec<Bytes> = Vec::with_capacity(rows);
    take(session, |message| {
        if message.tag == b'D' {
            computed.push(message.body.clone());
        }
    })
    .await?;
    match computed.len() == rows {
        true => Ok(computed),
        false => Err(Error::Internal("the coordinator computed another number of values".to_owned())),
    }
}

/// Reads all that the coordinator answers.
async fn take(session: &mut Session, mut each: impl FnMut(&Message)) -> Result<()> {
    let mut result = Ok(());
    while session.transaction.opened(GroupId::COORDINATOR).is_some_and(|it| it.is_busy()) {
        let message = session.next_coordinator_message().await?;
        match message.tag {
            b'E' if result.is_ok() => result = Err(Error::from(error_fields(&message.body))),
            b'N' => session.client.push(b'N', &message.body),
            _ => each(&message),
        }
    }
    result
}
