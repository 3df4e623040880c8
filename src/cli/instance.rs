//! `howdah instance`, and `howdah install-binary`, which brings it into an image with PostgreSQL.
use std::path::Path;
use std::process::ExitCode;

use crate::process;

pub(crate) fn run(arguments: process::Arguments) -> anyhow::Result<ExitCode> {
    if let Some(code) = howdah_instance::run_as_init()? {
        return Ok(code);
    }
    crate::log();
    let config = arguments.config()?;
    // One thread, the main one: Postgres lives as long as the thread that started it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(arguments.run(async |shutdown| howdah_instance::run(config, shutdown).await))?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn install_binary(directory: &Path) -> anyhow::Result<ExitCode> {
    let path = howdah_instance::install_binary(directory)?;
    println!("{}", path.display());
    Ok(ExitCode::SUCCESS)
}
