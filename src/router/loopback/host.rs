//! Whose worker transactions the loopback works in: a session's, or those of a backend that no session owns.

use std::collections::BTreeSet;
use std::sync::Arc;

use howdah_catalog::{Catalog, GroupId, Table};

use crate::error::Result;
use crate::fence::Hold;
use crate::router::Router;
use crate::server::ServerConnection;
use crate::settings::Settings;

/// What [`Live`](super::Live) needs of its owner.
pub(crate) trait Host {
    /// The catalog with the transaction's own changes.
    fn catalog(&self) -> Arc<Catalog>;

    fn router(&self) -> Arc<Router>;

    /// The settings that the session's statements run with.
    fn settings(&self) -> Settings;

    /// START TRANSACTION: the coordinator has begun to use live tables.
    fn begin(&mut self) -> impl Future<Output = Result<()>> + Send;

    /// The connection of the transaction to a worker, in its transaction. Opens both if need be.
    fn worker(&mut self, group: GroupId) -> impl Future<Output = Result<&mut ServerConnection>> + Send;

    /// A connection that [`Host::worker`] has given before.
    fn opened(&mut self, group: GroupId) -> Result<&mut ServerConnection>;

    /// The fence around these workers, for a statement that takes its snapshots there; none if it needs none.
    fn fence(&self, groups: &BTreeSet<GroupId>) -> impl Future<Output = Result<Option<Arc<Hold>>>> + Send;

    /// An error where nothing may be written.
    fn check_writable(&self) -> Result<()>;

    /// What runs next on this worker may write.
    fn writes(&mut self, group: GroupId);

    fn savepoint(&mut self, name: &str) -> impl Future<Output = Result<()>> + Send;

    /// Nothing happens if the savepoint is gone already: the session's own ROLLBACK TO may have come first.
    fn release(&mut self, name: &str) -> impl Future<Output = Result<()>> + Send;

    fn rollback_to(&mut self, name: &str) -> impl Future<Output = Result<()>> + Send;

    /// The coordinator is about to commit by itself.
    fn vote(&mut self) -> impl Future<Output = Result<()>> + Send;

    /// The coordinator has rolled its transaction back.
    fn abort(&mut self) -> impl Future<Output = Result<()>> + Send;

    /// The workers are being prepared: no more work is taken.
    fn is_closed(&self) -> bool;

    /// The gid for which a trigger on the coordinator writes the commit record: the session cannot, where the statement commits
    /// by itself.
    fn record_gid(&mut self) -> Option<String>;

    /// Whether it may write to workers, and its transaction decide what becomes of it.
    fn may_write(&self) -> bool;

    /// Makes a table known until the transaction ends.
    fn register(&mut self, table: Table) -> Result<()>;
}
