//! `kubectl howdah psql`: a port-forward to a router, and psql on it with the secret's password.
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

use crate::cluster::Cluster;

pub(crate) async fn run(cluster: &Cluster, group: &str, arguments: &[String]) -> anyhow::Result<ExitCode> {
    let secret = cluster.app_secret(group).await?;
    let pod = coordinator_pod(cluster, group).await?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let port = listener.local_addr()?.port().to_string();
    let mut psql = Command::new("psql");
    psql.args(arguments).env("PGHOST", "127.0.0.1").env("PGPORT", port).env("PGSSLMODE", "require");
    for (variable, key) in [("PGUSER", "username"), ("PGPASSWORD", "password"), ("PGDATABASE", "dbname")] {
        psql.env(variable, secret.text(key)?);
    }
    let mut psql = psql.spawn().context("psql is needed on this machine (postgresql-client)")?;
    // Ctrl-C is psql's: it cancels the statement there.
    let interrupts = async {
        while tokio::signal::ctrl_c().await.is_ok() {}
        std::future::pending::<()>().await;
    };
    let status = tokio::select! {
        status = psql.wait() => status?,
        error = forward(listener, cluster.pods(), pod) => return Err(error.into()),
        () = interrupts => unreachable!("it waits for ever"),
    };
    Ok(u8::try_from(status.code().unwrap_or(1)).map_or(ExitCode::FAILURE, ExitCode::from))
}

/// A pod with a router that is ready.
async fn coordinator_pod(cluster: &Cluster, group: &str) -> anyhow::Result<String> {
    let pods = cluster.pods_of(group, Some("coordinator")).await?;
    match pods.into_iter().find(is_ready).and_then(|it| it.metadata.name) {
        Some(name) => Ok(name),
        None => bail!("no pod of the coordinator is ready: see `kubectl howdah status {group}`"),
    }
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|it| it.conditions.as_deref()).unwrap_or_default();
    conditions.iter().any(|it| it.type_ == "Ready" && it.status == "True")
}

/// psql opens a second connection to cancel a statement.
async fn forward(listener: TcpListener, pods: Api<Pod>, pod: String) -> std::io::Error {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((connection, _)) => connections.spawn(relay(connection, pods.clone(), pod.clone())),
            Err(error) => return error,
        };
    }
}

async fn relay(mut connection: TcpStream, pods: Api<Pod>, pod: String) {
    let result: anyhow::Result<()> = async {
        let mut forwarder = pods.portforward(&pod, &[ROUTER_PORT]).await?;
        let mut stream = forwarder.take_stream(ROUTER_PORT).context("the port is not forwarded")?;
        copy_bidirectional(&mut connection, &mut stream).await?;
        Ok(())
    }
    .await;
    if let Err(error) = result {
        eprintln!("port-forward to {pod}: {error:#}");
    }
}

const ROUTER_PORT: u16 = 5432;
