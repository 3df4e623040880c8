//! What PostgreSQL is told of a row's place: its ctid on a shard, with the shard in it.
//!
//! An UPDATE or DELETE with a join finds its rows by a scan and changes each by its ctid, which is not unique over shards. A ctid
//! has 32 bits of block and 16 of offset, and no page has more than 291 rows: nine bits of the offset are the row's, the
//! other seven the shard's. For tables of more than 128 shards the block's upper nine bits are the shard's too.

use std::fmt::Display;

use bytes::{Bytes, BytesMut};
use howdah_pg::SqlState;
use howdah_pg::wire::ErrorFields;
use howdah_pg::wire::backend::put_data_row;

use super::select::Select;
use crate::error::{Error, Result};
use crate::server::text_row;

/// A row of a shard.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct RowId {
    /// The shard's place among the table's.
    pub(super) shard: usize,
    block: u32,
    offset: u16,
}

const OFFSET_BITS: u32 = 9;
const OFFSETS: u16 = 1 << OFFSET_BITS;
/// Shards whose number fits above the offset.
const FEW: usize = 128;
/// Where the rest of a larger number is.
const BLOCK_BITS: u32 = 23;

impl RowId {
    /// From a shard's own `(block,offset)`.
    pub(super) fn on_shard(shard: usize, ctid: &str) -> Result<Self> {
        let (block, offset) = parse(ctid)?;
        Ok(Self { shard, block, offset })
    }

    /// The ctid for a table of so many shards.
    pub(super) fn encode(self, shards: usize) -> Result<String> {
        let low = u16::try_from(self.shard % FEW).unwrap_or_default();
        let high = u32::try_from(self.shard / FEW).unwrap_or(u32::MAX);
        let fits = self.offset < OFFSETS
            && (shards <= FEW || (self.block < 1 << BLOCK_BITS && high < 1 << (32 - BLOCK_BITS)));
        if !fits {
            let message = "a shard is too large for an update that joins other tables";
            return Err(ErrorFields::error(SqlState::PROGRAM_LIMIT_EXCEEDED, message).into());
        }
        let block = if shards <= FEW { self.block } else { self.block | high << BLOCK_BITS };
        Ok(format!("({block},{})", self.offset | low << OFFSET_BITS))
    }

    /// What [`Self::encode`] has made.
    pub(super) fn decode(ctid: &str, shards: usize) -> Result<Self> {
        let (block, offset) = parse(ctid)?;
        let low = usize::from(offset >> OFFSET_BITS);
        let (block, high) = match shards <= FEW {
            true => (block, 0),
            false => (block & ((1 << BLOCK_BITS) - 1), (block >> BLOCK_BITS) as usize),
        };
        let shard = high * FEW + low;
        if shards <= shard {
            return Err(unreadable(ctid));
        }
        Ok(Self { shard, block, offset: offset & (OFFSETS - 1) })
    }

    /// As the shard knows it.
    pub(super) fn ctid(self) -> String {
        format!("({},{})", self.block, self.offset)
    }
}

/// Where the rows of a scan have their ctid, and for how many shards it is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowIds {
    column: usize,
    shards: usize,
}

impl RowIds {
    /// For a scan that locks rows: they may be changed by their ctid. Nobody looks at that of others.
    pub(super) fn of(select: &Select, shards: usize) -> Option<Self> {
        let column = select.columns.iter().position(|it| it == "ctid")?;
        select.locking.is_some().then_some(Self { column, shards })
    }

    /// The body of a DataRow of a shard, with the row's ctid over all shards.
    pub(super) fn put(self, body: &Bytes, shard: usize) -> Result<Bytes> {
        let mut values = text_row(body);
        let ctid = values.get_mut(self.column).and_then(Option::as_mut);
        let ctid = ctid.ok_or_else(|| unreadable("NULL"))?;
        *ctid = RowId::on_shard(shard, ctid)?.encode(self.shards)?;
        let mut row = BytesMut::new();
        put_data_row(&mut row, values.iter().map(|it| it.as_deref().map(str::as_bytes)));
        // Without tag and length.
        Ok(row.freeze().slice(5..))
    }
}

fn parse(ctid: &str) -> Result<(u32, u16)> {
    let inner = ctid.strip_prefix('(').and_then(|it| it.strip_suffix(')'));
    let parts = inner.and_then(|it| it.split_once(','));
    let numbers = parts.and_then(|(block, offset)| Some((block.parse().ok()?, offset.parse().ok()?)));
    numbers.ok_or_else(|| unreadable(ctid))
}

fn unreadable(ctid: impl Display) -> Error {
    Error::Internal(format!("{ctid} is no row of a shard"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_all_shards_have_their_own() {
        for (shards, shard) in [(1, 0), (32, 31), (128, 127), (129, 128), (4096, 4095), (64000, 63999)] {
            for ctid in ["(0,1)", "(4711,291)", "(8388607,226)"] {
                let id = RowId::on_shard(shard, ctid).expect("a ctid");
                let told = id.encode(shards).expect("an id");
                let back = RowId::decode(&told, shards).expect("the same");
                assert_eq!((back, back.ctid().as_str()), (id, ctid));
            }
        }
        assert!(RowId::on_shard(3, "(4294967294,1)").and_then(|it| it.encode(32)).is_ok());
        assert!(RowId::on_shard(3, "(8388608,1)").and_then(|it| it.encode(200)).is_err());
        assert!(RowId::decode("(0,65535)", 32).is_err());
    }
}
