//! What the settings of a session allow one statement: connections, and time.

use std::time::Duration;

use crate::session::Session;
use crate::settings::milliseconds;

#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Connections to one worker.
    pub(super) pool_size: usize,
    /// After each of these one more connection a worker may be opened; zero is all of them at once.
    pub(super) slow_start: Duration,
    /// Connections that all sessions of a role together may have to one worker before further ones are given up.
    pub(super) shared: Option<usize>,
    /// `statement_timeout`: workers know it of their own queries only.
    pub(super) timeout: Option<Duration>,
}

/// Defaults of Citus.
const POOL_SIZE: usize = 16;
const SLOW_START: Duration = Duration::from_millis(10);

impl Limits {
    pub(super) fn of(session: &Session) -> Self {
        let number = |name| session.setting(name).and_then(|it| it.trim().parse::<usize>().ok());
        let duration = |name| session.setting(name).and_then(|it| milliseconds(&it));
        Self {
            pool_size: number("citus.max_adaptive_executor_pool_size").unwrap_or(POOL_SIZE).max(1),
            slow_start: duration("citus.executor_slow_start_interval").unwrap_or(SLOW_START),
            shared: number("citus.max_shared_pool_size").filter(|it| 0 < *it),
            timeout: session.timeout("statement_timeout"),
        }
    }
}
