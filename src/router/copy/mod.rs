//! COPY of distributed tables.

mod format;
mod rows;

pub(crate) use self::format::{Format, Layout};
pub(crate) use self::rows::{Field, Row, RowError, Rows};
