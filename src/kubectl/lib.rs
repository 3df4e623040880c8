//! `kubectl howdah`: server groups for people at a terminal. The binary calls it when its own name is
//! `kubectl-howdah`, which is how kubectl finds its plugins.
//!
//! It writes only what a person with kubectl could write: `spec.hibernate`, and ServerGroupOperations.
mod change;
mod cluster;
mod logs;
mod psql;
mod status;
mod table;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use self::cluster::Cluster;

/// Server groups at a glance, and a way into them.
#[derive(Parser)]
#[command(name = "kubectl howdah", bin_name = "kubectl howdah", version, disable_help_subcommand = true)]
pub struct Arguments {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    command: Command,
}

/// Which cluster, and where in it: as kubectl itself takes them.
#[derive(Args)]
struct Target {
    /// The namespace; default: that of the context.
    #[arg(short, long, global = true)]
    namespace: Option<String>,
    /// The context of the kubeconfig; default: the current one.
    #[arg(long, global = true)]
    context: Option<String>,
    /// The kubeconfig; default: $KUBECONFIG, then ~/.kube/config.
    #[arg(long, global = true, value_name = "FILE")]
    kubeconfig: Option<std::path::PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Show nodes, shards and conditions; without a name, all server groups of the namespace.
    Status {
        name: Option<String>,
        #[arg(short, long, value_enum)]
        output: Option<status::Format>,
    },
    /// Open psql on the server group, through a port-forward.
    Psql {
        name: String,
        /// What psql gets besides; for example -c 'SELECT 1'.
        #[arg(last = true, value_name = "ARGUMENT")]
        arguments: Vec<String>,
    },
    /// Print what PostgreSQL and the routers write to their logs.
    Logs(logs::Logs),
    /// Restart PostgreSQL, one node at a time.
    Restart {
        name: String,
        /// Only this node: coordinator, w0, w1, …
        #[arg(long)]
        node: Option<String>,
    },
    /// Stop all pods and keep the data, or start them again.
    Hibernate {
        name: String,
        /// Start the pods again.
        #[arg(long)]
        wake: bool,
    },
    /// Print the URI for applications inside the cluster, with its password.
    Uri { name: String },
}

/// Runs one command to its end.
pub fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(perform(arguments))
}

async fn perform(Arguments { target, command }: Arguments) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::connect(&target).await?;
    match command {
        Command::Status { name: Some(name), output } => status::one(&cluster, &name, output).await?,
        Command::Status { name: None, output } => status::all(&cluster, output).await?,
        Command::Psql { name, arguments } => return psql::run(&cluster, &name, &arguments).await,
        Command::Logs(logs) => logs.run(&cluster).await?,
        Command::Restart { name, node } => change::restart(&cluster, &name, node.as_deref()).await?,
        Command::Hibernate { name, wake } => change::hibernate(&cluster, &name, !wake).await?,
        Command::Uri { name } => println!("{}", cluster.app_secret(&name).await?.text("uri")?),
    }
    Ok(ExitCode::SUCCESS)
}
