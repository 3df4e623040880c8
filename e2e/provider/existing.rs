//! A cluster that somebody else runs. Its k8s nodes pull images themselves, and nothing of it can be broken.
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{Access, Provider};
use crate::images::{Images, Tagged};

const IMAGE: &str = "HOWDAH_E2E_IMAGE";
const POSTGRES_IMAGES: &str = "HOWDAH_E2E_POSTGRES_IMAGES";

pub(super) struct Existing;

impl Provider for Existing {
    fn check(&self) -> Result<()> {
        for name in ["KUBECONFIG", IMAGE, POSTGRES_IMAGES] {
            variable(name)?;
        }
        Ok(())
    }

    fn up(&self) -> Result<Access> {
        Ok(Access { kubeconfig: PathBuf::from(variable("KUBECONFIG")?), programs: None })
    }

    fn down(&self) -> Result<()> {
        Ok(())
    }

    fn images(&self, _: &Path) -> Result<Images> {
        let postgres = variable(POSTGRES_IMAGES)?;
        Images::new(Tagged::parse(&variable(IMAGE)?)?, postgres.split(','))
    }
}

fn variable(name: &str) -> Result<String> {
    std::env::var(name).with_context(|| format!("{name} is not set"))
}
