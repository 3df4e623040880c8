//! Where instances deliver the loopback connections of their coordinator's backends.
//!
//! Each begins with a preamble of eight bytes: `HWDH`, and the backend's pid, which the instance took from the kernel. The
//! socket's directory is open to the router's own user only.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Buf;
use howdah_pg::wire::MAX_MESSAGE;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::cancels::Cancels;
use super::connection;
use crate::duplex::Duplex;
use crate::error::{Error, Result};
use crate::router::Router;
use crate::stream::Stream;

pub(crate) struct LoopbackListener {
    listener: UnixListener,
    router: Arc<Router>,
    cancels: Arc<Cancels>,
}

const MAGIC: [u8; 4] = *b"HWDH";

impl LoopbackListener {
    /// Takes the place of a socket that a router before this one has left.
    pub(crate) fn bind(path: &Path, router: Arc<Router>) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let listener = UnixListener::bind(path)?;
        Ok(Self { listener, router, cancels: Arc::new(Cancels::default()) })
    }

    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        let (router, cancels) = (self.router.clone(), self.cancels.clone());
                        connections.spawn(async move {
                            if let Err(error) = serve(stream, router, cancels).await {
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

async fn serve(stream: UnixStream, router: Arc<Router>, cancels: Arc<Cancels>) -> Result<()> {
    let mut duplex = Duplex::new(Stream::Unix(stream), MAX_MESSAGE);
    while duplex.read.len() < 8 {
        duplex.fill().await.map_err(Error::ClientGone)?;
    }
    if duplex.read[..4] != MAGIC {
        return Err(Error::ProtocolViolation("a loopback connection without preamble".to_owned()));
    }
    duplex.read.advance(4);
    let pid = duplex.read.get_u32();
    connection::serve(duplex, pid, router, cancels).await
}
