//! Turns a parsed statement and a catalog into a plan. No IO happens here.

mod merge;

pub use self::merge::{Bound, Combine, CombinePiece, Merge, SortKey};
