//! Rows in memory, as servers sent them.

use std::borrow::Cow;

use bytes::{Buf, BufMut, BytesMut};
use howdah_pg::wire::Format;

use crate::copy::put_text;
use crate::executor::rows::values;
use crate::executor::task::ColumnFormat;

/// Bodies of DataRows one behind the other, each with its length in front.
#[derive(Debug)]
pub(crate) struct Rows {
    data: BytesMut,
    count: u64,
    encoding: Encoding,
}

/// How the values of rows are written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Encoding {
    /// As text, but for the columns of which this says something else; an empty list is all text.
    Text(Vec<ColumnFormat>),
    /// All in binary.
    Binary,
}

/// The header of a binary COPY: signature, no flags, no extension.
const BINARY_HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

impl Rows {
    pub(crate) fn new(encoding: Encoding) -> Self {
        Self { data: BytesMut::new(), count: 0, encoding }
    }

    pub(crate) fn encoding(&self) -> &Encoding {
        &self.encoding
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Their size in memory.
    pub(crate) fn size(&self) -> usize {
        self.data.len()
    }

    /// The body of a DataRow.
    pub(crate) fn push(&mut self, row: &[u8]) {
        self.data.put_u32(u32::try_from(row.len()).expect("a row is smaller than a gigabyte"));
        self.data.extend_from_slice(row);
        self.count += 1;
    }

    /// A row with the values of another one behind its own.
    pub(crate) fn push_joined(&mut self, row: &[u8], more: &[u8]) {
        let count = |row: &[u8]| row.first_chunk().map_or(0, |it| u16::from_be_bytes(*it));
        let (own, more_values) = (row.get(2..).unwrap_or_default(), more.get(2..).unwrap_or_default());
        let length = 2 + own.len() + more_values.len();
        self.data.put_u32(u32::try_from(length).expect("a row is smaller than a gigabyte"));
        self.data.put_u16(count(row) + count(more));
        self.data.extend_from_slice(own);
        self.data.extend_from_slice(more_values);
        self.count += 1;
    }

    /// The body that was put where [`Self::size`] was this.
    pub(crate) fn at(&self, offset: usize) -> Option<&[u8]> {
        let (length, rest) = self.data.get(offset..)?.split_first_chunk()?;
        rest.get(..u32::from_be_bytes(*length) as usize)
    }

    /// The bodies.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.data[..];
        std::iter::from_fn(move || {
            let (length, tail) = rest.split_first_chunk()?;
            let (row, tail) = tail.split_at_checked(u32::from_be_bytes(*length) as usize)?;
            rest = tail;
            Some(row)
        })
    }

    /// The values of a row of these as text.
    pub(crate) fn texts<'r>(&'r self, row: &'r [u8]) -> impl Iterator<Item = Option<Cow<'r, [u8]>>> {
        let formats = match &self.encoding {
            Encoding::Text(formats) => &formats[..],
            Encoding::Binary => unreachable!("rows in binary are only copied"),
        };
        let formats = formats.iter().copied().chain(std::iter::repeat(ColumnFormat::Text));
        values(row).zip(formats).map(|(value, format)| value.map(|it| as_text(it, format)))
    }

    /// Takes all rows as the data of a COPY command.
    pub(crate) fn take_copy_data(&mut self) -> BytesMut {
        let mut data = BytesMut::with_capacity(self.data.len() + BINARY_HEADER.len() + 2);
        match &self.encoding {
            Encoding::Binary => {
                data.extend_from_slice(BINARY_HEADER);
                self.iter().for_each(|it| data.extend_from_slice(it));
                data.put_i16(-1);
            }
            Encoding::Text(_) => self.iter().for_each(|it| self.put_line(it, &mut data)),
        }
        self.data.advance(self.data.len());
        self.count = 0;
        data
    }

    fn put_line(&self, row: &[u8], data: &mut BytesMut) {
        for (number, value) in self.texts(row).enumerate() {
            if number > 0 {
                data.put_u8(b'\t');
            }
            match value {
                Some(value) => put_text(data, &value, b'\t'),
                None => data.extend_from_slice(b"\\N"),
            }
        }
        data.put_u8(b'\n');
    }
}

impl Encoding {
    /// To be asked for in Bind.
    pub(crate) fn formats(&self) -> Vec<Format> {
        match self {
            Self::Text(formats) => formats.iter().map(|it| it.on_the_wire()).collect(),
            Self::Binary => vec![Format::Binary],
        }
    }

    /// That of some of the columns.
    pub(crate) fn of_columns(&self, columns: std::ops::Range<usize>) -> Self {
        match self {
            Self::Text(formats) => Self::Text(formats.get(columns).unwrap_or_default().to_vec()),
            Self::Binary => Self::Binary,
        }
    }

    /// The options of COPY that read it.
    pub(crate) fn copy_options(&self) -> &'static str {
        match self {
            Self::Text(_) => "(FORMAT text)",
            Self::Binary => "(FORMAT binary)",
        }
    }
}

/// Rust writes a float with as many digits as tell it from all others, as PostgreSQL does by default.
fn as_text(value: &[u8], format: ColumnFormat) -> Cow<'_, [u8]> {
    let text = match format {
        ColumnFormat::Text => None,
        ColumnFormat::Float4 => value.try_into().ok().map(|it| format!("{:?}", f32::from_be_bytes(it))),
        ColumnFormat::Float8 => value.try_into().ok().map(|it| format!("{:?}", f64::from_be_bytes(it))),
    };
    text.map_or(Cow::Borrowed(value), |it| Cow::Owned(it.into_bytes()))
}

#[cfg(test)]
mod tests {
    use howdah_pg::wire::backend::put_data_row;

    use super::*;

    fn row(values: &[Option<&[u8]>]) -> BytesMut {
        let mut buffer = BytesMut::new();
        put_data_row(&mut buffer, values.iter().copied());
        buffer.split_off(5)
    }

    #[test]
    fn rows_become_lines_of_copy() {
        let float = 0.1_f64.to_be_bytes();
        let mut rows = Rows::new(Encoding::Text(vec![ColumnFormat::Text, ColumnFormat::Float8]));
        rows.push(&row(&[Some(b"a\tb\\"), Some(&float)]));
        rows.push_joined(&row(&[None, None]), &row(&[Some(b"more")]));
        assert_eq!(rows.count(), 2);
        assert_eq!(&rows.take_copy_data()[..], b"a\\\tb\\\\\t0.1\n\\N\t\\N\tmore\n");
        assert!(rows.is_empty() && rows.size() == 0);
    }

    #[test]
    fn rows_in_binary_are_copied_as_they_are() {
        let mut rows = Rows::new(Encoding::Binary);
        let first = row(&[Some(b"\0\0\0\x07"), None]);
        rows.push(&first);
        let data = rows.take_copy_data();
        assert_eq!(&data[BINARY_HEADER.len()..data.len() - 2], &first[..]);
        assert!(data.ends_with(b"\xff\xff"));
    }
}
