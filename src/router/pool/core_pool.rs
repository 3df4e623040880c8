//! The connections of one role to one database of one node that one core has.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use howdah_catalog::GroupId;
use tokio::sync::oneshot;

use super::lender::{Lender, Lent, LoanId, Rank, Term};
use super::loan::{PooledConnection, Slot};
use super::quota::Quota;
use crate::config::NodeAddress;
use crate::error::{Error, Result};
use crate::server::ServerConnection;

pub(crate) struct Pool {
    pub(super) key: Arc<Key>,
    quota: Arc<Quota>,
    max_waiting: usize,
    lender: Mutex<Books>,
    /// Where the node is; connections to where it was are not lent again.
    address: Mutex<Option<NodeAddress>>,
}

type Books = Lender<Box<ServerConnection>, Grant>;

#[derive(Debug, Eq, Hash, PartialEq)]
pub(super) struct Key {
    pub(super) group: GroupId,
    pub(super) user: String,
    pub(super) database: String,
}

/// What a waiter gets: a connection, or the right to open one.
pub(crate) enum Grant {
    Connection(PooledConnection),
    Slot(Slot),
}

pub(super) enum Turn {
    Now(Grant),
    Wait(oneshot::Receiver<Grant>),
}

impl Pool {
    pub(super) fn new(key: Arc<Key>, quota: Arc<Quota>, max_counted: usize, max_waiting: usize) -> Self {
        Self {
            key,
            quota,
            max_waiting,
            lender: Mutex::new(Lender::new(max_counted)),
            address: Mutex::default(),
        }
    }

    /// Of this kind, on all cores together.
    pub(super) fn count_open(&self) -> usize {
        self.quota.count_open()
    }

    pub(super) fn take_or_wait(
        self: &Arc<Self>,
        term: Term,
        rank: impl Fn(&ServerConnection) -> Rank,
    ) -> Result<Turn> {
        let mut lender = self.lock();
        if let Some(lent) = lender.take(term, &self.quota, |it| rank(it), Instant::now()) {
            drop(lender);
            return Ok(Turn::Now(self.grant(lent)));
        }
        if self.max_waiting <= lender.count_waiting() {
            return Err(Error::PoolOverrun(self.key.group));
        }
        let (sender, receiver) = oneshot::channel();
        lender.wait(term, sender);
        Ok(Turn::Wait(receiver))
    }

    /// What a session may have beyond the connection that it needs, if this core has lent less than `most`.
    pub(super) fn take_spare(
        self: &Arc<Self>,
        most: usize,
        rank: impl Fn(&ServerConnection) -> Rank,
    ) -> Option<Grant> {
        let lent = self.lock().spare(most, &self.quota, |it| rank(it), Instant::now());
        lent.map(|it| self.grant(it))
    }

    /// Whether sessions wait for a connection.
    pub(super) fn is_wanted(&self) -> bool {
        self.lock().count_waiting() > 0
    }

    fn grant(self: &Arc<Self>, lent: Lent<Box<ServerConnection>>) -> Grant {
        let slot = Slot::new(self.clone(), lent.id);
        match lent.connection {
            Some(connection) => Grant::Connection(slot.fill(connection)),
            None => Grant::Slot(slot),
        }
    }

    /// A waiter has waited for long: loans that have lasted too long are no longer waited for.
    pub(super) fn lose_patience(self: &Arc<Self>) {
        self.lock().lose_patience(Instant::now());
        self.serve();
    }

    /// Whether waiters wait for connections of other cores: none is on loan here that could come back, or it takes long. If so,
    /// whoever gives one back there knows.
    pub(super) fn is_starving(self: &Arc<Self>, patient: bool) -> bool {
        let lender = self.lock();
        let starving = lender.has_waiting() && self.quota.is_used_up() && !(patient && lender.has_lent());
        drop(lender);
        if starving {
            self.quota.ask(Arc::downgrade(self), Instant::now());
        }
        starving
    }

    /// Gives waiters what there is.
    pub(super) fn serve(self: &Arc<Self>) {
        self.serve_from(self.lock());
    }

    fn serve_from<'a>(self: &'a Arc<Self>, mut lender: MutexGuard<'a, Books>) {
        while let Some((waiter, lent)) = lender.next(&self.quota, Instant::now()) {
            // Outside of the lock: a waiter that has just left gives it back at once.
            drop(lender);
            drop(waiter.send(self.grant(lent)));
            lender = self.lock();
            if !lender.has_waiting() {
                return;
            }
        }
    }

    pub(super) fn give_back(self: &Arc<Self>, loan: LoanId, connection: Box<ServerConnection>) {
        let now = Instant::now();
        let mut lender = self.lock();
        if lender.is_outdated(loan) || self.quota.is_wanted(self, lender.has_waiting(), now) {
            drop(lender);
            drop(connection);
            return self.end_empty(loan);
        }
        lender.end(loan);
        lender.put(connection, now);
        self.serve_from(lender);
    }

    /// The loan ends without a connection.
    pub(super) fn end_empty(self: &Arc<Self>, loan: LoanId) {
        self.lock().end(loan);
        self.quota.release();
        self.serve();
    }

    /// Closes an idle connection for another core that has none. False if there is none here either.
    pub(super) fn yield_idle(&self) -> bool {
        let Some(connection) = self.lock().take_oldest() else { return false };
        drop(connection);
        self.quota.release();
        true
    }

    pub(super) fn reap(&self, unused: Duration) {
        let closed = self.lock().take_idle(unused, Instant::now());
        self.close(closed);
    }

    /// The node is here from now on.
    pub(super) fn move_to(&self, address: NodeAddress) {
        let mut known = self.address.lock().unwrap_or_else(PoisonError::into_inner);
        if known.replace(address.clone()).is_none_or(|it| it == address) {
            return;
        }
        let left = self.lock().leave(Instant::now());
        self.close(left);
    }

    fn close(&self, closed: impl IntoIterator<Item = Box<ServerConnection>>) {
        // Closing sockets is not done under the lock.
        for connection in closed {
            drop(connection);
            self.quota.release();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        self.lender.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
