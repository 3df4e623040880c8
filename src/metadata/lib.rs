//! The distributed catalog as it is stored in PostgreSQL: its tables, views and SQL functions, and how the
//! router reads it.
//!
//! Invariant: installing is idempotent and runs in one transaction, so that a node either has this version
//! of our SQL or the one before. What users own (their tables, shards, rights) is never touched by it.
//! This crate does not decide where anything runs; it only tells what is.

mod install;
mod members;
mod parse;
mod quote;
pub mod setup;

pub use self::install::{InstallConfig, install_coordinator, install_worker, worker_script};
pub use self::members::{RegisteredNode, Worker, catalog_version, register, registered_nodes, remove};
pub use self::parse::{CatalogError, parse_catalog, parse_table};
