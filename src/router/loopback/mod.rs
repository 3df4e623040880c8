//! Live tables: what PostgreSQL reads and writes of distributed tables by itself, inside the coordinator, comes back here.
//!
//! The coordinator's `postgres_fdw` connects to a Unix socket that the instance serves; the instance says which backend it
//! is ([`listener`]). [`connection`] speaks the server half of the protocol with it and understands the closed set of
//! statements that `postgres_fdw` sends ([`statement`], [`select`], [`modify`], [`insert`]). The work itself is done by the session that owns the backend,
//! in the session's own worker transactions: it is asked through its queue ([`Request`]) and answers while it waits
//! for the coordinator ([`serve`]).
//!
//! Invariants: no coordinator connection is opened here, because the parent statement may hold any lock there; a statement
//! that is not understood is refused; all cursors of one statement read a worker with one snapshot and see no write that is
//! newer than the statement ([`snapshots`]), at one moment for all workers ([`keepers`]).

mod registry;
mod request;

mod clauses;
mod insert;
mod modify;
mod select;
mod statement;

mod access;
mod call;
mod change;
mod cursor;
mod fetch;
mod flight;
mod host;
mod keepers;
mod live;
mod node;
mod order;
mod readers;
mod row_id;
mod snapshots;
mod worker_query;
mod write;

mod cancels;
mod connection;
mod listener;
mod owner;
mod session_host;
mod standalone;

pub(crate) use self::access::WorkerAccess;
pub(crate) use self::fetch::text_array;
pub(crate) use self::listener::LoopbackListener;
pub(crate) use self::live::Live;
pub(crate) use self::readers::KnownReaders;
pub(crate) use self::registry::{Lease, Registry};
pub(crate) use self::request::Request;
pub(crate) use self::session_host::serve_session;
