//! Puts an instance manager together and runs it.
use std::fs::File;
use std::io::Write as _;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::keeper::Keeper;
use crate::loopback::Loopback;
use crate::shared::Shared;
use crate::{Error, Event, InstanceConfig, control, directories, tls};

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
///
/// [`Postgres::start`]: crate::postgres::Postgres::start
pub async fn run(config: InstanceConfig, shutdown: CancellationToken) -> Result<(), Error> {
    let tells = config.control.is_none();
    let result = keep_running(config, shutdown).await;
    if let (Err(error), true) = (&result, tells) {
        report(&Event::GaveUp { reason: error.to_string() });
    }
    result
}

async fn keep_running(config: InstanceConfig, shutdown: CancellationToken) -> Result<(), Error> {
    directories::make(&config)?;
    let _lock = lock(&config).await?;
    let (sender, commands) = mpsc::channel(COMMAND_QUEUE);
    let shared = Shared::new(&config, tls::follow(&config.tls)?, sender);
    // Before Postgres starts, so that no backend ever finds the socket missing, and the operator always an answer.
    let loopback = config.loopback.as_ref().map(|it| Loopback::listen(it, shared.clone())).transpose()?;
    let control = match &config.control {
        Some(config) => Some(control::Server::bind(config, shared.clone()).await?),
        None => None,
    };
    let serve_loopback = async {
        match loopback {
            Some(loopback) => loopback.serve().await,
            None => std::future::pending().await,
        }
    };
    let serve_control = async {
        match control {
            Some(server) => server.serve().await,
            None => std::future::pending().await,
        }
    };
    let keeper = Keeper::new(config, shared.clone(), commands, shutdown);
    tokio::select! {
        result = keeper.run() => result,
        () = shared.tls.follow() => unreachable!("certificates are followed for ever"),
        () = serve_loopback => unreachable!("the loopback serves for ever"),
        result = serve_control => Ok(result?),
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
        sleep(Duration::from_millis(20)).await;
    }
    Ok(file)
}

/// Nobody may be listening (the parent is gone): then the lifeline ends this process soon.
pub(crate) fn report(event: &Event) {
    let mut line = serde_json::to_vec(event).expect("an event is plain data");
    line.push(b'\n');
    let _ = std::io::stdout().write_all(&line);
}

/// Restarts and settings come one at a time from one operator.
const COMMAND_QUEUE: usize = 8;
const LOCK_PATIENCE: Duration = Duration::from_secs(15);
