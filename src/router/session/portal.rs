//! Portals, and the rows of those whose result the router made.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use howdah_pg::wire::{backend, frame};

use super::Session;
use super::statements::Prepared;
use crate::error::Result;
use crate::executor::Portions;
use crate::transaction::Block;
use howdah_catalog::GroupId;

pub(super) type Portals = HashMap<Bytes, Portal>;

pub(super) struct Portal {
    pub(super) statement: Arc<Prepared>,
    /// Body of the Bind that made it.
    pub(super) bind: Bytes,
    pub(super) place: Place,
    pub(super) rest: Rest,
    /// How many savepoints there were when it was made.
    pub(super) depth: usize,
}

/// The part of a result that the client has not asked for yet.
#[derive(Default)]
pub(super) enum Rest {
    /// Nothing was asked for so far.
    #[default]
    All,
    /// Messages that were kept back.
    Held(Bytes),
    /// Portals on the workers.
    Portions(Box<Portions>),
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

impl Session {
    /// Forgets a portal. What it has on workers is closed, unless that goes with the transaction.
    pub(super) async fn drop_portal(&mut self, name: &[u8]) -> Result<Option<Place>> {
        let Some(portal) = self.portals.remove(name) else { return Ok(None) };
        if let Rest::Portions(portions) = portal.rest
            && self.transaction.block() != Block::Failed
        {
            self.land(self.is_in_block()).await?;
            portions.close(self);
        }
        Ok(Some(portal.place))
    }

    /// ROLLBACK TO the savepoint at `depth`: what was made after it is gone.
    pub(super) fn forget_portals_since(&mut self, depth: usize) {
        self.portals.retain(|_, it| it.depth <= depth);
    }

    /// RELEASE of the savepoint at `depth`.
    pub(super) fn release_portals(&mut self, depth: usize) {
        self.portals.values_mut().for_each(|it| it.depth = it.depth.min(depth));
    }
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
