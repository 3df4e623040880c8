//! PostgreSQL's hash functions, bit for bit: they decide in which shard a row lives.

mod bytes;

pub use self::bytes::{hash_bytes, hash_bytes_uint32};
