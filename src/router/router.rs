//! What all sessions of a router share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use howdah_catalog::{Catalog, CatalogVersion, GroupId};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::cancel::CancelRegistry;
use crate::config::RouterConfig;
use crate::control::load_catalog;
use crate::defaults::Defaults;
use crate::error::Result;
use crate::fence::Fence;
use crate::loopback::{KnownReaders, Registry, WorkerAccess};
use crate::pool::Pools;
use crate::recovery::Recovery;
use crate::session::{PlanCache, Room};

pub(crate) struct Router {
    pub(crate) config: RouterConfig,
    pub(crate) pools: Pools,
    pub(crate) recovery: Recovery,
    pub(crate) fence: Fence,
    pub(crate) catalog: Arc<watch::Sender<Arc<Catalog>>>,
    pub(crate) defaults: Arc<Defaults>,
    pub(crate) plans: PlanCache,
    /// For the texts of long statements that are being planned.
    pub(crate) room: Room,
    pub(crate) cancels: Arc<CancelRegistry>,
    /// Which session holds which backend of the coordinator.
    pub(crate) registry: Registry,
    pub(crate) live: WorkerAccess,
    /// Functions that make it unclear what a scan is to see.
    pub(crate) readers: KnownReaders,
    /// Keeps the mock salts of unknown roles the same from try to try.
    pub(crate) mock_nonce: [u8; 32],
    pub(crate) sessions: AtomicU64,
    /// No transaction begins any more.
    pub(crate) shutdown: CancellationToken,
    /// Nor does one go on: the time of [`RouterConfig::shutdown_grace`] is over.
    pub(crate) deadline: CancellationToken,
}

impl Router {
    /// A number for a session, from 1.
    pub(crate) fn next_session(&self) -> u64 {
        self.sessions.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Reads the committed catalog now. Returns its version.
    pub(crate) async fn reload_catalog(&self) -> Result<CatalogVersion> {
        let mut coordinator = self.pools.acquire(GroupId::COORDINATOR, &self.config.superuser).await?;
        let catalog = load_catalog(&mut coordinator).await?;
        let version = catalog.version();
        self.publish(Arc::new(catalog));
        Ok(version)
    }

    /// Makes a committed catalog known to all sessions, unless they know a newer one.
    pub(crate) fn publish(&self, catalog: Arc<Catalog>) {
        publish(&self.catalog, catalog);
    }
}

/// Versions of committed catalogs only grow.
pub(crate) fn publish(to: &watch::Sender<Arc<Catalog>>, catalog: Arc<Catalog>) {
    to.send_if_modified(|known| {
        let newer = known.version() < catalog.version();
        if newer {
            *known = catalog;
        }
        newer
    });
}
