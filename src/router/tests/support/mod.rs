//! A router in this process over one plain PostgreSQL, for tests that speak to it as clients do.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::net::TcpListener;
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::Command;

use howdah_harness::PostgresServer;
use howdah_harness::client::Client;
use howdah_router::{NodeAddress, PoolConfig, RouterConfig};
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) struct Served {
    pub(crate) postgres: PostgresServer,
    pub(crate) port: u16,
    runtime: Option<tokio::runtime::Runtime>,
    _stop: DropGuard,
}

pub(crate) const USER: &str = "alice";
pub(crate) const PASSWORD: &str = "wonder'land";
pub(crate) const DATABASE: &str = "app";

impl Served {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let postgres = PostgresServer::start()?;
        let mut admin = postgres.client("postgres")?;
        admin.simple(&format!("CREATE ROLE {USER} LOGIN PASSWORD 'wonder''land'"))?;
        admin.simple(&format!("CREATE DATABASE {DATABASE} OWNER {USER}"))?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let config = RouterConfig {
            listen: vec![([127, 0, 0, 1], port).into()],
            tls: None,
            coordinator: NodeAddress {
                host: postgres.socket_dir().display().to_string(),
                port: postgres.port(),
            },
            database: DATABASE.to_owned(),
            superuser: "postgres".to_owned(),
            loopback_socket: None,
            loopback_listen: None,
            node_tls: None,
            client_ca: None,
            require_tls: false,
            probes: None,
            shutdown_grace: std::time::Duration::from_secs(5),
            pool: PoolConfig { max_per_node: 10, ..PoolConfig::default() },
            limits: Default::default(),
            cores: NonZeroUsize::MIN.saturating_add(1),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let stop = CancellationToken::new();
        let running = howdah_router::run(config, stop.clone());
        runtime.spawn(async move {
            if let Err(error) = running.await {
                eprintln!("the router ended: {error}");
            }
        });
        let served = Self { postgres, port, runtime: Some(runtime), _stop: stop.drop_guard() };
        served.wait_until_ready()?;
        Ok(served)
    }

    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        Client::connect_tcp(&self.address(), USER, PASSWORD, DATABASE)
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A libpq program with the environment that leads it to the router.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(Path::new("/usr/bin").join(name));
        command
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", self.port.to_string())
            .env("PGUSER", USER)
            .env("PGPASSWORD", PASSWORD)
            .env("PGDATABASE", DATABASE)
            .env("PGSSLMODE", "prefer");
        command
    }

    fn wait_until_ready(&self) -> anyhow::Result<()> {
        let mut last = None;
        for _ in 0..200 {
            match self.client() {
                Ok(_) => return Ok(()),
                Err(error) => last = Some(error),
            }
            std::thread::sleep(std::time::Duration::from_millis(25));
        }
        Err(last.expect("it was tried"))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
