//! Opens streams to nodes: Unix sockets, or TCP with TLS in which both sides show certificates.

use std::io;
use std::path::Path;

use rustls::pki_types::ServerName;
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
