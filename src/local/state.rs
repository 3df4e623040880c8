//! What runs: written by the supervisor at each change, read by `status`.
use std::fs::{self, File};
use std::path::Path;

use howdah_group::{MemberName, Phase};
use serde::{Deserialize, Serialize};

use crate::record::{self, Login, read_json};
use crate::{Error, Layout};

/// What `howdah local status -o json` prints.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Provisioning, Ready, Degraded, Stopping or Stopped.
    pub phase: String,
    pub uri: String,
    pub members: Vec<MemberStatus>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberStatus {
    pub name: String,
    pub node: String,
    pub role: Role,
    pub state: MemberState,
    /// Of the instance manager, or the router.
    pub pid: Option<u32>,
    /// Of the postmaster.
    pub postgres_pid: Option<i32>,
    pub port: u16,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Router,
    Primary,
    Standby,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberState {
    Starting,
    Running,
    Stopped,
}

/// `state.json`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct State {
    pub(crate) phase: String,
    pub(crate) supervisor: u32,
    pub(crate) members: Vec<MemberStatus>,
}

impl State {
    pub(crate) fn save(&self, layout: &Layout) -> Result<(), Error> {
        let path = layout.state();
        let beside = path.with_extension("new");
        let text = serde_json::to_string_pretty(self).expect("a state is plain data");
        fs::write(&beside, text + "\n").map_err(Error::file(&beside))?;
        fs::rename(&beside, &path).map_err(Error::file(&path))
    }

    /// The state of a supervisor that lives; `None` when none does. The lock tells, not the file.
    pub(crate) fn load_live(layout: &Layout) -> Result<Option<Self>, Error> {
        if !is_supervised(layout) {
            return Ok(None);
        }
        let path = layout.state();
        if path.exists() { read_json(&path).map(Some) } else { Ok(None) }
    }
}

/// Whether a supervisor holds the directory's lock.
pub(crate) fn is_supervised(layout: &Layout) -> bool {
    // Asking takes the lock for a moment; a supervisor that starts meanwhile waits longer than that.
    File::open(layout.lock()).is_ok_and(|it| it.try_lock_shared().is_err())
}

pub(crate) const STOPPING: &str = "Stopping";

pub(crate) fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Provisioning => "Provisioning",
        Phase::Ready => "Ready",
        Phase::Degraded => "Degraded",
    }
}

/// The status of the group in `dir`, whether it runs or not.
pub fn status(dir: &Path) -> Result<Status, Error> {
    let (layout, record, secrets) = record::open(dir)?;
    let uri = record.uri(Login::Admin, &secrets);
    if let Some(state) = State::load_live(&layout)? {
        return Ok(Status { phase: state.phase, uri, members: state.members });
    }
    let members = record
        .desired()
        .members()
        .map(|name| {
            let port = match name {
                MemberName::Router => record.port,
                MemberName::Postgres(node) => record.ports.get(&node).copied().unwrap_or(0),
            };
            member_status(name, MemberState::Stopped, None, None, port)
        })
        .collect();
    Ok(Status { phase: "Stopped".into(), uri, members })
}

pub(crate) fn member_status(
    name: MemberName,
    state: MemberState,
    pid: Option<u32>,
    postgres_pid: Option<i32>,
    port: u16,
) -> MemberStatus {
    let (node, role) = match name {
        MemberName::Router => (name.to_string(), Role::Router),
        MemberName::Postgres(node) => (node.to_string(), Role::Primary),
    };
    MemberStatus { name: name.to_string(), node, role, state, pid, postgres_pid, port }
}
