//! `howdah crd`.
use std::io::Write as _;
use std::process::ExitCode;

pub(crate) fn run() -> anyhow::Result<ExitCode> {
    std::io::stdout().write_all(howdah_api::crd_yaml().as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
