//! A portal on one node, and reading from several of them at once.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;
use howdah_catalog::GroupId;
use howdah_pg::wire::frontend::{self, Target};

use crate::error::{Error, Result};
use crate::execution::Execution;
use crate::executor::intermediate::Encoding;
use crate::executor::task::{Parameters, Task};
use crate::server::{Message, error_fields};
use crate::session::Session;
use crate::transaction::Transaction;

/// How much one part gives at once; rows are asked for by their number, so it is aimed at.
const PORTION: usize = 1 << 20;
/// Of the first portion, when nobody knows how wide they are.
const FIRST_ROWS: usize = 32;
const MAX_ROWS: usize = 20_000;

pub(super) struct Part {
    group: GroupId,
    portal: String,
    /// How many rows are asked for next.
    asks: usize,
    /// How many came since, and their size.
    rows: usize,
    size: usize,
    done: bool,
}

impl Part {
    /// Makes the portal. The node answers with the first portion.
    pub(super) async fn open(
        session: &mut Session,
        group: GroupId,
        text: &str,
        parameters: &Parameters<'_>,
        encoding: &Encoding,
    ) -> Result<Self> {
        let portal = format!("howdah_source_{}", session.transaction.next_intermediate());
        let connection = session.participant(group).await?;
        let buffer = connection.buffer();
        frontend::put_parse(buffer, b"", text.as_bytes(), &parameters.types);
        let values = parameters.values.iter().copied();
        let formats = encoding.formats();
        frontend::put_bind(buffer, portal.as_bytes(), b"", &parameters.formats, values, &formats);
        // After an error the server would wait for it, whatever else it is asked.
        connection.queue_sync();
        Ok(Self { group, portal, asks: FIRST_ROWS, rows: 0, size: 0, done: false })
    }

    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// No more is wanted of it.
    pub(super) fn end(&mut self) {
        self.done = true;
    }

    async fn ask(&mut self, session: &mut Session) -> Result<()> {
        self.rows = 0;
        self.size = 0;
        let connection = session.participant(self.group).await?;
        let asks = i32::try_from(self.asks).unwrap_or(i32::MAX);
        frontend::put_execute(connection.buffer(), self.portal.as_bytes(), asks);
        connection.queue_sync();
        connection.flush().await
    }

    /// All that was asked for is here.
    fn answered(&mut self) {
        self.done |= self.rows < self.asks;
        let width = self.size / self.rows.max(1);
        // It may be that only the first rows are narrow.
        self.asks = (PORTION / width.max(1)).clamp(1, MAX_ROWS).min(self.asks * 8);
    }
}

/// Makes a portal of each task.
pub(super) async fn bind(
    session: &mut Session,
    execution: &Execution<'_>,
    tasks: &[Task],
    encoding: &Encoding,
) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    for task in tasks {
        let parameters = Parameters::of(execution, &task.text);
        parts.push(Part::open(session, task.group, &task.text, &parameters, encoding).await?);
    }
    Ok(parts)
}

/// The same, and waits until all are there.
pub(super) async fn bind_now(
    session: &mut Session,
    execution: &Execution<'_>,
    tasks: &[Task],
    encoding: &Encoding,
) -> Result<Vec<Part>> {
    let parts = bind(session, execution, tasks, encoding).await?;
    for part in &parts {
        session.participant(part.group).await?.flush().await?;
    }
    let mut result = Ok(());
    for part in &parts {
        result = result.and(session.finish_on(part.group).await);
    }
    result.map(|()| parts)
}

/// Reads a portion of each part; of whatever else their connections have under way only the errors.
pub(super) async fn read(
    session: &mut Session,
    parts: &mut [&mut Part],
    rows: &mut Vec<Bytes>,
) -> Result<()> {
    for part in &mut *parts {
        part.ask(session).await?;
    }
    let mut result = Ok(());
    let groups: Vec<GroupId> = parts.iter().map(|it| it.group).collect();
    while let Some((group, message)) = next_of(session, &groups).await {
        match message {
            Ok(message) if message.tag == b'D' => {
                if let Some(part) = parts.iter_mut().find(|it| it.group == group) {
                    part.rows += 1;
                    part.size += message.body.len();
                }
                rows.push(message.body);
            }
            Ok(message) if message.tag == b'E' && result.is_ok() => {
                result = Err(Error::from(error_fields(&message.body)));
            }
            Ok(message) if message.tag == b'N' => session.client.push(b'N', &message.body),
            Ok(_) => {}
            Err(error) => {
                result = result.and(Err(error));
                if let Some(connection) = session.transaction.opened(group) {
                    connection.give_up();
                }
            }
        }
    }
    parts.iter_mut().for_each(|it| it.answered());
    result
}

/// The next message of any of these nodes; none once they have nothing under way.
async fn next_of(session: &mut Session, groups: &[GroupId]) -> Option<(GroupId, Result<Message>)> {
    if groups == [GroupId::COORDINATOR] {
        let busy = session.transaction.opened(GroupId::COORDINATOR).is_some_and(|it| it.is_busy());
        return if busy {
            Some((GroupId::COORDINATOR, session.next_coordinator_message().await))
        } else {
            None
        };
    }
    let busy = |transaction: &mut Transaction| {
        transaction.connections().any(|(group, it)| groups.contains(&group) && it.is_busy())
    };
    if !busy(&mut session.transaction) {
        return None;
    }
    let transaction = &mut session.transaction;
    let next = std::future::poll_fn(|cx| {
        for (group, connection) in transaction.connections() {
            if groups.contains(&group)
                && connection.is_busy()
                && let Poll::Ready(message) = pin!(connection.next_message()).poll(cx)
            {
                return Poll::Ready((group, message));
            }
        }
        Poll::Pending
    });
    Some(next.await)
}

/// Closes the portals.
pub(super) async fn close(session: &mut Session, parts: &[Part]) -> Result<()> {
    for part in parts {
        let Some(connection) = session.transaction.opened(part.group) else { continue };
        frontend::put_close(connection.buffer(), Target::Portal(part.portal.as_bytes()));
        connection.queue_sync();
        connection.flush().await?;
    }
    let mut result = Ok(());
    for part in parts {
        result = result.and(session.finish_on(part.group).await);
    }
    result
}
