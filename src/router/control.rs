//! The router's own connection to the coordinator: keeps the catalog fresh, and answers what is asked of
//! roles before a session begins.

use std::sync::Arc;
use std::time::Duration;

use howdah_catalog::{Catalog, CatalogVersion, Contents, Database, UserObjects};
use howdah_pg::SqlState;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::{NodeAddress, RouterConfig};
use crate::connect::Connector;
use crate::defaults::Defaults;
use crate::error::{Error, Result};
use crate::router::publish;
use crate::server::{ServerConnection, Startup};
use howdah_catalog::GroupId;

/// Keeps the watched catalog equal to the coordinator's.
pub(crate) struct Control {
    pub(crate) address: NodeAddress,
    pub(crate) user: String,
    pub(crate) database: String,
    pub(crate) connector: Connector,
    pub(crate) catalog: Arc<watch::Sender<Arc<Catalog>>>,
    pub(crate) defaults: Arc<Defaults>,
}

/// A notification may be lost with its connection; the version is looked at this often besides. A coordinator that is no
/// coordinator yet notifies nobody.
const POLL: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_millis(200);

impl Control {
    pub(crate) fn new(
        config: &RouterConfig,
        connector: Connector,
        catalog: Arc<watch::Sender<Arc<Catalog>>>,
        defaults: Arc<Defaults>,
    ) -> Self {
        Self {
            address: config.coordinator.clone(),
            user: config.superuser.clone(),
            database: config.database.clone(),
            connector,
            catalog,
            defaults,
        }
    }

    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut said = String::new();
        while !shutdown.is_cancelled() {
            tokio::select! {
                result = self.follow() => if let Err(error) = result {
                    // A coordinator that is not there yet is asked often, and need not be told of each time.
                    let error = error.to_string();
                    if said != error {
                        tracing::warn!(%error, "no control connection to the coordinator");
                        said = error;
                    }
                },
                () = shutdown.cancelled() => return,
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Follows the catalog until the connection breaks.
    async fn follow(&self) -> Result<()> {
        let mut connection = self.connect().await?;
        connection.run("LISTEN howdah_catalog").await?;
        loop {
            let heard = connection.notifications();
            self.defaults.load(&mut connection).await?;
            self.load(&mut connection).await?;
            // What was notified while the catalog was being read may not be in it.
            if heard != connection.notifications() {
                continue;
            }
            // Whatever comes now came because something changed; a burst is one reload.
            let poll = if self.catalog.borrow().version() == CatalogVersion(0) { RETRY } else { POLL };
            match tokio::time::timeout(poll, connection.next_message()).await {
                Ok(message) => drop(message?),
                Err(_) => continue,
            }
            while connection.duplex.take_frame().map_err(|error| connection.lost(&error))?.is_some() {}
        }
    }

    async fn load(&self, connection: &mut ServerConnection) -> Result<()> {
        let catalog = load_catalog(connection).await?;
        let known = self.catalog.borrow().version();
        if known != catalog.version() || known == CatalogVersion(0) {
            tracing::info!(version = %catalog.version(), tables = catalog.tables().count(), "catalog loaded");
            match known {
                // The first, which sessions wait for.
                CatalogVersion(0) => drop(self.catalog.send_replace(Arc::new(catalog))),
                _ => publish(&self.catalog, Arc::new(catalog)),
            }
        }
        Ok(())
    }

    async fn connect(&self) -> Result<ServerConnection> {
        let group = GroupId::COORDINATOR;
        let stream = self.connector.connect(&self.address).await;
        let stream = stream.map_err(|error| Error::Connect { group, reason: error.to_string() })?;
        let startup = Startup {
            group,
            address: self.address.clone(),
            user: &self.user,
            database: &self.database,
            max_prepared: 1,
        };
        ServerConnection::start(stream, startup).await
    }
}

/// The catalog as this connection sees it; with its own uncommitted changes, if it made some.
pub(crate) async fn load_catalog(connection: &mut ServerConnection) -> Result<Catalog> {
    let rows = match connection.rows(LOAD_CATALOG).await {
        Ok(rows) => rows,
        Err(Error::Postgres(fields)) if is_absent(fields.code()) => return Ok(empty_catalog()),
        Err(error) => return Err(error),
    };
    catalog_of(rows)
}

/// What [`LOAD_CATALOG`] returned.
pub(crate) fn catalog_of(rows: Vec<Vec<Option<String>>>) -> Result<Catalog> {
    let document = rows.into_iter().flatten().next().flatten().unwrap_or_default();
    parse(&document)
}

pub(crate) const LOAD_CATALOG: &str = "SELECT howdah.catalog_json()";

fn parse(document: &str) -> Result<Catalog> {
    howdah_metadata::parse_catalog(document).map_err(|error| Error::Internal(error.to_string()))
}

/// A coordinator without our SQL is an ordinary PostgreSQL.
fn is_absent(code: SqlState) -> bool {
    code == SqlState::UNDEFINED_FUNCTION || code == SqlState::INVALID_SCHEMA_NAME
}

pub(crate) fn empty_catalog() -> Catalog {
    let database = Database { default_collation: "C".to_owned(), encoding: "UTF8".to_owned() };
    Catalog::new(Contents {
        version: CatalogVersion(0),
        database,
        nodes: Vec::new(),
        tables: Vec::new(),
        objects: UserObjects::default(),
    })
    .expect("nothing contradicts itself")
}
