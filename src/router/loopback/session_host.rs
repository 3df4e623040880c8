//! A session as the owner of its loopback work.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;

use howdah_catalog::{Catalog, GroupId, Table};

use super::host::Host;
use super::live::serve;
use super::request::Request;
use crate::error::{Error, Result};
use crate::fence::Hold;
use crate::router::Router;
use crate::server::ServerConnection;
use crate::session::Session;
use crate::settings::Settings;
use crate::transaction::Block;

/// Serves a request of the session's backend. Boxed, because some of it waits for the coordinator in turn.
pub(crate) fn serve_session(
    session: &mut Session,
    request: Request,
) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
    Box::pin(async move {
        let mut live = std::mem::take(&mut session.live);
        serve(session, &mut live, request).await;
        session.live = live;
    })
}

impl Session {
    /// Cursors that are open on the coordinator keep what they may see of live tables: whatever the client does next, they read
    /// with the snapshot of now.
    pub(crate) async fn hold_portals(&mut self) -> Result<()> {
        let in_block = self.transaction.block() == Block::Explicit;
        if !in_block || !self.live.is_begun() {
            return Ok(());
        }
        let Some(coordinator) = self.transaction.opened(GroupId::COORDINATOR) else { return Ok(()) };
        coordinator.queue_query(
            "SELECT howdah.probe() FROM (SELECT FROM pg_catalog.pg_cursors LIMIT 1) AS open_cursors",
        );
        coordinator.flush().await?;
        self.finish_on(GroupId::COORDINATOR).await
    }
}

impl Host for Session {
    fn catalog(&self) -> Arc<Catalog> {
        Session::catalog(self)
    }

    fn router(&self) -> Arc<Router> {
        self.router.clone()
    }

    fn settings(&self) -> Settings {
        self.settings.clone()
    }

    async fn begin(&mut self) -> Result<()> {
        // A CALL may have committed since: its workers are waiting to hear so.
        self.settle_vote(false).await?;
        self.transaction.open_statement();
        Ok(())
    }

    async fn worker(&mut self, group: GroupId) -> Result<&mut ServerConnection> {
        self.participant(group).await
    }

    fn opened(&mut self, group: GroupId) -> Result<&mut ServerConnection> {
        let connection = self.transaction.opened(group);
        connection.ok_or_else(|| Error::Internal(format!("node group {group} takes no part")))
    }

    async fn fence(&self, groups: &BTreeSet<GroupId>) -> Result<Option<Arc<Hold>>> {
        Session::fence(self, groups).await
    }

    fn check_writable(&self) -> Result<()> {
        Ok(())
    }

    fn writes(&mut self, group: GroupId) {
        self.transaction.mark_writer(group);
    }

    async fn savepoint(&mut self, name: &str) -> Result<()> {
        self.savepoint_on_workers(name).await
    }

    async fn release(&mut self, name: &str) -> Result<()> {
        self.release_on_workers(name).await
    }

    async fn rollback_to(&mut self, name: &str) -> Result<()> {
        self.rollback_to_on_workers(name).await
    }

    async fn vote(&mut self) -> Result<()> {
        Session::vote(self).await
    }

    async fn abort(&mut self) -> Result<()> {
        if self.transaction.block() != Block::None {
            // The session ends its block itself.
            return Ok(());
        }
        // A procedure's own ROLLBACK: it goes on in a new transaction.
        let groups = self.transaction.groups().into_iter().filter(|it| *it != GroupId::COORDINATOR);
        let open: Vec<_> = groups.filter(|it| self.transaction.is_open_on(*it)).collect();
        let open: Vec<_> = open.into_iter().filter(|it| self.transaction.sound(*it).is_some()).collect();
        self.run_on(&open, "ROLLBACK").await?;
        for group in open {
            if let Some(connection) = self.transaction.opened(group) {
                connection.doubt_settings();
            }
            self.transaction.mark_ended(group);
        }
        Ok(())
    }

    fn is_closed(&self) -> bool {
        self.is_voted()
    }

    fn record_gid(&mut self) -> Option<String> {
        Session::record_gid(self)
    }

    fn may_write(&self) -> bool {
        true
    }

    fn register(&mut self, table: Table) -> Result<()> {
        let catalog = Session::catalog(self).with_table(table);
        self.set_overlay(catalog.map_err(|error| Error::Internal(error.to_string()))?);
        Ok(())
    }
}
