//! Connections of the supervisor: to a server's socket as superuser, and through the router.
use std::path::PathBuf;
use std::time::Duration;

use howdah_metadata::Worker;
use howdah_metadata::setup::{self, SetUp};
use tokio_postgres::{Client, Config, Error, NoTls};

use crate::record::SUPERUSER;

/// Where a server is reached: through its socket, as superuser.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) socket_dir: PathBuf,
    pub(crate) port: u16,
}

impl Server {
    pub(crate) async fn connect(&self, database: &str) -> Result<Client, Error> {
        let mut config = Config::new();
        config.host_path(&self.socket_dir).port(self.port).user(SUPERUSER).dbname(database);
        connect(config).await
    }

    /// Roles, database, rights and the SQL of the node.
    pub(crate) async fn set_up(&self, plan: &SetUp) -> Result<(), Error> {
        setup::prepare_server(&self.connect("postgres").await?, plan).await?;
        setup::prepare_database(&self.connect(&plan.database).await?, plan).await
    }

    /// How the catalog knows it.
    pub(crate) fn as_worker(&self) -> Worker {
        let address = self.socket_dir.to_string_lossy().into_owned();
        Worker { host: "localhost".into(), port: self.port, address: Some(address) }
    }
}

/// The way that applications take: through the router.
#[derive(Clone)]
pub(crate) struct RouterLogin {
    pub(crate) port: u16,
    pub(crate) database: String,
    pub(crate) user: String,
    pub(crate) password: String,
}

impl RouterLogin {
    pub(crate) async fn connect(&self) -> Result<Client, Error> {
        let mut config = Config::new();
        config.host("127.0.0.1").port(self.port).user(&self.user).password(&self.password);
        config.dbname(&self.database);
        connect(config).await
    }

    /// Whether it answers a query.
    pub(crate) async fn answers(&self) -> bool {
        match self.connect().await {
            Ok(client) => client.simple_query("SELECT 1").await.is_ok(),
            Err(_) => false,
        }
    }
}

async fn connect(mut config: Config) -> Result<Client, Error> {
    config.application_name("howdah local").connect_timeout(Duration::from_secs(10));
    let (client, connection) = config.connect(NoTls).await?;
    // Ends with the client; an error shows in the client's own calls.
    tokio::spawn(connection);
    Ok(client)
}
