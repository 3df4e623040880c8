//! Rows on their way to the client.

use bytes::{BufMut, Bytes, BytesMut};

use super::merge::Window;
use super::summary::Sink;
use crate::client::Client;
use crate::error::Result;

/// Passes rows on as they are, within a window.
pub(super) struct ClientRows {
    window: Window,
    seen: u64,
    passed: u64,
}

impl ClientRows {
    pub(super) fn new(window: Window) -> Self {
        Self { window, seen: 0, passed: 0 }
    }

    /// How many rows the client got.
    pub(super) fn passed(&self) -> u64 {
        self.passed
    }

    /// How many there were, those before the window included.
    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    /// Counts one more row; true if the client is to have it.
    pub(super) fn admit(&mut self) -> bool {
        self.seen += 1;
        let admitted = self.seen > self.window.offset && !self.is_full();
        self.passed += u64::from(admitted);
        admitted
    }
}

impl Sink for ClientRows {
    fn row(&mut self, row: &Bytes, client: &mut Client) -> Result<()> {
        if self.admit() {
            client.push(b'D', row);
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.window.limit.is_some_and(|it| it <= self.passed)
    }
}

/// The first `columns` values of a row.
pub(super) fn prefix(row: &[u8], columns: usize) -> Bytes {
    let values = first_values(row, columns);
    let mut cut = BytesMut::with_capacity(values.len() + 2);
    cut.put_u16(u16::try_from(columns).expect("a row has few columns"));
    cut.extend_from_slice(values);
    cut.freeze()
}

fn first_values(row: &[u8], columns: usize) -> &[u8] {
    let mut end = 2;
    for _ in 0..columns {
        let Some(length) = row.get(end..).and_then(<[u8]>::first_chunk) else { break };
        end += 4 + usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
    }
    row.get(2..end).unwrap_or_default()
}

/// Pushes the first `columns` values of a row.
pub(super) fn push_prefix(client: &mut Client, row: &[u8], columns: usize) {
    let values = first_values(row, columns);
    let buffer = client.buffer();
    buffer.put_u8(b'D');
    buffer.put_u32(u32::try_from(values.len() + 6).expect("a row is smaller than a gigabyte"));
    buffer.put_u16(u16::try_from(columns).expect("a row has few columns"));
    buffer.extend_from_slice(values);
}

/// The values of a DataRow.
pub(crate) fn values(row: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    let mut rest = row.get(2..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (length, tail) = rest.split_first_chunk::<4>()?;
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
            rest = tail;
            return Some(None);
        };
        let (value, tail) = tail.split_at_checked(length)?;
        rest = tail;
        Some(Some(value))
    })
}
