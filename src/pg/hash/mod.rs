//! PostgreSQL's hash functions, bit for bit: they decide in which shard a row lives.
//!
//! [`hash_text_value`] and [`hash_binary_value`] are the default hash function of a type applied to a value as a
//! client sends it; [`hash_column_text`] also looks at a type modifier. `None` means that only PostgreSQL can
//! tell, not that the value is wrong. Text is UTF-8, and its collation must be deterministic.

mod bytes;
mod value;

pub use self::bytes::{hash_bytes, hash_bytes_uint32};
pub use self::value::{hash_binary_value, hash_column_text, hash_text_value};
