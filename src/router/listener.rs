//! Accepts clients. Every session is a task in one set that this module owns and, at the end, empties.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use howdah_pg::SqlState;
use howdah_pg::wire::{ErrorFields, backend};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::cores::{CoreId, Cores};
use crate::error::{Error, Result};
use crate::router::Router;
use crate::session;
use crate::startup::{self, Accepted, Requires};
use crate::tls::{ClientSide, Clients};

pub(crate) struct Listener {
    listener: TcpListener,
    tls: Option<Clients>,
    router: Arc<Router>,
    /// Clients of all listeners together.
    clients: Arc<Semaphore>,
    cores: Arc<Cores>,
}

/// How long sessions may take to end once their statements have been cancelled.
const FAREWELL: Duration = Duration::from_secs(2);

impl Listener {
    pub(crate) async fn bind(
        address: SocketAddr,
        tls: Option<Clients>,
        router: Arc<Router>,
        clients: Arc<Semaphore>,
        cores: Arc<Cores>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self { listener, tls, router, clients, cores })
    }

    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut sessions = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.accept() => match accepted {
                    Ok(stream) => self.spawn(stream, &mut sessions),
                    // Out of file descriptors, most likely: existing sessions will free some.
                    Err(error) => {
                        tracing::warn!(%error, "could not accept a connection");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                },
                Some(_) = sessions.join_next() => {}
                () = shutdown.cancelled() => break,
            }
        }
        drop(self.listener);
        let grace = self.router.config.shutdown_grace;
        if tokio::time::timeout(grace, all_ended(&mut sessions)).await.is_ok() {
            return;
        }
        self.router.deadline.cancel();
        self.router.cancels.cancel_all(self.router.pools.connector()).await;
        if tokio::time::timeout(FAREWELL, all_ended(&mut sessions)).await.is_err() {
            sessions.shutdown().await;
        }
    }

    /// A stream that no runtime knows yet.
    async fn accept(&self) -> io::Result<std::net::TcpStream> {
        self.listener.accept().await?.0.into_std()
    }

    /// Hands a client over to one of the cores.
    fn spawn(&self, stream: std::net::TcpStream, sessions: &mut JoinSet<()>) {
        let (router, clients) = (self.router.clone(), self.clients.clone());
        let tls = self.tls.as_ref().map(|it| it.current());
        let seat = self.cores.seat();
        let runtime = seat.runtime();
        let session = async move {
            match serve(stream, tls, router, &clients, seat.core()).await {
                Ok(()) | Err(Error::ClientGone(_) | Error::ShuttingDown) => {}
                Err(error) => tracing::debug!(%error, "a session ended"),
            }
        };
        sessions.spawn_on(session, &runtime);
    }
}

async fn all_ended(sessions: &mut JoinSet<()>) {
    while sessions.join_next().await.is_some() {}
}

async fn serve(
    stream: std::net::TcpStream,
    tls: Option<Arc<ClientSide>>,
    router: Arc<Router>,
    clients: &Semaphore,
    core: CoreId,
) -> Result<()> {
    let stream = TcpStream::from_std(stream).map_err(Error::ClientGone)?;
    stream.set_nodelay(true).map_err(Error::ClientGone)?;
    let timeout = router.config.limits.authentication_timeout;
    let requires = if router.config.require_tls { Requires::Tls } else { Requires::Nothing };
    let accepted = tokio::time::timeout(timeout, startup::accept(stream, tls.as_deref(), requires)).await;
    drop(tls);
    let (mut client, wishes) = match accepted {
        Err(_) => return Err(Error::ClientGone(io::ErrorKind::TimedOut.into())),
        Ok(Err(error)) => return Err(error),
        Ok(Ok(Accepted::Cancel(key))) => {
            router.cancels.cancel(&key, router.pools.connector()).await;
            return Ok(());
        }
        Ok(Ok(Accepted::Session(client, wishes))) => (*client, wishes),
    };
    // Cancel requests must get through even then, so that only sessions are counted.
    let Ok(_permit) = clients.try_acquire() else {
        let fields = ErrorFields::fatal(SqlState::TOO_MANY_CONNECTIONS, "sorry, too many clients already");
        backend::put_error(client.buffer(), &fields);
        return client.flush().await;
    };
    // Boxed: the largest future of a session would otherwise be part of every idle one.
    Box::pin(session::run(client, wishes, router, core)).await
}
