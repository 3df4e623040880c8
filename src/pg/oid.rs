//! Object identifiers of PostgreSQL's types.

use std::fmt;

/// An OID of `pg_type`. The named ones are fixed by `pg_type.dat` for every server.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TypeOid(pub u32);

impl TypeOid {
    /// "Not specified": a parameter whose type the server shall infer.
    pub const UNSPECIFIED: Self = Self(0);
    pub const BOOL: Self = Self(16);
    pub const BYTEA: Self = Self(17);
    pub const CHAR: Self = Self(18);
    pub const NAME: Self = Self(19);
    pub const INT8: Self = Self(20);
    pub const INT2: Self = Self(21);
    pub const INT4: Self = Self(23);
    pub const TEXT: Self = Self(25);
    pub const OID: Self = Self(26);
    pub const JSON: Self = Self(114);
    pub const FLOAT4: Self = Self(700);
    pub const FLOAT8: Self = Self(701);
    pub const UNKNOWN: Self = Self(705);
    pub const MACADDR: Self = Self(829);
    pub const INET: Self = Self(869);
    pub const TEXT_ARRAY: Self = Self(1009);
    pub const BPCHAR: Self = Self(1042);
    pub const VARCHAR: Self = Self(1043);
    pub const DATE: Self = Self(1082);
    pub const TIME: Self = Self(1083);
    pub const TIMESTAMP: Self = Self(1114);
    pub const TIMESTAMPTZ: Self = Self(1184);
    pub const INTERVAL: Self = Self(1186);
    pub const TIMETZ: Self = Self(1266);
    pub const NUMERIC: Self = Self(1700);
    pub const RECORD: Self = Self(2249);
    pub const RECORD_ARRAY: Self = Self(2287);
    pub const VOID: Self = Self(2278);
    pub const UUID: Self = Self(2950);
    pub const JSONB: Self = Self(3802);

    /// Objects with smaller OIDs come with the server; users' own start here (`FirstNormalObjectId`).
    pub const FIRST_NORMAL: u32 = 16384;

    /// Whether a user or an extension made this type.
    pub fn is_user_defined(self) -> bool {
        self.0 >= Self::FIRST_NORMAL
    }
}

impl fmt::Display for TypeOid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
