//! One run of the postmaster: start, wait until it accepts connections, stop.
use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getppid, setsid};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::binaries::Binaries;
use crate::check;
use crate::log::Log;
use crate::processes::{self, Program};
use crate::{Error, InstanceConfig};

pub(crate) struct Postgres {
    child: Child,
    pid: i32,
    log: Log,
}

impl Postgres {
    /// Must be called on a thread that lives as long as this process: the kernel ties the child's life
    /// (`PR_SET_PDEATHSIG`) to the *thread* that made it.
    pub(crate) async fn start(config: &InstanceConfig, binaries: &Binaries) -> Result<Self, Error> {
        let data = config.data_dir();
        if !processes::clear(&data, Program::Postgres).await {
            return Err(Error::Leftovers(data));
        }
        remove_stale_locks(config)?;
        // Postgres reads its configuration and says what it does not like, before it is relied upon.
        check::ask(binaries, &data, "port").await?.map_err(Error::Configuration)?;
        let program = binaries.program("postgres");
        let mut command = Command::new(&program);
        command.arg("-D").arg(&data).current_dir(&data).stdin(Stdio::null());
        let log = Log::attach(config, &mut command)?;
        clean_environment(&mut command);
        die_with_parent(&mut command);
        let mut child = command.spawn().map_err(|source| Error::Spawn { program, source })?;
        log.follow(&mut child)?;
        let pid = child.id().map_or(0, u32::cast_signed);
        Ok(Self { child, pid, log })
    }

    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// Why it ended.
    pub(crate) fn why(&self, status: ExitStatus) -> String {
        match status.signal() {
            Some(9) => "postgres was killed by signal 9, for want of memory most likely".to_owned(),
            Some(signal) => format!("postgres was killed by signal {signal}"),
            None => self.log.last_words().unwrap_or_else(|| format!("postgres ended: {status}")),
        }
    }

    /// Has it read its configuration and its certificates again.
    pub(crate) fn reload(&self) {
        let _ = kill(Pid::from_raw(self.pid), Signal::SIGHUP);
    }

    pub(crate) async fn exited(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Fast shutdown: sessions end, a checkpoint is written. Past `patience` an immediate one, which leaves
    /// the work to crash recovery.
    pub(crate) async fn stop(&mut self, data: &Path, patience: Duration) {
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
