//! Accepts TLS connections of the operator.
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener;
use howdah_tls::{common_name, names};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::{debug, warn};

use crate::shared::Shared;

pub(super) struct TlsListener {
    listener: TcpListener,
    shared: Arc<Shared>,
    /// Each on its own: who is slow keeps nobody else waiting.
    handshakes: JoinSet<io::Result<(TlsStream<TcpStream>, SocketAddr)>>,
}

impl TlsListener {
    pub(super) fn new(listener: TcpListener, shared: Arc<Shared>) -> Self {
        Self { listener, shared, handshakes: JoinSet::new() }
    }

    fn begin(&mut self, stream: TcpStream, address: SocketAddr) {
        let acceptor = TlsAcceptor::from(self.shared.tls.current().server.clone());
        self.handshakes.spawn(async move {
            let handshake = timeout(HANDSHAKE, acceptor.accept(stream));
            let stream = handshake.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            let name = common_name(stream.get_ref().1.peer_certificates());
            if name.as_deref() != Some(names::OPERATOR) {
                return Err(io::Error::other(format!("{name:?} is not the operator")));
            }
            Ok((stream, address))
        });
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let free = self.handshakes.len() < HANDSHAKES;
            tokio::select! {
                accepted = self.listener.accept(), if free => match accepted {
                    Ok((stream, address)) => self.begin(stream, address),
                    Err(error) => {
                        warn!(%error, "the control API cannot accept");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
                Some(Ok(done)) = self.handshakes.join_next() => match done {
                    Ok(accepted) => return accepted,
                    Err(error) => debug!(%error, "a client of the control API was refused"),
                },
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

const HANDSHAKE: Duration = Duration::from_secs(10);
const HANDSHAKES: usize = 64;
