//! The lock that serialises writes to many shards of one table: two that lock their rows in different orders would wait
//! for each other for ever.

use howdah_catalog::{GroupId, Table};

/// First key of the advisory locks; the second is the table.
const WRITE_LOCK: i32 = 0x4857_4448;

/// Where the lock is taken, and how. It is held until the transaction ends.
pub(crate) fn write_lock(table: &Table) -> Option<(GroupId, String)> {
    let lowest = table.shards().iter().map(|it| it.group).min()?;
    let oid = table.oid.0.cast_signed();
    Some((lowest, format!("SELECT pg_catalog.pg_advisory_xact_lock({WRITE_LOCK}, {oid})")))
}
