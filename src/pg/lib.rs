//! What PostgreSQL itself defines, as pure functions and values: bytes in, values out.
//!
//! Everything here mirrors a definition in PostgreSQL's sources or documentation and is named after it.
//! No IO, no clock and no randomness of its own: sockets, time and entropy come in as arguments.

pub mod datum;
pub mod der;
pub mod hash;
pub mod ident;
mod keywords;
mod lsn;
mod oid;
pub mod scram;
mod sqlstate;
pub mod wire;

pub use self::lsn::Lsn;
pub use self::oid::TypeOid;
pub use self::sqlstate::SqlState;
