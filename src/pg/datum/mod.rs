//! The few values that are read here and not by PostgreSQL: to hash them and to merge sorted rows.
//!
//! Every reader takes what PostgreSQL's input function takes *in the same way under every setting*, and may give
//! `None` for more: then PostgreSQL must be asked. None of them guesses.

mod array;
mod datetime;
mod float;
mod integer;
mod numeric;
mod order;
mod uuid;

pub use self::array::{array_literal, put_array_literal};
pub use self::datetime::{Date, Time, Timestamp};
pub use self::float::{parse_f32, parse_f64};
pub use self::integer::{parse_bool, parse_integer};
pub use self::numeric::Numeric;
pub use self::order::{is_ordered_here, ordinal};
pub use self::uuid::parse_uuid;
