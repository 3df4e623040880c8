//! The instance manager's own connection to its server: over the socket, as superuser.
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use howdah_tls::names;
use tokio::time::{Instant, sleep};
use tokio_postgres::{Client, Config, Error, NoTls};

use crate::InstanceConfig;

pub(crate) struct Monitor {
    socket_dir: PathBuf,
    port: u16,
    /// The last connection that was opened; several questions pass over it at a time.
    client: Mutex<Option<Arc<Client>>>,
}

/// What a server says of itself.
pub(crate) struct Facts {
    pub(crate) version: String,
    pub(crate) version_num: u32,
    pub(crate) pending_restart: Vec<String>,
    pub(crate) data_bytes: u64,
}

/// Who a backend works for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Peer {
    /// A router that has come over TCP, from there.
    Router(IpAddr),
    /// A client on this machine's socket, a process of the server itself, or the operator.
    Other,
}

impl Monitor {
    pub(crate) fn new(config: &InstanceConfig) -> Self {
        Self { socket_dir: config.socket_dir.clone(), port: config.port, client: Mutex::default() }
    }

    pub(crate) async fn facts(&self) -> Result<Facts, Error> {
        let row = self.client().await?.query_one(FACTS, &[]).await?;
        let version: String = row.get(0);
        Ok(Facts {
            // Distributors append theirs.
            version: version.split_whitespace().next().unwrap_or_default().to_owned(),
            version_num: u32::try_from(row.get::<_, i32>(1)).unwrap_or_default(),
            pending_restart: row.get(2),
            data_bytes: u64::try_from(row.get::<_, i64>(3)).unwrap_or_default(),
        })
    }

    /// Has the server read its files again, and waits until it has. Which settings then wait for a restart?
    pub(crate) async fn reload(&self) -> Result<Vec<String>, Error> {
        let client = self.client().await?;
        let loaded = "SELECT pg_catalog.pg_conf_load_time()::text";
        let before: String = client.query_one(loaded, &[]).await?.get(0);
        client.execute("SELECT pg_catalog.pg_reload_conf()", &[]).await?;
        let end = Instant::now() + RELOAD;
        while client.query_one(loaded, &[]).await?.get::<_, String>(0) == before && Instant::now() < end {
            sleep(Duration::from_millis(10)).await;
        }
        Ok(client.query_one(PENDING, &[]).await?.get(0))
    }

    /// Takes no lock that a statement could hold: it reads no catalog but the server's memory.
    pub(crate) async fn peer_of(&self, backend: i32) -> Result<Peer, Error> {
        let client = self.client().await?;
        let Some(row) = client.query_opt(PEER, &[&backend]).await? else { return Ok(Peer::Other) };
        let (address, name): (Option<IpAddr>, Option<String>) = (row.get(0), row.get(1));
        // As OpenSSL prints it: /O=…/CN=…
        let is_router = |name: &str| name.split('/').any(|it| it.strip_prefix("CN=") == Some(names::ROUTER));
        match address.filter(|_| name.as_deref().is_some_and(is_router)) {
            Some(address) => Ok(Peer::Router(address)),
            None => Ok(Peer::Other),
        }
    }

    async fn client(&self) -> Result<Arc<Client>, Error> {
        let known = self.known().clone().filter(|it| !it.is_closed());
        if let Some(client) = known {
            return Ok(client);
        }
        let mut config = Config::new();
        config.host_path(&self.socket_dir).port(self.port).user("postgres").dbname("postgres");
        config.application_name("howdah instance").connect_timeout(CONNECT);
        let (client, connection) = config.connect(NoTls).await?;
        // Ends with the client; an error shows in the client's own calls.
        tokio::spawn(connection);
        client.batch_execute("SET statement_timeout = '30s'; SET search_path = pg_catalog").await?;
        let client = Arc::new(client);
        *self.known() = Some(client.clone());
        Ok(client)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Option<Arc<Client>>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const FACTS: &str = "SELECT current_setting('server_version'), current_setting('server_version_num')::int, \
    (SELECT coalesce(array_agg(name ORDER BY name), '{}') FROM pg_settings WHERE pending_restart), \
    (SELECT sum(pg_database_size(oid))::bigint FROM pg_database WHERE datallowconn)";

const PENDING: &str =
    "SELECT coalesce(array_agg(name ORDER BY name), '{}') FROM pg_settings WHERE pending_restart";

/// Of a parallel worker, who its leader works for.
const PEER: &str = "SELECT l.client_addr, l.ssl_client_dn FROM pg_stat_get_activity($1) b, \
    LATERAL pg_stat_get_activity(coalesce(b.leader_pid, b.pid)) l";

const CONNECT: Duration = Duration::from_secs(5);
const RELOAD: Duration = Duration::from_secs(5);
