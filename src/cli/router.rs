//! `howdah router`.
use std::process::ExitCode;

use crate::process;

pub(crate) fn run(arguments: process::Arguments) -> anyhow::Result<ExitCode> {
    crate::log();
    let config = arguments.config()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(arguments.run(async |shutdown| howdah_router::run(config, shutdown).await))?;
    Ok(ExitCode::SUCCESS)
}
