//! `howdah instance`.
use std::process::ExitCode;

use crate::process;

pub(crate) fn run(arguments: process::Arguments) -> anyhow::Result<ExitCode> {
    crate::log();
    let config = arguments.config()?;
    // One thread, the main one: Postgres lives as long as the thread that started it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(arguments.run(async |shutdown| howdah_instance::run(config, shutdown).await))?;
    Ok(ExitCode::SUCCESS)
}
