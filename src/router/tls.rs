//! TLS configurations from PEM files: the router as a server for clients, and as a client of nodes.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::config::{NodeTls, ServerTls};

pub(crate) fn server(files: &ServerTls) -> io::Result<Arc<ServerConfig>> {
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(certificates(&files.certificate)?, key(&files.key)?)
        .map_err(io::Error::other)?;
    Ok(Arc::new(config))
}

pub(crate) fn client(files: &NodeTls) -> io::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&files.ca)? {
        roots.add(certificate).map_err(io::Error::other)?;
    }
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_client_auth_cert(certificates(&files.certificate)?, key(&files.key)?)
        .map_err(io::Error::other)?;
    Ok(Arc::new(config))
}

/// The certificate that clients see, in DER.
pub(crate) fn leaf(files: &ServerTls) -> io::Result<Option<CertificateDer<'static>>> {
    Ok(certificates(&files.certificate)?.into_iter().next())
}

/// Named here because a process may have several providers and then has no default.
fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    rustls_pemfile::certs(&mut open(path)?).collect()
}

fn key(path: &Path) -> io::Result<PrivateKeyDer<'static>> {
    rustls_pemfile::private_key(&mut open(path)?)?
        .ok_or_else(|| io::Error::other(format!("{} holds no private key", path.display())))
}

fn open(path: &Path) -> io::Result<BufReader<File>> {
    let file = File::open(path);
    file.map(BufReader::new)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}
