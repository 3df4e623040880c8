//! Where the nodes are.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use howdah_catalog::{Catalog, GroupId};
use tokio::sync::watch;

use crate::config::NodeAddress;
use crate::error::{Error, Result};

pub(super) struct Addresses {
    coordinator: NodeAddress,
    catalog: watch::Receiver<Arc<Catalog>>,
    /// Nodes that a transaction is about to add, and no committed catalog has yet.
    introduced: RwLock<HashMap<GroupId, NodeAddress>>,
    /// The catalog whose addresses the pools know.
    followed: AtomicI64,
}

/// How long news of a committed catalog may take.
const NEWS: Duration = Duration::from_secs(5);

impl Addresses {
    pub(super) fn new(coordinator: NodeAddress, catalog: watch::Receiver<Arc<Catalog>>) -> Self {
        Self { coordinator, catalog, introduced: RwLock::default(), followed: AtomicI64::new(0) }
    }

    /// Where a node is that is being added. Once a catalog has it, the catalog's word counts.
    pub(super) fn introduce(&self, group: GroupId, address: NodeAddress) {
        self.introduced.write().unwrap_or_else(PoisonError::into_inner).insert(group, address);
    }

    pub(super) fn of(&self, group: GroupId) -> Result<NodeAddress> {
        if group == GroupId::COORDINATOR {
            return Ok(self.coordinator.clone());
        }
        if let Some(node) = self.catalog.borrow().node(group) {
            return Ok(NodeAddress { host: node.host().to_owned(), port: node.port });
        }
        let introduced = self.introduced.read().unwrap_or_else(PoisonError::into_inner);
        introduced.get(&group).cloned().ok_or(Error::UnknownGroup(group))
    }

    /// The same of a node that the coordinator has told somebody of: the catalog with it is on its way.
    pub(super) async fn soon_of(&self, group: GroupId) -> Result<NodeAddress> {
        if self.of(group).is_err() {
            let mut catalog = self.catalog.clone();
            let known = catalog.wait_for(|it| it.node(group).is_some());
            let _ = tokio::time::timeout(NEWS, known).await;
        }
        self.of(group)
    }

    /// Whether there is a catalog that nobody has asked this of. True once for each.
    pub(super) fn may_have_changed(&self) -> bool {
        let version = self.catalog.borrow().version().0;
        // Asked before each loan: usually nothing is written, so that cores do not disturb each other.
        self.followed.load(Ordering::Relaxed) != version
            && self.followed.swap(version, Ordering::Relaxed) != version
    }
}
