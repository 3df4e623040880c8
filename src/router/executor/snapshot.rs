//! One moment for all workers of a statement: their snapshots are taken within the fence, and only then is anything computed.
//!
//! A statement by itself begins a transaction on each worker, which takes its snapshot with an empty SELECT. In a READ COMMITTED
//! block there is no snapshot without a query: the tasks are bound to portals, which have theirs from then on. They are parsed
//! before the fence is held, because that waits for the locks of others, DDL for one, who may wait for the fence in turn.

use std::collections::BTreeSet;
use std::sync::Arc;

use howdah_catalog::GroupId;
use howdah_pg::wire::frontend::{self, Target};

use super::for_client;
use super::lane::Part;
use super::lanes::Lanes;
use super::summary::Sink;
use super::task::{Form, Task, queue_bind, queue_description};
use crate::client::Client;
use crate::error::Result;
use crate::execution::Execution;
use crate::fence::Hold;
use crate::server::ServerConnection;
use crate::session::Session;

/// The fence, for portals that are about to be bound in a transaction. None if no fence is needed.
pub(super) async fn fence_portals<'t>(
    session: &mut Session,
    execution: &Execution<'_>,
    tasks: impl Iterator<Item = &'t Task>,
) -> Result<Option<Arc<Hold>>> {
    let tasks: Vec<&Task> = tasks.collect();
    let groups: BTreeSet<GroupId> = tasks.iter().map(|it| it.group).collect();
    if groups.len() < 2 || !session.needs_fence() {
        return Ok(None);
    }
    for task in &tasks {
        let connection = session.participant(task.group).await?;
        queue_description(connection, task, execution);
    }
    let mut result = Ok(());
    for group in &groups {
        let connection = session.participant(*group).await?;
        connection.queue_sync();
        result = result.and(connection.flush().await);
    }
    for group in &groups {
        let parsed = session.finish_on(*group).await;
        let text = tasks.iter().find(|it| it.group == *group).map_or("", |it| &it.text);
        result = result.and(parsed.map_err(|error| for_client(error, text, execution)));
    }
    result?;
    session.fence(&groups).await
}

/// Queues the execution of a portal, which is not needed any more then.
pub(super) fn queue_portal(connection: &mut ServerConnection, portal: &str) {
    frontend::put_execute(connection.buffer(), portal.as_bytes(), 0);
    frontend::put_close(connection.buffer(), Target::Portal(portal.as_bytes()));
    connection.queue_sync();
}

impl Lanes<'_> {
    /// Sends what was queued to begin with, binds the tasks if they have portals, and waits until all have their snapshots.
    pub(super) async fn take_snapshots(&mut self, session: &mut Session) -> Result<()> {
        if let Some(portal) = self.bound.clone() {
            self.queue_portals(session, &portal);
        }
        for index in 0..self.lanes.len() {
            self.flush(index, &mut session.transaction).await;
        }
        for index in 0..self.lanes.len() {
            while self.lanes[index].progress.is_beginning() && !self.lanes[index].has_ended() {
                let event = self.next(&mut session.transaction, Some(index)).await;
                self.handle(session, event, &mut NoRows).await?;
            }
        }
        Ok(())
    }

    fn queue_portals(&mut self, session: &mut Session, portal: &str) {
        let Form::Statement { execution, formats } = &self.form else { return };
        for lane in &mut self.lanes {
            let task = self.waiting.get(&lane.group).and_then(|it| it.front());
            if let (Some(task), Some((connection, progress))) = (task, lane.split(&mut session.transaction)) {
                queue_bind(connection, task, execution, formats, portal.as_bytes(), true);
                connection.queue_sync();
                progress.push(Part::Bind { query: task.text.clone() });
            }
        }
    }
}

/// None come.
pub(super) struct NoRows;

impl Sink for NoRows {
    fn row(&mut self, _row: &bytes::Bytes, _client: &mut Client) -> Result<()> {
        Ok(())
    }
}
