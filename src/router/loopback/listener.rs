//! Where instances deliver the loopback connections of their coordinator's backends: a Unix socket in the coordinator's own
//! pod, and a TCP port elsewhere.
//!
//! Each begins with a preamble of eight bytes: `HWDH`, and the backend's pid, which the instance took from the kernel. The
//! socket's directory is open to the router's own user only; over TCP only the coordinator of the group is believed.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Buf;
use howdah_pg::wire::MAX_MESSAGE;
use howdah_tls::names;
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::cancels::Cancels;
use super::connection;
use crate::duplex::Duplex;
use crate::error::{Error, Result};
use crate::router::Router;
use crate::stream::Stream;
use crate::tls;

pub(crate) struct LoopbackListener {
    socket: Socket,
    router: Arc<Router>,
    cancels: Arc<Cancels>,
}

enum Socket {
    Unix(UnixListener),
    Tcp(TcpListener, tls::Loopback),
}

/// A connection whose other end has not yet proved who it is.
enum Accepted {
    Unix(Stream),
    Tcp(TcpStream, TlsAcceptor),
}

const MAGIC: [u8; 4] = *b"HWDH";
/// For the handshake and the preamble.
const PATIENCE: Duration = Duration::from_secs(10);

impl LoopbackListener {
    /// Takes the place of a socket that a router before this one has left.
    pub(crate) fn bind(path: &Path, router: Arc<Router>) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        if let Some(directory) = path.parent() {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        Ok(Self::new(Socket::Unix(UnixListener::bind(path)?), router))
    }

    pub(crate) async fn bind_tcp(
        address: SocketAddr,
        tls: tls::Loopback,
        router: Arc<Router>,
    ) -> io::Result<Self> {
        Ok(Self::new(Socket::Tcp(TcpListener::bind(address).await?, tls), router))
    }

    fn new(socket: Socket, router: Arc<Router>) -> Self {
        Self { socket, router, cancels: Arc::new(Cancels::default()) }
    }

    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.socket.accept() => match accepted {
                    Ok(accepted) => {
                        let (router, cancels) = (self.router.clone(), self.cancels.clone());
                        connections.spawn(async move {
                            if let Err(error) = serve(accepted, router, cancels).await {
                                tracing::debug!(%error, "a loopback connection ended");
                            }
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "could not accept a loopback connection");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                },
                Some(_) = connections.join_next() => {}
                () = shutdown.cancelled() => break,
            }
        }
        connections.shutdown().await;
    }
}

impl Socket {
    async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Unix(listener) => Ok(Accepted::Unix(Stream::Unix(listener.accept().await?.0))),
            Self::Tcp(listener, tls) => {
                let stream = listener.accept().await?.0;
                stream.set_nodelay(true)?;
                Ok(Accepted::Tcp(stream, TlsAcceptor::from(tls.current().as_ref().clone())))
            }
        }
    }
}

impl Accepted {
    async fn prove(self) -> io::Result<Stream> {
        match self {
            Self::Unix(stream) => Ok(stream),
            Self::Tcp(stream, acceptor) => {
                let stream = acceptor.accept(stream).await?;
                let name = howdah_tls::common_name(stream.get_ref().1.peer_certificates());
                if name.as_deref() != Some(names::COORDINATOR) {
                    tracing::warn!(?name, "refused a loopback connection: it is not the coordinator's");
                    return Err(io::ErrorKind::PermissionDenied.into());
                }
                Ok(Stream::Accepted(Box::new(stream)))
            }
        }
    }
}

async fn serve(accepted: Accepted, router: Arc<Router>, cancels: Arc<Cancels>) -> Result<()> {
    let begun = tokio::time::timeout(PATIENCE, begin(accepted)).await;
    let (duplex, pid) = begun.map_err(|_| Error::ClientGone(io::ErrorKind::TimedOut.into()))??;
    connection::serve(duplex, pid, router, cancels).await
}

async fn begin(accepted: Accepted) -> Result<(Duplex, u32)> {
    let stream = accepted.prove().await.map_err(Error::ClientGone)?;
    let mut duplex = Duplex::new(stream, MAX_MESSAGE);
    while duplex.read.len() < 8 {
        duplex.fill().await.map_err(Error::ClientGone)?;
    }
    if duplex.read[..4] != MAGIC {
        return Err(Error::ProtocolViolation("a loopback connection without preamble".to_owned()));
    }
    duplex.read.advance(4);
    let pid = duplex.read.get_u32();
    Ok((duplex, pid))
}
