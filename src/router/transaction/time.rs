//! now() of a transaction, the same on all its nodes.

use std::time::{Duration, SystemTime};

use howdah_catalog::GroupId;

use super::Block;
use crate::error::{Error, Result};
use crate::session::Session;

impl Session {
    /// now() of this transaction as a constant for the workers: the coordinator's, if there is a block.
    pub(crate) async fn transaction_time(&mut self) -> Result<String> {
        if let Some(time) = &self.transaction.time {
            return Ok(time.clone());
        }
        let time = match self.transaction.block {
            Block::None => format_time(SystemTime::now()),
            _ => self.coordinator_time().await?,
        };
        self.transaction.time = Some(time.clone());
        Ok(time)
    }

    async fn coordinator_time(&mut self) -> Result<String> {
        let coordinator = self.participant(GroupId::COORDINATOR).await?;
        coordinator.queue_query(
            "SELECT pg_catalog.to_char(pg_catalog.timezone('UTC', pg_catalog.now()), \
             'YYYY-MM-DD HH24:MI:SS.US') || '+00'",
        );
        coordinator.flush().await?;
        let rows = self.coordinator_rows().await?;
        let time = rows.into_iter().next().and_then(|it| it.into_iter().next()).flatten();
        time.ok_or_else(|| Error::Internal("the coordinator has no time".to_owned()))
    }
}

/// As PostgreSQL writes a timestamptz in UTC, to the microsecond.
fn format_time(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let seconds = i64::try_from(since.as_secs()).unwrap_or(0);
    let moment = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let date = moment.to_zoned(jiff::tz::TimeZone::UTC);
    format!("{}.{:06}+00", date.strftime("%Y-%m-%d %H:%M:%S"), since.subsec_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_written_as_postgres_writes_it() {
        let time = SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 1_234_000);
        assert_eq!(format_time(time), "2023-11-14 22:13:20.001234+00");
    }
}
