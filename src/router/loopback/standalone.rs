//! A backend of the coordinator that no session owns: it gets worker transactions of its own, which only read.
//!
//! Such a backend (autovacuum, a scheduled job, an administrator on the coordinator's own socket) has rights that only the
//! coordinator knows and has checked; reads go through the keyed functions all the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use howdah_catalog::{Catalog, GroupId, Table};
use tokio::sync::mpsc;

use super::host::Host;
use super::live::{Live, serve};
use super::request::{Request, Work};
use crate::cores::CoreId;
use crate::error::{Error, Result};
use crate::fence::{Hold, Reader};
use crate::pool::PooledConnection;
use crate::router::Router;
use crate::server::ServerConnection;
use crate::settings::Settings;

struct Standalone {
    router: Arc<Router>,
    catalog: Arc<Catalog>,
    workers: BTreeMap<GroupId, PooledConnection>,
    savepoints: Vec<String>,
}

/// Serves one transaction: its queue closes with it.
pub(super) async fn run(router: Arc<Router>, mut requests: mpsc::Receiver<Request>) {
    let catalog = router.catalog.borrow().clone();
    let mut host = Standalone { router, catalog, workers: BTreeMap::new(), savepoints: Vec::new() };
    let mut live = Live::default();
    while let Some(request) = requests.recv().await {
        let ends = matches!(request.work, Work::Commit | Work::Abort);
        serve(&mut host, &mut live, request).await;
        if ends {
            break;
        }
    }
    host.end().await;
}

impl Standalone {
    async fn end(&mut self) {
        for connection in self.workers.values_mut() {
            if let Err(error) = connection.run("ROLLBACK").await {
                tracing::debug!(%error, "could not end a read of a live table");
            }
        }
        self.workers.clear();
    }

    async fn on_all(&mut self, command: &str) -> Result<()> {
        for connection in self.workers.values_mut() {
            connection.run(command).await?;
        }
        Ok(())
    }
}

impl Host for Standalone {
    fn catalog(&self) -> Arc<Catalog> {
        self.catalog.clone()
    }

    fn router(&self) -> Arc<Router> {
        self.router.clone()
    }

    fn settings(&self) -> Settings {
        Settings::default()
    }

    async fn begin(&mut self) -> Result<()> {
        Ok(())
    }

    async fn worker(&mut self, group: GroupId) -> Result<&mut ServerConnection> {
        if !self.workers.contains_key(&group) {
            let mut connection = self.router.pools.acquire(group, &self.router.config.superuser).await?;
            connection.queue_settings(&Settings::default());
            connection.queue_prologue("BEGIN READ ONLY");
            for name in &self.savepoints {
                connection.queue_prologue(&format!("SAVEPOINT {name}"));
            }
            self.workers.insert(group, connection);
        }
        self.opened(group)
    }

    fn opened(&mut self, group: GroupId) -> Result<&mut ServerConnection> {
        let connection = self.workers.get_mut(&group);
        connection
            .map(|it| &mut **it)
            .ok_or_else(|| Error::Internal(format!("node group {group} takes no part")))
    }

    async fn fence(&self, groups: &BTreeSet<GroupId>) -> Result<Option<Arc<Hold>>> {
        if groups.len() < 2 {
            return Ok(None);
        }
        let reader = Reader { core: CoreId::ROUTER, targets: None };
        self.router.fence.hold(&self.router, &reader, groups).await.map(Some)
    }

    fn check_writable(&self) -> Result<()> {
        Err(Error::not_supported(
            "cannot write to distributed tables on the coordinator's own port",
            "Connect to the router's port.",
        ))
    }

    fn writes(&mut self, _group: GroupId) {}

    async fn savepoint(&mut self, name: &str) -> Result<()> {
        self.savepoints.push(name.to_owned());
        self.on_all(&format!("SAVEPOINT {name}")).await
    }

    async fn release(&mut self, name: &str) -> Result<()> {
        self.savepoints.retain(|it| it != name);
        self.on_all(&format!("RELEASE SAVEPOINT {name}")).await
    }

    async fn rollback_to(&mut self, name: &str) -> Result<()> {
        self.on_all(&format!("ROLLBACK TO SAVEPOINT {name}")).await
    }

    async fn vote(&mut self) -> Result<()> {
        Ok(())
    }

    async fn abort(&mut self) -> Result<()> {
        self.end().await;
        Ok(())
    }

    fn is_closed(&self) -> bool {
        false
    }

    fn record_gid(&mut self) -> Option<String> {
        None
    }

    fn may_write(&self) -> bool {
        false
    }

    fn register(&mut self, _table: Table) -> Result<()> {
        Err(Error::not_supported(
            "cannot create distributed tables here",
            "Connect to the router's own port.",
        ))
    }
}
