//! The group's own certificate authority and the certificates of its processes, made once.
//!
//! They vouch for this machine to itself: they name only loopback addresses and do not expire. A certificate
//! of this CA is what lets a client of a node's TCP port in, so the CA's key never leaves the directory.
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use howdah_group::NodeName;
use howdah_instance::pods::{COORDINATOR_NAME, ROUTER_NAME};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use crate::Error;

/// A certificate and its key, as PEM files.
pub(crate) struct Identity {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

pub(crate) struct Pki {
    dir: PathBuf,
}

impl Pki {
    /// Makes what is not there yet.
    pub(crate) fn ensure(
        dir: &Path,
        group: &str,
        nodes: impl Iterator<Item = NodeName>,
    ) -> Result<Self, Error> {
        DirBuilder::new().mode(0o700).recursive(true).create(dir).map_err(Error::file(dir))?;
        let pki = Self { dir: dir.to_owned() };
        let ca = pki.authority(group)?;
        let (server, client) = (ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth);
        pki.issue(&ca, "router-server", "router-server", std::slice::from_ref(&server))?;
        pki.issue(&ca, "router-client", ROUTER_NAME, &[server.clone(), client.clone()])?;
        for node in nodes {
            let name = node.to_string();
            match node {
                NodeName::Coordinator => {
                    pki.issue(&ca, &name, COORDINATOR_NAME, &[server.clone(), client.clone()])?;
                }
                NodeName::Worker(_) => pki.issue(&ca, &name, &name, std::slice::from_ref(&server))?,
            }
        }
        Ok(pki)
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.dir.join("ca.crt")
    }

    pub(crate) fn identity(&self, name: &str) -> Identity {
        Identity {
            certificate: self.dir.join(format!("{name}.crt")),
            key: self.dir.join(format!("{name}.key")),
        }
    }

    fn authority(&self, group: &str) -> Result<Issuer<'static, KeyPair>, Error> {
        let params = authority_params(group);
        let files = self.identity("ca");
        if files.certificate.exists() {
            let pem = fs::read_to_string(&files.key).map_err(Error::file(&files.key))?;
            return Ok(Issuer::new(params, KeyPair::from_pem(&pem).map_err(failed)?));
        }
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = params.self_signed(&key).map_err(failed)?;
        write(&files, &certificate.pem(), &key)?;
        Ok(Issuer::new(params, key))
    }

    fn issue(
        &self,
        ca: &Issuer<'_, KeyPair>,
        name: &str,
        common_name: &str,
        purposes: &[ExtendedKeyUsagePurpose],
    ) -> Result<(), Error> {
        let files = self.identity(name);
        if files.certificate.exists() {
            return Ok(());
        }
        let names = ["localhost", "127.0.0.1", "::1", common_name].map(String::from);
        let mut params = CertificateParams::new(names).map_err(failed)?;
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.extended_key_usages.extend_from_slice(purposes);
        params.key_usages.push(KeyUsagePurpose::DigitalSignature);
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = params.signed_by(&key, ca).map_err(failed)?;
        write(&files, &certificate.pem(), &key)
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

/// The key first: a certificate that is there has its key.
fn write(files: &Identity, certificate: &str, key: &KeyPair) -> Result<(), Error> {
    write_private(&files.key, &key.serialize_pem())?;
    let beside = files.certificate.with_extension("new");
    fs::write(&beside, certificate).map_err(Error::file(&beside))?;
    fs::rename(&beside, &files.certificate).map_err(Error::file(&files.certificate))
}

/// A file that only its owner reads. One that says the same already is left alone: a full disk then
/// hinders nobody who changes nothing.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<(), Error> {
    if fs::read_to_string(path).is_ok_and(|it| it == text) {
        return Ok(());
    }
    let beside = path.with_extension("new");
    let _ = fs::remove_file(&beside);
    let file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&beside);
    let mut file = file.map_err(Error::file(&beside))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(Error::file(&beside))?;
    fs::rename(&beside, path).map_err(Error::file(path))?;
    // The new name must outlive a power failure as surely as the contents: `up` decides by such files.
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::File::open(directory).and_then(|it| it.sync_all()).map_err(Error::file(directory))
}

#[allow(clippy::needless_pass_by_value)] // for map_err
fn failed(error: rcgen::Error) -> Error {
    Error::Certificates(error.to_string())
}
