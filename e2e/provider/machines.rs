//! A cluster of the kit in `e2e/machines`.
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Access, Faults, Provider, Side, ask, perform};
use crate::images::{Images, Tagged, stripped};
use crate::repository_root;

const K8S_NODES: &str = "3";

pub(super) struct Machines {
    cluster: PathBuf,
}

impl Machines {
    pub(super) fn new() -> Self {
        Self { cluster: repository_root().join("e2e/machines/cluster") }
    }

    fn cluster(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.cluster);
        command.args(arguments);
        command
    }
}

impl Provider for Machines {
    fn check(&self) -> Result<()> {
        let output = self.cluster(&["check"]).output().context("cannot start the kit's cluster")?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }

    fn up(&self) -> Result<Access> {
        perform(&mut self.cluster(&["up", K8S_NODES]))?;
        let kubeconfig = PathBuf::from(ask(&mut self.cluster(&["kubeconfig"]))?);
        let state = kubeconfig.ancestors().nth(2).context("the kubeconfig lies in the kit's directory")?;
        let programs = Some(state.join("bin"));
        Ok(Access { kubeconfig, programs })
    }

    fn down(&self) -> Result<()> {
        perform(&mut self.cluster(&["down"]))
    }

    fn images(&self, binary: &Path) -> Result<Images> {
        let directory = tempfile::tempdir()?;
        let stripped = stripped(binary, directory.path())?;
        let image = Tagged::of_binary("howdah.test/howdah", &stripped)?;
        let archive = directory.path().join("image.tar");
        let mut make = self.cluster(&["image", "from-binary", &image.to_string()]);
        ask(make.arg(&stripped).arg("--out").arg(&archive))?;
        perform(self.cluster(&["load"]).arg(&archive))?;
        let postgres = ask(&mut self.cluster(&["image", "names"]))?;
        Images::new(image, postgres.lines())
    }

    fn faults(&self) -> Option<&dyn Faults> {
        Some(self)
    }
}

impl Faults for Machines {
    fn power_off(&self, k8s_node: &str) -> Result<()> {
        perform(&mut self.cluster(&["power-off", k8s_node]))
    }

    fn power_on(&self, k8s_node: &str) -> Result<()> {
        perform(&mut self.cluster(&["power-on", k8s_node]))
    }

    fn partition(&self, k8s_node: &str, from: Side) -> Result<()> {
        let from = match from {
            Side::Api => "api",
            Side::Peers => "peers",
            Side::All => "all",
        };
        perform(&mut self.cluster(&["partition", k8s_node, "--from", from]))
    }

    fn heal(&self, k8s_node: &str) -> Result<()> {
        perform(&mut self.cluster(&["heal", k8s_node]))
    }

    fn pause_control_plane(&self) -> Result<()> {
        perform(&mut self.cluster(&["pause-control-plane"]))
    }

    fn resume_control_plane(&self) -> Result<()> {
        perform(&mut self.cluster(&["resume-control-plane"]))
    }
}
