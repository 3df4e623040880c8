//! A port of this machine that leads to a Service, as people make it with `kubectl port-forward`.
use std::process::Stdio;

use anyhow::{Context, Result};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;
use tokio::time::timeout;

use crate::scene::Scene;
use crate::wait::seconds;

pub(crate) struct PortForward {
    pub(crate) port: u16,
    /// Ends with this value.
    _kubectl: Child,
}

impl PortForward {
    pub(crate) async fn open(scene: &Scene, target: &str, port: u16) -> Result<Self> {
        let mut command = scene.cluster.program("kubectl");
        command.args(["--namespace", &scene.namespace, "port-forward", target, &format!(":{port}")]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).kill_on_drop(true);
        let mut kubectl = command.spawn()?;
        let mut lines = BufReader::new(kubectl.stdout.take().context("it is piped")?).lines();
        let line =
            timeout(seconds(30), lines.next_line()).await.context("kubectl port-forward says nothing")??;
        let line = line.context("kubectl port-forward ended")?;
        // Forwarding from 127.0.0.1:40123 -> 5432
        let port = line.split_whitespace().find_map(|it| it.strip_prefix("127.0.0.1:"));
        let port = port.and_then(|it| it.parse().ok()).with_context(|| format!("no port in {line:?}"))?;
        // Whoever stops reading kills kubectl at its next line.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { port, _kubectl: kubectl })
    }
}
