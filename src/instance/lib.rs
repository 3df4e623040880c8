//! The instance manager: the parent of one PostgreSQL server.
//!
//! It makes the data directory, writes the configuration at each start, starts Postgres, starts it again
//! when it dies, stops it cleanly on a signal, and tells its own parent what happens (one JSON [`Event`] a
//! line on stdout).
//!
//! Invariants: at most one instance manager runs on a data directory (a lock that the kernel frees); at most
//! one postmaster does (before each start no process may have the directory as its working directory);
//! Postgres never outlives its instance manager (`PR_SET_PDEATHSIG`), so no orphan is left by `kill -9`.
//!
//! It does not decide what role the member has and knows no other member.
mod config;
pub mod control;
mod error;
mod files;
mod initdb;
mod loopback;
mod memory;
pub mod pods;
mod postgres;
pub mod processes;
mod run;
pub mod settings;

pub use self::config::{ControlConfig, Event, InstanceConfig, LogTarget, LoopbackConfig, TlsFiles};
pub use self::error::Error;
pub use self::run::{Lifeline, run};
