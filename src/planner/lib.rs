//! Turns a parsed statement and a catalog into a [`Plan`]. No IO happens here, no clock is read.
//!
//! The ladder is tried from the cheapest rung to the most general; the first that is *provably* right wins, and
//! [`Planned::reasons`] says why those above it were not taken. What is not understood goes to the
//! coordinator, whose tables are live; a write that no rung takes is refused.

mod analysis;
mod combine;
mod context;
mod copy;
mod ddl;
mod defaults_in_place;
mod error;
mod explain;
mod insert;
mod merge;
mod modify;
mod parameters;
mod plan;
mod planning;
mod pushdown;
mod request;
mod router_query;
mod splice;
mod statement;
mod time;
mod whitelist;

pub use self::copy::copy_condition;
pub use self::ddl::{Ddl, Object, concerns_all_nodes, ddl, ddl_relations, for_shard, runs_alone};
pub use self::error::Error;
pub use self::explain::explain;
pub use self::merge::{Bound, Combine, CombinePiece, Merge, SortKey};
pub use self::plan::{
    ComputedColumn, ComputedValue, InsertColumn, InsertRow, InsertSelect, InsertSource, InsertValues,
    KeySource, MultiShard, Piece, Plan, PlanScope, Planned, PlannedSource, Rung, ShardKey, SingleShard,
    SlotParameter, Template,
};
pub use self::planning::plan;
#[doc(hidden)]
pub use self::pushdown::plan_request;
pub use self::request::{Request, Settings};

#[cfg(test)]
mod tests;
