//! The loop: keep Postgres running until told to stop, and do what is asked of it meanwhile.
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::binaries::{self, Binaries};
use crate::control::{SettingsApplied, State};
use crate::known_settings::{KnownSettings, Settings};
use crate::postgres::{self, Postgres};
use crate::run::report;
use crate::shared::{Command, Refusal, Shared};
use crate::{Error, Event, InstanceConfig, check, directories, files, initdb, settings};

pub(crate) struct Keeper {
    config: InstanceConfig,
    shared: Arc<Shared>,
    settings: KnownSettings,
    commands: mpsc::Receiver<Command>,
    shutdown: CancellationToken,
    /// In a row, without having been ready.
    failures: u32,
    /// Why it failed the last time.
    reason: Option<String>,
    /// Who waits for the server to be ready again.
    waiting: Vec<oneshot::Sender<()>>,
}

/// How a life of the postmaster ended.
enum End {
    Shutdown,
    Restart,
    ByItself { reason: String, was_ready: bool },
}

impl Keeper {
    pub(crate) fn new(
        config: InstanceConfig,
        shared: Arc<Shared>,
        commands: mpsc::Receiver<Command>,
        shutdown: CancellationToken,
    ) -> Self {
        let settings = KnownSettings::new(config.settings.clone(), &config.member_dir);
        let (failures, reason, waiting) = (0, None, Vec::new());
        Self { config, shared, settings, commands, shutdown, failures, reason, waiting }
    }

    /// Postgres, again and again.
    pub(crate) async fn run(mut self) -> Result<(), Error> {
        while !self.shutdown.is_cancelled() {
            let reason = match self.live().await {
                Ok(End::Shutdown) => break,
                Ok(End::Restart) => {
                    self.failures = 0;
                    continue;
                }
                Ok(End::ByItself { reason, was_ready }) => {
                    self.failures = if was_ready { 0 } else { self.failures + 1 };
                    reason
                }
                // Whoever started this process can see no more than its end; otherwise there is somebody who asks.
                Err(error) if self.config.control.is_none() => return Err(error),
                Err(error) => {
                    self.failures += 1;
                    error.to_string()
                }
            };
            self.down(reason);
            self.pause().await;
        }
        self.shared.update(|it| it.state = State::Stopped);
        Ok(())
    }

    fn down(&mut self, reason: String) {
        warn!(member = %self.config.name, %reason, "postgres ended");
        self.tell(&Event::Exited { reason: reason.clone() });
        self.shared.update(|it| {
            it.restarts += 1;
            it.state = State::Stopped;
            it.reason = Some(reason.clone());
        });
        self.reason = Some(reason);
    }

    async fn pause(&mut self) {
        let delay = RESTART_DELAYS[(self.failures as usize).min(RESTART_DELAYS.len() - 1)];
        let end = sleep(delay);
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => return,
                () = self.shutdown.cancelled() => return,
                Some(command) = self.commands.recv() => match command {
                    Command::Restart { reply } => return self.waiting.push(reply),
                    Command::Apply { settings, reply } => {
                        let result = self.apply_to_stopped(settings).await;
                        let again = result.is_ok();
                        let _ = reply.send(result);
                        if again {
                            return;
                        }
                    }
                },
            }
        }
    }

    /// One life of the postmaster.
    async fn live(&mut self) -> Result<End, Error> {
        let binaries = self.find_binaries()?;
        if !initdb::is_initialised(&self.config.member_dir) {
            self.enter(State::Initialising, &Event::Initialising);
            initdb::ensure(&self.config, &binaries).await?;
        }
        directories::protect_data(&self.config.data_dir())?;
        self.enter(State::Starting, &Event::Starting);
        let chosen = self.choose_settings()?.clone();
        self.shared.update(|it| it.settings_hash = settings::hash(&chosen));
        files::write(&self.config, &chosen, binaries.major)?;
        let mut postgres = Postgres::start(&self.config, &binaries).await?;
        self.accompany(&mut postgres, &binaries).await
    }

    async fn accompany(&mut self, postgres: &mut Postgres, binaries: &Binaries) -> Result<End, Error> {
        let data = self.config.data_dir();
        let mut certificates = self.shared.tls.subscribe();
        let mut ready = false;
        loop {
            tokio::select! {
                status = postgres.exited() => {
                    return Ok(End::ByItself { reason: postgres.why(status?), was_ready: ready });
                }
                () = self.shutdown.cancelled() => {
                    self.stop(postgres).await;
                    return Ok(End::Shutdown);
                }
                () = sleep(READY_POLL), if !ready => {
                    ready = postgres::is_ready(&data, postgres.pid());
                    if ready {
                        self.ready(postgres.pid());
                    }
                }
                Ok(()) = certificates.changed() => postgres.reload(),
                Some(command) = self.commands.recv() => match command {
                    Command::Restart { reply } => {
                        self.waiting.push(reply);
                        self.stop(postgres).await;
                        return Ok(End::Restart);
                    }
                    Command::Apply { settings, reply } => {
                        let result = if ready {
                            self.apply(binaries, settings).await
                        } else {
                            Err(Refusal::NotReady("the server is starting".to_owned()))
                        };
                        let _ = reply.send(result);
                    }
                },
            }
        }
    }

    fn ready(&mut self, pid: i32) {
        let (member, port) = (&self.config.name, self.config.port);
        info!(%member, pid, port, "postgres is ready");
        if self.config.control.is_some() {
            self.settings.ready(self.reason.as_deref());
        }
        if let Some(refused) = self.settings.error() {
            error!(%member, parameter = ?refused.parameter, error = %refused.error, "settings are not in force");
        }
        (self.failures, self.reason) = (0, None);
        self.shared.update(|it| {
            it.state = State::Ready;
            it.reason = None;
            it.settings_error = self.settings.error().cloned();
        });
        self.tell(&Event::Ready { postgres_pid: pid });
        for waiting in self.waiting.drain(..) {
            let _ = waiting.send(());
        }
    }

    async fn stop(&self, postgres: &mut Postgres) {
        info!(member = %self.config.name, "stopping postgres");
        self.shared.update(|it| it.state = State::Stopped);
        postgres.stop(&self.config.data_dir(), self.config.stop_patience).await;
    }

    /// Nobody hears of a refusal where there is no control: then the wrong setting is the answer to the start.
    fn choose_settings(&mut self) -> Result<&Settings, Error> {
        let failures = if self.config.control.is_some() { self.failures } else { 0 };
        Ok(self.settings.choose(failures)?)
    }

    /// Data fix the version; before there are any, the configuration may.
    fn find_binaries(&self) -> Result<Binaries, Error> {
        let made = initdb::is_initialised(&self.config.member_dir);
        let data = made.then(|| directories::version_of(&self.config.data_dir())).flatten();
        let wanted = data.or(self.config.postgres_major);
        binaries::find(self.config.bin_dir.as_deref(), wanted)
            .map_err(|it| Error::missing(it, &self.config, data))
    }

    async fn apply(&mut self, binaries: &Binaries, wanted: Settings) -> Result<SettingsApplied, Refusal> {
        let failed = |error: &dyn std::fmt::Display| Refusal::Failed(error.to_string());
        let checked = check::check(&self.config, binaries, &wanted).await.map_err(|it| failed(&it))?;
        if let Err(refused) = checked {
            info!(member = %self.config.name, error = %refused.error, "settings refused");
            self.settings.refuse(refused.clone());
            self.shared.update(|it| it.settings_error = Some(refused.clone()));
            return Err(Refusal::Wrong(refused));
        }
        let data = self.config.data_dir();
        files::write_settings(&self.config, &wanted, &data).map_err(|it| failed(&it))?;
        let pending_restart = self.shared.monitor.reload().await.map_err(|it| failed(&it))?;
        let settings_hash = settings::hash(&wanted);
        info!(member = %self.config.name, %settings_hash, ?pending_restart, "settings applied");
        self.settings.accept(wanted, !pending_restart.is_empty());
        self.shared.update(|it| {
            it.settings_hash.clone_from(&settings_hash);
            it.settings_error = None;
        });
        Ok(SettingsApplied { settings_hash, pending_restart })
    }

    /// While the server does not run, most likely because of its settings: the next start tells.
    async fn apply_to_stopped(&mut self, wanted: Settings) -> Result<SettingsApplied, Refusal> {
        let binaries = self.find_binaries().map_err(|it| Refusal::NotReady(it.to_string()))?;
        if !initdb::is_initialised(&self.config.member_dir) {
            return Err(Refusal::NotReady("there is no data directory yet".to_owned()));
        }
        let checked = check::check(&self.config, &binaries, &wanted).await;
        checked.map_err(|it| Refusal::Failed(it.to_string()))?.map_err(Refusal::Wrong)?;
        let settings_hash = settings::hash(&wanted);
        self.settings.accept(wanted, true);
        self.failures = 0;
        Ok(SettingsApplied { settings_hash, pending_restart: Vec::new() })
    }

    fn enter(&self, state: State, event: &Event) {
        self.shared.update(|it| it.state = state);
        self.tell(event);
    }

    fn tell(&self, event: &Event) {
        if self.config.control.is_none() {
            report(event);
        }
    }
}

const READY_POLL: Duration = Duration::from_millis(20);
/// By failures in a row: a server that ran is started again at once.
const RESTART_DELAYS: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
];
