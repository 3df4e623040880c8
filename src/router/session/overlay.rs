//! Which catalog a statement is planned with: the router's, or this transaction's own view of it.
//!
//! Invariants: a statement is planned with one version from beginning to end; when a client is told that a
//! statement has ended, what it committed to the catalog is published to all sessions of the router.

use std::sync::Arc;

use howdah_catalog::{Catalog, CatalogVersion, GroupId};

use super::Session;
use crate::control::{LOAD_CATALOG, catalog_of};
use crate::error::Result;

/// The catalog with a transaction's own uncommitted changes.
pub(crate) struct Overlay {
    catalog: Arc<Catalog>,
    /// No other overlay of the session has it. Versions will not do: after a rollback other changes may add up
    /// to the same.
    number: u64,
    /// What was published when it was read: commits of others since then are not in it.
    published: CatalogVersion,
}

/// What the meaning of text depends on beside the text.
pub(super) type Environment = [u8; 16];

impl Session {
    /// One version of the catalog for a whole statement.
    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        match &self.overlay {
            Some(overlay) => overlay.catalog.clone(),
            None => self.router.catalog.borrow().clone(),
        }
    }

    fn catalog_version(&self) -> CatalogVersion {
        match &self.overlay {
            Some(overlay) => overlay.catalog.version(),
            None => self.router.catalog.borrow().version(),
        }
    }

    /// As of now.
    pub(super) fn environment(&self) -> Environment {
        self.environment_with(self.catalog_version())
    }

    /// That of a statement which was planned with this version.
    pub(super) fn environment_with(&self, version: CatalogVersion) -> Environment {
        let catalog = match &self.overlay {
            // Versions of the published catalog are not negative; one session makes fewer overlays than that.
            Some(overlay) => 1 << 63 | self.id << 32 | overlay.number & u64::from(u32::MAX),
            None => version.0 as u64,
        };
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.settings_hash.to_be_bytes());
        bytes[8..].copy_from_slice(&catalog.to_be_bytes());
        bytes
    }

    /// From here on this transaction sees another catalog than the other sessions.
    pub(crate) fn set_overlay(&mut self, catalog: Catalog) {
        self.overlays += 1;
        let published = self.router.catalog.borrow().version();
        self.overlay = Some(Overlay { catalog: Arc::new(catalog), number: self.overlays, published });
    }

    /// The statement may have changed the catalog, which has this version now: what follows must know.
    pub(super) async fn follow_catalog(&mut self, version: Option<CatalogVersion>) -> Result<()> {
        match version.is_none_or(|it| it == self.catalog_version()) {
            true => Ok(()),
            false => self.load_catalog().await,
        }
    }

    pub(super) fn has_old_overlay(&self) -> bool {
        let published = || self.router.catalog.borrow().version();
        self.overlay.as_ref().is_some_and(|it| it.published != published())
    }

    /// What others have committed meanwhile concerns the statements of a READ COMMITTED transaction as well.
    pub(super) async fn renew_overlay(&mut self) -> Result<()> {
        if self.has_old_overlay() { self.load_catalog().await } else { Ok(()) }
    }

    /// Reads the catalog as the coordinator's part of the transaction sees it.
    async fn load_catalog(&mut self) -> Result<()> {
        let Some(connection) = self.transaction.opened(GroupId::COORDINATOR) else { return Ok(()) };
        connection.queue_query(LOAD_CATALOG);
        connection.flush().await?;
        let rows = self.take_coordinator_rows().await?;
        let catalog = catalog_of(rows)?;
        if self.transaction.is_in_progress() {
            self.set_overlay(catalog);
        } else {
            self.overlay = None;
            self.router.publish(Arc::new(catalog));
        }
        Ok(())
    }
}
