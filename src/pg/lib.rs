//! What PostgreSQL itself defines, as pure functions and values: bytes in, values out.
//!
//! Everything here mirrors a definition in PostgreSQL's sources or documentation and is named after it.
//! No IO, no clock and no randomness of its own: sockets, time and entropy come in as arguments.

pub mod hash;
pub mod ident;
mod oid;

pub use self::oid::TypeOid;
