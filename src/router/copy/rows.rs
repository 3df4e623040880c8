//! Cuts the bytes of COPY FROM STDIN into rows and reads the distribution column of each. Mirrors
//! `copyfromparse.c`, as far as it decides where rows and fields end; the values of all other columns are
//! left to the shards, byte for byte.
//!
//! Invariant: the rows handed out, one after the other, are the input but for the header, the end marker
//! and the binary file header and trailer.

use std::borrow::Cow;

use memchr::{memchr, memchr_iter, memchr2, memchr3};

use super::format::{CsvNull, Format, Layout};

/// The distribution column of one row.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Field<'a> {
    Null,
    /// Text form, unescaped; or, in binary rows, what `typreceive` takes.
    Value(Cow<'a, [u8]>),
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Row<'a> {
    /// Without the end of line.
    pub(crate) bytes: &'a [u8],
    pub(crate) distribution: Field<'a>,
    /// As Postgres counts them: from 1, the header included, a row of several lines by its last one.
    pub(crate) line: u64,
}

/// Messages and codes are those of `copyfromparse.c` (22P04 each).
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum RowError {
    #[error("missing data for column \"{0}\"")]
    MissingColumn(String),
    #[error("extra data after last expected column")]
    ExtraColumn,
    #[error("unterminated CSV quoted field")]
    UnterminatedQuote,
    #[error("literal carriage return found in data")]
    LiteralCarriageReturn,
    #[error("COPY file signature not recognized")]
    Signature,
    #[error("unrecognized critical flags in COPY file header")]
    Flags,
    #[error("invalid COPY file header (missing length)")]
    HeaderLength,
    #[error("row field count is {found}, expected {expected}")]
    FieldCount { found: i16, expected: usize },
    #[error("invalid field size")]
    FieldSize,
    #[error("unexpected EOF in COPY data")]
    UnexpectedEnd,
    #[error("received copy data after EOF marker")]
    DataAfterEnd,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum LineEnd {
    Unknown,
    Newline,
    CarriageReturn,
    CarriageReturnNewline,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    /// Before the header, the file header or the first row.
    Start,
    Rows,
    /// Behind the end marker; text and CSV ignore what still comes.
    End,
}

/// The reader of one COPY. The caller keeps the bytes; this keeps the place.
#[derive(Debug)]
pub(crate) struct Rows {
    layout: Layout,
    line_end: LineEnd,
    place: Place,
    line: u64,
    /// Bytes of the unfinished row that were searched already, so that a long row is not searched again with every message.
    searched: usize,
    quoted: bool,
    header: Option<Vec<u8>>,
}

impl Rows {
    pub(crate) fn new(layout: Layout) -> Self {
        let (line_end, place) = (LineEnd::Unknown, Place::Start);
        Self { layout, line_end, place, line: 0, searched: 0, quoted: false, header: None }
    }

    /// The line of names, once, if it is to be looked at.
    pub(crate) fn take_header(&mut self) -> Option<Vec<u8>> {
        self.header.take()
    }

    /// The line that is being read, for the context of errors.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    /// Takes the next row from the front of `input`, which starts where the last one ended; the number is
    /// how many bytes of `input` are done with, whether or not they made a row. `at_end` says that nothing
    /// will follow.
    pub(crate) fn next<'a>(
        &mut self,
        input: &'a [u8],
        at_end: bool,
    ) -> Result<(usize, Option<Row<'a>>), RowError> {
        if self.layout.format == Format::Binary {
            return self.next_binary(input, at_end);
        }
        let mut used = 0;
        loop {
            let rest = &input[used..];
            if self.place == Place::End {
                return Ok((input.len(), None));
            }
            let Some((length, taken)) = self.line_length(rest, at_end)? else { return Ok((used, None)) };
            used += taken;
            self.searched = 0;
            let bytes = &rest[..length];
            if std::mem::replace(&mut self.place, Place::Rows) == Place::Start && self.layout.header {
                self.header = self.layout.keeps_header.then(|| bytes.to_vec());
                continue;
            }
            if bytes == b"\\." {
                self.place = Place::End;
                continue;
            }
            let distribution = self.fields(bytes)?;
            return Ok((used, Some(Row { bytes, distribution, line: self.line })));
        }
    }

    /// Length of the first line of `input`, and with its end; `None` when more input is needed.
    fn line_length(&mut self, input: &[u8], at_end: bool) -> Result<Option<(usize, usize)>, RowError> {
        let found = match self.layout.format {
            Format::Csv { quote, escape, .. } => self.csv_line(input, quote, escape, at_end),
            Format::Text { .. } | Format::Binary => self.text_line(input, at_end),
        };
        let found = found.inspect_err(|_| self.line += 1)?;
        if found.is_some() {
            self.line += 1;
            return Ok(found);
        }
        if !at_end || input.is_empty() {
            return Ok(None);
        }
        self.line += 1;
        if self.quoted {
            return Err(RowError::UnterminatedQuote);
        }
        Ok(Some((input.len(), input.len())))
    }

    fn text_line(&mut self, input: &[u8], at_end: bool) -> Result<Option<(usize, usize)>, RowError> {
        let mut from = self.searched;
        while let Some(position) = memchr3(b'\n', b'\r', b'\\', &input[from..]) {
            let at = from + position;
            if input[at] == b'\\' {
                // Whatever follows a backslash is data, also an end of line.
                if at + 1 >= input.len() {
                    self.searched = at;
                    return Ok(None);
                }
                from = at + 2;
                continue;
            }
            match self.end_of_line(input, at, at_end)? {
                End::Line(taken) => return Ok(Some((at, taken))),
                End::NeedMore => {
                    self.searched = at;
                    return Ok(None);
                }
            }
        }
        self.searched = input.len().max(from);
        Ok(None)
    }

    fn csv_line(
        &mut self,
        input: &[u8],
        quote: u8,
        escape: u8,
        at_end: bool,
    ) -> Result<Option<(usize, usize)>, RowError> {
        let mut from = self.searched;
        while from < input.len() {
            if self.quoted {
                let Some(position) = memchr3(quote, escape, b'\n', &input[from..]) else { break };
                let at = from + position;
                match input[at] {
                    b'\n' => self.line += 1,
                    // A doubled quote closes and opens again: the same end of line is found either way.
                    byte if byte == quote => self.quoted = false,
                    _ if at + 1 >= input.len() => {
                        self.searched = at;
                        return Ok(None);
                    }
                    // An escape other than the quote itself protects the quote behind it.
                    _ if input[at + 1] == quote || input[at + 1] == escape => {
                        from = at + 2;
                        continue;
                    }
                    _ => {}
                }
                from = at + 1;
                continue;
            }
            let Some(position) = memchr3(quote, b'\n', b'\r', &input[from..]) else { break };
            let at = from + position;
            if input[at] == quote {
                self.quoted = true;
                from = at + 1;
                continue;
            }
            match self.end_of_line(input, at, at_end)? {
                End::Line(taken) => return Ok(Some((at, taken))),
                End::NeedMore => {
                    self.searched = at;
                    return Ok(None);
                }
            }
        }
        self.searched = from.max(input.len());
        Ok(None)
    }

    /// Whether the `\n` or `\r` at `at` ends a line. The first end of line decides how all others look.
    fn end_of_line(&mut self, input: &[u8], at: usize, at_end: bool) -> Result<End, RowError> {
        if input[at] == b'\n' {
            return match self.line_end {
                LineEnd::Unknown | LineEnd::Newline => {
                    self.line_end = LineEnd::Newline;
                    Ok(End::Line(at + 1))
                }
                // Postgres refuses a literal newline here; the shard, whose rows end in one, could not see it.
                LineEnd::CarriageReturn | LineEnd::CarriageReturnNewline => {
                    Err(RowError::LiteralCarriageReturn)
                }
            };
        }
        match (self.line_end, input.get(at + 1)) {
            (LineEnd::Newline, _) => Err(RowError::LiteralCarriageReturn),
            (LineEnd::CarriageReturn, _) => Ok(End::Line(at + 1)),
            (_, None) if !at_end => Ok(End::NeedMore),
            (_, Some(b'\n')) => {
                self.line_end = LineEnd::CarriageReturnNewline;
                Ok(End::Line(at + 2))
            }
            (LineEnd::Unknown, _) => {
                self.line_end = LineEnd::CarriageReturn;
                Ok(End::Line(at + 1))
            }
            (LineEnd::CarriageReturnNewline, _) => Err(RowError::LiteralCarriageReturn),
        }
    }

    /// Counts the fields and returns that of the distribution column.
    fn fields<'a>(&self, row: &'a [u8]) -> Result<Field<'a>, RowError> {
        let expected = self.layout.columns.len();
        let wanted = self.layout.distribution;
        match &self.layout.format {
            Format::Text { delimiter, null } => {
                let (count, raw) = text_field(row, *delimiter, wanted);
                self.check_count(count, expected)?;
                Ok(text_value(raw, null))
            }
            Format::Csv { delimiter, null, quote, escape, distribution_null } => {
                let (count, raw) = csv_field(row, *delimiter, *quote, *escape, wanted);
                self.check_count(count, expected)?;
                Ok(csv_value(raw, null, *quote, *escape, *distribution_null))
            }
            Format::Binary => Ok(Field::Null),
        }
    }

    fn check_count(&self, found: usize, expected: usize) -> Result<(), RowError> {
        match found {
            _ if found < expected => Err(RowError::MissingColumn(self.layout.columns[found].clone())),
            _ if found > expected => Err(RowError::ExtraColumn),
            _ => Ok(()),
        }
    }

    fn next_binary<'a>(
        &mut self,
        input: &'a [u8],
        at_end: bool,
    ) -> Result<(usize, Option<Row<'a>>), RowError> {
        let mut used = 0;
        if self.place == Place::Start {
            let Some(length) = binary_header(input)? else { return need_more(0, at_end) };
            self.place = Place::Rows;
            used = length;
        }
        let rest = &input[used..];
        if self.place == Place::End {
            return if rest.is_empty() { Ok((used, None)) } else { Err(RowError::DataAfterEnd) };
        }
        let Some(count) = rest.first_chunk::<2>() else {
            // Postgres accepts a file without its trailer.
            let nothing_left = at_end && rest.is_empty();
            return if nothing_left { Ok((used, None)) } else { need_more(used, at_end) };
        };
        let count = i16::from_be_bytes(*count);
        if count == -1 {
            self.place = Place::End;
            return Ok((used + 2, None));
        }
        if usize::try_from(count) != Ok(self.layout.columns.len()) {
            self.line += 1;
            return Err(RowError::FieldCount { found: count, expected: self.layout.columns.len() });
        }
        let Some((length, distribution)) = binary_fields(&rest[2..], count, self.layout.distribution)? else {
            return need_more(used, at_end);
        };
        self.line += 1;
        let bytes = &rest[..2 + length];
        Ok((used + bytes.len(), Some(Row { bytes, distribution, line: self.line })))
    }
}

enum End {
    /// The line with its end is this long.
    Line(usize),
    NeedMore,
}

fn need_more<'a>(used: usize, at_end: bool) -> Result<(usize, Option<Row<'a>>), RowError> {
    if at_end { Err(RowError::UnexpectedEnd) } else { Ok((used, None)) }
}

/// The number of fields, and the bytes of field `wanted`.
fn text_field(row: &[u8], delimiter: u8, wanted: usize) -> (usize, &[u8]) {
    if memchr(b'\\', row).is_none() {
        return split(row, wanted, memchr_iter(delimiter, row));
    }
    let mut from = 0;
    let ends = std::iter::from_fn(|| {
        while let Some(position) = memchr2(delimiter, b'\\', row.get(from..)?) {
            let at = from + position;
            from = if row[at] == b'\\' { at + 2 } else { at + 1 };
            if row[at] == delimiter {
                return Some(at);
            }
        }
        None
    });
    split(row, wanted, ends)
}

fn csv_field(row: &[u8], delimiter: u8, quote: u8, escape: u8, wanted: usize) -> (usize, &[u8]) {
    if memchr(quote, row).is_none() {
        return split(row, wanted, memchr_iter(delimiter, row));
    }
    let mut quoted = false;
    let mut from = 0;
    let ends = std::iter::from_fn(|| {
        while let Some(&byte) = row.get(from) {
            let at = from;
            from += 1;
            if quoted {
                let protects =
                    byte == escape && row.get(from).is_some_and(|it| *it == quote || *it == escape);
                if protects {
                    from += 1;
                } else if byte == quote {
                    quoted = false;
                }
            } else if byte == quote {
                quoted = true;
            } else if byte == delimiter {
                return Some(at);
            }
        }
        None
    });
    split(row, wanted, ends)
}

fn split(row: &[u8], wanted: usize, ends: impl Iterator<Item = usize>) -> (usize, &[u8]) {
    let (mut count, mut start) = (0, 0);
    let mut field: &[u8] = &[];
    for end in ends.chain([row.len()]) {
        if count == wanted {
            field = &row[start..end];
        }
        count += 1;
        start = end + 1;
    }
    (count, field)
}

fn text_value<'a>(raw: &'a [u8], null: &[u8]) -> Field<'a> {
    if raw == null {
        return Field::Null;
    }
    if memchr(b'\\', raw).is_none() {
        return Field::Value(Cow::Borrowed(raw));
    }
    Field::Value(Cow::Owned(unescape_text(raw)))
}

/// The backslash sequences of `CopyReadAttributesText`.
fn unescape_text(raw: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'\\' {
            value.push(byte);
            continue;
        }
        // A backslash at the very end of the field stands for itself.
        let Some((&escaped, tail)) = rest.split_first() else {
            value.push(byte);
            break;
        };
        rest = tail;
        let (decoded, digits) = match escaped {
            b'0'..=b'7' => number(escaped - b'0', rest, 8, 2),
            b'x' if rest.first().is_some_and(u8::is_ascii_hexdigit) => number(0, rest, 16, 2),
            b'b' => (0x08, 0),
            b'f' => (0x0c, 0),
            b'n' => (b'\n', 0),
            b'r' => (b'\r', 0),
            b't' => (b'\t', 0),
            b'v' => (0x0b, 0),
            other => (other, 0),
        };
        value.push(decoded);
        rest = &rest[digits..];
    }
    value
}

/// Reads up to `limit` further digits; the value wraps at a byte, as in Postgres.
fn number(first: u8, rest: &[u8], radix: u32, limit: usize) -> (u8, usize) {
    let mut value = u32::from(first);
    let mut used = 0;
    for &byte in rest.iter().take(limit) {
        let Some(digit) = char::from(byte).to_digit(radix) else { break };
        value = value * radix + digit;
        used += 1;
    }
    ((value & 0xff) as u8, used)
}

fn csv_value<'a>(raw: &'a [u8], null: &[u8], quote: u8, escape: u8, forced: CsvNull) -> Field<'a> {
    if memchr(quote, raw).is_none() {
        let is_null = raw == null && !forced.force_not_null;
        return if is_null { Field::Null } else { Field::Value(Cow::Borrowed(raw)) };
    }
    let mut value = Vec::with_capacity(raw.len());
    let mut quoted = false;
    let mut bytes = raw.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        let protected = bytes.peek().copied().filter(|it| *it == quote || *it == escape);
        match (quoted, protected) {
            (true, Some(next)) if byte == escape => {
                bytes.next();
                value.push(next);
            }
            _ if byte == quote => quoted = !quoted,
            _ => value.push(byte),
        }
    }
    if forced.force_null && value == null {
        return Field::Null;
    }
    Field::Value(Cow::Owned(value))
}

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";

/// Length of the file header; `None` when more input is needed.
fn binary_header(input: &[u8]) -> Result<Option<usize>, RowError> {
    let shared = input.len().min(SIGNATURE.len());
    if input[..shared] != SIGNATURE[..shared] {
        return Err(RowError::Signature);
    }
    let Some(flags) = input.get(11..15).and_then(<[u8]>::first_chunk) else { return Ok(None) };
    // Bit 16 says that rows carry OIDs, which no server since 12 reads; the bits above it are critical.
    if u32::from_be_bytes(*flags) >> 16 != 0 {
        return Err(RowError::Flags);
    }
    let Some(extension) = input.get(15..19).and_then(<[u8]>::first_chunk) else { return Ok(None) };
    let extension = usize::try_from(i32::from_be_bytes(*extension)).map_err(|_| RowError::HeaderLength)?;
    Ok((input.len() >= 19 + extension).then_some(19 + extension))
}

/// Length of the fields, and the one that is wanted; `None` when more input is needed.
fn binary_fields(input: &[u8], count: i16, wanted: usize) -> Result<Option<(usize, Field<'_>)>, RowError> {
    let mut at = 0;
    let mut distribution = Field::Null;
    for index in 0..count {
        let Some(length) = input.get(at..).and_then(<[u8]>::first_chunk) else { return Ok(None) };
        at += 4;
        let length = match i32::from_be_bytes(*length) {
            -1 => continue,
            length => usize::try_from(length).map_err(|_| RowError::FieldSize)?,
        };
        let Some(value) = input.get(at..at + length) else { return Ok(None) };
        at += length;
        if usize::try_from(index) == Ok(wanted) {
            distribution = Field::Value(Cow::Borrowed(value));
        }
    }
    Ok(Some((at, distribution)))
}

#[cfg(test)]
mod tests;
