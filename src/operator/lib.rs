//! The Kubernetes driver of server groups: `howdah operator`.
//!
//! A [`turn`] observes ([`snapshot`] of Kubernetes, [`survey`] of the members), lets `group` decide ([`situation`]
//! translates), applies ([`build`] makes the objects, [`objects`] applies them, [`work`] is what is done over SQL and
//! the control API), and tells ([`status`], [`events`]). [`controller`] calls it; [`leader`] lets one process of several
//! act.
//!
//! Invariants: every step is idempotent and looks first, so that a process may end anywhere; nothing is written by a
//! process that does not lead; what cannot be read is not taken for absent; a pod is replaced only for what its user
//! has changed, never for what the operator is.
mod build;
mod certificates;
mod cluster;
mod config;
mod context;
mod controller;
mod error;
mod events;
mod health;
mod leader;
mod lease;
mod link;
mod memory;
mod metrics;
mod names;
mod not_in_force;
mod objects;
mod operation;
mod password;
mod pki;
mod problem;
mod run;
mod settings;
mod situation;
mod snapshot;
mod status;
mod storage;
mod survey;
mod turn;
mod work;

pub use self::config::OperatorConfig;
pub use self::error::Error;
pub use self::run::run;
