//! Puts a router together and runs it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use howdah_catalog::Catalog;
use howdah_tls::Reloading;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
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
use crate::{probes, tls};

/// How often idle server connections are looked through.
const REAP: Duration = Duration::from_secs(5);

/// Serves clients until `shutdown`; then lets transactions under way end, for a while.
pub async fn run(config: RouterConfig, shutdown: CancellationToken) -> Result<()> {
    let for_clients = tls::for_clients(&config).map_err(|it| start_error("TLS", &it))?;
    let for_nodes = tls::for_nodes(&config).map_err(|it| start_error("TLS of nodes", &it))?;
    let connector = Connector::new(for_nodes.clone());
    let (sender, catalog) = watch::channel(Arc::new(empty_catalog()));
    let sender = Arc::new(sender);
    let router = Arc::new(assemble(config, connector.clone(), sender.clone(), shutdown.clone()));

    // What sessions need until the last of them has ended.
    let mut tasks = JoinSet::new();
    let end = CancellationToken::new();
    if let Some(address) = router.config.probes {
        let listener = probes::bind(address).await.map_err(|it| start_error(&address.to_string(), &it))?;
        tasks.spawn(probes::run(listener, router.clone(), end.clone()));
    }
    listen_for_loopback(&router, &mut tasks, &end).await?;
    let listeners = bind(&router, for_clients.clone()).await?;
    tasks.spawn(Control::new(&router.config, connector, sender, router.defaults.clone()).run(end.clone()));
    tasks.spawn(reap(router.clone(), end.clone()));
    for_clients.into_iter().for_each(|it| follow(it, &mut tasks, &end));
    for_nodes.into_iter().for_each(|it| follow(it, &mut tasks, &end));
    first_catalog(catalog, &shutdown).await;
    tasks.spawn(recovery::run(router.clone(), end.clone()));
    tasks.spawn(deadlock::run(router.clone(), end.clone()));
    let mut serving = JoinSet::new();
    for listener in listeners {
        serving.spawn(listener.run(shutdown.clone()));
    }
    while serving.join_next().await.is_some() {}
    end.cancel();
    while tasks.join_next().await.is_some() {}
    Ok(())
}

async fn bind(router: &Arc<Router>, tls: Option<tls::Clients>) -> Result<Vec<Listener>> {
    let cores = Cores::start(router.config.cores).map_err(|error| start_error("threads", &error))?;
    let cores = Arc::new(cores);
    let clients = Arc::new(Semaphore::new(router.config.limits.clients));
    let mut listeners = Vec::new();
    for address in &router.config.listen {
        let listener = Listener::bind(*address, tls.clone(), router.clone(), clients.clone(), cores.clone());
        listeners.push(listener.await.map_err(|error| start_error(&address.to_string(), &error))?);
    }
    Ok(listeners)
}

async fn listen_for_loopback(
    router: &Arc<Router>,
    tasks: &mut JoinSet<()>,
    end: &CancellationToken,
) -> Result<()> {
    if let Some(path) = &router.config.loopback_socket {
        let loopback = LoopbackListener::bind(path, router.clone());
        let loopback = loopback.map_err(|error| start_error(&path.display().to_string(), &error))?;
        tasks.spawn(loopback.run(end.clone()));
    }
    if let Some(address) = router.config.loopback_listen {
        let failed = |error| start_error(&address.to_string(), &error);
        let tls = tls::for_loopback(&router.config).map_err(failed)?;
        let loopback = LoopbackListener::bind_tcp(address, tls.clone(), router.clone()).await;
        tasks.spawn(loopback.map_err(failed)?.run(end.clone()));
        follow(tls, tasks, end);
    }
    Ok(())
}

/// Takes over certificates that are replaced.
fn follow<T: Send + Sync + 'static>(
    certificates: Arc<Reloading<T>>,
    tasks: &mut JoinSet<()>,
    end: &CancellationToken,
) {
    let end = end.clone().cancelled_owned();
    tasks.spawn(async move {
        tokio::select! {
            () = certificates.follow() => {}
            () = end => {}
        }
    });
}

fn assemble(
    config: RouterConfig,
    connector: Connector,
    catalog: Arc<watch::Sender<Arc<Catalog>>>,
    shutdown: CancellationToken,
) -> Router {
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
    Router {
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
        sessions: Default::default(),
        shutdown,
        deadline: CancellationToken::new(),
        config,
    }
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
