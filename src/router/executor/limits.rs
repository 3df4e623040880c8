//! What the settings of a session allow one statement: connections, and time.

use std::time::Duration;

use crate::session::Session;

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
        let duration = |name| session.setting(name).and_then(|it| duration(&it));
        Self {
            pool_size: number("citus.max_adaptive_executor_pool_size").unwrap_or(POOL_SIZE).max(1),
            slow_start: duration("citus.executor_slow_start_interval").unwrap_or(SLOW_START),
            shared: number("citus.max_shared_pool_size").filter(|it| 0 < *it),
            timeout: duration("statement_timeout").filter(|it| !it.is_zero()),
        }
    }
}

/// A time as PostgreSQL reads it in a setting whose unit is the millisecond.
fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|it: char| !it.is_ascii_digit() && it != '.').unwrap_or(text.len());
    let number: f64 = text[..digits].parse().ok()?;
    let seconds = match text[digits..].trim() {
        "us" => 1e-6,
        "" | "ms" => 1e-3,
        "s" => 1.0,
        "min" => 60.0,
        "h" => 3600.0,
        "d" => 86400.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number * seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_postgres_reads_them() {
        for (text, expected) in [("10", 10), ("250ms", 250), ("1.5 s", 1500), ("2min", 120_000), ("0", 0)] {
            assert_eq!(duration(text), Some(Duration::from_millis(expected)), "{text}");
        }
        assert_eq!(duration("-1"), None);
        assert_eq!(duration("soon"), None);
    }
}
