//! The loop: keep Postgres running until told to stop.
use std::fs::File;
use std::io::Write as _;
use std::process::ExitStatus;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::loopback::Loopback;
use crate::postgres::{self, Postgres};
use crate::{Error, Event, InstanceConfig, files, initdb};

/// Whether the end of standard input means that the parent is gone, and so must this be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lifeline {
    StandardInput,
    /// The parent is an init or a container runtime, which always outlives this process.
    None,
}

impl Lifeline {
    /// Resolves when the parent is gone.
    pub async fn cut(self) {
        match self {
            Self::None => std::future::pending().await,
            Self::StandardInput => {
                let (gone, parent_gone) = tokio::sync::oneshot::channel::<()>();
                // A plain thread: it waits in read(2) for as long as the parent lives, and must not keep the
                // runtime from ending.
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
                    drop(gone);
                });
                let _ = parent_gone.await;
            }
        }
    }
}

/// Runs one Postgres until `shutdown`. Call it on a current-thread runtime: see [`Postgres::start`].
pub async fn run(config: InstanceConfig, shutdown: CancellationToken) -> Result<(), Error> {
    let result = keep_running(config, shutdown).await;
    if let Err(error) = &result {
        report(&Event::GaveUp { reason: error.to_string() });
    }
    result
}

async fn keep_running(config: InstanceConfig, shutdown: CancellationToken) -> Result<(), Error> {
    let _lock = lock(&config).await?;
    if !initdb::is_initialised(&config.member_dir) {
        report(&Event::Initialising);
        initdb::ensure(&config).await?;
    }
    files::write(&config)?;
    let loopback = config.loopback.as_ref().map(Loopback::listen).transpose()?;
    let serve = async {
        match loopback {
            Some(loopback) => loopback.serve().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        result = restart_until(&config, &shutdown) => result,
        () = serve => unreachable!("the loopback serves for ever"),
    }
}

/// Postgres, again and again.
async fn restart_until(config: &InstanceConfig, shutdown: &CancellationToken) -> Result<(), Error> {
    let mut failures = 0;
    while !shutdown.is_cancelled() {
        let (ended, was_ready) = run_once(config, shutdown).await?;
        let Some(status) = ended else { break };
        let reason = why(config, status);
        warn!(member = %config.name, %reason, "postgres ended");
        report(&Event::Exited { reason });
        failures = if was_ready { 0 } else { failures + 1 };
        tokio::select! {
            () = sleep(RESTART_DELAYS[failures.min(RESTART_DELAYS.len() - 1)]) => {}
            () = shutdown.cancelled() => {}
        }
    }
    Ok(())
}

/// One life of the postmaster. `None` when it was stopped on purpose; and whether it had been ready.
async fn run_once(
    config: &InstanceConfig,
    shutdown: &CancellationToken,
) -> Result<(Option<ExitStatus>, bool), Error> {
    report(&Event::Starting);
    let mut postgres = Postgres::start(config).await?;
    let data = config.data_dir();
    let mut ready = false;
    loop {
        tokio::select! {
            status = postgres.exited() => return Ok((Some(status?), ready)),
            () = shutdown.cancelled() => {
                info!(member = %config.name, "stopping postgres");
                postgres.stop(&data, config.stop_patience).await;
                return Ok((None, ready));
            }
            () = sleep(READY_POLL), if !ready => {
                if postgres::is_ready(&data, postgres.pid()) {
                    ready = true;
                    info!(member = %config.name, pid = postgres.pid(), port = config.port, "postgres is ready");
                    report(&Event::Ready { postgres_pid: postgres.pid() });
                }
            }
        }
    }
}

/// An instance manager that was killed a moment ago may still hold the lock for as long as it dies.
async fn lock(config: &InstanceConfig) -> Result<File, Error> {
    let path = config.member_dir.join("instance.lock");
    let file = File::create(&path).map_err(Error::file("create", &path))?;
    let end = Instant::now() + LOCK_PATIENCE;
    while file.try_lock().is_err() {
        if Instant::now() > end {
            return Err(Error::Locked(config.member_dir.clone()));
        }
        sleep(READY_POLL).await;
    }
    Ok(file)
}

fn why(config: &InstanceConfig, status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match status.signal() {
        Some(signal) => format!("postgres was killed by signal {signal}"),
        None => {
            postgres::last_words(&config.log_file()).unwrap_or_else(|| format!("postgres ended: {status}"))
        }
    }
}

/// Nobody may be listening (the parent is gone): then the lifeline ends this process soon.
fn report(event: &Event) {
    let mut line = serde_json::to_vec(event).expect("an event is plain data");
    line.push(b'\n');
    let _ = std::io::stdout().write_all(&line);
}

const READY_POLL: Duration = Duration::from_millis(20);
const LOCK_PATIENCE: Duration = Duration::from_secs(15);
/// By failures in a row: a server that ran is started again at once.
const RESTART_DELAYS: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
];
