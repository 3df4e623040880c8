//! Where the cluster comes from. Tests know its KUBECONFIG and these verbs, and nothing else of it.
mod existing;
mod kind;
mod machines;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::images::Images;

/// All verbs block: they run programs that take seconds.
pub(crate) trait Provider: Send + Sync {
    /// Why it cannot be used on this machine, if so.
    fn check(&self) -> Result<()>;
    /// A cluster that answers. Idempotent.
    fn up(&self) -> Result<Access>;
    fn down(&self) -> Result<()>;
    /// Images of this checkout that every k8s node can start.
    fn images(&self, binary: &Path) -> Result<Images>;
    /// What the provider can break, if it can.
    fn faults(&self) -> Option<&dyn Faults> {
        None
    }
}

/// What a provider that owns its machines can do to them.
pub(crate) trait Faults: Send + Sync {
    /// Everything on the k8s node is gone at once, and no connection to it is closed.
    fn power_off(&self, k8s_node: &str) -> Result<()>;
    /// The k8s node boots with the disk it had.
    fn power_on(&self, k8s_node: &str) -> Result<()>;
    fn partition(&self, k8s_node: &str, from: Side) -> Result<()>;
    fn heal(&self, k8s_node: &str) -> Result<()>;
    /// No API, no controllers, no scheduler; pods go on.
    fn pause_control_plane(&self) -> Result<()>;
    fn resume_control_plane(&self) -> Result<()>;
}

/// Whom a partitioned k8s node cannot reach, nor be reached by.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Side {
    Api,
    Peers,
    All,
}

/// How programs reach the cluster.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    pub(crate) kubeconfig: PathBuf,
    /// Where kubectl and helm are, when they are not in the PATH.
    pub(crate) programs: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, clap::ValueEnum)]
pub(crate) enum ProviderName {
    /// A cluster of this machine's own namespaces: needs root, Debian 12 and Go; can cut power and networks.
    Machines,
    /// A cluster in docker.
    Kind,
    /// The one that KUBECONFIG names.
    Existing,
}

impl ProviderName {
    pub(crate) fn provider(self) -> Box<dyn Provider> {
        match self {
            Self::Machines => Box::new(machines::Machines::new()),
            Self::Kind => Box::new(kind::Kind),
            Self::Existing => Box::new(existing::Existing),
        }
    }

    /// The first that this machine can run, or why none can.
    pub(crate) fn choose() -> Result<Self> {
        let mut reasons = String::new();
        for kind in [Self::Kind, Self::Machines] {
            match kind.provider().check() {
                Ok(()) => return Ok(kind),
                Err(error) => reasons.push_str(&format!("\n  {kind:?}: {error:#}")),
            }
        }
        bail!("no provider can run here:{reasons}")
    }
}

/// Runs a program whose progress people may see, and which must succeed.
fn perform(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {command:?}"))?;
    if !status.success() {
        bail!("{command:?} failed: {status}");
    }
    Ok(())
}

/// The same, and what it printed.
fn ask(command: &mut Command) -> Result<String> {
    let output = command.stderr(std::process::Stdio::inherit()).output();
    let output = output.with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", output.status);
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
