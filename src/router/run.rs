//! Puts a router together and runs it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use howdah_catalog::Catalog;
use howdah_pg::scram::{ChannelBinding, server_end_point};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::cancel::CancelRegistry;
use crate::config::RouterConfig;
use crate::connect::Connector;
use crate::control::{Control, empty_catalog};
use crate::cores::Cores;
use crate::deadlock;
use crate::error::{Error, Result};
use crate::fence::Fence;
use crate::listener::Listener;
use crate::loopback::{LoopbackListener, Registry, WorkerAccess};
use crate::pool::Pools;
use crate::recovery::{self, Recovery};
use crate::router::Router;
use crate::session::{PlanCache, Room};
use crate::tls;

/// How often idle server connections are looked through.
const REAP: Duration = Duration::from_secs(5);

/// Serves clients until `shutdown`; then lets statements under way end, for a while.
pub async fn run(config: RouterConfig, shutdown: CancellationToken) -> Result<()> {
    let acceptor = match &config.tls {
        Some(files) => Some(TlsAcceptor::from(tls::server(files).map_err(|it| start_error("TLS", &it))?)),
        None => None,
    };
    let connector = Connector::new(match &config.node_tls {
        Some(files) => Some(tls::client(files).map_err(|it| start_error("TLS of nodes", &it))?),
        None => None,
    });
    let (sender, catalog) = watch::channel(Arc::new(empty_catalog()));
    let sender = Arc::new(sender);
    let router = Arc::new(assemble(config, connector.clone(), sender.clone(), shutdown.clone())?);

    let cores = Cores::start(router.config.cores).map_err(|error| start_error("threads", &error))?;
    let cores = Arc::new(cores);
    let clients = Arc::new(Semaphore::new(router.config.limits.clients));
    let mut listeners = Vec::new();
    for address in &router.config.listen {
        let listener =
            Listener::bind(*address, acceptor.clone(), router.clone(), clients.clone(), cores.clone());
        listeners.push(listener.await.map_err(|error| start_error(&address.to_string(), &error))?);
    }

    let mut tasks = JoinSet::new();
    if let Some(path) = &router.config.loopback_socket {
        let loopback = LoopbackListener::bind(path, router.clone());
        let loopback = loopback.map_err(|error| start_error(&path.display().to_string(), &error))?;
        tasks.spawn(loopback.run(shutdown.clone()));
    }
    tasks.spawn(
        Control::new(&router.config, connector, sender, router.defaults.clone()).run(shutdown.clone()),
    );
    tasks.spawn(reap(router.clone(), shutdown.clone()));
    first_catalog(catalog, &shutdown).await;
    tasks.spawn(recovery::run(router.clone(), shutdown.clone()));
    tasks.spawn(deadlock::run(router.clone(), shutdown.clone()));
    for listener in listeners {
        tasks.spawn(listener.run(shutdown.clone()));
    }
    while tasks.join_next().await.is_some() {}
    Ok(())
}

fn assemble(
    config: RouterConfig,
    connector: Connector,
    catalog: Arc<watch::Sender<Arc<Catalog>>>,
    shutdown: CancellationToken,
) -> Result<Router> {
    let channel_binding = match &config.tls {
        Some(files) => tls::leaf(files).map_err(|it| start_error("TLS", &it))?,
        None => None,
    };
    let channel_binding = channel_binding.and_then(|it| server_end_point(&it));
    let mut mock_nonce = [0; 32];
    SystemRandom::new().fill(&mut mock_nonce).expect("the system has randomness");
    let mut name = [0; 8];
    SystemRandom::new().fill(&mut name).expect("the system has randomness");
    let pools = Pools::new(
        config.pool.clone(),
        config.cores.get(),
        config.coordinator.clone(),
        config.database.clone(),
        catalog.subscribe(),
        connector,
    );
    Ok(Router {
        pools,
        recovery: Recovery::new(u64::from_be_bytes(name)),
        fence: Fence::new(config.cores.get()),
        catalog,
        defaults: Arc::default(),
        plans: PlanCache::new(config.limits.cached_plans),
        room: Room::new(config.limits.planned_bytes),
        cancels: Arc::new(CancelRegistry::default()),
        registry: Registry::default(),
        live: WorkerAccess::default(),
        readers: Default::default(),
        mock_nonce,
        channel_binding: channel_binding.map_or(ChannelBinding::Unavailable, ChannelBinding::ServerEndPoint),
        sessions: Default::default(),
        shutdown,
        config,
    })
}

/// Nobody is served by guesses: clients that connect before wait in the listen queue.
async fn first_catalog(mut catalog: watch::Receiver<Arc<Catalog>>, shutdown: &CancellationToken) {
    tokio::select! {
        _ = catalog.changed() => {}
        () = shutdown.cancelled() => {}
    }
}

async fn reap(router: Arc<Router>, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(REAP) => {
                router.fence.reap();
                router.pools.reap();
            }
            () = shutdown.cancelled() => return,
        }
    }
}

fn start_error(what: &str, error: &io::Error) -> Error {
    Error::Start(format!("{what}: {error}"))
}
