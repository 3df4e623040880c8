//! `howdah router`.
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use howdah_router::RouterConfig;
use tokio_util::sync::CancellationToken;

use crate::instance::{lifeline, stop_on_signal};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What to serve, as JSON.
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
        let config: RouterConfig =
            serde_json::from_str(&text).with_context(|| self.config.display().to_string())?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            let shutdown = CancellationToken::new();
            let stop = tokio::spawn(stop_on_signal(lifeline(self.lifeline), shutdown.clone()));
            let result = howdah_router::run(config, shutdown).await;
            stop.abort();
            result
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
