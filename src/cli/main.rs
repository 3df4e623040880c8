//! The one binary: arguments to configuration to `run()`. No logic beyond that.
mod crd;
mod instance;
mod local;
mod operator;
mod process;
mod progress;
mod router;
mod table;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Distributed PostgreSQL server groups on stock PostgreSQL.
#[derive(Parser)]
#[command(name = "howdah", version, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a whole server group on this machine.
    #[command(subcommand)]
    Local(local::Local),
    /// Run the routing engine that clients connect to.
    Router(process::Arguments),
    /// Run one PostgreSQL server: make it, start it, keep it running.
    Instance(process::Arguments),
    /// Copy this program into a directory, for a container without it.
    InstallBinary {
        #[arg(value_name = "DIR")]
        directory: std::path::PathBuf,
    },
    /// Look after the ServerGroups of a Kubernetes cluster.
    Operator(operator::Arguments),
    /// Print the CustomResourceDefinitions.
    Crd(crd::Crd),
}

fn main() -> ExitCode {
    let (name, result) = if is_kubectl_plugin() {
        ("kubectl howdah", howdah_kubectl::run(howdah_kubectl::Arguments::parse()))
    } else {
        ("howdah", run(Arguments::parse().command))
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// kubectl finds its plugins by their names: the same program, linked as `kubectl-howdah`.
fn is_kubectl_plugin() -> bool {
    let name = std::env::args_os().next().map(std::path::PathBuf::from);
    name.and_then(|it| Some(it.file_stem()? == "kubectl-howdah")).unwrap_or(false)
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Local(command) => command.run(),
        Command::Router(arguments) => router::run(arguments),
        Command::Instance(arguments) => instance::run(arguments),
        Command::InstallBinary { directory } => instance::install_binary(&directory),
        Command::Operator(arguments) => operator::run(arguments),
        Command::Crd(command) => command.run(),
    }
}

/// Logs to standard error; HOWDAH_LOG chooses what (`debug`, `howdah_router=trace`, …).
fn log() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("HOWDAH_LOG");
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    // Its spans name the object and the reason of each turn again, in every line.
    let filter = filter.add_directive("kube_runtime=warn".parse().expect("this is a directive"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
}
