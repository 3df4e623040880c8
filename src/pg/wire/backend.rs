//! Messages that servers send.

use bytes::{BufMut, BytesMut};

use super::ProtocolError;
use super::body::Body;
use super::fields::ErrorFields;
use super::startup::{CancelKey, PROTOCOL_3_0};
use super::values::{
    Format, Formats, Types, Values, count, put_formats, put_message, put_string, put_types, put_values,
};
use crate::TypeOid;

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Message<'a> {
    Authentication(Authentication<'a>),
    BackendKeyData(CancelKey),
    ParameterStatus { name: &'a [u8], value: &'a [u8] },
    ReadyForQuery(TransactionStatus),
    RowDescription(Vec<ColumnDescription>),
    DataRow(Values<'a>),
    CommandComplete { tag: &'a [u8] },
    EmptyQueryResponse,
    ErrorResponse(ErrorFields),
    NoticeResponse(ErrorFields),
    NotificationResponse { pid: u32, channel: &'a [u8], payload: &'a [u8] },
    ParseComplete,
    BindComplete,
    CloseComplete,
    NoData,
    PortalSuspended,
    ParameterDescription(Types<'a>),
    CopyInResponse(CopyFormats<'a>),
    CopyOutResponse(CopyFormats<'a>),
    CopyBothResponse(CopyFormats<'a>),
    CopyData(&'a [u8]),
    CopyDone,
    FunctionCallResponse(Option<&'a [u8]>),
    NegotiateProtocolVersion { version: u32, unknown_options: Vec<&'a [u8]> },
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Authentication<'a> {
    Ok,
    CleartextPassword,
    Md5Password {
        salt: [u8; 4],
    },
    Sasl {
        mechanisms: Vec<&'a [u8]>,
    },
    SaslContinue(&'a [u8]),
    SaslFinal(&'a [u8]),
    /// Kerberos, GSSAPI, SSPI and whatever comes: nothing here speaks them.
    Other(u32),
}

/// The state that ReadyForQuery reports.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TransactionStatus {
    Idle,
    InTransaction,
    Failed,
}

impl TransactionStatus {
    pub fn parse(letter: u8) -> Result<Self, ProtocolError> {
        match letter {
            b'I' => Ok(Self::Idle),
            b'T' => Ok(Self::InTransaction),
            b'E' => Ok(Self::Failed),
            other => Err(ProtocolError::InvalidTransactionStatus(other)),
        }
    }

    pub fn letter(self) -> u8 {
        match self {
            Self::Idle => b'I',
            Self::InTransaction => b'T',
            Self::Failed => b'E',
        }
    }
}

/// One column of a RowDescription.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ColumnDescription {
    /// In the client's encoding.
    pub name: Box<[u8]>,
    /// Zero unless the column is one of a table.
    pub table_oid: u32,
    pub column: i16,
    pub type_oid: TypeOid,
    pub type_size: i16,
    pub typmod: i32,
    /// Text when the description is of a statement: the format is not yet known.
    pub format: Format,
}

/// The formats of a COPY: of the whole and of each column.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CopyFormats<'a> {
    pub overall: Format,
    pub columns: Formats<'a>,
}

/// Reads the body of a message. Whatever the bytes are, this does not panic.
pub fn parse(tag: u8, body: &[u8]) -> Result<Message<'_>, ProtocolError> {
    let mut it = Body::new(body);
    let message = match tag {
        b'R' => return parse_authentication(it).map(Message::Authentication),
        b'K' => return parse_key(it).map(Message::BackendKeyData),
        b'S' => Message::ParameterStatus { name: it.string()?, value: it.string()? },
        b'Z' => Message::ReadyForQuery(TransactionStatus::parse(it.u8()?)?),
        b'T' => Message::RowDescription(parse_columns(&mut it)?),
        b'D' => Message::DataRow(Values::parse(&mut it)?),
        b'C' => Message::CommandComplete { tag: it.string()? },
        b'I' => Message::EmptyQueryResponse,
        b'E' => return ErrorFields::parse(body).map(Message::ErrorResponse),
        b'N' => return ErrorFields::parse(body).map(Message::NoticeResponse),
        b'A' => {
            Message::NotificationResponse { pid: it.u32()?, channel: it.string()?, payload: it.string()? }
        }
        b'1' => Message::ParseComplete,
        b'2' => Message::BindComplete,
        b'3' => Message::CloseComplete,
        b'n' => Message::NoData,
        b's' => Message::PortalSuspended,
        b't' => Message::ParameterDescription(Types::parse(&mut it)?),
        b'G' => Message::CopyInResponse(parse_copy(&mut it)?),
        b'H' => Message::CopyOutResponse(parse_copy(&mut it)?),
        b'W' => Message::CopyBothResponse(parse_copy(&mut it)?),
        b'd' => return Ok(Message::CopyData(body)),
        b'c' => Message::CopyDone,
        b'V' => Message::FunctionCallResponse(it.value()?),
        b'v' => parse_negotiation(&mut it)?,
        other => return Err(ProtocolError::UnknownBackendMessage(other)),
    };
    it.end()?;
    Ok(message)
}

fn parse_authentication(mut body: Body<'_>) -> Result<Authentication<'_>, ProtocolError> {
    let authentication = match body.u32()? {
        0 => Authentication::Ok,
        3 => Authentication::CleartextPassword,
        5 => {
            let salt = body.u32()?.to_be_bytes();
            Authentication::Md5Password { salt }
        }
        10 => {
            let mut mechanisms = Vec::new();
            loop {
                match body.string()? {
                    [] => break,
                    mechanism => mechanisms.push(mechanism),
                }
            }
            Authentication::Sasl { mechanisms }
        }
        11 => return Ok(Authentication::SaslContinue(body.rest())),
        12 => return Ok(Authentication::SaslFinal(body.rest())),
        other => return Ok(Authentication::Other(other)),
    };
    body.end()?;
    Ok(authentication)
}

fn parse_key(mut body: Body<'_>) -> Result<CancelKey, ProtocolError> {
    let pid = body.u32()?;
    match body.rest() {
        secret @ [_, ..] if secret.len() <= 256 => Ok(CancelKey { pid, secret: secret.into() }),
        _ => Err(ProtocolError::InsufficientData),
    }
}

fn parse_columns(body: &mut Body<'_>) -> Result<Vec<ColumnDescription>, ProtocolError> {
    // Not sized by the count that the peer claims: that would let two bytes claim megabytes.
    let mut columns = Vec::new();
    for _ in 0..body.u16()? {
        columns.push(ColumnDescription {
            name: body.string()?.into(),
            table_oid: body.u32()?,
            column: body.i16()?,
            type_oid: TypeOid(body.u32()?),
            type_size: body.i16()?,
            typmod: body.i32()?,
            format: Format::parse(body.i16()?)?,
        });
    }
    Ok(columns)
}

fn parse_copy<'a>(body: &mut Body<'a>) -> Result<CopyFormats<'a>, ProtocolError> {
    let overall = Format::parse(i16::from(body.u8()?))?;
    Ok(CopyFormats { overall, columns: Formats::parse(body)? })
}

fn parse_negotiation<'a>(body: &mut Body<'a>) -> Result<Message<'a>, ProtocolError> {
    let version = body.u32()?;
    let mut unknown_options = Vec::new();
    for _ in 0..body.u32()? {
        unknown_options.push(body.string()?);
    }
    Ok(Message::NegotiateProtocolVersion { version, unknown_options })
}

/// The number of rows in the tag of a CommandComplete (`INSERT 0 5`, `SELECT 3`).
pub fn affected_rows(tag: &[u8]) -> Option<u64> {
    let number = tag.rsplit(|it| *it == b' ').next()?;
    if number.len() == tag.len() {
        return None;
    }
    str::from_utf8(number).ok()?.parse().ok()
}

pub fn put_authentication_ok(buf: &mut BytesMut) {
    buf.extend_from_slice(b"R\0\0\0\x08\0\0\0\0");
}

pub fn put_authentication_sasl(buf: &mut BytesMut, mechanisms: &[&str]) {
    put_message(buf, b'R', |buf| {
        buf.put_u32(10);
        mechanisms.iter().for_each(|it| put_string(buf, it.as_bytes()));
        buf.put_u8(0);
    });
}

pub fn put_authentication_sasl_continue(buf: &mut BytesMut, data: &[u8]) {
    put_message(buf, b'R', |buf| {
        buf.put_u32(11);
        buf.extend_from_slice(data);
    });
}

pub fn put_authentication_sasl_final(buf: &mut BytesMut, data: &[u8]) {
    put_message(buf, b'R', |buf| {
        buf.put_u32(12);
        buf.extend_from_slice(data);
    });
}

pub fn put_backend_key_data(buf: &mut BytesMut, key: &CancelKey) {
    put_message(buf, b'K', |buf| {
        buf.put_u32(key.pid);
        buf.extend_from_slice(&key.secret);
    });
}

pub fn put_parameter_status(buf: &mut BytesMut, name: &[u8], value: &[u8]) {
    put_message(buf, b'S', |buf| {
        put_string(buf, name);
        put_string(buf, value);
    });
}

pub fn put_ready_for_query(buf: &mut BytesMut, status: TransactionStatus) {
    buf.extend_from_slice(&[b'Z', 0, 0, 0, 5, status.letter()]);
}

pub fn put_row_description(buf: &mut BytesMut, columns: &[ColumnDescription]) {
    put_message(buf, b'T', |buf| {
        buf.put_u16(count(columns.len()));
        for column in columns {
            put_string(buf, &column.name);
            buf.put_u32(column.table_oid);
            buf.put_i16(column.column);
            buf.put_u32(column.type_oid.0);
            buf.put_i16(column.type_size);
            buf.put_i32(column.typmod);
            buf.put_i16(column.format.code());
        }
    });
}

pub fn put_data_row<'v>(buf: &mut BytesMut, values: impl IntoIterator<Item = Option<&'v [u8]>>) {
    put_message(buf, b'D', |buf| put_values(buf, values));
}

pub fn put_command_complete(buf: &mut BytesMut, tag: &[u8]) {
    put_message(buf, b'C', |buf| put_string(buf, tag));
}

pub fn put_empty_query_response(buf: &mut BytesMut) {
    buf.extend_from_slice(b"I\0\0\0\x04");
}

pub fn put_error(buf: &mut BytesMut, fields: &ErrorFields) {
    put_message(buf, b'E', |buf| fields.put(buf));
}

pub fn put_notice(buf: &mut BytesMut, fields: &ErrorFields) {
    put_message(buf, b'N', |buf| fields.put(buf));
}

pub fn put_notification(buf: &mut BytesMut, pid: u32, channel: &[u8], payload: &[u8]) {
    put_message(buf, b'A', |buf| {
        buf.put_u32(pid);
        put_string(buf, channel);
        put_string(buf, payload);
    });
}

pub fn put_parse_complete(buf: &mut BytesMut) {
    buf.extend_from_slice(b"1\0\0\0\x04");
}

pub fn put_bind_complete(buf: &mut BytesMut) {
    buf.extend_from_slice(b"2\0\0\0\x04");
}

pub fn put_close_complete(buf: &mut BytesMut) {
    buf.extend_from_slice(b"3\0\0\0\x04");
}

pub fn put_no_data(buf: &mut BytesMut) {
    buf.extend_from_slice(b"n\0\0\0\x04");
}

pub fn put_portal_suspended(buf: &mut BytesMut) {
    buf.extend_from_slice(b"s\0\0\0\x04");
}

pub fn put_parameter_description(buf: &mut BytesMut, types: &[TypeOid]) {
    put_message(buf, b't', |buf| put_types(buf, types));
}

pub fn put_copy_in_response(buf: &mut BytesMut, overall: Format, columns: &[Format]) {
    put_message(buf, b'G', |buf| put_copy(buf, overall, columns));
}

pub fn put_copy_out_response(buf: &mut BytesMut, overall: Format, columns: &[Format]) {
    put_message(buf, b'H', |buf| put_copy(buf, overall, columns));
}

fn put_copy(buf: &mut BytesMut, overall: Format, columns: &[Format]) {
    buf.put_u8(overall.code() as u8);
    put_formats(buf, columns);
}

pub fn put_copy_data(buf: &mut BytesMut, data: &[u8]) {
    put_message(buf, b'd', |buf| buf.extend_from_slice(data));
}

pub fn put_copy_done(buf: &mut BytesMut) {
    buf.extend_from_slice(b"c\0\0\0\x04");
}

/// Tells a client that 3.0 is spoken here, and which of its protocol options are unknown.
pub fn put_negotiate_protocol_version<'v>(
    buf: &mut BytesMut,
    unknown_options: impl ExactSizeIterator<Item = &'v str>,
) {
    put_message(buf, b'v', |buf| {
        // The documentation long called this the minor version; servers send the whole, and libpq checks it.
        buf.put_u32(PROTOCOL_3_0);
        buf.put_u32(unknown_options.len() as u32);
        unknown_options.for_each(|it| put_string(buf, it.as_bytes()));
    });
}
