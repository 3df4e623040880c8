//! `down` and `kill`.
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use howdah_group::MemberName;
use howdah_instance::processes::{self, Program};
use nix::sys::signal::Signal;
use tokio::time::{Instant, sleep};

use crate::record::Record;
use crate::run_dir::RunDir;
use crate::state::{State, is_supervised};
use crate::{Error, Layout, directory};

/// Whether `down` also removes the data.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wipe {
    Keep,
    Remove,
}

/// Stops the group, cleanly if it can, and clears what an earlier accident left running.
pub async fn down(dir: &Path, wipe: Wipe) -> Result<(), Error> {
    let layout = directory::find(dir)?;
    stop_supervisor(&layout).await?;
    clear_leftovers(&layout).await?;
    if wipe == Wipe::Remove {
        remove(&layout, MADE_BY_A_START)?;
        remove(&layout, &OURS)?;
        let _ = fs::remove_dir(layout.dir());
        directory::forget(dir);
    }
    Ok(())
}

/// What `kill` has killed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KillReport {
    pub processes: usize,
}

/// kill -9 of all processes of a member. The supervisor, if there is one, starts it again.
pub fn kill(dir: &Path, member: &str) -> Result<KillReport, Error> {
    let layout = directory::find(dir)?;
    let record = Record::load(&layout)?.ok_or_else(|| Error::NoGroup(dir.to_owned()))?;
    let name: MemberName = member.parse()?;
    if !record.desired().members().any(|it| it == name) {
        return Err(Error::NoMember { member: name.to_string() });
    }
    let killed = kill_member(&layout, name);
    if killed == 0 {
        Err(Error::MemberNotRunning { member: name.to_string() })
    } else {
        Ok(KillReport { processes: killed })
    }
}

/// The parent first: it must not start anew what is killed next.
fn kill_member(layout: &Layout, name: MemberName) -> usize {
    let directory = layout.member(name);
    let ours = processes::running_in(&directory, Program::Howdah);
    processes::signal(&ours, Signal::SIGKILL);
    let MemberName::Postgres(node) = name else { return ours.len() };
    let data = layout.data(node);
    let servers = processes::running_in(&data, Program::Postgres);
    processes::signal(&servers, Signal::SIGKILL);
    processes::kill_all(&data, Program::Postgres);
    ours.len() + servers.len()
}

async fn stop_supervisor(layout: &Layout) -> Result<(), Error> {
    let end = Instant::now() + STOP_PATIENCE;
    let mut told = false;
    while is_supervised(layout) {
        if Instant::now() > end {
            return Err(Error::DoesNotStop("the supervisor"));
        }
        if !told && let Some(state) = State::load_live(layout)? {
            processes::signal(&[state.supervisor.cast_signed()], Signal::SIGTERM);
            told = true;
        }
        sleep(Duration::from_millis(30)).await;
    }
    Ok(())
}

/// Without a supervisor the members end by themselves; what does not is ended here.
pub(crate) async fn clear_leftovers(layout: &Layout) -> Result<(), Error> {
    for entry in fs::read_dir(layout.members()).into_iter().flatten().flatten() {
        let directory = entry.path();
        if !processes::wait_until_gone(&directory, Program::Howdah, LEFTOVER_PATIENCE).await {
            processes::kill_all(&directory, Program::Howdah);
        }
        if !processes::clear(&directory.join("data"), Program::Postgres).await {
            return Err(Error::DoesNotStop("postgres"));
        }
    }
    RunDir::of(layout).remove();
    Ok(())
}

/// Removes what we have made, by name.
pub(crate) fn remove(layout: &Layout, names: &[&str]) -> Result<(), Error> {
    let unfinished = names.iter().map(|it| Path::new(it).with_extension("new"));
    for name in names.iter().map(PathBuf::from).chain(unfinished) {
        let path = layout.dir().join(name);
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        match removed {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::file(&path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// What a start makes in a new directory.
pub(crate) const MADE_BY_A_START: &[&str] =
    &["members", "run", "pki", "secrets.json", "servergroup.yaml", "state.json"];

/// The rest; the record last, so that a removal which is cut off leaves a directory that is still ours.
const OURS: [&str; 4] = ["supervisor.log", "supervisor.log.1", "supervisor.lock", crate::layout::RECORD];

const STOP_PATIENCE: Duration = Duration::from_secs(90);
const LEFTOVER_PATIENCE: Duration = Duration::from_secs(10);
