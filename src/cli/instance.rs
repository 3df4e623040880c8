//! `howdah instance`.
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use howdah_instance::{InstanceConfig, Lifeline};
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
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        crate::log();
        let text =
            std::fs::read_to_string(&self.config).with_context(|| self.config.display().to_string())?;
        let config: InstanceConfig =
            serde_json::from_str(&text).with_context(|| self.config.display().to_string())?;
        // One thread, the main one: Postgres lives as long as the thread that started it.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let shutdown = CancellationToken::new();
            let stop = tokio::spawn(stop_on_signal(lifeline(self.lifeline), shutdown.clone()));
            let result = howdah_instance::run(config, shutdown).await;
            stop.abort();
            result
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

pub(crate) fn lifeline(wanted: bool) -> Lifeline {
    if wanted { Lifeline::StandardInput } else { Lifeline::None }
}

/// Cancels on SIGTERM, SIGINT, or the death of the parent.
pub(crate) async fn stop_on_signal(lifeline: Lifeline, shutdown: CancellationToken) -> anyhow::Result<()> {
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
