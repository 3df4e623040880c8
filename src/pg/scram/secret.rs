//! What `pg_authid.rolpassword` holds of a password.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::digest::{SHA256, digest};
use ring::{hmac, pbkdf2};

/// Enough to check a password without knowing it. Deliberately without `Debug`.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret {
    pub(crate) iterations: u32,
    pub(crate) salt: Vec<u8>,
    pub(crate) stored_key: [u8; 32],
    pub(crate) server_key: [u8; 32],
    /// No password matches: the user does not exist or has no usable secret.
    pub(crate) doomed: bool,
}

/// Why a stored password cannot be used for SCRAM.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UnusableSecret {
    #[error("the password is stored as an MD5 hash, which SCRAM-SHA-256 cannot use")]
    Md5,
    #[error("the stored password is not a SCRAM secret")]
    Malformed,
}

impl UnusableSecret {
    /// What the administrator can do, for the log.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Md5 | Self::Malformed => {
                "Set the password again while password_encryption is scram-sha-256."
            }
        }
    }
}

impl Secret {
    /// Reads `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`.
    pub fn parse(stored: &str) -> Result<Self, UnusableSecret> {
        if is_md5(stored) {
            return Err(UnusableSecret::Md5);
        }
        parse_scram(stored).ok_or(UnusableSecret::Malformed)
    }

    /// Whether it was made of this password (as PostgreSQL does of one in ASCII; others it may normalise first).
    pub fn fits(&self, password: &str) -> bool {
        let Some(iterations) = std::num::NonZeroU32::new(self.iterations) else { return false };
        let mut salted = [0; 32];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, &self.salt, password.as_bytes(), &mut salted);
        let server_key = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &salted), b"Server Key");
        !self.doomed && server_key.as_ref() == self.server_key
    }

    /// `mock_scram_secret`: a secret that looks real and the same at each try, and that no password fits.
    /// `nonce` is to be random, and kept for as long as this server shall look the same.
    pub fn mock(user: &str, nonce: &[u8]) -> Self {
        let seed = digest(&SHA256, &[nonce, user.as_bytes()].concat());
        Self {
            iterations: 4096,
            salt: seed.as_ref()[..16].to_vec(),
            stored_key: [0; 32],
            server_key: [0; 32],
            doomed: true,
        }
    }
}

fn is_md5(stored: &str) -> bool {
    let digits = stored.strip_prefix("md5");
    digits.is_some_and(|it| it.len() == 32 && it.bytes().all(|it| it.is_ascii_hexdigit()))
}

fn parse_scram(stored: &str) -> Option<Secret> {
    let (iterations, rest) = stored.strip_prefix("SCRAM-SHA-256$")?.split_once(':')?;
    let (salt, keys) = rest.split_once('$')?;
    let (stored_key, server_key) = keys.split_once(':')?;
    Some(Secret {
        iterations: iterations.parse().ok().filter(|it| *it > 0)?,
        salt: BASE64_STANDARD.decode(salt).ok()?,
        stored_key: key(stored_key)?,
        server_key: key(server_key)?,
        doomed: false,
    })
}

fn key(encoded: &str) -> Option<[u8; 32]> {
    BASE64_STANDARD.decode(encoded).ok()?.try_into().ok()
}
