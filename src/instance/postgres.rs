//! One run of the postmaster: start, wait until it accepts connections, stop.
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getppid, setsid};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::processes::{self, Program};
use crate::{Error, InstanceConfig};

pub(crate) struct Postgres {
    child: Child,
    pid: i32,
}

impl Postgres {
    /// Must be called on a thread that lives as long as this process: the kernel ties the child's life
    /// (`PR_SET_PDEATHSIG`) to the *thread* that made it.
    pub(crate) async fn start(config: &InstanceConfig) -> Result<Self, Error> {
        let data = config.data_dir();
        if !processes::clear(&data, Program::Postgres).await {
            return Err(Error::Leftovers(data));
        }
        remove_stale_locks(config)?;
        check_configuration(config).await?;
        let log = open_log(&config.log_file())?;
        let program = config.program("postgres");
        let mut command = Command::new(&program);
        command
            .arg("-D")
            .arg(&data)
            .current_dir(&data)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        clean_environment(&mut command);
        die_with_parent(&mut command);
        let child = command.spawn().map_err(|source| Error::Spawn { program, source })?;
        let pid = child.id().map_or(0, u32::cast_signed);
        Ok(Self { child, pid })
    }

    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    pub(crate) async fn exited(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Fast shutdown: sessions end, a checkpoint is written. Past `patience` an immediate one, which leaves
    /// the work to crash recovery.
    pub(crate) async fn stop(mut self, data: &Path, patience: Duration) {
        for (signal, patience) in [(Signal::SIGINT, patience), (Signal::SIGQUIT, Duration::from_secs(5))] {
            let _ = kill(Pid::from_raw(self.pid), signal);
            if timeout(patience, self.child.wait()).await.is_ok() {
                return;
            }
        }
        processes::kill_all(data, Program::Postgres);
        let _ = self.child.wait().await;
    }
}

/// What the postmaster says about itself on the last line of its pid file, as pg_ctl reads it.
pub(crate) fn is_ready(data: &Path, pid: i32) -> bool {
    let Ok(text) = fs::read_to_string(data.join("postmaster.pid")) else { return false };
    let mut lines = text.lines();
    lines.next().and_then(|it| it.trim().parse().ok()) == Some(pid)
        && lines.nth(6).is_some_and(|it| it.trim() == "ready")
}

/// The last words of the log that say why Postgres ended, for the message to the user.
pub(crate) fn last_words(log: &Path) -> Option<String> {
    let text = fs::read(log).ok()?;
    let tail = String::from_utf8_lossy(&text[text.len().saturating_sub(8192)..]).into_owned();
    let line = tail.lines().rev().find(|it| it.contains("FATAL:") || it.contains("PANIC:"))?;
    Some(without_prefix(line).to_owned())
}

/// A line of the log without time and pid.
pub(crate) fn without_prefix(line: &str) -> &str {
    let begin = ["FATAL:", "PANIC:"].iter().find_map(|it| line.find(it));
    begin.map_or(line, |it| &line[it..])
}

/// No process works in the data directory, so what these files say is history. Postgres itself would
/// compare pids, and refuse to start when the old one belongs to somebody else by now.
fn remove_stale_locks(config: &InstanceConfig) -> Result<(), Error> {
    let socket = format!(".s.PGSQL.{}", config.port);
    let lock = format!("{socket}.lock");
    let stale = [
        config.data_dir().join("postmaster.pid"),
        config.socket_dir.join(socket),
        config.socket_dir.join(lock),
    ];
    for path in stale {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::file("remove", path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Lets Postgres read its configuration and say what it does not like, before it is relied upon.
async fn check_configuration(config: &InstanceConfig) -> Result<(), Error> {
    let program = config.program("postgres");
    let mut command = Command::new(&program);
    command.arg("-D").arg(config.data_dir()).args(["-C", "port"]).current_dir(config.data_dir());
    command.stdin(Stdio::null());
    clean_environment(&mut command);
    let output = command.output().await.map_err(|source| Error::Spawn { program, source })?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let line = stderr.lines().find(|it| !it.trim().is_empty()).unwrap_or("no message");
    let message = line.split_once("LOG:").or_else(|| line.split_once("FATAL:")).map_or(line, |it| it.1);
    Err(Error::Configuration(message.trim().to_owned()))
}

fn open_log(path: &Path) -> Result<File, Error> {
    if fs::metadata(path).is_ok_and(|it| it.len() > MAX_LOG) {
        fs::rename(path, path.with_extension("log.1")).map_err(Error::file("rename", path))?;
    }
    OpenOptions::new().create(true).append(true).open(path).map_err(Error::file("open", path))
}

/// A log that has grown past this is put aside at the next start.
const MAX_LOG: u64 = 64 << 20;

/// Nothing of the caller's environment may change what the server does (PGDATA, PGPORT, LC_ALL, TZ, …).
pub(crate) fn clean_environment(command: &mut Command) {
    command.env_clear();
    for name in ["PATH", "LD_LIBRARY_PATH", "TMPDIR"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
}

/// A fast shutdown follows when this process dies in whatever way. A session of its own keeps the terminal's
/// Ctrl-C away: the instance manager decides how Postgres stops.
fn die_with_parent(command: &mut Command) {
    let parent = nix::unistd::getpid();
    let die = move || {
        setsid()?;
        prctl::set_pdeathsig(Signal::SIGINT)?;
        // The parent may have died before the line above.
        if getppid() != parent {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(())
    };
    // SAFETY: between fork and exec only three system calls are made; no allocation, no locks.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(die);
    }
}
