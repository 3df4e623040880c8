//! The fields of ErrorResponse and NoticeResponse.

use std::borrow::Cow;

use bytes::{BufMut, BytesMut};

use super::ProtocolError;
use super::body::Body;
use super::values::put_string;
use crate::SqlState;

/// An error or notice. Keeps what it was decoded from, unknown fields and order included, so that it can be
/// passed on with only what must differ changed. Text is in the encoding of whoever receives it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ErrorFields {
    severity: Severity,
    code: SqlState,
    /// All fields in the order received, those of severity and code included.
    fields: Vec<(u8, Vec<u8>)>,
}

/// The severity in its untranslated form, field `V`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    Debug,
    Log,
    Info,
    Notice,
    Warning,
    Error,
    Fatal,
    Panic,
}

/// A field that is text and may be absent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Field {
    Message = b'M',
    Detail = b'D',
    Hint = b'H',
    Position = b'P',
    InternalPosition = b'p',
    InternalQuery = b'q',
    Where = b'W',
    Schema = b's',
    Table = b't',
    Column = b'c',
    DataType = b'd',
    Constraint = b'n',
    File = b'F',
    Line = b'L',
    Routine = b'R',
}

impl Severity {
    fn parse(word: &[u8]) -> Option<Self> {
        Some(match word {
            b"DEBUG" => Self::Debug,
            b"LOG" => Self::Log,
            b"INFO" => Self::Info,
            b"NOTICE" => Self::Notice,
            b"WARNING" => Self::Warning,
            b"ERROR" => Self::Error,
            b"FATAL" => Self::Fatal,
            b"PANIC" => Self::Panic,
            _ => return None,
        })
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Log => "LOG",
            Self::Info => "INFO",
            Self::Notice => "NOTICE",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
            Self::Panic => "PANIC",
        }
    }
}

impl ErrorFields {
    pub fn new(severity: Severity, code: SqlState, message: impl Into<String>) -> Self {
        let word = severity.as_str().as_bytes();
        let fields = vec![(b'S', word.to_vec()), (b'V', word.to_vec()), (b'C', code.as_str().into())];
        Self { severity, code, fields }.with(Field::Message, message)
    }

    pub fn error(code: SqlState, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, message)
    }

    pub fn fatal(code: SqlState, message: impl Into<String>) -> Self {
        Self::new(Severity::Fatal, code, message)
    }

    pub fn notice(message: impl Into<String>) -> Self {
        Self::new(Severity::Notice, SqlState::SUCCESSFUL_COMPLETION, message)
    }

    pub fn warning(code: SqlState, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, message)
    }

    /// Builds on: `ErrorFields::error(…).with(Field::Hint, "…")`.
    pub fn with(mut self, field: Field, text: impl Into<String>) -> Self {
        self.set(field, text);
        self
    }

    pub fn severity(&self) -> Severity {
        self.severity
    }

    pub fn code(&self) -> SqlState {
        self.code
    }

    pub fn message(&self) -> Cow<'_, str> {
        self.get(Field::Message).unwrap_or_default()
    }

    /// The text of a field; what is not UTF-8 in it is replaced.
    pub fn get(&self, field: Field) -> Option<Cow<'_, str>> {
        self.get_bytes(field).map(String::from_utf8_lossy)
    }

    /// The text of a field in the encoding of the connection that it came by.
    pub fn get_bytes(&self, field: Field) -> Option<&[u8]> {
        self.fields.iter().find(|it| it.0 == field as u8).map(|it| it.1.as_slice())
    }

    /// The position in the statement, in characters from 1.
    pub fn position(&self) -> Option<usize> {
        self.get(Field::Position)?.parse().ok()
    }

    pub fn set(&mut self, field: Field, text: impl Into<String>) {
        self.set_bytes(field, text.into().into_bytes());
    }

    /// Sets a field to text in the encoding of the receiver. It ends at a zero byte, if it has one.
    pub fn set_bytes(&mut self, field: Field, mut text: Vec<u8>) {
        if let Some(zero) = memchr::memchr(0, &text) {
            text.truncate(zero);
        }
        match self.fields.iter_mut().find(|it| it.0 == field as u8) {
            Some(place) => place.1 = text,
            None => self.fields.push((field as u8, text)),
        }
    }

    pub fn remove(&mut self, field: Field) {
        self.fields.retain(|it| it.0 != field as u8);
    }

    pub fn set_severity(&mut self, severity: Severity) {
        self.severity = severity;
        for (field, text) in &mut self.fields {
            if matches!(field, b'S' | b'V') {
                *text = severity.as_str().into();
            }
        }
    }

    pub fn set_code(&mut self, code: SqlState) {
        self.code = code;
        for (field, text) in &mut self.fields {
            if *field == b'C' {
                *text = code.as_str().into();
            }
        }
    }

    /// Reads the body of an ErrorResponse or NoticeResponse.
    pub fn parse(body: &[u8]) -> Result<Self, ProtocolError> {
        let mut it = Body::new(body);
        let mut fields = Vec::with_capacity(12);
        loop {
            match it.u8()? {
                0 => break,
                field => fields.push((field, it.string()?.to_vec())),
            }
        }
        it.end()?;
        let find = |field| fields.iter().find(|it| it.0 == field).map(|it| it.1.as_slice());
        let severity = find(b'V').or_else(|| find(b'S')).and_then(Severity::parse).unwrap_or(Severity::Error);
        let code = find(b'C').and_then(SqlState::parse).ok_or(ProtocolError::InvalidSqlState)?;
        Ok(Self { severity, code, fields })
    }

    pub(crate) fn put(&self, buf: &mut BytesMut) {
        for (field, text) in &self.fields {
            buf.put_u8(*field);
            put_string(buf, text);
        }
        buf.put_u8(0);
    }
}

impl From<ProtocolError> for ErrorFields {
    fn from(error: ProtocolError) -> Self {
        let severity = if error.is_recoverable() { Severity::Error } else { Severity::Fatal };
        Self::new(severity, error.sqlstate(), error.to_string())
    }
}
