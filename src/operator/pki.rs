//! The group's certificate authority and what it signs. Pure but for keys, which are random.
//!
//! A certificate is made again when it is for something else than is wanted, when another authority signed it, or
//! when a third of its life is left. Annotations beside it say so, so that nobody has to parse it.
use std::collections::BTreeMap;
use std::time::Duration;

use howdah_group::NodeName;
use howdah_instance::pods::{COORDINATOR_NAME, OPERATOR_NAME, ROUTER_NAME};
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

use crate::names::Names;

/// The authority as its Secret holds it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Authority {
    pub(crate) certificate: String,
    key: String,
    renew_after: Timestamp,
}

/// A certificate, its key, and the authority that signed it. PEM.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) key: String,
    pub(crate) ca: String,
    purpose: String,
    renew_after: Timestamp,
}

/// What a certificate is for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Subject {
    common_name: String,
    names: Vec<String>,
    usage: Usage,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Usage {
    Server,
    Client,
    Both,
}

impl Subject {
    /// A worker's is for servers only: on PostgreSQL 15 any client certificate of the authority may log in.
    pub(crate) fn node(names: &Names, node: NodeName) -> Self {
        let host = names.host(node);
        let service = names.node(node);
        let dns =
            [host.clone(), format!("{host}.cluster.local"), format!("{}.{service}", names.member(node))];
        let (common_name, usage) = match node {
            NodeName::Coordinator => (COORDINATOR_NAME.to_owned(), Usage::Both),
            NodeName::Worker(_) => (node.to_string(), Usage::Server),
        };
        Self { common_name, names: dns.into_iter().chain(this_machine()).collect(), usage }
    }

    pub(crate) fn router() -> Self {
        Self { common_name: ROUTER_NAME.into(), names: vec![ROUTER_NAME.into()], usage: Usage::Both }
    }

    pub(crate) fn operator() -> Self {
        Self { common_name: OPERATOR_NAME.into(), names: Vec::new(), usage: Usage::Client }
    }

    /// What clients see: all the names that they may call the group by. Also those of the coordinator, where the
    /// operator reaches its router.
    pub(crate) fn server(names: &Names) -> Self {
        let (group, namespace) = (&names.group, &names.namespace);
        let service = [
            group.clone(),
            format!("{group}.{namespace}"),
            names.service_host(),
            format!("{}.cluster.local", names.service_host()),
            names.host(NodeName::Coordinator),
        ];
        let all = service.into_iter().chain(this_machine()).collect();
        Self {
            common_name: names.service_host().chars().take(64).collect(),
            names: all,
            usage: Usage::Server,
        }
    }

    fn fingerprint(&self, authority: &Authority) -> String {
        let text = format!("{} {} {:?}", self.common_name, self.names.join(","), self.usage);
        let parts = [("subject".to_owned(), text), ("authority".to_owned(), authority.certificate.clone())];
        howdah_instance::settings::hash(&BTreeMap::from(parts))
    }
}

impl Authority {
    pub(crate) fn make(group: &str, now: Timestamp) -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = authority_params(group);
        set_validity(&mut params, now, AUTHORITY_LIFE);
        let certificate = params.self_signed(&key)?.pem();
        let renew_after = later(now, AUTHORITY_LIFE * 2 / 3);
        Ok(Self { certificate, key: key.serialize_pem(), renew_after })
    }

    /// From its Secret; `None` if anything is missing.
    pub(crate) fn read(
        data: &BTreeMap<String, String>,
        annotations: &BTreeMap<String, String>,
    ) -> Option<Self> {
        Some(Self {
            certificate: data.get("tls.crt")?.clone(),
            key: data.get("tls.key")?.clone(),
            renew_after: annotations.get(RENEW_AFTER)?.parse().ok()?,
        })
    }

    /// As its own Secret shows it.
    pub(crate) fn as_issued(&self) -> Issued {
        Issued {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            ca: self.certificate.clone(),
            purpose: "authority".into(),
            renew_after: self.renew_after,
        }
    }

    pub(crate) fn issue(
        &self,
        group: &str,
        subject: &Subject,
        now: Timestamp,
    ) -> Result<Issued, rcgen::Error> {
        let issuer = Issuer::new(authority_params(group), KeyPair::from_pem(&self.key)?);
        let mut params = CertificateParams::new(subject.names.clone())?;
        params.distinguished_name.push(DnType::CommonName, &subject.common_name);
        params.key_usages.push(KeyUsagePurpose::DigitalSignature);
        params.extended_key_usages = match subject.usage {
            Usage::Server => vec![ExtendedKeyUsagePurpose::ServerAuth],
            Usage::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
            Usage::Both => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
        };
        params.use_authority_key_identifier_extension = true;
        set_validity(&mut params, now, LIFE);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &issuer)?.pem();
        Ok(Issued {
            certificate,
            key: key.serialize_pem(),
            ca: self.certificate.clone(),
            purpose: subject.fingerprint(self),
            renew_after: later(now, LIFE * 2 / 3),
        })
    }
}

impl Issued {
    pub(crate) fn read(
        data: &BTreeMap<String, String>,
        annotations: &BTreeMap<String, String>,
    ) -> Option<Self> {
        Some(Self {
            certificate: data.get("tls.crt")?.clone(),
            key: data.get("tls.key")?.clone(),
            ca: data.get("ca.crt")?.clone(),
            purpose: annotations.get(PURPOSE)?.clone(),
            renew_after: annotations.get(RENEW_AFTER)?.parse().ok()?,
        })
    }

    pub(crate) fn annotations(&self) -> BTreeMap<String, String> {
        [(PURPOSE.to_owned(), self.purpose.clone()), (RENEW_AFTER.to_owned(), self.renew_after.to_string())]
            .into()
    }

    /// Whether it still serves.
    pub(crate) fn serves(&self, subject: &Subject, authority: &Authority, now: Timestamp) -> bool {
        now < self.renew_after && self.purpose == subject.fingerprint(authority)
    }
}

/// Made from the group's name alone, so that the issuer can be built again from the key.
fn authority_params(group: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, format!("{group} server group"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn this_machine() -> [String; 2] {
    ["localhost".to_owned(), "127.0.0.1".to_owned()]
}

fn set_validity(params: &mut CertificateParams, now: Timestamp, life: Duration) {
    let epoch = date_time_ymd(1970, 1, 1);
    let now = Duration::from_secs(now.as_second().max(0).cast_unsigned());
    params.not_before = epoch + now.saturating_sub(SKEW);
    params.not_after = epoch + now + life;
}

fn later(now: Timestamp, by: Duration) -> Timestamp {
    now.checked_add(by).unwrap_or(Timestamp::MAX)
}

const PURPOSE: &str = "howdah.dev/certificate-purpose";
const RENEW_AFTER: &str = "howdah.dev/renew-after";

const DAY: u64 = 24 * 60 * 60;
const LIFE: Duration = Duration::from_secs(90 * DAY);
const AUTHORITY_LIFE: Duration = Duration::from_secs(10 * 365 * DAY);
/// Clocks of machines differ.
const SKEW: Duration = Duration::from_secs(60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_made_anew_for_a_reason() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let days = |it: u64| later(now, Duration::from_secs(it * DAY));
        let names = Names { group: "demo".into(), namespace: "default".into() };
        let authority = Authority::make("demo", now).unwrap();
        let subject = Subject::node(&names, NodeName::Worker(0));
        let issued = authority.issue("demo", &subject, now).unwrap();
        assert!(issued.serves(&subject, &authority, days(59)));
        assert!(!issued.serves(&subject, &authority, days(61)), "a third of its life is left");
        assert!(!issued.serves(&Subject::node(&names, NodeName::Worker(1)), &authority, now));
        let other = Authority::make("demo", now).unwrap();
        assert!(!issued.serves(&subject, &other, now), "signed by another");
    }

    #[test]
    fn secrets_say_all_that_is_needed() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let authority = Authority::make("demo", now).unwrap();
        let kept = authority.as_issued();
        let data = [("tls.crt", &kept.certificate), ("tls.key", &kept.key), ("ca.crt", &kept.ca)];
        let data = data.map(|(key, text)| (key.to_owned(), text.clone())).into();
        assert_eq!(Authority::read(&data, &kept.annotations()), Some(authority));
        assert_eq!(Issued::read(&data, &kept.annotations()), Some(kept));
        assert_eq!(Issued::read(&data, &BTreeMap::new()), None);
    }
}
