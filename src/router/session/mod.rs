//! One client's session: a task that owns everything of it.

use std::sync::Arc;

use howdah_catalog::Catalog;

use crate::client::Client;
use crate::error::{Error, Result};
use crate::router::Router;
use crate::server::Message;
use crate::settings::Settings;
use crate::transaction::Transaction;
use howdah_catalog::GroupId;

pub struct Session {
    pub(crate) router: Arc<Router>,
    /// Role the client authenticated as, and its database.
    pub(crate) user: Arc<str>,
    pub(crate) database: Arc<str>,
    pub(crate) client: Client,
    pub(crate) transaction: Transaction,
    /// As the coordinator last reported them.
    pub(crate) settings: Settings,
    /// The catalog with this transaction's own uncommitted changes, if it made any.
    pub(crate) overlay: Option<Arc<Catalog>>,
}

impl Session {
    /// One version of the catalog for a whole statement.
    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        match &self.overlay {
            Some(overlay) => overlay.clone(),
            None => self.router.catalog.borrow().clone(),
        }
    }

    /// The coordinator's next message; loopback requests of this session are served meanwhile. Whoever waits
    /// for the coordinator while it may run live tables, deferred triggers or user code waits here.
    pub(crate) async fn next_coordinator_message(&mut self) -> Result<Message> {
        let Some(coordinator) = self.transaction.opened(GroupId::COORDINATOR) else {
            return Err(Error::Internal("no coordinator connection to wait for".to_owned()));
        };
        coordinator.next_message().await
    }
}
