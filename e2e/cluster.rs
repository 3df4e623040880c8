//! The cluster under test: its API, its kubectl, its faults.
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use kube::config::{KubeConfigOptions, Kubeconfig};
use tokio::process::Command;
use tokio::task::block_in_place;

use crate::command::{self, Said};
use crate::images::Images;
use crate::provider::{Access, Faults, Provider};
use crate::wait::seconds;

/// What one kubectl may take, unless a caller knows better.
const KUBECTL: Duration = seconds(60);

pub(crate) struct Cluster {
    pub(crate) provider: Box<dyn Provider>,
    pub(crate) images: Images,
    pub(crate) client: kube::Client,
    access: Access,
}

impl Cluster {
    pub(crate) async fn connect(provider: Box<dyn Provider>, access: Access, images: Images) -> Result<Self> {
        let kubeconfig = Kubeconfig::read_from(&access.kubeconfig)?;
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(Self { provider, images, client: kube::Client::try_from(config)?, access })
    }

    /// A program of the cluster's tools (kubectl, helm), which knows the cluster.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut command =
            Command::new(self.access.programs.as_ref().map_or(PathBuf::from(name), |it| it.join(name)));
        command.env("KUBECONFIG", &self.access.kubeconfig);
        command
    }

    /// kubectl, which must succeed.
    pub(crate) async fn kubectl(&self, arguments: &[&str], input: &str) -> Result<String> {
        command::run(self.program("kubectl").args(arguments), input, KUBECTL).await
    }

    /// kubectl, which may be refused.
    pub(crate) async fn try_kubectl(&self, arguments: &[&str], input: &str) -> Result<Said> {
        command::say(self.program("kubectl").args(arguments), input, KUBECTL).await
    }

    /// Breaks something. The runner gives tests that need this only to providers that can.
    pub(crate) fn fault(&self, verb: impl FnOnce(&dyn Faults) -> Result<()>) -> Result<()> {
        let faults = self.provider.faults().context("this provider breaks nothing")?;
        block_in_place(|| verb(faults))
    }
}
