//! Newtypes for what Postgres and the `pg_dist_*` tables number.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($number:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(pub $number);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// A node: the coordinator ([`GroupId::COORDINATOR`]) or one worker, with its standbys.
    GroupId(i32)
}
id! {
    /// `pg_dist_node.nodeid`: one row of it, that is one member that may be spoken to.
    NodeId(i32)
}
id! {
    /// `pg_dist_shard.shardid`, also the suffix of the shard's name.
    ShardId(i64)
}
id! {
    /// `pg_dist_partition.colocationid`. Never zero for a table of the catalog.
    ColocationId(i32)
}
id! {
    /// OID of the shell on the coordinator.
    TableOid(u32)
}
id! {
    /// `pg_attribute.attnum`, from 1.
    ColumnNumber(i16)
}
id! {
    /// Grows with every change that a router must see.
    CatalogVersion(i64)
}

impl GroupId {
    pub const COORDINATOR: Self = Self(0);
}
