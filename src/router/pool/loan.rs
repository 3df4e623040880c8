//! A connection on loan, and the right to open one. Either ends by being dropped.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::core_pool::Pool;
use super::lender::LoanId;
use crate::cancel::CancelTargets;
use crate::server::ServerConnection;

/// A place in a pool that is counted, for a connection to be opened.
pub(crate) struct Slot {
    /// Until it is filled.
    loan: Option<(Arc<Pool>, LoanId)>,
}

/// A connection on loan. Dropped clean it goes back to the pool, otherwise it is closed.
pub(crate) struct PooledConnection {
    connection: Option<Box<ServerConnection>>,
    pool: Arc<Pool>,
    loan: LoanId,
    /// The list of the session that uses it, for cancel requests.
    targets: Option<Arc<CancelTargets>>,
}

impl Slot {
    pub(super) fn new(pool: Arc<Pool>, loan: LoanId) -> Self {
        Self { loan: Some((pool, loan)) }
    }

    pub(super) fn fill(mut self, connection: Box<ServerConnection>) -> PooledConnection {
        let (pool, loan) = self.loan.take().expect("a slot is filled once");
        PooledConnection { connection: Some(connection), pool, loan, targets: None }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some((pool, loan)) = self.loan.take() {
            pool.end_empty(loan);
        }
    }
}

impl PooledConnection {
    /// Whether others wait for a connection of its pool.
    pub(crate) fn is_wanted(&self) -> bool {
        self.pool.is_wanted()
    }

    /// From now on a cancel of this session reaches the connection.
    pub(crate) fn attach(&mut self, targets: &Arc<CancelTargets>) {
        targets.add(self.target().clone());
        self.targets = Some(targets.clone());
    }

    /// Cancels of that session no longer reach it. One that was sent may come yet: the connection is not clean then.
    pub(crate) fn detach(&mut self) {
        if let Some(targets) = self.targets.take() {
            targets.remove(self.target());
        }
    }
}

impl Deref for PooledConnection {
    type Target = ServerConnection;

    fn deref(&self) -> &ServerConnection {
        self.connection.as_ref().expect("taken only by drop")
    }
}

impl DerefMut for PooledConnection {
    fn deref_mut(&mut self) -> &mut ServerConnection {
        self.connection.as_mut().expect("taken only by drop")
    }
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        connection.lease = None;
        if let Some(targets) = &self.targets {
            targets.remove(connection.target());
        }
        if connection.is_clean() {
            self.pool.give_back(self.loan, connection);
        } else {
            drop(connection);
            self.pool.end_empty(self.loan);
        }
    }
}
