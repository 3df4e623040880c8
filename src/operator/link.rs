//! Connections into the pods of a group: SQL over mTLS.
//!
//! Pods are reached by their address, which Kubernetes told, and recognised by the name in their certificate, so that
//! neither DNS nor whoever got an old address can mislead.
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use howdah_group::NodeName;
use howdah_instance::control::ControlClient;
use howdah_instance::pods::{CONTROL_PORT, POSTGRES_PORT};
use howdah_metadata::setup::SUPERUSER;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls};
use tokio_rustls::TlsConnector;

use crate::names::Names;

/// How this operator shows itself to the members of one group.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) tls: Arc<rustls::ClientConfig>,
}

/// One server and the name that its certificate must have.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Server {
    pub(crate) ip: String,
    pub(crate) port: u16,
    pub(crate) name: String,
}

impl Server {
    /// The router in the coordinator's pod.
    pub(crate) fn router(names: &Names, ip: &str) -> Self {
        let name = names.host(NodeName::Coordinator);
        Self { ip: ip.to_owned(), port: POSTGRES_PORT, name }
    }
}

impl Link {
    /// The instance manager of a node's member.
    pub(crate) fn control(&self, names: &Names, node: NodeName, ip: &str) -> ControlClient {
        let client = ControlClient::new(&names.host(node), CONTROL_PORT, self.tls.clone());
        client.expect("our names are DNS names").at(SocketAddr::new(address(ip), CONTROL_PORT).to_string())
    }

    /// As superuser.
    pub(crate) async fn connect(&self, server: &Server, database: &str) -> Result<Client, String> {
        let asked = timeout(PATIENCE, self.try_connect(server, database));
        asked.await.unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())))
    }

    async fn try_connect(&self, server: &Server, database: &str) -> Result<Client, String> {
        let failed = |error: std::io::Error| error.to_string();
        let mut stream = TcpStream::connect((server.ip.as_str(), server.port)).await.map_err(failed)?;
        stream.write_all(&SSL_REQUEST).await.map_err(failed)?;
        if stream.read_u8().await.map_err(failed)? != b'S' {
            return Err("the server does not offer TLS".into());
        }
        let name = ServerName::try_from(server.name.clone()).map_err(|it| it.to_string())?;
        let stream = TlsConnector::from(self.tls.clone()).connect(name, stream).await.map_err(failed)?;
        let mut config = Config::new();
        // The stream is encrypted already.
        config
            .user(SUPERUSER)
            .dbname(database)
            .application_name("howdah operator")
            .ssl_mode(SslMode::Disable);
        let (client, connection) = config.connect_raw(stream, NoTls).await.map_err(|it| said(&it))?;
        // Ends with the client; an error shows in the client's own calls.
        tokio::spawn(connection);
        Ok(client)
    }
}

/// As Kubernetes writes it; nothing else ever comes here.
fn address(ip: &str) -> IpAddr {
    ip.parse().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

/// What a server said, as people want it.
pub(crate) fn said(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(error) => {
            let hint = error.hint().map(|it| format!(" ({it})")).unwrap_or_default();
            format!("{}{hint}", error.message())
        }
        None => {
            std::error::Error::source(error).map_or_else(|| error.to_string(), |it| format!("{error}: {it}"))
        }
    }
}

const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
const PATIENCE: Duration = Duration::from_secs(5);
