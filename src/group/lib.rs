//! What should happen next to a server group: [`decide`]`(desired, observed, now)`.
//!
//! Pure and total: no clock, no IO, an answer for every input. The operator and the local driver observe,
//! call this, and apply the actions without deciding anything themselves.
//!
//! Invariants: an action is given only when what it relies on has been observed; deciding again on the same
//! observation gives the same actions (the driver marks what it has begun, so nothing is begun twice); a
//! worker is registered only when the catalog, the worker's own database and the router are there; the router
//! starts only when the database that it logs in to exists.
mod decide;
mod names;
mod rolling;
mod workers;

pub use self::decide::{Action, Decision, Desired, Life, Member, Observed, Phase, Setup, decide};
pub use self::names::{MemberName, NodeName, UnknownName};
pub use self::rolling::{Disruption, NodeState, next_disruptions};
pub use self::workers::{NoWorkers, check_worker_count};
