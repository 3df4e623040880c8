//! Where Postgres writes, and the last words that say why it ended.
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::process::{Child, Command};

use crate::{Error, InstanceConfig, LogTarget};

/// The log of one life of the postmaster.
pub(crate) enum Log {
    File(PathBuf),
    /// A thread passes on what it reads and remembers what matters.
    Relayed(Arc<Relay>),
}

#[derive(Default)]
pub(crate) struct Relay {
    last_words: Mutex<Option<String>>,
    /// Nobody writes any more.
    ended: AtomicBool,
}

impl Log {
    /// Sets the command's output up.
    pub(crate) fn attach(config: &InstanceConfig, command: &mut Command) -> Result<Self, Error> {
        match config.log {
            LogTarget::File => {
                let path = config.log_file();
                let file = open(&path)?;
                command.stdout(file.try_clone()?).stderr(file);
                Ok(Self::File(path))
            }
            LogTarget::Stderr => {
                command.stdout(Stdio::null()).stderr(Stdio::piped());
                Ok(Self::Relayed(Arc::default()))
            }
        }
    }

    /// Follows the process that has just been started.
    pub(crate) fn follow(&self, child: &mut Child) -> Result<(), Error> {
        if let (Self::Relayed(relay), Some(pipe)) = (self, child.stderr.take()) {
            let (pipe, relay) = (pipe.into_owned_fd()?, relay.clone());
            // A plain thread: backends must never wait for their log because this process is busy. It ends with the
            // last process that holds the pipe.
            std::thread::spawn(move || relay.run(pipe));
        }
        Ok(())
    }

    pub(crate) fn last_words(&self) -> Option<String> {
        match self {
            Self::File(path) => last_words(path),
            Self::Relayed(relay) => {
                // The process has ended; what it said last may still be on its way.
                let waits = (0..20).take_while(|_| !relay.ended.load(Ordering::Acquire));
                waits.for_each(|_| std::thread::sleep(Duration::from_millis(10)));
                relay.last_words().clone()
            }
        }
    }
}

impl Relay {
    fn run(&self, pipe: OwnedFd) {
        let mut lines = BufReader::new(File::from(pipe));
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|read| 0 < read) {
            let _ = std::io::stderr().write_all(&line);
            let text = String::from_utf8_lossy(&line);
            if is_telling(&text) {
                let text = without_prefix(text.trim_end()).to_owned();
                *self.last_words() = Some(text);
            }
            line.clear();
        }
        self.ended.store(true, Ordering::Release);
    }

    fn last_words(&self) -> MutexGuard<'_, Option<String>> {
        self.last_words.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The last line of the log that says why Postgres ended, for the message to the user.
fn last_words(log: &Path) -> Option<String> {
    let text = fs::read(log).ok()?;
    let tail = String::from_utf8_lossy(&text[text.len().saturating_sub(8192)..]).into_owned();
    tail.lines().rfind(|it| is_telling(it)).map(|it| without_prefix(it).to_owned())
}

fn is_telling(line: &str) -> bool {
    line.contains("FATAL:") || line.contains("PANIC:")
}

/// A line of the log without time and pid.
pub(crate) fn without_prefix(line: &str) -> &str {
    let begin = ["FATAL:", "PANIC:"].iter().find_map(|it| line.find(it));
    begin.map_or(line, |it| &line[it..])
}

fn open(path: &Path) -> Result<File, Error> {
    if fs::metadata(path).is_ok_and(|it| it.len() > MAX_LOG) {
        fs::rename(path, path.with_extension("log.1")).map_err(Error::file("rename", path))?;
    }
    OpenOptions::new().create(true).append(true).open(path).map_err(Error::file("open", path))
}

/// A log that has grown past this is put aside at the next start.
const MAX_LOG: u64 = 64 << 20;
