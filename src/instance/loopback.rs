//! The loopback of live tables: backends of this coordinator reach their own sessions in the router.
//!
//! postgres_fdw in a backend connects to our Unix socket. The kernel says which process that is; the router
//! that the backend works for is told the pid in eight bytes, and from then on bytes pass both ways unread. Who may
//! connect is decided by the socket's directory, which only the user that runs Postgres may enter.
//!
//! The router is the one at the other end of the backend's own connection, as the server tells: over TCP the router of
//! another pod, which must prove itself; else the one that shares this machine. Never another one: it would serve the
//! backend outside of its transaction.
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use howdah_tls::names;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, copy_bidirectional_with_sizes};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tracing::{debug, warn};

use crate::monitor::Peer;
use crate::shared::Shared;
use crate::{Error, LoopbackConfig};

/// What the router reads first on each connection: the magic, then the backend's pid, big-endian.
const MAGIC: &[u8; 4] = b"HWDH";

/// Statements go one way, rows the other.
const REQUESTS: usize = 8 << 10;
const ROWS: usize = 64 << 10;
const CONNECT: Duration = Duration::from_secs(5);

pub(crate) struct Loopback {
    listener: UnixListener,
    way: Arc<Way>,
}

/// From a backend to its router.
struct Way {
    config: LoopbackConfig,
    shared: Arc<Shared>,
}

impl Loopback {
    pub(crate) fn listen(config: &LoopbackConfig, shared: Arc<Shared>) -> Result<Self, Error> {
        let listener = listen(&config.listen_dir)?;
        Ok(Self { listener, way: Arc::new(Way { config: config.clone(), shared }) })
    }

    /// Serves until dropped; the connections end with it.
    pub(crate) async fn serve(self) {
        let mut connections = JoinSet::new();
        loop {
            match self.listener.accept().await {
                Ok((backend, _)) => {
                    let way = self.way.clone();
                    connections.spawn(async move {
                        if let Err(error) = way.forward(backend).await {
                            debug!(%error, "loopback connection");
                        }
                    });
                }
                Err(error) => {
                    warn!(%error, "the loopback cannot accept");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
            while connections.try_join_next().is_some() {}
        }
    }
}

impl Way {
    async fn forward(&self, mut backend: UnixStream) -> io::Result<()> {
        let pid = backend.peer_cred()?.pid().ok_or(io::ErrorKind::Unsupported)?;
        let passed = match self.peer_of(pid).await {
            Ok(Peer::Other) => match UnixStream::connect(&self.config.router_socket).await {
                Ok(router) => return pass(backend, pid, router).await,
                Err(error) => Err(error),
            },
            Ok(Peer::Router(address)) => match self.connect(address).await {
                Ok(router) => return pass(backend, pid, router).await,
                Err(error) => {
                    warn!(%address, %error, "cannot reach the router of a backend");
                    Err(error)
                }
            },
            Err(error) => Err(error),
        };
        backend.write_all(&no_router()).await?;
        passed
    }

    async fn peer_of(&self, pid: i32) -> io::Result<Peer> {
        if self.config.remote_port.is_none() {
            return Ok(Peer::Other);
        }
        let asked = timeout(CONNECT, self.shared.monitor.peer_of(pid));
        asked.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?.map_err(io::Error::other)
    }

    /// Whoever answers there must be a router of this group.
    async fn connect(&self, address: IpAddr) -> io::Result<TlsStream<TcpStream>> {
        let address = SocketAddr::new(address, self.config.remote_port.unwrap_or_default());
        let name = ServerName::try_from(names::ROUTER).map_err(io::Error::other)?;
        let tls = TlsConnector::from(self.shared.tls.current().client.clone());
        let connected = async {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            tls.connect(name, stream).await
        };
        timeout(CONNECT, connected).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }
}

/// Takes the place of a socket that was left behind.
fn listen(directory: &Path) -> Result<UnixListener, Error> {
    let path = directory.join(".s.PGSQL.5432");
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(Error::file("remove", path)(error));
        }
        _ => {}
    }
    let listener = UnixListener::bind(&path).map_err(Error::file("listen on", &path))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))
        .map_err(Error::file("protect", &path))?;
    Ok(listener)
}

async fn pass(
    mut backend: UnixStream,
    pid: i32,
    mut router: impl AsyncRead + AsyncWrite + Unpin,
) -> io::Result<()> {
    let mut greeting = [0; 8];
    greeting[..4].copy_from_slice(MAGIC);
    greeting[4..].copy_from_slice(&pid.cast_unsigned().to_be_bytes());
    router.write_all(&greeting).await?;
    router.flush().await?;
    copy_bidirectional_with_sizes(&mut backend, &mut router, REQUESTS, ROWS).await?;
    Ok(())
}

/// An ErrorResponse, so that the statement fails with the reason and not with a broken connection.
fn no_router() -> Vec<u8> {
    let fields = b"SFATAL\0VFATAL\0C57P03\0Mthe router of this session cannot be reached\0\0";
    let length = u32::try_from(fields.len() + 4).expect("a short message");
    [b"E", length.to_be_bytes().as_slice(), fields].concat()
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn the_router_learns_the_pid_and_bytes_pass() {
        let (backend, instance) = UnixStream::pair().unwrap();
        let (mut session, router) = UnixStream::pair().unwrap();
        let passing = tokio::spawn(pass(instance, 7, router));
        let mut backend = backend;
        backend.write_all(b"hello").await.unwrap();
        let mut received = [0; 13];
        session.read_exact(&mut received).await.unwrap();
        assert_eq!(received, *b"HWDH\0\0\0\x07hello");
        session.write_all(b"answer").await.unwrap();
        let mut answer = [0; 6];
        backend.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"answer");
        passing.abort();
    }
}
