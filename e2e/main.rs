//! The end-to-end suite: server groups on a real Kubernetes cluster. README.md says how to run it.
//!
//! Read in this order: `provider` (where the cluster comes from), `scene` and `group` (what a test sees), `suite` (the tests).
mod artifacts;
mod cluster;
mod command;
mod group;
mod images;
mod install;
mod port_forward;
mod provider;
mod runner;
mod scene;
mod suite;
mod wait;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};
use tokio::task::block_in_place;

use crate::cluster::Cluster;
use crate::provider::ProviderName;
use crate::runner::{Options, Part};

#[derive(Parser)]
#[command(name = "howdah-e2e", disable_help_subcommand = true)]
struct Arguments {
    /// Where the cluster comes from; by default the first that this machine can run.
    #[arg(long, env = "HOWDAH_E2E_PROVIDER", global = true)]
    provider: Option<ProviderName>,
    /// The howdah binary to test.
    #[arg(long, env = "HOWDAH_E2E_BINARY", global = true)]
    binary: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Bring up the cluster with the operator of this checkout, and leave it there.
    Up,
    /// End the cluster.
    Down,
    /// Bring it up, run the tests, and leave it there for the next run.
    Run(Run),
    /// List the tests.
    List,
}

#[derive(clap::Args)]
struct Run {
    /// Only tests with one of these in their names.
    names: Vec<String>,
    /// Only the core that every change must pass.
    #[arg(long)]
    quick: bool,
    /// How many tests may run at the same time.
    #[arg(long, default_value_t = 2)]
    side_by_side: usize,
    /// Leave the namespaces of failed tests.
    #[arg(long)]
    keep: bool,
    /// End the cluster afterwards.
    #[arg(long)]
    down: bool,
    /// Fail where no provider can run, instead of skipping the suite.
    #[arg(long, env = "HOWDAH_E2E_REQUIRED")]
    required: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match perform(Arguments::parse()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("howdah-e2e: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn perform(arguments: Arguments) -> Result<ExitCode> {
    match &arguments.command {
        Command::Up => {
            bring_up(&arguments, arguments.usable_provider()?).await?;
        }
        Command::Down => arguments.usable_provider()?.provider().down()?,
        Command::Run(run) => return run_tests(&arguments, run).await,
        Command::List => {
            for test in suite::TESTS {
                println!("{} {}", if test.part == Part::Quick { "quick" } else { "full " }, test.name);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn run_tests(arguments: &Arguments, run: &Run) -> Result<ExitCode> {
    let kind = match arguments.usable_provider() {
        Ok(kind) => kind,
        Err(error) if !run.required => {
            println!("*** SKIPPED: no end-to-end test was run. {error:#} ***");
            return Ok(ExitCode::SUCCESS);
        }
        Err(error) => return Err(error),
    };
    let named = |name: &str| run.names.is_empty() || run.names.iter().any(|it| name.contains(it.as_str()));
    let chosen = suite::TESTS.iter().filter(|it| named(it.name) && (!run.quick || it.part == Part::Quick));
    let chosen: Vec<_> = chosen.collect();
    ensure!(!chosen.is_empty(), "no test has such a name");
    let cluster = bring_up(arguments, kind).await?;
    let options = Options { side_by_side: run.side_by_side.max(1), keep: run.keep };
    let passed = runner::run(Arc::new(cluster), chosen, &options).await;
    if run.down {
        block_in_place(|| kind.provider().down())?;
    }
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn bring_up(arguments: &Arguments, kind: ProviderName) -> Result<Cluster> {
    let provider = kind.provider();
    let binary = arguments.binary()?;
    let access = block_in_place(|| provider.up()).context("cannot bring up the cluster")?;
    let images = block_in_place(|| provider.images(&binary)).context("cannot load the images")?;
    println!("KUBECONFIG={}", access.kubeconfig.display());
    let cluster = Cluster::connect(provider, access, images).await?;
    install::chart(&cluster, 1).await?;
    Ok(cluster)
}

impl Arguments {
    fn usable_provider(&self) -> Result<ProviderName> {
        let Some(kind) = self.provider else { return ProviderName::choose() };
        kind.provider().check().with_context(|| format!("provider {kind:?} cannot run here"))?;
        Ok(kind)
    }

    /// The named one, or the one that cargo put beside this program.
    fn binary(&self) -> Result<PathBuf> {
        let beside = || Ok::<_, std::io::Error>(std::env::current_exe()?.with_file_name("howdah"));
        let binary = self.binary.clone().map_or_else(beside, Ok)?;
        ensure!(binary.is_file(), "no binary at {}: cargo build -p howdah, or --binary", binary.display());
        Ok(binary)
    }
}

fn repository_root() -> PathBuf {
    let crate_directory = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    crate_directory.parent().expect("the suite lies in the repository").to_owned()
}
