//! Counted lists in messages: formats, values, types. They are checked once when the message is parsed,
//! stay in its bytes, and are read by iterating.

use bytes::{BufMut, BytesMut};

use super::ProtocolError;
use super::body::Body;
use crate::TypeOid;

/// How a value is written.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Format {
    #[default]
    Text,
    Binary,
}

impl Format {
    pub fn parse(code: i16) -> Result<Self, ProtocolError> {
        match code {
            0 => Ok(Self::Text),
            1 => Ok(Self::Binary),
            other => Err(ProtocolError::InvalidFormat(other)),
        }
    }

    pub fn code(self) -> i16 {
        match self {
            Self::Text => 0,
            Self::Binary => 1,
        }
    }
}

/// Format codes: none means all text, one means all of that, else one for each value.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Formats<'a>(&'a [[u8; 2]]);

impl<'a> Formats<'a> {
    pub(crate) fn parse(body: &mut Body<'a>) -> Result<Self, ProtocolError> {
        let count = usize::from(body.u16()?);
        let (codes, _) = body.bytes(count * 2)?.as_chunks();
        for code in codes {
            Format::parse(i16::from_be_bytes(*code))?;
        }
        Ok(Self(codes))
    }

    /// How many codes there are, which is not how many values they are for.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The format of the value at `index`.
    pub fn of(&self, index: usize) -> Format {
        let code = match self.0 {
            [] => return Format::Text,
            [all] => all,
            each => each.get(index).unwrap_or(&[0, 0]),
        };
        if *code == [0, 1] { Format::Binary } else { Format::Text }
    }

    /// Whether all values they are for are text.
    pub fn all_text(&self) -> bool {
        self.0.iter().all(|it| *it == [0, 0])
    }

    pub fn iter(&self) -> impl Iterator<Item = Format> + use<'a> {
        self.0.iter().map(|it| if *it == [0, 1] { Format::Binary } else { Format::Text })
    }

    /// Appends them as they were received.
    pub(crate) fn put(&self, buf: &mut BytesMut) {
        buf.put_u16(count(self.0.len()));
        buf.extend_from_slice(self.0.as_flattened());
    }
}

/// Values with their lengths: the parameters of a Bind, the columns of a DataRow. `None` is NULL.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Values<'a> {
    count: u16,
    bytes: &'a [u8],
}

impl<'a> Values<'a> {
    pub(crate) fn parse(body: &mut Body<'a>) -> Result<Self, ProtocolError> {
        let count = body.u16()?;
        let start = body.rest();
        for _ in 0..count {
            body.value()?;
        }
        Ok(Self { count, bytes: &start[..start.len() - body.rest().len()] })
    }

    pub fn len(&self) -> usize {
        usize::from(self.count)
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The value at `index`: NULL as `Some(None)`, and `None` past the end. Walks over those before it.
    pub fn get(&self, index: usize) -> Option<Option<&'a [u8]>> {
        self.iter().nth(index)
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = Option<&'a [u8]>> + use<'a> {
        let mut body = Body::new(self.bytes);
        (0..self.count).map(move |_| body.value().expect("the lengths were checked when parsed"))
    }

    /// Appends them as they were received.
    pub(crate) fn put(&self, buf: &mut BytesMut) {
        buf.put_u16(self.count);
        buf.extend_from_slice(self.bytes);
    }
}

/// Parameter types of a Parse or ParameterDescription.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Types<'a>(&'a [[u8; 4]]);

impl<'a> Types<'a> {
    pub(crate) fn parse(body: &mut Body<'a>) -> Result<Self, ProtocolError> {
        let count = usize::from(body.u16()?);
        Ok(Self(body.bytes(count * 4)?.as_chunks().0))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = TypeOid> + use<'a> {
        self.0.iter().map(|it| TypeOid(u32::from_be_bytes(*it)))
    }
}

/// Appends a message; `body` writes what follows the length.
pub(crate) fn put_message(buf: &mut BytesMut, tag: u8, body: impl FnOnce(&mut BytesMut)) {
    buf.put_u8(tag);
    put_packet(buf, body);
}

/// Appends a message without type.
pub(crate) fn put_packet(buf: &mut BytesMut, body: impl FnOnce(&mut BytesMut)) {
    let start = buf.len();
    buf.put_u32(0);
    body(buf);
    let length = (buf.len() - start) as u32;
    buf[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// Appends a string and its terminating zero. What follows a zero inside of it is cut off: it would
/// otherwise be read as the next field.
pub(crate) fn put_string(buf: &mut BytesMut, string: &[u8]) {
    let end = memchr::memchr(0, string).unwrap_or(string.len());
    debug_assert!(end == string.len(), "a protocol string holds no zero");
    buf.extend_from_slice(&string[..end]);
    buf.put_u8(0);
}

pub(crate) fn put_formats(buf: &mut BytesMut, formats: &[Format]) {
    buf.put_u16(count(formats.len()));
    formats.iter().for_each(|it| buf.put_i16(it.code()));
}

pub(crate) fn put_types(buf: &mut BytesMut, types: &[TypeOid]) {
    buf.put_u16(count(types.len()));
    types.iter().for_each(|it| buf.put_u32(it.0));
}

pub(crate) fn put_values<'v>(buf: &mut BytesMut, values: impl IntoIterator<Item = Option<&'v [u8]>>) {
    let at = buf.len();
    buf.put_u16(0);
    let mut written = 0;
    for value in values {
        written += 1;
        match value {
            None => buf.put_i32(-1),
            Some(value) => {
                buf.put_i32(i32::try_from(value.len()).expect("a value is smaller than a gigabyte"));
                buf.extend_from_slice(value);
            }
        }
    }
    buf[at..at + 2].copy_from_slice(&count(written).to_be_bytes());
}

/// # Panics
/// For more than a message can count; callers have limits far below.
pub(crate) fn count(length: usize) -> u16 {
    u16::try_from(length).expect("a message counts at most 65535 items")
}
