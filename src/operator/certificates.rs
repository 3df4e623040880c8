//! Which certificates a group has, which it needs, and what proves the operator to its members.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use howdah_group::NodeName;
use jiff::Timestamp;
use kube::ResourceExt as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::Error;
use crate::link::Link;
use crate::names::Names;
use crate::pki::{Authority, Issued, Subject};
use crate::snapshot::{Snapshot, texts};

/// All that the group's Secrets should hold.
#[derive(Clone, Debug)]
pub(crate) struct Certificates {
    pub(crate) authority: Authority,
    /// By the name of the Secret.
    pub(crate) issued: BTreeMap<String, Issued>,
}

impl Certificates {
    /// Keeps what is there and still serves; makes the rest.
    pub(crate) fn ensure(
        names: &Names,
        nodes: impl IntoIterator<Item = NodeName>,
        own_server_certificate: bool,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let authority = match read(snapshot, &names.ca_secret(), Authority::read) {
            Some(authority) => authority,
            None => Authority::make(&names.group, now)?,
        };
        let nodes = nodes.into_iter().map(|it| (names.node_certificate(it), Subject::node(names, it)));
        let server = own_server_certificate.then(|| (names.server_certificate(), Subject::server(names)));
        let wanted = nodes.chain([(names.router_certificate(), Subject::router())]).chain(server);
        let mut issued = BTreeMap::new();
        for (name, subject) in wanted {
            let kept = read(snapshot, &name, Issued::read).filter(|it| it.serves(&subject, &authority, now));
            let certificate = match kept {
                Some(kept) => kept,
                None => authority.issue(&names.group, &subject, now)?,
            };
            issued.insert(name, certificate);
        }
        Ok(Self { authority, issued })
    }
}

fn read<T>(
    snapshot: &Snapshot,
    name: &str,
    read: impl Fn(&BTreeMap<String, String>, &BTreeMap<String, String>) -> Option<T>,
) -> Option<T> {
    let secret = snapshot.secret(name)?;
    read(&texts(secret), secret.annotations())
}

/// The operator's own certificate for one group. It lives in memory only and is made anew from time to time.
pub(crate) struct OperatorCertificate {
    authority: String,
    renew_after: Timestamp,
    link: Link,
}

impl OperatorCertificate {
    /// The one at hand, if it still serves.
    pub(crate) fn ensure(
        kept: &mut Option<Self>,
        group: &str,
        authority: &Authority,
        now: Timestamp,
    ) -> Result<Link, Error> {
        let serves = |it: &&mut Self| it.authority == authority.certificate && now < it.renew_after;
        if let Some(kept) = kept.as_mut().filter(serves) {
            return Ok(kept.link.clone());
        }
        let issued = authority.issue(group, &Subject::operator(), now)?;
        let link = Link { tls: Arc::new(client_config(&issued)?) };
        let renew_after = now.checked_add(RENEW).unwrap_or(Timestamp::MAX);
        *kept = Some(Self { authority: authority.certificate.clone(), renew_after, link: link.clone() });
        Ok(link)
    }
}

fn client_config(issued: &Issued) -> Result<rustls::ClientConfig, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::Tls(error.to_string());
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(issued.ca.as_bytes()) {
        roots.add(certificate.map_err(|it| failed(&it))?).map_err(|it| failed(&it))?;
    }
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(issued.certificate.as_bytes()).collect();
    let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).map_err(|it| failed(&it))?;
    // Named here because a process may have several providers and then has no default.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|it| failed(&it))?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain.map_err(|it| failed(&it))?, key)
        .map_err(|it| failed(&it))
}

const RENEW: Duration = Duration::from_secs(24 * 60 * 60);
