//! What the loop over Postgres and those who ask about it share.
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use howdah_tls::Reloading;
use tokio::sync::{mpsc, oneshot};

use crate::InstanceConfig;
use crate::control::{SettingsApplied, SettingsError, State, Status};
use crate::known_settings::Settings;
use crate::monitor::Monitor;
use crate::tls::Tls;

/// What is asked of the loop.
pub(crate) enum Command {
    Apply {
        settings: Settings,
        reply: oneshot::Sender<Result<SettingsApplied, Refusal>>,
    },
    /// Answered when the server is ready again.
    Restart {
        reply: oneshot::Sender<()>,
    },
}

/// Why settings were not applied.
#[derive(Debug)]
pub(crate) enum Refusal {
    Wrong(SettingsError),
    NotReady(String),
    Failed(String),
}

pub(crate) struct Shared {
    pub(crate) monitor: Monitor,
    pub(crate) tls: Reloading<Tls>,
    pub(crate) commands: mpsc::Sender<Command>,
    status: Mutex<Status>,
    volume: PathBuf,
}

impl Shared {
    pub(crate) fn new(
        config: &InstanceConfig,
        tls: Reloading<Tls>,
        commands: mpsc::Sender<Command>,
    ) -> Arc<Self> {
        let status = Status {
            name: config.name.clone(),
            state: State::Starting,
            reason: None,
            postgres_version: None,
            server_version_num: None,
            settings_hash: crate::settings::hash(&config.settings),
            pending_restart: Vec::new(),
            settings_error: None,
            certificate: None,
            data_bytes: None,
            disk_used_percent: None,
            restarts: 0,
        };
        Arc::new(Self {
            monitor: Monitor::new(config),
            tls,
            commands,
            status: Mutex::new(status),
            volume: config.member_dir.clone(),
        })
    }

    /// Written by the loop alone.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.status.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(crate) fn state(&self) -> State {
        self.known().state
    }

    /// What is known, with what the server says now.
    pub(crate) async fn status(&self) -> Status {
        let mut status = self.known();
        status.certificate.clone_from(&self.tls.current().status);
        status.disk_used_percent = disk_used_percent(&self.volume);
        if status.state == State::Ready
            && let Ok(Ok(facts)) = tokio::time::timeout(ASK, self.monitor.facts()).await
        {
            status.postgres_version = Some(facts.version);
            status.server_version_num = Some(facts.version_num);
            status.pending_restart = facts.pending_restart;
            status.data_bytes = Some(facts.data_bytes);
        }
        status
    }

    fn known(&self) -> Status {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// As `df` counts: what ordinary users may not take is used.
fn disk_used_percent(volume: &std::path::Path) -> Option<u8> {
    let disk = nix::sys::statvfs::statvfs(volume).ok()?;
    let (used, free) = (disk.blocks() - disk.blocks_free(), disk.blocks_available());
    u8::try_from((used * 100).div_ceil((used + free).max(1))).ok()
}

const ASK: Duration = Duration::from_secs(5);
