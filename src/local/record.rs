//! What a group's directory remembers: identity, ports, passwords. Everything else is found out.
use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use howdah_group::NodeName;
pub(crate) use howdah_metadata::setup::SUPERUSER;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::pki::write_private;
use crate::{Error, Layout};

/// `howdah.json`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Record {
    pub(crate) format: u32,
    pub(crate) name: String,
    pub(crate) database: String,
    pub(crate) admin_user: String,
    /// Grows only.
    pub(crate) workers: u32,
    /// The data directories are of this version.
    pub(crate) postgres_major: u32,
    pub(crate) postgres_bin: PathBuf,
    /// The router's.
    pub(crate) port: u16,
    /// The servers', chosen once; the catalog shows those of the workers.
    pub(crate) ports: BTreeMap<NodeName, u16>,
    /// The binary that set the databases up last; another one does it again.
    #[serde(default)]
    pub(crate) set_up_by: BTreeMap<NodeName, String>,
}

/// `secrets.json`, readable by the owner only.
#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Secrets {
    pub(crate) admin_password: String,
    pub(crate) superuser_password: String,
}

/// As whom to connect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Login {
    Admin,
    Superuser,
}

pub(crate) const FORMAT: u32 = 1;

impl Record {
    pub(crate) fn load(layout: &Layout) -> Result<Option<Self>, Error> {
        let path = layout.record();
        if !path.exists() {
            return Ok(None);
        }
        let version: FormatOnly = read_json(&path)?;
        if version.format > FORMAT {
            return Err(Error::NewerFormat(layout.dir().to_owned()));
        }
        read_json(&path).map(Some)
    }

    pub(crate) fn save(&self, layout: &Layout) -> Result<(), Error> {
        let text = serde_json::to_string_pretty(self).expect("a record is plain data");
        write_private(&layout.record(), &(text + "\n"))
    }

    pub(crate) fn desired(&self) -> howdah_group::Desired {
        howdah_group::Desired { workers: self.workers }
    }

    pub(crate) fn user(&self, login: Login) -> &str {
        match login {
            Login::Admin => &self.admin_user,
            Login::Superuser => SUPERUSER,
        }
    }

    pub(crate) fn uri(&self, login: Login, secrets: &Secrets) -> String {
        let (user, password) = (percent_encode(self.user(login)), secrets.password(login));
        let (port, database) = (self.port, percent_encode(&self.database));
        format!("postgresql://{user}:{password}@localhost:{port}/{database}?sslmode=require")
    }
}

#[derive(Deserialize)]
struct FormatOnly {
    format: u32,
}

impl Secrets {
    /// The passwords of the group, made the first time.
    pub(crate) fn ensure(layout: &Layout) -> Result<Self, Error> {
        let path = layout.secrets();
        if path.exists() {
            return read_json(&path);
        }
        let secrets = Self { admin_password: password(&path)?, superuser_password: password(&path)? };
        let text = serde_json::to_string_pretty(&secrets).expect("secrets are plain data");
        write_private(&path, &(text + "\n"))?;
        Ok(secrets)
    }

    pub(crate) fn password(&self, login: Login) -> &str {
        match login {
            Login::Admin => &self.admin_password,
            Login::Superuser => &self.superuser_password,
        }
    }
}

/// The connection URI of the group in `dir`.
pub fn uri(dir: &Path, login: Login) -> Result<String, Error> {
    let (_, record, secrets) = open(dir)?;
    Ok(record.uri(login, &secrets))
}

/// The group in `dir` with what it remembers.
pub(crate) fn open(dir: &Path) -> Result<(Layout, Record, Secrets), Error> {
    let layout = crate::directory::find(dir)?;
    let record = Record::load(&layout)?.ok_or_else(|| Error::NoGroup(dir.to_owned()))?;
    if !layout.secrets().exists() {
        // The first start failed, and the second before it made anything.
        return Err(Error::NoGroup(dir.to_owned()));
    }
    let secrets = read_json(&layout.secrets())?;
    Ok((layout, record, secrets))
}

pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let text = fs::read_to_string(path).map_err(Error::file(path))?;
    serde_json::from_str(&text)
        .map_err(|error| Error::BrokenFile { path: path.to_owned(), message: error.to_string() })
}

/// 24 characters of 62: 142 bits, and nothing that a URI or a shell would want quoted.
fn password(for_messages: &Path) -> Result<String, Error> {
    let mut random = fs::File::open("/dev/urandom").map_err(Error::file("/dev/urandom"))?;
    let mut password = String::new();
    let mut byte = [0];
    while password.len() < 24 {
        random.read_exact(&mut byte).map_err(Error::file(for_messages))?;
        // Of 256 values, 248 are four times each character; the rest would favour the first ones.
        if byte[0] < 248 {
            password.push(char::from(ALPHABET[usize::from(byte[0]) % ALPHABET.len()]));
        }
    }
    Ok(password)
}

const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

fn percent_encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|it| if plain(it) { char::from(it).to_string() } else { format!("%{it:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded_in_the_uri() {
        assert_eq!(percent_encode("app"), "app");
        assert_eq!(percent_encode("my db/ä"), "my%20db%2F%C3%A4");
    }

    #[test]
    fn passwords_differ() {
        let path = Path::new("secrets.json");
        let (one, other) = (password(path).unwrap(), password(path).unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), 24);
    }
}
