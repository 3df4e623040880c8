//! A group's certificate authority, as the operator makes it.
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
    dir: PathBuf,
    owner: u32,
}

/// What a certificate is good for.
#[derive(Clone, Copy)]
pub(crate) enum For {
    Servers,
    Clients,
    Both,
}

impl Authority {
    pub(crate) fn new(dir: &Path, owner: u32) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "test server group");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate").pem();
        Self { issuer: Issuer::new(params, key), certificate, dir: dir.to_owned(), owner }
    }

    /// A directory like that of a Secret: tls.crt, tls.key, ca.crt. Issued again, the files are replaced.
    pub(crate) fn issue(&self, directory: &str, common_name: &str, purpose: For) -> PathBuf {
        let names = ["localhost".to_owned(), common_name.to_owned()];
        let mut params = CertificateParams::new(names).expect("names");
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.key_usages.push(KeyUsagePurpose::DigitalSignature);
        if !matches!(purpose, For::Clients) {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        if !matches!(purpose, For::Servers) {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        }
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let directory = self.dir.join(directory);
        std::fs::create_dir_all(&directory).expect("a directory");
        for (name, text) in [
            ("tls.crt", certificate.pem()),
            ("tls.key", key.serialize_pem()),
            ("ca.crt", self.certificate.clone()),
        ] {
            let beside = directory.join("new");
            std::fs::write(&beside, text).expect("a file");
            std::fs::set_permissions(&beside, std::os::unix::fs::PermissionsExt::from_mode(0o600))
                .expect("private");
            chown(&beside, Some(self.owner), None).expect("an owner");
            std::fs::rename(&beside, directory.join(name)).expect("a file in its place");
        }
        directory
    }
}
