//! Messages that clients send after startup.
//!
//! Strings are bytes in the client's encoding: PostgreSQL converts them, and so they are passed on as they are.

use bytes::{BufMut, BytesMut};

use super::ProtocolError;
use super::body::Body;
use super::frame::{Frame, MAX_MESSAGE, frame_limited};
use super::values::{
    Format, Formats, Types, Values, put_formats, put_message, put_string, put_types, put_values,
};
use crate::TypeOid;

/// `PQ_SMALL_MESSAGE_LIMIT`: the length word of a message that only names something.
const SMALL_MESSAGE: usize = 10_000;
/// `PG_MAX_AUTH_TOKEN_LENGTH`: of a password or SASL message.
const AUTH_MESSAGE: usize = 65_535;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Message<'a> {
    Query {
        text: &'a [u8],
    },
    Parse(Parse<'a>),
    Bind(Bind<'a>),
    Describe(Target<'a>),
    Execute(Execute<'a>),
    Close(Target<'a>),
    Sync,
    Flush,
    CopyData(&'a [u8]),
    CopyDone,
    CopyFail {
        message: &'a [u8],
    },
    FunctionCall(&'a [u8]),
    /// A password or SASL message: only the state of the authentication tells which.
    Password(&'a [u8]),
    Terminate,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Parse<'a> {
    /// Empty for the unnamed statement.
    pub statement: &'a [u8],
    pub text: &'a [u8],
    pub parameter_types: Types<'a>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bind<'a> {
    pub portal: &'a [u8],
    pub statement: &'a [u8],
    pub parameter_formats: Formats<'a>,
    pub parameters: Values<'a>,
    pub result_formats: Formats<'a>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Execute<'a> {
    pub portal: &'a [u8],
    /// Zero or less for all rows, as PostgreSQL reads it.
    pub max_rows: i32,
}

/// What a Describe or Close is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Target<'a> {
    Statement(&'a [u8]),
    Portal(&'a [u8]),
}

/// The first complete message of `buf`, within the limit of its type; `None` when more input is needed.
/// An unknown type and a wrong length are errors at once: the bytes after them mean nothing.
pub fn frame(buf: &[u8]) -> Result<Option<Frame<'_>>, ProtocolError> {
    let Some(&tag) = buf.first() else { return Ok(None) };
    let limit = match tag {
        b'Q' | b'P' | b'B' | b'F' | b'd' | b'f' => MAX_MESSAGE,
        b'D' | b'E' | b'C' | b'S' | b'H' | b'c' | b'X' => SMALL_MESSAGE,
        b'p' => AUTH_MESSAGE,
        other => return Err(ProtocolError::UnknownFrontendMessage(other)),
    };
    frame_limited(buf, limit)
}

/// Reads the body of a message. Whatever the bytes are, this does not panic.
pub fn parse(tag: u8, body: &[u8]) -> Result<Message<'_>, ProtocolError> {
    let mut it = Body::new(body);
    let message = match tag {
        b'Q' => Message::Query { text: it.string()? },
        b'P' => Message::Parse(Parse {
            statement: it.string()?,
            text: it.string()?,
            parameter_types: Types::parse(&mut it)?,
        }),
        b'B' => Message::Bind(parse_bind(&mut it)?),
        b'D' => Message::Describe(parse_target(&mut it, ProtocolError::InvalidDescribe)?),
        b'E' => Message::Execute(Execute { portal: it.string()?, max_rows: it.i32()? }),
        b'C' => Message::Close(parse_target(&mut it, ProtocolError::InvalidClose)?),
        b'S' => Message::Sync,
        b'H' => Message::Flush,
        b'd' => return Ok(Message::CopyData(body)),
        b'c' => Message::CopyDone,
        b'f' => Message::CopyFail { message: it.string()? },
        b'F' => return Ok(Message::FunctionCall(body)),
        b'p' => return Ok(Message::Password(body)),
        // PostgreSQL ends the session without reading the body.
        b'X' => return Ok(Message::Terminate),
        other => return Err(ProtocolError::UnknownFrontendMessage(other)),
    };
    it.end()?;
    Ok(message)
}

fn parse_bind<'a>(body: &mut Body<'a>) -> Result<Bind<'a>, ProtocolError> {
    let bind = Bind {
        portal: body.string()?,
        statement: body.string()?,
        parameter_formats: Formats::parse(body)?,
        parameters: Values::parse(body)?,
        result_formats: Formats::parse(body)?,
    };
    let (formats, parameters) = (bind.parameter_formats.count(), bind.parameters.len());
    if formats > 1 && formats != parameters {
        return Err(ProtocolError::FormatCount { formats, parameters });
    }
    Ok(bind)
}

fn parse_target<'a>(
    body: &mut Body<'a>,
    error: impl FnOnce(u8) -> ProtocolError,
) -> Result<Target<'a>, ProtocolError> {
    match body.u8()? {
        b'S' => Ok(Target::Statement(body.string()?)),
        b'P' => Ok(Target::Portal(body.string()?)),
        other => Err(error(other)),
    }
}

/// A SASLInitialResponse: the mechanism and what the client says first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SaslInitial<'a> {
    pub mechanism: &'a [u8],
    pub data: Option<&'a [u8]>,
}

/// Reads the body of the first `p` of a SASL exchange; later ones are the bare data.
pub fn sasl_initial(body: &[u8]) -> Result<SaslInitial<'_>, ProtocolError> {
    let mut it = Body::new(body);
    let initial = SaslInitial { mechanism: it.string()?, data: it.value()? };
    it.end()?;
    Ok(initial)
}

/// Reads the body of a `p` that answers a request for a cleartext or MD5 password.
pub fn password(body: &[u8]) -> Result<&[u8], ProtocolError> {
    let mut it = Body::new(body);
    let password = it.string()?;
    it.end()?;
    Ok(password)
}

/// Appends a Query.
pub fn put_query(buf: &mut BytesMut, text: &[u8]) {
    put_message(buf, b'Q', |buf| put_string(buf, text));
}

/// Appends a Parse.
pub fn put_parse(buf: &mut BytesMut, statement: &[u8], text: &[u8], parameter_types: &[TypeOid]) {
    put_message(buf, b'P', |buf| {
        put_string(buf, statement);
        put_string(buf, text);
        put_types(buf, parameter_types);
    });
}

/// Appends a Bind.
pub fn put_bind<'v>(
    buf: &mut BytesMut,
    portal: &[u8],
    statement: &[u8],
    parameter_formats: &[Format],
    parameters: impl IntoIterator<Item = Option<&'v [u8]>>,
    result_formats: &[Format],
) {
    put_message(buf, b'B', |buf| {
        put_string(buf, portal);
        put_string(buf, statement);
        put_formats(buf, parameter_formats);
        put_values(buf, parameters);
        put_formats(buf, result_formats);
    });
}

/// Appends a client's Bind under other names of statement and portal, its values copied in one piece.
pub fn put_bind_renamed(buf: &mut BytesMut, portal: &[u8], statement: &[u8], bind: &Bind<'_>) {
    put_message(buf, b'B', |buf| {
        put_string(buf, portal);
        put_string(buf, statement);
        bind.parameter_formats.put(buf);
        bind.parameters.put(buf);
        bind.result_formats.put(buf);
    });
}

/// The same with further values as text behind the client's.
pub fn put_bind_extended(
    buf: &mut BytesMut,
    portal: &[u8],
    statement: &[u8],
    bind: &Bind<'_>,
    further: &[Vec<u8>],
) {
    if further.is_empty() {
        return put_bind_renamed(buf, portal, statement, bind);
    }
    // One code is for all values, and none means text.
    let formats: Vec<Format> = match bind.parameter_formats.count() {
        0 => vec![],
        1 => (0..bind.parameters.len()).map(|it| bind.parameter_formats.of(it)).collect(),
        _ => bind.parameter_formats.iter().collect(),
    };
    let text = further.iter().filter(|_| !formats.is_empty()).map(|_| Format::Text);
    let formats: Vec<Format> = formats.iter().copied().chain(text).collect();
    let values = bind.parameters.iter().chain(further.iter().map(|it| Some(&**it)));
    put_message(buf, b'B', |buf| {
        put_string(buf, portal);
        put_string(buf, statement);
        put_formats(buf, &formats);
        put_values(buf, values);
        bind.result_formats.put(buf);
    });
}

pub fn put_describe(buf: &mut BytesMut, target: Target<'_>) {
    put_message(buf, b'D', |buf| put_target(buf, target));
}

pub fn put_close(buf: &mut BytesMut, target: Target<'_>) {
    put_message(buf, b'C', |buf| put_target(buf, target));
}

fn put_target(buf: &mut BytesMut, target: Target<'_>) {
    let (kind, name) = match target {
        Target::Statement(name) => (b'S', name),
        Target::Portal(name) => (b'P', name),
    };
    buf.put_u8(kind);
    put_string(buf, name);
}

pub fn put_execute(buf: &mut BytesMut, portal: &[u8], max_rows: i32) {
    put_message(buf, b'E', |buf| {
        put_string(buf, portal);
        buf.put_i32(max_rows);
    });
}

pub fn put_sync(buf: &mut BytesMut) {
    buf.extend_from_slice(b"S\0\0\0\x04");
}

pub fn put_flush(buf: &mut BytesMut) {
    buf.extend_from_slice(b"H\0\0\0\x04");
}

pub fn put_terminate(buf: &mut BytesMut) {
    buf.extend_from_slice(b"X\0\0\0\x04");
}

pub fn put_copy_data(buf: &mut BytesMut, data: &[u8]) {
    put_message(buf, b'd', |buf| buf.extend_from_slice(data));
}

pub fn put_copy_done(buf: &mut BytesMut) {
    buf.extend_from_slice(b"c\0\0\0\x04");
}

pub fn put_copy_fail(buf: &mut BytesMut, message: &str) {
    put_message(buf, b'f', |buf| put_string(buf, message.as_bytes()));
}

/// Appends a cleartext or MD5 password.
pub fn put_password(buf: &mut BytesMut, password: &[u8]) {
    put_message(buf, b'p', |buf| put_string(buf, password));
}

pub fn put_sasl_initial(buf: &mut BytesMut, mechanism: &str, data: &[u8]) {
    put_message(buf, b'p', |buf| {
        put_string(buf, mechanism.as_bytes());
        buf.put_i32(i32::try_from(data.len()).expect("a SASL message is short"));
        buf.extend_from_slice(data);
    });
}

pub fn put_sasl_response(buf: &mut BytesMut, data: &[u8]) {
    put_message(buf, b'p', |buf| buf.extend_from_slice(data));
}
