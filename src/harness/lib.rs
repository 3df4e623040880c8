//! What the tests stand on: real servers, a client that hides nothing, scripts and how their answers compare.

pub mod client;
pub mod compare;
pub mod differential;
pub mod expect;
pub mod generator;
pub mod group;
pub mod hostile;
mod postgres;
pub mod refused;
pub mod script;

pub use self::postgres::PostgresServer;
