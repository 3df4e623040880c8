//! TLS as the processes of a group use it: configurations from PEM files, followed when the files are replaced, and
//! what a certificate says of its holder.
//!
//! Invariant: a certificate takes effect whole or not at all: files that do not fit together leave the old ones in
//! force, and connections that are open keep what they began with.

mod certificate;
mod config;
pub mod names;
mod reloading;

pub use self::certificate::Certificate;
pub use self::config::{
    Identity, client, common_name, server, server_for_clients_of, server_with_known_clients,
};
pub use self::reloading::Reloading;
