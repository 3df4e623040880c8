//! `howdah crd`.
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

#[derive(clap::Args)]
pub(crate) struct Crd {
    /// Write a file for each kind into this directory instead of all to standard output.
    #[arg(long)]
    dir: Option<PathBuf>,
}

impl Crd {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let crds = howdah_api::crds();
        let Some(dir) = self.dir else {
            let documents: Vec<_> = crds.iter().map(|(_, crd)| howdah_api::crd_yaml(crd)).collect();
            std::io::stdout().write_all(documents.join("---\n").as_bytes())?;
            return Ok(ExitCode::SUCCESS);
        };
        for (name, crd) in crds {
            let file = dir.join(name);
            std::fs::write(&file, howdah_api::crd_yaml(&crd)).with_context(|| file.display().to_string())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
