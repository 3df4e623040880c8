//! What `howdah router` and `howdah instance` have in common: a configuration to read, and when to stop.
use std::path::PathBuf;

use anyhow::Context as _;
use howdah_instance::Lifeline;
use serde::de::DeserializeOwned;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What to run, as JSON.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Stop when standard input ends: the parent holds its other end.
    #[arg(long)]
    lifeline: bool,
}

impl Arguments {
    pub(crate) fn config<C: DeserializeOwned>(&self) -> anyhow::Result<C> {
        let name = || self.config.display().to_string();
        let text = std::fs::read_to_string(&self.config).with_context(name)?;
        serde_json::from_str(&text).with_context(name)
    }

    fn lifeline(&self) -> Lifeline {
        if self.lifeline { Lifeline::StandardInput } else { Lifeline::None }
    }

    /// Runs until it ends by itself, or on SIGTERM, SIGINT, or the death of the parent.
    pub(crate) async fn run<E>(
        self,
        process: impl AsyncFnOnce(CancellationToken) -> Result<(), E>,
    ) -> anyhow::Result<()>
    where
        E: Into<anyhow::Error>,
    {
        until_told(self.lifeline(), process).await
    }
}

/// As [`Arguments::run`].
pub(crate) async fn until_told<E>(
    lifeline: Lifeline,
    process: impl AsyncFnOnce(CancellationToken) -> Result<(), E>,
) -> anyhow::Result<()>
where
    E: Into<anyhow::Error>,
{
    let shutdown = CancellationToken::new();
    let stop = tokio::spawn(stop_when_told(lifeline, shutdown.clone()));
    let result = process(shutdown).await;
    stop.abort();
    result.map_err(Into::into)
}

async fn stop_when_told(lifeline: Lifeline, shutdown: CancellationToken) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = lifeline.cut() => {}
    }
    shutdown.cancel();
    Ok(())
}
