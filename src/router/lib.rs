//! The routing engine: speaks the PostgreSQL protocol to clients, plans, executes, commits.

mod config;
mod error;

mod connect;
mod duplex;
mod stream;
mod tls;

mod pool;
mod prepared;
mod server;
mod settings;

mod client;
mod router;
mod session;
mod transaction;

mod commit;
mod gid;

pub use self::config::{Limits, NodeAddress, NodeTls, PoolConfig, RouterConfig, ServerTls};
pub use self::error::{Error, Result};

use tokio_util::sync::CancellationToken;

/// Serves clients until `shutdown`.
pub async fn run(config: RouterConfig, shutdown: CancellationToken) -> Result<()> {
    let _ = config;
    shutdown.cancelled().await;
    Ok(())
}
