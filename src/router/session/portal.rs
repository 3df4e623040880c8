//! Portals, and the rows of those whose result the router made.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use howdah_pg::TypeOid;
use howdah_pg::wire::backend::{self, ColumnDescription};
use howdah_pg::wire::{Format, frame};

use super::statements::Prepared;
use crate::error::Result;
use howdah_catalog::GroupId;

pub(super) type Portals = HashMap<Bytes, Portal>;

pub(super) struct Portal {
    pub(super) statement: Arc<Prepared>,
    /// Body of the Bind that made it.
    pub(super) bind: Bytes,
    pub(super) place: Place,
    /// Messages of the result that the client has not asked for yet.
    pub(super) held: Option<Bytes>,
}

/// Where a portal is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Place {
    Server(GroupId),
    Router,
}

/// Puts at most `max_rows` rows of a result that was kept, then PortalSuspended or the end of the result.
pub(super) fn put_rows(held: &mut Bytes, max_rows: i32, to: &mut BytesMut) -> Result<()> {
    let limit = usize::try_from(max_rows).ok().filter(|it| *it > 0).unwrap_or(usize::MAX);
    let mut rows = 0;
    while let Some(message) = frame(held)? {
        let size = message.bytes.len();
        if message.tag == b'D' && rows == limit {
            break;
        }
        match message.tag {
            // The count of a SELECT is that of this Execute (`ProcessQuery`, `PortalRunSelect`).
            b'C' if message.body.starts_with(b"SELECT ") => {
                if rows == limit {
                    break;
                }
                backend::put_command_complete(to, format!("SELECT {rows}").as_bytes());
            }
            b'C' if rows == limit => break,
            tag => {
                rows += usize::from(tag == b'D');
                to.extend_from_slice(message.bytes);
            }
        }
        let ended = message.tag == b'C';
        held.advance(size);
        if ended {
            return Ok(());
        }
    }
    match held.is_empty() {
        true => backend::put_command_complete(to, b"SELECT 0"),
        false => backend::put_portal_suspended(to),
    }
    Ok(())
}

/// The RowDescription of EXPLAIN.
pub(super) fn put_plan_column(to: &mut BytesMut) {
    let column = ColumnDescription {
        name: b"QUERY PLAN".as_slice().into(),
        table_oid: 0,
        column: 0,
        type_oid: TypeOid::TEXT,
        type_size: -1,
        typmod: -1,
        format: Format::Text,
    };
    backend::put_row_description(to, &[column]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_in_portions() {
        let mut result = BytesMut::new();
        for value in ["a", "b", "c"] {
            backend::put_data_row(&mut result, [Some(value.as_bytes())]);
        }
        backend::put_command_complete(&mut result, b"SELECT 3");
        let mut held = result.freeze();
        let tags = |held: &mut Bytes| {
            let mut to = BytesMut::new();
            put_rows(held, 2, &mut to).unwrap();
            let frames = howdah_pg::wire::frames(&to).map(|it| it.unwrap().tag);
            String::from_utf8(frames.collect()).unwrap()
        };
        assert_eq!(tags(&mut held), "DDs");
        assert_eq!(tags(&mut held), "DC");
    }
}
