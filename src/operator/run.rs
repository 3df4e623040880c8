//! The process: endpoints, election, and the controllers while it leads.
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use prometheus_client::registry::Registry;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::cluster::Cluster;
use crate::config::OperatorConfig;
use crate::context::Context;
use crate::leader::{Candidate, Leadership};
use crate::metrics::Metrics;
use crate::{Error, controller, health};

/// Runs until `shutdown`: turns that have begun are ended, then the lease is released.
pub async fn run(config: OperatorConfig, shutdown: CancellationToken) -> Result<(), Error> {
    let client = Client::try_default().await?;
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let leadership = Leadership::new();
    let (sender, leads) = watch::channel(false);
    let identity = format!("{}-{}", config.identity, unique());
    info!(identity, namespace = config.namespace, "operator");
    let resign = CancellationToken::new();
    let candidate = Candidate::new(client.clone(), &config.namespace, identity, leadership.clone(), sender);
    let mut tasks = JoinSet::new();
    tasks.spawn(health::serve(config.listen, registry, resign.clone()).await?);
    tasks.spawn(candidate.run(resign.clone()));
    let context = Arc::new(Context::new(Cluster::new(client, leadership), config, metrics));
    reign(&context, leads, &shutdown).await;
    resign.cancel();
    while tasks.join_next().await.is_some() {}
    Ok(())
}

/// Controllers run while this process leads.
async fn reign(context: &Arc<Context>, mut leads: watch::Receiver<bool>, shutdown: &CancellationToken) {
    loop {
        tokio::select! {
            changed = leads.wait_for(|it| *it) => {
                if changed.is_err() {
                    return;
                }
            }
            () = shutdown.cancelled() => return,
        }
        context.metrics.leads(true);
        // Somebody else may have ruled in between.
        context.memories.clear();
        let stop = CancellationToken::new();
        let mut controllers = tokio::spawn(controller::run(context.clone(), stop.clone()));
        let ended = tokio::select! {
            _ = leads.wait_for(|it| !*it) => false,
            () = shutdown.cancelled() => true,
            _ = &mut controllers => false,
        };
        stop.cancel();
        // Without the lease nothing can be written any more; with it, what has begun may end.
        let patience = if ended { SHUTDOWN } else { Duration::ZERO };
        if timeout(patience, &mut controllers).await.is_err() {
            controllers.abort();
        }
        context.metrics.leads(false);
        if ended {
            return;
        }
    }
}

/// No two processes are the same candidate, even in one pod.
fn unique() -> String {
    let mut bytes = [0; 4];
    let random = ring::rand::SystemRandom::new();
    ring::rand::SecureRandom::fill(&random, &mut bytes).expect("the kernel gives random bytes");
    format!("{:08x}", u32::from_be_bytes(bytes))
}

const SHUTDOWN: Duration = Duration::from_secs(20);
