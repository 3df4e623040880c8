//! The instance manager: the parent of one PostgreSQL server.
//!
//! It makes the data directory, writes the configuration at each start, starts Postgres, starts it again
//! when it dies, stops it cleanly on a signal, and tells what happens: its own parent (one JSON [`Event`] a
//! line on stdout), or in a pod whoever asks over the network ([`control`]). On the coordinator it also serves the
//! loopback of live tables.
//!
//! Invariants: at most one instance manager runs on a data directory (a lock that the kernel frees); at most
//! one postmaster does (before each start no process may have the directory as its working directory);
//! Postgres never outlives its instance manager (`PR_SET_PDEATHSIG`), so no orphan is left by `kill -9`; where there
//! is control, no setting keeps the server from running.
//!
//! It does not decide what role the member has and knows no other member.
mod citus_settings;
mod config;
mod error;

pub mod binaries;
mod init;
mod install;
pub mod pods;
pub mod settings;

mod auto_conf;
mod directories;
mod initdb;
mod known_settings;
mod memory;

mod check;
mod files;
mod log;
mod postgres;
pub mod processes;

pub mod control;
mod keeper;
mod loopback;
mod monitor;
mod run;
mod shared;
mod tls;

pub use self::config::{ControlConfig, Event, InstanceConfig, LogTarget, LoopbackConfig, TlsFiles};
pub use self::error::Error;
pub use self::init::run_as_init;
pub use self::install::install_binary;
pub use self::run::{Lifeline, run};
