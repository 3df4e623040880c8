//! Which coordinator backend a session must keep between transactions, and what that backend says unasked.

use howdah_catalog::GroupId;
use howdah_pg::wire::ErrorFields;

use super::Session;
use crate::error::{Error, Result};
use crate::pool::PooledConnection;
use crate::server::{Message, error_fields, two_strings};

/// Waits for a message that answers nothing; forever where no backend is kept.
pub(super) async fn spontaneous(pinned: &mut Option<PooledConnection>) -> Result<Message> {
    match pinned {
        Some(connection) => connection.next_message().await,
        None => std::future::pending().await,
    }
}

impl Session {
    /// Passes on a notification or parameter of the pinned backend. If the backend ended, so does the session:
    /// what was kept in it is gone.
    pub(super) async fn relay_spontaneous(&mut self, message: Result<Message>) -> Result<()> {
        let message = message?;
        match message.tag {
            b'E' => {
                let fields: ErrorFields = error_fields(&message.body);
                self.pinned = None;
                return Err(Error::Fatal(Box::new(fields)));
            }
            b'S' => {
                if let Some((name, value)) = two_strings(&message.body) {
                    self.client.push_parameter(&name, &value);
                }
            }
            tag => self.client.push(tag, &message.body),
        }
        self.client.flush().await
    }

    /// Gives a connection back after a transaction.
    pub(crate) fn release(&mut self, connection: PooledConnection) {
        let keep = self.must_keep() || self.suspect;
        if connection.group() == GroupId::COORDINATOR && keep && !connection.is_broken() {
            self.pinned = Some(connection);
        }
    }

    pub(super) fn must_keep(&self) -> bool {
        !self.kept.is_empty() || self.asks_sequences || self.is_passthrough()
    }
}
