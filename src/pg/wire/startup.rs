//! The first packet of a connection, which has no type byte.

use bytes::{BufMut, BytesMut};

use super::ProtocolError;
use super::body::Body;
use super::values::{put_packet, put_string};

/// `MAX_STARTUP_PACKET_LENGTH`, the length word excluded.
pub const MAX_STARTUP: usize = 10_000;

/// The version spoken here, as startup packets write it.
pub(crate) const PROTOCOL_3_0: u32 = 3 << 16;

const CANCEL_REQUEST: u32 = 1234 << 16 | 5678;
const SSL_REQUEST: u32 = 1234 << 16 | 5679;
const GSSENC_REQUEST: u32 = 1234 << 16 | 5680;

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Startup<'a> {
    /// Answered by `S` and a TLS handshake, or by `N`.
    Ssl,
    /// Answered by `N`.
    GssEnc,
    /// Answered by closing, whatever comes of it.
    Cancel(CancelKey),
    Session(SessionStartup<'a>),
}

/// Names a backend to be cancelled. The secret has four bytes before protocol 3.2.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct CancelKey {
    pub pid: u32,
    pub secret: Box<[u8]>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SessionStartup<'a> {
    /// 3 for every client of this century.
    pub major: u16,
    pub minor: u16,
    /// In the order sent. A later one of the same name wins.
    pub parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> SessionStartup<'a> {
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.parameters.iter().rev().find(|it| it.0 == name).map(|it| it.1)
    }

    /// Options of the protocol itself (`_pq_.…`), which a server names in NegotiateProtocolVersion when it
    /// does not know them.
    pub fn protocol_options(&self) -> impl Iterator<Item = &'a str> {
        self.parameters.iter().map(|it| it.0).filter(|it| it.starts_with("_pq_."))
    }
}

/// The first packet of `buf` with its size, or `None` when more input is needed.
pub fn startup(buf: &[u8]) -> Result<Option<(Startup<'_>, usize)>, ProtocolError> {
    let Some(length) = buf.first_chunk() else { return Ok(None) };
    let length = u32::from_be_bytes(*length) as usize;
    if !(8..=MAX_STARTUP + 4).contains(&length) {
        return Err(ProtocolError::InvalidStartupLength);
    }
    let Some(packet) = buf.get(4..length) else { return Ok(None) };
    Ok(Some((parse(packet)?, length)))
}

fn parse(packet: &[u8]) -> Result<Startup<'_>, ProtocolError> {
    let mut body = Body::new(packet);
    let code = body.u32()?;
    match code {
        SSL_REQUEST => body.end().map(|()| Startup::Ssl),
        GSSENC_REQUEST => body.end().map(|()| Startup::GssEnc),
        CANCEL_REQUEST => {
            let pid = body.u32()?;
            // PostgreSQL 18 sends secrets of up to 256 bytes.
            match body.rest() {
                secret @ [_, ..] if secret.len() <= 256 => {
                    Ok(Startup::Cancel(CancelKey { pid, secret: secret.into() }))
                }
                _ => Err(ProtocolError::InvalidStartupLength),
            }
        }
        version => {
            let (major, minor) = ((version >> 16) as u16, version as u16);
            // Older protocols laid their packet out differently; the caller refuses them by their number.
            let parameters = if major == 3 { parameters(body)? } else { Vec::new() };
            Ok(Startup::Session(SessionStartup { major, minor, parameters }))
        }
    }
}

fn parameters(mut body: Body<'_>) -> Result<Vec<(&str, &str)>, ProtocolError> {
    let mut parameters = Vec::new();
    let mut string = || match body.string() {
        Ok(string) => str::from_utf8(string).map_err(|_| ProtocolError::NotUtf8),
        Err(_) => Err(ProtocolError::InvalidStartupLayout),
    };
    loop {
        match string()? {
            "" => break,
            name => parameters.push((name, string()?)),
        }
    }
    body.end().map_err(|_| ProtocolError::InvalidStartupLayout)?;
    Ok(parameters)
}

pub fn ssl_request(buf: &mut BytesMut) {
    put_packet(buf, |buf| buf.put_u32(SSL_REQUEST));
}

pub fn cancel_request(buf: &mut BytesMut, key: &CancelKey) {
    put_packet(buf, |buf| {
        buf.put_u32(CANCEL_REQUEST);
        buf.put_u32(key.pid);
        buf.extend_from_slice(&key.secret);
    });
}

/// A StartupMessage of protocol 3.0.
pub fn session_startup<'v>(buf: &mut BytesMut, parameters: impl IntoIterator<Item = (&'v str, &'v str)>) {
    put_packet(buf, |buf| {
        buf.put_u32(PROTOCOL_3_0);
        for (name, value) in parameters {
            put_string(buf, name.as_bytes());
            put_string(buf, value.as_bytes());
        }
        buf.put_u8(0);
    });
}
