//! The node's certificate, for all that this process does with it.
use std::io;
use std::sync::Arc;

use howdah_tls::{Certificate, Identity, Reloading};
use rustls::{ClientConfig, ServerConfig};

use crate::control::CertificateStatus;
use crate::{Error, TlsFiles};

pub(crate) struct Tls {
    /// For the control API: only clients of the group's CA come in.
    pub(crate) server: Arc<ServerConfig>,
    /// Towards routers in other pods. Of a certificate for servers only they think nothing.
    pub(crate) client: Arc<ClientConfig>,
    pub(crate) status: Option<CertificateStatus>,
}

/// Postgres reads the same files.
pub(crate) fn follow(files: &TlsFiles) -> Result<Reloading<Tls>, Error> {
    let paths = [&files.certificate, &files.key, &files.ca].map(Clone::clone);
    let (from, path) = (files.clone(), files.certificate.clone());
    Reloading::new(paths, move || load(&from)).map_err(Error::file("use the certificate", path))
}

fn load(files: &TlsFiles) -> io::Result<Tls> {
    let identity = Identity::new(&files.certificate, &files.key);
    let status = Certificate::parse(&identity.leaf()?);
    Ok(Tls {
        server: Arc::new(howdah_tls::server_for_clients_of(&files.ca, identity)?),
        client: Arc::new(howdah_tls::client(&files.ca, identity)?),
        status: status.map(|it| CertificateStatus { serial: it.serial, not_after: it.not_after }),
    })
}
