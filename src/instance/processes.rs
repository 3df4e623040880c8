//! Which processes belong to a directory, found by what the kernel says and not by pid files.
//!
//! Postgres and all its children have the data directory as their working directory for life; instance
//! managers and routers are started in their member's directory, under the name `howdah`. A pid file can be stale, half-written or
//! name a pid that is now somebody else's; this cannot.
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Whose process it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Program {
    /// By its executable: backends rewrite their arguments.
    Postgres,
    /// By its first argument: the file may be called anything, or be replaced while it runs.
    Howdah,
}

/// The pids of the program's processes in `directory`. Zombies have no directory and are not counted: they
/// hold nothing. A person's shell or psql in there is not counted either.
pub fn running_in(directory: &Path, program: Program) -> Vec<i32> {
    let Ok(directory) = directory.canonicalize() else { return vec![] };
    all_pids().filter(|pid| works_in(*pid, &directory) && runs(*pid, program)).collect()
}

/// Sends a signal to each; one that is gone already is fine.
pub fn signal(pids: &[i32], signal: Signal) {
    for pid in pids {
        let _ = kill(Pid::from_raw(*pid), signal);
    }
}

/// Waits until no such process is left; false when the time is over.
pub async fn wait_until_gone(directory: &Path, program: Program, patience: Duration) -> bool {
    let end = Instant::now() + patience;
    while !running_in(directory, program).is_empty() {
        if Instant::now() >= end {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    true
}

/// Kills what is left, more firmly each time: a fast shutdown may be under way (it follows the death of the
/// instance manager), then an immediate one, then SIGKILL. Crash recovery makes all of them safe.
pub async fn clear(directory: &Path, program: Program) -> bool {
    for (next, patience) in [(Signal::SIGQUIT, 1500), (Signal::SIGKILL, 1000)] {
        if wait_until_gone(directory, program, Duration::from_millis(patience)).await {
            return true;
        }
        signal(&running_in(directory, program), next);
    }
    wait_until_gone(directory, program, Duration::from_secs(5)).await
}

/// kill -9 of all of them, until none is left: a process may fork between the look and the kill.
pub fn kill_all(directory: &Path, program: Program) {
    for _ in 0..50 {
        let pids = running_in(directory, program);
        if pids.is_empty() {
            return;
        }
        signal(&pids, Signal::SIGKILL);
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn all_pids() -> impl Iterator<Item = i32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|it| it.file_name().to_str()?.parse().ok())
}

fn works_in(pid: i32, directory: &Path) -> bool {
    fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|it| it == directory)
}

fn runs(pid: i32, program: Program) -> bool {
    match program {
        Program::Postgres => executable(pid).is_some_and(|it| it == "postgres"),
        Program::Howdah => {
            fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|it| it.starts_with(b"howdah\0"))
        }
    }
}

/// The name in the executable's path, also when the file has been replaced since.
fn executable(pid: i32) -> Option<String> {
    let path = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    let name = path.file_name()?.to_str()?;
    Some(name.strip_suffix(" (deleted)").unwrap_or(name).to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    use super::*;

    #[test]
    fn finds_by_directory_and_program_and_kills() {
        let directory = tempfile::tempdir().unwrap();
        let start = |directory: &Path| {
            Command::new("sleep").arg0("howdah").arg("60").current_dir(directory).spawn().unwrap()
        };
        let (mut inside, mut outside) = (start(directory.path()), start(Path::new("/")));
        while running_in(directory.path(), Program::Howdah).is_empty() {
            std::thread::yield_now();
        }
        assert_eq!(running_in(directory.path(), Program::Howdah), [inside.id().cast_signed()]);
        assert!(running_in(directory.path(), Program::Postgres).is_empty());
        signal(&running_in(directory.path(), Program::Howdah), Signal::SIGKILL);
        inside.wait().unwrap();
        assert!(running_in(directory.path(), Program::Howdah).is_empty());
        assert!(outside.try_wait().unwrap().is_none(), "a process elsewhere was hit");
        outside.kill().unwrap();
        outside.wait().unwrap();
    }
}
