//! Long statements: tree and plan of one take up to a hundred times its text. What all sessions together plan at a time is bounded,
//! and who finds no room waits.
//!
//! A statement of the simple protocol keeps its room until it has ended. It may meanwhile wait for locks of a session that in turn
//! waits for room: that is why the wait has an end.

use std::sync::Arc;
use std::time::Duration;

use howdah_catalog::Catalog;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Session;
use super::analysis::Analyzed;
use crate::error::{Error, Result};

/// What is no longer than this needs no room.
pub(super) const LARGE: usize = 1 << 20;
/// How long a statement waits for room.
const PATIENCE: Duration = Duration::from_secs(30);
/// The budget counts these.
const UNIT: usize = 1 << 10;

/// Room for the texts of long statements, in kilobytes.
pub(crate) struct Room {
    free: Arc<Semaphore>,
    bytes: usize,
}

impl Room {
    pub(crate) fn new(bytes: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(bytes / UNIT)), bytes }
    }

    async fn take(&self, bytes: usize, patience: Duration) -> Result<OwnedSemaphorePermit> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).ok().filter(|_| bytes <= self.bytes);
        let too_long = || Error::StatementTooLong { bytes, most: self.bytes };
        let permit = self.free.clone().acquire_many_owned(units.ok_or_else(too_long)?);
        match tokio::time::timeout(patience, permit).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(Error::NoRoomForStatement(bytes)),
        }
    }
}

impl Session {
    /// What is known of a long text without parsing it: the coordinator's alone, if it is a query that names no distributed table.
    pub(super) fn leave_unread(&self, text: &str, catalog: &Catalog) -> Option<Analyzed> {
        let is_local = self.is_passthrough()
            || howdah_sql::is_query(text) && !howdah_sql::may_mention(text, |it| catalog.knows_name(it));
        (LARGE < text.len() && is_local).then(Analyzed::unseen)
    }

    /// Room to plan a text, if it is a long one.
    pub(super) async fn room_for(&self, text: &[u8]) -> Result<Option<OwnedSemaphorePermit>> {
        match LARGE < text.len() {
            true => self.router.room.take(text.len(), PATIENCE).await.map(Some),
            false => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_finds_no_room_waits_and_gives_up_in_the_end() {
        let room = Room::new(10 << 20);
        let take = |megabytes: usize| room.take(megabytes << 20, Duration::from_millis(10));
        let first = take(6).await.unwrap();
        assert!(matches!(take(5).await, Err(Error::NoRoomForStatement(_))));
        drop(first);
        assert!(take(10).await.is_ok());
        assert!(matches!(take(11).await, Err(Error::StatementTooLong { .. })));
    }
}
