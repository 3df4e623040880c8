//! A process of the group: this same binary as `howdah instance` or `howdah router`.
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use howdah_group::{MemberName, NodeName};
use howdah_instance::{Event as InstanceEvent, InstanceConfig, processes};
use nix::sys::signal::Signal;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc::Sender;
use tokio::task::JoinSet;

use super::Event;
use super::plan::Plan;
use crate::Error;
use crate::pki::write_private;

/// What the supervisor holds of a child. The task that watches it owns the rest.
pub(super) struct Child {
    pub(super) pid: u32,
    pub(super) postgres_pid: Option<i32>,
    /// The child ends when this is closed, by us or by our death.
    lifeline: Option<ChildStdin>,
}

impl Child {
    /// Tells the process to end.
    pub(super) fn release(&mut self) {
        self.lifeline = None;
    }

    pub(super) fn kill(&self) {
        processes::signal(&[self.pid.cast_signed()], Signal::SIGKILL);
    }
}

/// Starts the instance manager of a node.
pub(super) fn start_instance(
    plan: &Plan,
    node: NodeName,
    events: &Sender<Event>,
    tasks: &mut JoinSet<()>,
) -> Result<Child, Error> {
    let name = MemberName::Postgres(node);
    let config: InstanceConfig = plan.instance_config(node);
    let text = serde_json::to_string_pretty(&config).expect("a configuration is plain data");
    let (mut process, mut child) = spawn(plan, name, "instance", &text, Stdio::piped())?;
    let stdout = process.stdout.take();
    let sender = events.clone();
    tasks.spawn(async move {
        if let Some(stdout) = stdout {
            relay(name, stdout, &sender).await;
        }
        let _ = sender.send(Event::Ended(name, ended(process.wait().await))).await;
    });
    child.postgres_pid = None;
    Ok(child)
}

/// Starts `howdah SUBCOMMAND --config FILE --lifeline` in the member's directory.
pub(super) fn spawn(
    plan: &Plan,
    name: MemberName,
    subcommand: &str,
    config: &str,
    stdout: Stdio,
) -> Result<(tokio::process::Child, Child), Error> {
    let directory = plan.layout.member(name);
    fs::create_dir_all(&directory).map_err(Error::file(&directory))?;
    let config_file = plan.layout.member_config(name);
    write_private(&config_file, config)?;
    let mut command = Command::new(OWN_PROGRAM);
    command
        .arg0("howdah")
        .args([subcommand, "--lifeline", "--config"])
        .arg(&config_file)
        .current_dir(&directory)
        .stdin(Stdio::piped())
        .stdout(stdout)
        .stderr(open_log(&plan.layout.member_log(name))?);
    let mut process =
        command.spawn().map_err(|error| Error::Spawn { program: format!("howdah {subcommand}"), error })?;
    let pid = process.id().unwrap_or_default();
    let lifeline = process.stdin.take();
    Ok((process, Child { pid, postgres_pid: None, lifeline }))
}

async fn relay(name: MemberName, stdout: ChildStdout, events: &Sender<Event>) {
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let event = match serde_json::from_str(&line) {
            Ok(InstanceEvent::Initialising) => Event::Initialising(name),
            Ok(InstanceEvent::Ready { postgres_pid }) => Event::Ready(name, Some(postgres_pid)),
            Ok(InstanceEvent::Exited { reason }) => Event::PostgresExited(name, reason),
            Ok(InstanceEvent::GaveUp { reason }) => Event::GaveUp(name, reason),
            Ok(InstanceEvent::Starting) | Err(_) => continue,
        };
        if events.send(event).await.is_err() {
            return;
        }
    }
}

pub(super) fn ended(status: std::io::Result<std::process::ExitStatus>) -> String {
    status.map_or_else(|error| error.to_string(), |it| it.to_string())
}

/// Appends; a log that has grown large is put aside first.
pub(crate) fn open_log(path: &Path) -> Result<File, Error> {
    if fs::metadata(path).is_ok_and(|it| it.len() > MAX_LOG) {
        let aside: PathBuf = path.with_extension("log.1");
        fs::rename(path, &aside).map_err(Error::file(path))?;
    }
    OpenOptions::new().create(true).append(true).open(path).map_err(Error::file(path))
}

const MAX_LOG: u64 = 16 << 20;

/// This binary, also when its file has been replaced meanwhile or lies where this user may not look.
pub(crate) const OWN_PROGRAM: &str = "/proc/self/exe";
