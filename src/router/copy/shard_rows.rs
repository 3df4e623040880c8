//! Rows on their way to one shard: a burst is one COPY command with all its data.

use bytes::{BufMut, BytesMut};

use super::format::Format;

/// A shard's first burst is sent when it has grown to this size, so that the workers have something to do soon; later ones may
/// be larger: PostgreSQL makes a slot for each of the first 1000 rows of a COPY, about a millisecond's work.
const FIRST_BURST: usize = 128 << 10;
const BURST: usize = 512 << 10;

/// The header of a binary COPY: signature, no flags, no extension.
const BINARY_HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

#[derive(Debug, Default)]
pub(super) struct ShardRows {
    data: BytesMut,
    /// For each line that the worker counts, the client's line.
    lines: Vec<u64>,
    bursts: u32,
}

/// What a worker was sent.
#[derive(Debug)]
pub(super) struct Burst {
    pub(super) data: BytesMut,
    pub(super) lines: Vec<u64>,
}

impl ShardRows {
    /// Appends a row and the values of columns that it lacks.
    pub(super) fn push(&mut self, format: &Format, row: &[u8], more: &[Option<String>], line: u64) {
        let start = line + 1 - physical_lines(format, row);
        self.lines.extend(start..=line);
        match format {
            Format::Text { delimiter, null } => {
                self.data.extend_from_slice(row);
                for value in more {
                    self.data.put_u8(*delimiter);
                    match value {
                        Some(value) => put_text(&mut self.data, value.as_bytes(), *delimiter),
                        None => self.data.extend_from_slice(null),
                    }
                }
                self.data.put_u8(b'\n');
            }
            Format::Csv { delimiter, null, quote, escape, .. } => {
                self.data.extend_from_slice(row);
                for value in more {
                    self.data.put_u8(*delimiter);
                    match value {
                        Some(value) => put_quoted(&mut self.data, value.as_bytes(), *quote, *escape),
                        None => self.data.extend_from_slice(null),
                    }
                }
                self.data.put_u8(b'\n');
            }
            Format::Binary => {
                if self.data.is_empty() {
                    self.data.extend_from_slice(BINARY_HEADER);
                }
                self.data.extend_from_slice(row);
            }
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.data.len() >= BURST.min(FIRST_BURST << self.bursts)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    pub(super) fn take(&mut self, format: &Format) -> Burst {
        if *format == Format::Binary {
            self.data.put_i16(-1);
        }
        self.bursts = (self.bursts + 1).min(BURST.ilog2());
        Burst { data: self.data.split(), lines: std::mem::take(&mut self.lines) }
    }
}

/// How many lines PostgreSQL counts for a row: in CSV a value may hold some.
fn physical_lines(format: &Format, row: &[u8]) -> u64 {
    match format {
        Format::Csv { .. } => 1 + memchr::memchr_iter(b'\n', row).count() as u64,
        Format::Text { .. } | Format::Binary => 1,
    }
}

/// A value as it stands in a line of COPY's text format.
pub(crate) fn put_text(data: &mut BytesMut, value: &[u8], delimiter: u8) {
    for &byte in value {
        match byte {
            b'\n' => data.extend_from_slice(b"\\n"),
            b'\r' => data.extend_from_slice(b"\\r"),
            byte => {
                if byte == b'\\' || byte == delimiter {
                    data.put_u8(b'\\');
                }
                data.put_u8(byte);
            }
        }
    }
}

fn put_quoted(data: &mut BytesMut, value: &[u8], quote: u8, escape: u8) {
    data.put_u8(quote);
    for &byte in value {
        if byte == quote || byte == escape {
            data.put_u8(escape);
        }
        data.put_u8(byte);
    }
    data.put_u8(quote);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_appended_in_the_rows_format() {
        let mut rows = ShardRows::default();
        rows.push(&Format::text(), b"1\tx", &[Some("a\tb".to_owned()), None], 7);
        assert_eq!(&rows.take(&Format::text()).data[..], b"1\tx\ta\\\tb\t\\N\n");
        rows.push(&Format::csv(), b"1,\"x\ny\"", &[Some("a\"b".to_owned()), None], 7);
        let burst = rows.take(&Format::csv());
        assert_eq!(&burst.data[..], b"1,\"x\ny\",\"a\"\"b\",\n");
        assert_eq!(burst.lines, [6, 7]);
    }
}
