//! The attributes (`r=…,s=…`) that SCRAM messages are made of.

use super::ScramError;

/// The client's first message.
#[derive(Debug)]
pub(crate) struct ClientFirst<'a> {
    /// `n,,`, `y,,` or `p=…,,`: repeated, encoded, in the last message.
    pub(crate) header: &'a str,
    pub(crate) binding: BindingFlag<'a>,
    /// All after the header.
    pub(crate) bare: &'a str,
    pub(crate) nonce: &'a str,
}

/// What the client says about channel binding.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum BindingFlag<'a> {
    /// The client cannot bind.
    Unsupported,
    /// The client could, but believes that the server cannot.
    NotOffered,
    /// The client binds, by the type named.
    Used(&'a str),
}

/// The client's last message.
#[derive(Debug)]
pub(crate) struct ClientFinal<'a> {
    pub(crate) channel_binding: &'a str,
    pub(crate) nonce: &'a str,
    pub(crate) proof: &'a str,
    pub(crate) without_proof: &'a str,
}

impl<'a> ClientFirst<'a> {
    pub(crate) fn parse(message: &'a [u8]) -> Result<Self, ScramError> {
        let text = text(message)?;
        let (flag, rest) = text.split_once(',').ok_or(ScramError::Malformed)?;
        let binding = match (flag, flag.strip_prefix("p=")) {
            ("n", _) => BindingFlag::Unsupported,
            ("y", _) => BindingFlag::NotOffered,
            (_, Some(name)) => BindingFlag::Used(name),
            _ => return Err(ScramError::Malformed),
        };
        let (identity, bare) = rest.split_once(',').ok_or(ScramError::Malformed)?;
        if identity.starts_with('a') {
            return Err(ScramError::AuthorizationIdentity);
        }
        if !identity.is_empty() {
            return Err(ScramError::Malformed);
        }
        if bare.starts_with('m') {
            return Err(ScramError::UnsupportedExtension);
        }
        let mut attributes = bare.split(',');
        // The user is the one of the startup packet; PostgreSQL ignores the name here as well.
        attribute(attributes.next(), 'n')?;
        let nonce = attribute(attributes.next(), 'r')?;
        if nonce.is_empty() || !nonce.bytes().all(|it| matches!(it, 0x21..=0x7e)) {
            return Err(ScramError::UnprintableNonce);
        }
        attributes.try_for_each(any_attribute)?;
        Ok(Self { header: &text[..text.len() - bare.len()], binding, bare, nonce })
    }
}

impl<'a> ClientFinal<'a> {
    pub(crate) fn parse(message: &'a [u8]) -> Result<Self, ScramError> {
        let text = text(message)?;
        let (without_proof, proof) = text.rsplit_once(',').ok_or(ScramError::Malformed)?;
        let proof = attribute(Some(proof), 'p')?;
        let mut attributes = without_proof.split(',');
        let channel_binding = attribute(attributes.next(), 'c')?;
        let nonce = attribute(attributes.next(), 'r')?;
        attributes.try_for_each(any_attribute)?;
        Ok(Self { channel_binding, nonce, proof, without_proof })
    }
}

fn text(message: &[u8]) -> Result<&str, ScramError> {
    match str::from_utf8(message) {
        Ok(text) if !text.is_empty() && !text.contains('\0') => Ok(text),
        _ => Err(ScramError::Malformed),
    }
}

fn attribute(attribute: Option<&str>, name: char) -> Result<&str, ScramError> {
    attribute
        .and_then(|it| it.strip_prefix(name))
        .and_then(|it| it.strip_prefix('='))
        .ok_or(ScramError::Malformed)
}

/// An optional extension: any letter and value.
fn any_attribute(attribute: &str) -> Result<(), ScramError> {
    match attribute.as_bytes() {
        [name, b'=', ..] if name.is_ascii_alphabetic() => Ok(()),
        _ => Err(ScramError::Malformed),
    }
}
