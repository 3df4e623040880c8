//! The duties of process 1 of a container: orphans become its children and must be reaped, and signals that it does
//! not handle are lost.
//!
//! The instance manager itself waits for children of its own and must not have their ends taken away, so that process
//! 1 is a parent of the instance manager which does nothing else.
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitCode, ExitStatus};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// As process 1, starts this program again with the same arguments, looks after it, and returns its exit code.
/// `None` as any other process. Call it before there are other threads.
pub fn run_as_init() -> io::Result<Option<ExitCode>> {
    let signals = SigSet::all();
    if std::process::id() != 1 {
        // The child of process 1 begins with its mask: SIGTERM would never arrive.
        signals.thread_unblock()?;
        return Ok(None);
    }
    // Blocked, so that none is lost between two looks.
    signals.thread_block()?;
    let mut command = Command::new("/proc/self/exe");
    let child = command.args(std::env::args_os().skip(1)).spawn()?;
    let child = Pid::from_raw(child.id().cast_signed());
    loop {
        match signals.wait()? {
            Signal::SIGCHLD => {
                if let Some(status) = reap(child)? {
                    return Ok(Some(exit_code(status)));
                }
            }
            signal => {
                let _ = kill(child, signal);
            }
        }
    }
}

/// Everybody that has ended; one signal may stand for many.
fn reap(child: Pid) -> io::Result<Option<ExitStatus>> {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == child => {
                return Ok(Some(ExitStatus::from_raw(code << 8)));
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => {
                return Ok(Some(ExitStatus::from_raw(signal as i32)));
            }
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return Ok(None),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// As a shell gives it.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|it| 128 + it)).unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
