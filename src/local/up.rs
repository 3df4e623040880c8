//! The front of `up`: reads the file, prepares the directory, starts the supervisor, relays its progress.
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;

use howdah_api::ServerGroup;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::supervisor::OWN_PROGRAM;
use crate::{Error, Layout, Progress, directory, spec};

/// What the person asks for.
#[derive(Clone, Debug, Default)]
pub struct Up {
    pub file: Option<PathBuf>,
    pub dir: PathBuf,
    pub port: Option<u16>,
    pub workers: Option<u32>,
    pub postgres_bin: Option<PathBuf>,
    pub detach: bool,
}

/// What the front tells the supervisor: the first line of its standard input.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct UpRequest {
    pub home: PathBuf,
    pub group: Option<ServerGroup>,
    pub port: Option<u16>,
    pub workers: Option<u32>,
    pub postgres_bin: Option<PathBuf>,
    pub detach: bool,
}

/// A supervisor that this process has started. In the foreground it ends when this is dropped.
pub struct Supervised {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Up {
    /// Starts the supervisor. Returns at once; [`Supervised::next`] tells how it goes.
    pub async fn start(self) -> Result<Supervised, Error> {
        let group = self.file.as_deref().map(spec::read).transpose()?;
        let postgres_bin = self.postgres_bin.as_deref().map(std::path::absolute).transpose();
        let postgres_bin = postgres_bin.map_err(Error::file("--postgres-bin"))?;
        let (layout, user) = directory::prepare(&self.dir)?;
        let request = UpRequest {
            home: layout.dir().to_owned(),
            group,
            port: self.port,
            workers: self.workers,
            postgres_bin,
            detach: self.detach,
        };
        let mut command = Command::new(OWN_PROGRAM);
        command.arg0("howdah").args(["local", "supervise"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(log(&layout, &user)?).current_dir("/");
        if user.is_other() {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        let spawned = command.spawn();
        let mut process =
            spawned.map_err(|error| Error::Spawn { program: "the supervisor".into(), error })?;
        write_request(&mut process, &request).await?;
        let stdout = process.stdout.take().expect("stdout is piped");
        Ok(Supervised { process, lines: BufReader::new(stdout).lines() })
    }
}

impl Supervised {
    /// The next thing that the supervisor says; `None` when it has ended.
    pub async fn next(&mut self) -> Option<Progress> {
        loop {
            let line = self.lines.next_line().await.ok().flatten()?;
            if let Ok(progress) = serde_json::from_str(&line) {
                return Some(progress);
            }
        }
    }

    /// How it ended; call it when [`Supervised::next`] has nothing more to say.
    pub async fn ended_well(&mut self) -> bool {
        self.process.wait().await.is_ok_and(|it| it.success())
    }

    /// Tells the supervisor to stop the group, and waits until it has.
    pub async fn stop(mut self) {
        if let Some(pid) = self.process.id() {
            howdah_instance::processes::signal(&[pid.cast_signed()], nix::sys::signal::Signal::SIGTERM);
        }
        drop(self.process.stdin.take());
        while self.next().await.is_some() {}
        let _ = self.process.wait().await;
    }
}

/// The pipe stays open as long as this process lives.
async fn write_request(process: &mut Child, request: &UpRequest) -> Result<(), Error> {
    use tokio::io::AsyncWriteExt as _;
    let mut line = serde_json::to_vec(request).expect("a request is plain data");
    line.push(b'\n');
    let stdin = process.stdin.as_mut().expect("stdin is piped");
    stdin.write_all(&line).await.map_err(Error::file("the supervisor"))
}

fn log(layout: &Layout, user: &crate::os_user::OsUser) -> Result<std::fs::File, Error> {
    let path = layout.supervisor_log();
    let mut file = crate::supervisor::open_log(&path)?;
    if user.is_other() {
        std::os::unix::fs::chown(&path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
            .map_err(Error::file(&path))?;
    }
    file.flush().map_err(Error::file(&path))?;
    Ok(file)
}
