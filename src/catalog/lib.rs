//! Where the data lives: nodes, distributed and reference tables, their shards, and the facts about user
//! objects that decide what may run where. One immutable [`Catalog`] value with a version.
//!
//! Invariants, checked by [`Catalog::new`]: the hash ranges of a table cover all of i32, in order, without
//! gap or overlap; tables of one colocation group have the same ranges on the same nodes and distribution
//! columns of one type; every placement is on a known node; shard ids are unique.
//! Local tables are not in it, and nothing here reads a database.

mod ids;
mod node;
mod objects;
mod table;

mod catalog;
mod samples;

pub use self::catalog::{Catalog, Contents, Database, InvalidCatalog};
pub use self::ids::{CatalogVersion, ColocationId, ColumnNumber, GroupId, NodeId, ShardId, TableOid};
pub use self::node::Node;
pub use self::objects::{UserFunction, UserObjects, UserOperator, UserType, Volatility};
pub use self::samples::Sample;
pub use self::table::{
    Collation, Column, ColumnDefault, DefaultClass, Distribution, Identity, OnCoordinator, ShardInterval,
    Table,
};
pub use howdah_pg::TypeOid;
