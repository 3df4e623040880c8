//! The two steps of the server.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::digest::{SHA256, digest};
use ring::hmac;

use super::message::{BindingFlag, ClientFinal, ClientFirst};
use super::{NONCE, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, Secret};
use crate::SqlState;

/// Whether the connection could be bound to its TLS channel.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ChannelBinding {
    /// No TLS, or a certificate that defines no binding: the -PLUS mechanism was not offered.
    Unavailable,
    /// The -PLUS mechanism was offered; this is [`super::server_end_point`] of the certificate.
    ServerEndPoint(Vec<u8>),
}

impl ChannelBinding {
    /// The mechanisms to offer, the preferred first.
    pub fn mechanisms(&self) -> &'static [&'static str] {
        match self {
            Self::Unavailable => &[SCRAM_SHA_256],
            Self::ServerEndPoint(_) => &[SCRAM_SHA_256_PLUS, SCRAM_SHA_256],
        }
    }
}

/// Why an exchange ended. The words are PostgreSQL's.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ScramError {
    #[error("client selected an invalid SASL authentication mechanism")]
    UnknownMechanism,
    #[error("malformed SCRAM message")]
    Malformed,
    #[error("client uses authorization identity, but it is not supported")]
    AuthorizationIdentity,
    #[error("client requires an unsupported SCRAM extension")]
    UnsupportedExtension,
    #[error("non-printable characters in SCRAM nonce")]
    UnprintableNonce,
    #[error("unsupported SCRAM channel-binding type")]
    UnsupportedBinding,
    /// The client would have bound, had it seen our offer: someone in between removed it.
    #[error("SCRAM channel binding negotiation error")]
    BindingDowngrade,
    #[error("SCRAM channel binding check failed")]
    BindingMismatch,
    #[error("unexpected SCRAM channel-binding attribute in client-final-message")]
    UnexpectedBinding,
    #[error("invalid SCRAM response")]
    NonceMismatch,
    /// The proof is wrong, or the user has no usable secret. The session words this one, with the user's name.
    #[error("password authentication failed")]
    WrongPassword,
}

impl ScramError {
    pub fn sqlstate(&self) -> SqlState {
        match self {
            Self::UnknownMechanism
            | Self::Malformed
            | Self::UnprintableNonce
            | Self::UnsupportedBinding
            | Self::UnexpectedBinding
            | Self::NonceMismatch => SqlState::PROTOCOL_VIOLATION,
            Self::AuthorizationIdentity | Self::UnsupportedExtension => SqlState::FEATURE_NOT_SUPPORTED,
            Self::BindingDowngrade | Self::BindingMismatch => SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
            Self::WrongPassword => SqlState::INVALID_PASSWORD,
        }
    }
}

/// An exchange that waits for the client's last message.
pub struct Exchange {
    secret: Secret,
    /// What `c=` must say.
    expected_binding: String,
    nonce: String,
    client_first_bare: String,
    server_first: String,
}

impl Exchange {
    /// Reads the mechanism and the first message of the client, and answers it.
    pub fn start(
        secret: Secret,
        binding: &ChannelBinding,
        mechanism: &[u8],
        client_first: &[u8],
        nonce: [u8; NONCE],
    ) -> Result<(Self, Vec<u8>), ScramError> {
        let first = ClientFirst::parse(client_first)?;
        let data = binding_data(binding, mechanism, first.binding)?;
        let nonce = format!("{}{}", first.nonce, BASE64_STANDARD.encode(nonce));
        let salt = BASE64_STANDARD.encode(&secret.salt);
        let server_first = format!("r={nonce},s={salt},i={}", secret.iterations);
        let exchange = Self {
            expected_binding: BASE64_STANDARD.encode([first.header.as_bytes(), data].concat()),
            nonce,
            client_first_bare: first.bare.into(),
            server_first: server_first.clone(),
            secret,
        };
        Ok((exchange, server_first.into_bytes()))
    }

    /// Checks the client's proof; the answer proves to the client that the server knows the secret.
    pub fn finish(self, client_final: &[u8]) -> Result<Vec<u8>, ScramError> {
        let last = ClientFinal::parse(client_final)?;
        if last.nonce != self.nonce {
            return Err(ScramError::NonceMismatch);
        }
        if last.channel_binding != self.expected_binding {
            return Err(self.wrong_binding());
        }
        let proof = BASE64_STANDARD.decode(last.proof).map_err(|_| ScramError::Malformed)?;
        let proof: [u8; 32] = proof.try_into().map_err(|_| ScramError::Malformed)?;
        let auth_message = [&self.client_first_bare, &self.server_first, last.without_proof].join(",");
        // A doomed secret is checked all the same: it must take as long.
        if !proves(&self.secret.stored_key, &proof, &auth_message) || self.secret.doomed {
            return Err(ScramError::WrongPassword);
        }
        let signature = sign(&self.secret.server_key, &auth_message);
        Ok(format!("v={}", BASE64_STANDARD.encode(signature)).into_bytes())
    }

    /// An exchange whose first messages are known, for vectors with a given nonce.
    #[cfg(test)]
    pub(crate) fn resume(secret: Secret, expected_binding: &str, bare: &str, server_first: &str) -> Self {
        let nonce = server_first.split(',').next().and_then(|it| it.strip_prefix("r=")).expect("a nonce");
        Self {
            secret,
            expected_binding: expected_binding.into(),
            nonce: nonce.into(),
            client_first_bare: bare.into(),
            server_first: server_first.into(),
        }
    }

    fn wrong_binding(&self) -> ScramError {
        match self.expected_binding.as_str() {
            // "n,," and "y,," encoded: the client had nothing to bind, so this is not a mismatch.
            "biws" | "eSws" => ScramError::UnexpectedBinding,
            _ => ScramError::BindingMismatch,
        }
    }
}

/// The data that the client must present after the header.
fn binding_data<'b>(
    binding: &'b ChannelBinding,
    mechanism: &[u8],
    flag: BindingFlag<'_>,
) -> Result<&'b [u8], ScramError> {
    match (str::from_utf8(mechanism), binding, flag) {
        (Ok(SCRAM_SHA_256_PLUS), ChannelBinding::ServerEndPoint(data), BindingFlag::Used(kind)) => {
            if kind == "tls-server-end-point" { Ok(data) } else { Err(ScramError::UnsupportedBinding) }
        }
        (Ok(SCRAM_SHA_256_PLUS), ChannelBinding::ServerEndPoint(_), _) => Err(ScramError::Malformed),
        (Ok(SCRAM_SHA_256), _, BindingFlag::Used(_)) => Err(ScramError::Malformed),
        (Ok(SCRAM_SHA_256), ChannelBinding::ServerEndPoint(_), BindingFlag::NotOffered) => {
            Err(ScramError::BindingDowngrade)
        }
        (Ok(SCRAM_SHA_256), _, BindingFlag::Unsupported | BindingFlag::NotOffered) => Ok(&[]),
        _ => Err(ScramError::UnknownMechanism),
    }
}

fn proves(stored_key: &[u8; 32], proof: &[u8; 32], auth_message: &str) -> bool {
    let signature = sign(stored_key, auth_message);
    let mut client_key = *proof;
    client_key.iter_mut().zip(signature).for_each(|(key, signature)| *key ^= signature);
    let found = digest(&SHA256, &client_key);
    // Compared without a branch on the contents, so that the time tells nothing about them.
    found.as_ref().iter().zip(stored_key).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

pub(crate) fn sign(key: &[u8], message: &str) -> [u8; 32] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message.as_bytes());
    tag.as_ref().try_into().expect("a SHA-256 tag has 32 bytes")
}
