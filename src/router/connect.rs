//! Opens streams to nodes: Unix sockets, or TCP with TLS in which both sides show certificates.

use std::io;
use std::path::Path;
use std::time::Duration;

use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use crate::config::NodeAddress;
use crate::stream::Stream;
use crate::tls::Nodes;

pub(crate) const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

#[derive(Clone)]
pub(crate) struct Connector {
    tls: Option<Nodes>,
}

impl Connector {
    pub(crate) fn new(tls: Option<Nodes>) -> Self {
        Self { tls }
    }

    pub(crate) async fn connect(&self, address: &NodeAddress) -> io::Result<Stream> {
        if address.host.starts_with('/') {
            let path = Path::new(&address.host).join(format!(".s.PGSQL.{}", address.port));
            return Ok(Stream::Unix(UnixStream::connect(path).await?));
        }
        let mut stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
        stream.set_nodelay(true)?;
        notice_silence(&stream)?;
        let Some(tls) = &self.tls else { return Ok(Stream::Tcp(stream)) };
        stream.write_all(&SSL_REQUEST).await?;
        if stream.read_u8().await? != b'S' {
            return Err(io::Error::other("the node does not offer TLS"));
        }
        let name = ServerName::try_from(address.host.clone()).map_err(io::Error::other)?;
        let tls = TlsConnector::from(tls.current().as_ref().clone());
        Ok(Stream::Connected(Box::new(tls.connect(name, stream).await?)))
    }
}

/// A machine that loses its power closes no connection: without this a statement would wait a quarter of an hour for
/// an answer. The kernel of a server that is only busy answers at once.
fn notice_silence(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    let probes = TcpKeepalive::new().with_time(SILENCE / 2).with_interval(SILENCE / 5).with_retries(3);
    socket.set_tcp_keepalive(&probes)?;
    socket.set_tcp_user_timeout(Some(SILENCE))
}

const SILENCE: Duration = Duration::from_secs(10);
