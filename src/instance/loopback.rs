//! The loopback of live tables: backends of this coordinator reach their own sessions in the router.
//!
//! postgres_fdw in a backend connects to our Unix socket. The kernel says which process that is; the router
//! is told the pid in eight bytes, and from then on bytes pass both ways unread. Who may connect is decided
//! by the socket's directory, which only the user that runs Postgres may enter.
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tokio::io::{AsyncWriteExt as _, copy_bidirectional_with_sizes};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tracing::{debug, warn};

use crate::{Error, LoopbackConfig};

/// What the router reads first on each connection: the magic, then the backend's pid, big-endian.
const MAGIC: &[u8; 4] = b"HWDH";

/// Statements go one way, rows the other.
const REQUESTS: usize = 8 << 10;
const ROWS: usize = 64 << 10;

pub(crate) struct Loopback {
    listener: UnixListener,
    config: LoopbackConfig,
}

impl Loopback {
    /// Listens before Postgres starts, so that no backend ever finds the socket missing.
    pub(crate) fn listen(config: &LoopbackConfig) -> Result<Self, Error> {
        let path = config.listen_dir.join(".s.PGSQL.5432");
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::file("remove", path)(error));
            }
            _ => {}
        }
        let listener = UnixListener::bind(&path).map_err(Error::file("listen on", &path))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))
            .map_err(Error::file("protect", &path))?;
        Ok(Self { listener, config: config.clone() })
    }

    /// Serves until dropped; the connections end with it.
    pub(crate) async fn serve(self) {
        let mut connections = JoinSet::new();
        loop {
            match self.listener.accept().await {
                Ok((backend, _)) => {
                    let router = self.config.router_socket.clone();
                    connections.spawn(async move {
                        if let Err(error) = forward(backend, &router).await {
                            debug!(%error, "loopback connection");
                        }
                    });
                }
                Err(error) => {
                    warn!(%error, "the loopback cannot accept");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            }
            while connections.try_join_next().is_some() {}
        }
    }
}

async fn forward(mut backend: UnixStream, router: &Path) -> io::Result<()> {
    let pid = backend.peer_cred()?.pid().ok_or(io::ErrorKind::Unsupported)?;
    let mut router = match UnixStream::connect(router).await {
        Ok(stream) => stream,
        Err(error) => {
            backend.write_all(&no_router()).await?;
            return Err(error);
        }
    };
    let mut greeting = [0; 8];
    greeting[..4].copy_from_slice(MAGIC);
    greeting[4..].copy_from_slice(&pid.cast_unsigned().to_be_bytes());
    router.write_all(&greeting).await?;
    copy_bidirectional_with_sizes(&mut backend, &mut router, REQUESTS, ROWS).await?;
    Ok(())
}

/// An ErrorResponse, so that the statement fails with the reason and not with a broken connection.
fn no_router() -> Vec<u8> {
    let fields = b"SFATAL\0VFATAL\0C57P03\0Mthe router of this server group is not running\0\0";
    let length = u32::try_from(fields.len() + 4).expect("a short message");
    [b"E", length.to_be_bytes().as_slice(), fields].concat()
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn the_router_learns_the_pid_and_bytes_pass() {
        let dir = tempfile::tempdir().unwrap();
        let router_socket = dir.path().join("router.sock");
        let router = UnixListener::bind(&router_socket).unwrap();
        let config = LoopbackConfig { listen_dir: dir.path().to_owned(), router_socket, remote_port: None };
        let serving = tokio::spawn(Loopback::listen(&config).unwrap().serve());

        let mut backend = UnixStream::connect(dir.path().join(".s.PGSQL.5432")).await.unwrap();
        backend.write_all(b"hello").await.unwrap();
        let (mut session, _) = router.accept().await.unwrap();
        let mut received = [0; 13];
        session.read_exact(&mut received).await.unwrap();
        let pid = std::process::id().to_be_bytes();
        assert_eq!(received, *[MAGIC.as_slice(), &pid, b"hello"].concat());
        session.write_all(b"answer").await.unwrap();
        let mut answer = [0; 6];
        backend.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"answer");
        serving.abort();
    }

    #[tokio::test]
    async fn without_a_router_the_backend_is_told_so() {
        let dir = tempfile::tempdir().unwrap();
        let config = LoopbackConfig {
            listen_dir: dir.path().to_owned(),
            router_socket: dir.path().join("nobody"),
            remote_port: None,
        };
        let serving = tokio::spawn(Loopback::listen(&config).unwrap().serve());
        let mut backend = UnixStream::connect(dir.path().join(".s.PGSQL.5432")).await.unwrap();
        let mut answer = Vec::new();
        backend.read_to_end(&mut answer).await.unwrap();
        assert!(String::from_utf8_lossy(&answer).contains("57P03"));
        serving.abort();
    }
}
