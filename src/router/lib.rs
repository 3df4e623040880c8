//! The routing engine: speaks the PostgreSQL protocol to clients, plans, executes, commits.

mod config;
mod error;

mod connect;
mod duplex;
mod stream;
mod tls;

mod cancel;
mod control;
mod defaults;
mod pool;
mod prepared;
mod server;
mod settings;

mod auth;
mod client;
mod cores;
mod ddl;
mod execution;
mod executor;
mod listener;
mod loopback;
mod probes;
mod router;
mod run;
mod session;
mod shard_error;
mod startup;
mod transaction;

mod commit;
mod commit_driver;
mod copy;
mod deadlock;
mod fault;
mod fence;
mod gid;
mod recovery;
mod write_lock;

pub use self::config::{Limits, NodeAddress, NodeTls, PoolConfig, RouterConfig, ServerTls};
pub use self::error::{Error, Result};
pub use self::run::run;
