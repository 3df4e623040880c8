//! `howdah local …`.
use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use howdah_local::{Error, Login, Progress, Supervised, Up, Wipe};
use tokio::signal::unix::{SignalKind, signal};

use crate::progress::Display;
use crate::table;

#[derive(Subcommand)]
pub(crate) enum Local {
    /// Start a server group, or go on with the one that is in the directory.
    Up(UpArguments),
    /// Show what runs.
    Status(StatusArguments),
    /// Print the connection URI.
    Uri(UriArguments),
    /// Open psql on the group.
    Psql(PsqlArguments),
    /// Print the end of the logs.
    Logs(LogsArguments),
    /// Kill all processes of a member (kill -9), to see it come back.
    Kill(KillArguments),
    /// Stop the group. The data stay.
    Down(DownArguments),
    /// The process behind `up`.
    #[command(hide = true)]
    Supervise,
}

#[derive(Args)]
struct Directory {
    /// The directory of the group [default: /var/lib/howdah/local for root, else ~/.local/share/howdah/local].
    #[arg(long, value_name = "DIR", env = "HOWDAH_DIR")]
    dir: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct UpArguments {
    /// The ServerGroup, as YAML. Without it: the group of last time, or one with every default.
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    directory: Directory,
    /// The port of the router on localhost [default: that of last time, or 9700].
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// The number of workers, instead of the file's.
    #[arg(long, value_name = "N")]
    workers: Option<u32>,
    /// Where `postgres` and `initdb` are.
    #[arg(long, value_name = "DIR")]
    postgres_bin: Option<PathBuf>,
    /// Return when the group answers queries; `down` stops it.
    #[arg(long)]
    detach: bool,
}

#[derive(Args)]
pub(crate) struct StatusArguments {
    #[command(flatten)]
    directory: Directory,
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    Table,
    Json,
}

#[derive(Args)]
pub(crate) struct UriArguments {
    #[command(flatten)]
    directory: Directory,
    /// Of the superuser instead of the administrator.
    #[arg(long)]
    superuser: bool,
}

#[derive(Args)]
pub(crate) struct PsqlArguments {
    #[command(flatten)]
    directory: Directory,
    /// Connect as the superuser instead of the administrator.
    #[arg(long)]
    superuser: bool,
    /// Given to psql as they are.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    arguments: Vec<OsString>,
}

#[derive(Args)]
pub(crate) struct LogsArguments {
    #[command(flatten)]
    directory: Directory,
    /// Of this member only: coordinator, w0, w1, …, router.
    member: Option<String>,
}

#[derive(Args)]
pub(crate) struct KillArguments {
    #[command(flatten)]
    directory: Directory,
    /// coordinator, w0, w1, …, or router.
    member: String,
}

#[derive(Args)]
pub(crate) struct DownArguments {
    #[command(flatten)]
    directory: Directory,
    /// Remove the data too.
    #[arg(long)]
    wipe: bool,
}

impl Local {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        match self {
            Self::Up(arguments) => runtime.block_on(arguments.run()),
            Self::Status(arguments) => arguments.run(),
            Self::Uri(arguments) => arguments.run(),
            Self::Psql(arguments) => arguments.run(),
            Self::Logs(arguments) => arguments.run(),
            Self::Kill(arguments) => arguments.run(),
            Self::Down(arguments) => runtime.block_on(arguments.run()),
            Self::Supervise => {
                crate::log();
                Ok(ExitCode::from(runtime.block_on(howdah_local::supervise())))
            }
        }
    }
}

impl Directory {
    fn path(self) -> anyhow::Result<PathBuf> {
        if let Some(dir) = self.dir {
            return Ok(dir);
        }
        let home = std::env::var_os("HOME").filter(|it| !it.is_empty()).map(PathBuf::from);
        howdah_local::default_dir(home)
            .ok_or_else(|| anyhow::anyhow!("there is no home directory: name one with --dir"))
    }
}

impl UpArguments {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let detach = self.detach;
        let up = Up {
            file: self.file,
            dir: self.directory.path()?,
            port: self.port,
            workers: self.workers,
            postgres_bin: self.postgres_bin,
            detach,
        };
        let mut supervised = up.start().await?;
        let display = Display::new();
        let ended = tokio::select! {
            ended = relay(&mut supervised, &display, detach) => Some(ended),
            _ = terminate.recv() => None,
            _ = interrupt.recv() => None,
        };
        display.finish();
        match ended {
            Some(result) => result,
            None => {
                supervised.stop().await;
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

/// Shows what the supervisor says; in the foreground until it ends.
async fn relay(supervised: &mut Supervised, display: &Display, detach: bool) -> anyhow::Result<ExitCode> {
    while let Some(progress) = supervised.next().await {
        match progress {
            Progress::Note { text } => display.note(&text),
            Progress::Step { text } => display.step(&text),
            Progress::Failed { message } => return Err(Error::Supervisor(message).into()),
            Progress::Ready { uri } => {
                display.finish();
                print_line(&uri)?;
                if detach {
                    return Ok(ExitCode::SUCCESS);
                }
            }
        }
    }
    // In the foreground a supervisor that stops on request (`down`) ends in peace.
    if supervised.ended_well().await { Ok(ExitCode::SUCCESS) } else { Err(Error::SupervisorDied.into()) }
}

impl StatusArguments {
    fn run(self) -> anyhow::Result<ExitCode> {
        let status = howdah_local::status(&self.directory.path()?)?;
        match self.output {
            Output::Json => print_line(&serde_json::to_string_pretty(&status)?)?,
            Output::Table => print_line(&table::status(&status))?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn print_line(text: &str) -> anyhow::Result<()> {
    print(format!("{text}\n").as_bytes())
}

/// A reader who has seen enough, such as `head`, is no error.
fn print(text: &[u8]) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    match out.write_all(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn login(superuser: bool) -> Login {
    if superuser { Login::Superuser } else { Login::Admin }
}

impl UriArguments {
    fn run(self) -> anyhow::Result<ExitCode> {
        print_line(&howdah_local::uri(&self.directory.path()?, login(self.superuser))?)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl PsqlArguments {
    fn run(mut self) -> anyhow::Result<ExitCode> {
        // psql has no such option: after its own arguments it is still ours.
        if let Some(at) = self.arguments.iter().position(|it| it == "--dir")
            && at + 1 < self.arguments.len()
        {
            self.directory.dir = Some(PathBuf::from(self.arguments.remove(at + 1)));
            self.arguments.remove(at);
        }
        let mut command =
            howdah_local::psql(&self.directory.path()?, login(self.superuser), &self.arguments)?;
        // Only comes back when psql could not be started.
        Err(command.exec().into())
    }
}

impl LogsArguments {
    fn run(self) -> anyhow::Result<ExitCode> {
        let mut text = Vec::new();
        howdah_local::logs(&self.directory.path()?, self.member.as_deref(), &mut text)?;
        print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl KillArguments {
    fn run(self) -> anyhow::Result<ExitCode> {
        let report = howdah_local::kill(&self.directory.path()?, &self.member)?;
        eprintln!("killed {} processes of {}", report.processes, self.member);
        Ok(ExitCode::SUCCESS)
    }
}

impl DownArguments {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let wipe = if self.wipe { Wipe::Remove } else { Wipe::Keep };
        howdah_local::down(&self.directory.path()?, wipe).await?;
        Ok(ExitCode::SUCCESS)
    }
}
