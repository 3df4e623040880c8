//! The early end of a statement over several workers: a LIMIT is reached, or something failed.
//!
//! What runs is cancelled, not waited for. A cancel that arrives late must never hit what comes next on the
//! connection: PostgreSQL closes the connection of a cancel request once the signal is sent, and a signal that
//! meets an idle backend has no effect. So a connection is used again only when that has happened and it is idle.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::join_all;

use super::lane::Lane;
use super::lanes::Lanes;
use crate::cancel;
use crate::session::Session;
use crate::transaction::Transaction;

/// What ends by itself within this time is not cancelled: a cancel takes a connection and a process.
const GRACE: Duration = Duration::from_millis(5);
/// A server that does not react to a cancel within this time is given up.
const PATIENCE: Duration = Duration::from_secs(10);

impl Lanes<'_> {
    /// Brings all lanes to their end.
    pub(super) async fn stop(&mut self, session: &mut Session) {
        self.forget_waiting();
        if tokio::time::timeout(GRACE, drain(&mut self.lanes, &mut session.transaction)).await.is_err() {
            self.cancel(session).await;
        }
        self.undo(session).await;
        self.lanes.iter_mut().for_each(Lane::end);
    }

    async fn cancel(&mut self, session: &mut Session) {
        let failed = self.summary.has_failed();
        let Session { transaction, router, .. } = session;
        let mut sends = Vec::new();
        let mut cancelled = Vec::new();
        for (index, lane) in self.lanes.iter_mut().enumerate() {
            let Some((connection, progress)) = lane.split(transaction) else { continue };
            if connection.is_busy() && (failed || progress.is_sheltered()) {
                let target = connection.target().clone();
                let connector = router.pools.connector();
                sends.push(async move { cancel::send(connector, &target.address, &target.key).await });
                cancelled.push(index);
            }
        }
        // What needs no cancel, or may have none, is only waited for.
        let patience = if cancelled.is_empty() { Duration::MAX } else { PATIENCE };
        let ends = async { tokio::join!(join_all(sends), drain(&mut self.lanes, transaction)).0 };
        let sent = tokio::time::timeout(patience, ends).await.unwrap_or_default();
        for (number, index) in cancelled.into_iter().enumerate() {
            let Some(connection) = self.lanes[index].connection(transaction) else { continue };
            // Where it is not known whether the signal was sent, it may still come.
            if connection.is_busy() || !matches!(sent.get(number), Some(Ok(()))) {
                tracing::warn!(group = %connection.group(), "a worker did not react to a cancel");
                connection.give_up();
            }
        }
    }

    /// Ends the transactions and savepoints that were made for the statement.
    async fn undo(&mut self, session: &mut Session) {
        let failed = self.summary.has_failed();
        for lane in &mut self.lanes {
            let Some((connection, progress)) = lane.split(&mut session.transaction) else { continue };
            if connection.is_broken() || connection.is_busy() {
                continue;
            }
            let Some(command) = progress.undo(connection.status(), failed) else { continue };
            let undone = tokio::time::timeout(PATIENCE, connection.run(&command)).await;
            if !matches!(undone, Ok(Ok(()))) {
                connection.give_up();
            }
        }
    }
}

/// Reads until nothing is under way, and forgets it. Cancel safe.
async fn drain(lanes: &mut [Lane], transaction: &mut Transaction) {
    poll_fn(|cx| poll_drain(lanes, transaction, cx)).await;
}

fn poll_drain(lanes: &mut [Lane], transaction: &mut Transaction, cx: &mut Context<'_>) -> Poll<()> {
    let mut busy = false;
    for lane in lanes {
        let Some(connection) = lane.connection(transaction) else { continue };
        while connection.is_busy() {
            let message = pin!(connection.next_message()).poll(cx);
            match message {
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(_)) => connection.give_up(),
                Poll::Pending => {
                    busy = true;
                    break;
                }
            }
        }
    }
    if busy { Poll::Pending } else { Poll::Ready(()) }
}
