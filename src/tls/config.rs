//! TLS configurations from PEM files, for both ends of a connection.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::Certificate;

/// A certificate with what follows it up to its CA, and its key.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    pub certificate: &'a Path,
    pub key: &'a Path,
}

/// For clients that show no certificate.
pub fn server(identity: Identity<'_>) -> io::Result<ServerConfig> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth();
    builder.with_single_cert(identity.certificates()?, identity.key()?).map_err(io::Error::other)
}

/// For clients that must show a certificate of this CA.
pub fn server_for_clients_of(ca: &Path, identity: Identity<'_>) -> io::Result<ServerConfig> {
    verifying(ca, identity, |it| it)
}

/// For clients that may show a certificate of this CA.
pub fn server_with_known_clients(ca: &Path, identity: Identity<'_>) -> io::Result<ServerConfig> {
    verifying(ca, identity, rustls::server::ClientCertVerifierBuilder::allow_unauthenticated)
}

fn verifying(
    ca: &Path,
    identity: Identity<'_>,
    adjust: impl FnOnce(rustls::server::ClientCertVerifierBuilder) -> rustls::server::ClientCertVerifierBuilder,
) -> io::Result<ServerConfig> {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(ca)?.into(), provider());
    let verifier = adjust(verifier).build().map_err(io::Error::other)?;
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_client_cert_verifier(verifier);
    builder.with_single_cert(identity.certificates()?, identity.key()?).map_err(io::Error::other)
}

/// For servers of this CA, to whom a certificate is shown.
pub fn client(ca: &Path, identity: Identity<'_>) -> io::Result<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots(ca)?);
    builder.with_client_auth_cert(identity.certificates()?, identity.key()?).map_err(io::Error::other)
}

/// The name of whoever has shown these certificates in a handshake.
pub fn common_name(shown: Option<&[CertificateDer<'_>]>) -> Option<String> {
    Certificate::parse(shown?.first()?)?.common_name
}

impl<'a> Identity<'a> {
    pub fn new(certificate: &'a Path, key: &'a Path) -> Self {
        Self { certificate, key }
    }

    /// What the other end sees first, in DER.
    pub fn leaf(&self) -> io::Result<CertificateDer<'static>> {
        let first = self.certificates()?.into_iter().next();
        first.ok_or_else(|| holds_no("certificate", self.certificate))
    }

    fn certificates(&self) -> io::Result<Vec<CertificateDer<'static>>> {
        certificates(self.certificate)
    }

    fn key(&self) -> io::Result<PrivateKeyDer<'static>> {
        rustls_pemfile::private_key(&mut open(self.key)?)?.ok_or_else(|| holds_no("private key", self.key))
    }
}

fn roots(ca: &Path) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca)? {
        roots.add(certificate).map_err(io::Error::other)?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    rustls_pemfile::certs(&mut open(path)?).collect()
}

fn open(path: &Path) -> io::Result<BufReader<File>> {
    let file = File::open(path);
    file.map(BufReader::new)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

fn holds_no(what: &str, path: &Path) -> io::Error {
    io::Error::other(format!("{} holds no {what}", PathBuf::from(path).display()))
}

/// Named here because a process may have several providers and then has no default.
fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
