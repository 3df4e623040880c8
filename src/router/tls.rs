//! The router's certificates: as a server for clients, for the coordinator's loopback, and as a client of nodes.
//!
//! Files that are replaced count for connections that begin afterwards.

use std::io;
use std::sync::Arc;

use howdah_pg::scram::{ChannelBinding, server_end_point};
use howdah_tls::{Identity, Reloading};
use rustls::{ClientConfig, ServerConfig};
use tokio_rustls::TlsAcceptor;

use crate::config::{NodeTls, RouterConfig, ServerTls};

/// What a client gets to see.
pub(crate) struct ClientSide {
    pub(crate) acceptor: TlsAcceptor,
    /// What a client may bind its authentication to.
    pub(crate) binding: ChannelBinding,
}

pub(crate) type Clients = Arc<Reloading<ClientSide>>;
pub(crate) type Nodes = Arc<Reloading<Arc<ClientConfig>>>;
pub(crate) type Loopback = Arc<Reloading<Arc<ServerConfig>>>;

pub(crate) fn for_clients(config: &RouterConfig) -> io::Result<Option<Clients>> {
    let Some(ServerTls { certificate, key }) = config.tls.clone() else { return Ok(None) };
    let ca = config.client_ca.clone();
    let files = [certificate.clone(), key.clone()].into_iter().chain(ca.clone());
    let load = move || {
        let identity = Identity::new(&certificate, &key);
        let server = match &ca {
            Some(ca) => howdah_tls::server_with_known_clients(ca, identity)?,
            None => howdah_tls::server(identity)?,
        };
        let binding = server_end_point(&identity.leaf()?);
        let binding = binding.map_or(ChannelBinding::Unavailable, ChannelBinding::ServerEndPoint);
        Ok(ClientSide { acceptor: TlsAcceptor::from(Arc::new(server)), binding })
    };
    Ok(Some(Arc::new(Reloading::new(files, load)?)))
}

pub(crate) fn for_nodes(config: &RouterConfig) -> io::Result<Option<Nodes>> {
    let Some(NodeTls { ca, certificate, key }) = config.node_tls.clone() else { return Ok(None) };
    let files = [ca.clone(), certificate.clone(), key.clone()];
    let load = move || howdah_tls::client(&ca, Identity::new(&certificate, &key)).map(Arc::new);
    Ok(Some(Arc::new(Reloading::new(files, load)?)))
}

pub(crate) fn for_loopback(config: &RouterConfig) -> io::Result<Loopback> {
    let Some(NodeTls { ca, certificate, key }) = config.node_tls.clone() else {
        return Err(io::Error::other("loopback_listen needs node_tls"));
    };
    let files = [ca.clone(), certificate.clone(), key.clone()];
    let load =
        move || howdah_tls::server_for_clients_of(&ca, Identity::new(&certificate, &key)).map(Arc::new);
    Ok(Arc::new(Reloading::new(files, load)?))
}
