//! Passing a server's answers on to the client: runs of messages by their headers alone, the rest one by one.

use bytes::{Buf, Bytes};
use howdah_catalog::GroupId;
use howdah_pg::SqlState;
use howdah_pg::wire::Severity;

use super::Session;
use super::analysis::Distributed;
use crate::error::{Error, MissingShard, Result};
use crate::execution::Columns;
use crate::loopback;
use crate::server::{Message, error_fields, two_strings};
use crate::shard_error::misses_shard;
use crate::startup::fatal;

impl Session {
    /// Passes on messages whose type `passes`, and returns the first whose type does not.
    pub(super) async fn relay_until(
        &mut self,
        group: GroupId,
        passes: impl Fn(u8) -> bool + Copy,
    ) -> Result<Message> {
        while self.transaction.opened(group).is_some_and(|it| it.has_prologue()) {
            self.skip_prologue_of(group).await?;
        }
        loop {
            if let Some(message) = self.relay_buffered(group, passes)? {
                return Ok(message);
            }
            self.client.flush_if_full().await?;
            self.fill_from(group).await?;
        }
    }

    fn relay_buffered(&mut self, group: GroupId, passes: impl Fn(u8) -> bool) -> Result<Option<Message>> {
        let Some(connection) = self.transaction.opened(group) else { return Ok(None) };
        let read = &mut connection.duplex.read;
        let run = self.relay.pass(read, passes)?;
        self.client.duplex.write.extend_from_slice(&read[..run]);
        read.advance(run);
        if self.relay.is_within_message() {
            return Ok(None);
        }
        // What is in every turn is spared the trip through a shared buffer.
        match read[..] {
            [b'Z', 0, 0, 0, 5, status, ..] => {
                read.advance(6);
                connection.note(b'Z', &[status]);
                Ok(Some(Message { tag: b'Z', body: Bytes::new() }))
            }
            [tag @ (b'1' | b'2' | b'3'), 0, 0, 0, 4, ..] => {
                read.advance(5);
                Ok(Some(Message { tag, body: Bytes::new() }))
            }
            _ => connection.take_message(),
        }
    }

    /// Reads once from a node; from the coordinator while loopback requests are served.
    async fn fill_from(&mut self, group: GroupId) -> Result<()> {
        loop {
            let Some(connection) = self.transaction.opened(group) else {
                return Err(Error::Internal("no connection to read from".to_owned()));
            };
            if group != GroupId::COORDINATOR {
                return connection.fill().await;
            }
            let request = tokio::select! {
                biased;
                filled = connection.fill() => return filled,
                Some(request) = self.loopback.recv() => request,
            };
            loopback::serve_session(self, request).await;
        }
    }

    /// A RELEASE of the prologue may reach the coordinator's live tables as well.
    async fn skip_prologue_of(&mut self, group: GroupId) -> Result<()> {
        let Some(connection) = self.transaction.opened(group) else {
            return Err(Error::Internal("no connection to relay from".to_owned()));
        };
        if connection.skip_prologue_here().await? { Ok(()) } else { self.fill_from(group).await }
    }

    /// Passes on everything up to ReadyForQuery, which is kept back. Whether all went well.
    pub(super) async fn relay_query(&mut self, group: GroupId, relaying: &Relaying<'_>) -> Result<Outcome> {
        let mut outcome = Outcome::Succeeded;
        let rewrites = relaying.columns.is_some();
        loop {
            let ours = |tag| matches!(tag, b'Z' | b'E' | b'S' | b'G' | b'W') || (rewrites && tag == b'T');
            let passes = |tag| !ours(tag);
            let message = self.relay_until(group, passes).await?;
            match message.tag {
                b'Z' => return Ok(outcome),
                b'E' => {
                    self.push_server_error(&message.body, relaying);
                    outcome = Outcome::Failed;
                }
                b'T' => relaying.columns.iter().for_each(|it| it.put(self.client.buffer(), None)),
                b'S' => self.relay_parameter(&message.body),
                b'G' => self.relay_copy_in(group, &message.body).await?,
                other => {
                    return Err(Error::Internal(format!("a server sent a message of type {other} unasked")));
                }
            }
        }
    }

    /// Takes the answers to Parse and Bind, behind which the columns are told; the error, if there was one.
    pub(super) async fn take_binding(
        &mut self,
        group: GroupId,
        relaying: &Relaying<'_>,
    ) -> Result<Option<Refusal>> {
        let mut parsed = false;
        loop {
            let message = self.relay_until(group, |tag| matches!(tag, b'N' | b'A')).await?;
            match message.tag {
                b'1' => parsed = true,
                b'3' => {}
                b'2' => {
                    relaying.columns.iter().for_each(|it| it.put(self.client.buffer(), None));
                    return Ok(None);
                }
                b'S' => self.relay_parameter(&message.body),
                b'E' => return Ok(Some(Refusal { error: message.body, parsed })),
                other => {
                    return Err(Error::Internal(format!("a server answered Bind with message {other}")));
                }
            }
        }
    }

    pub(super) fn relay_parameter(&mut self, body: &[u8]) {
        if let Some((name, value)) = two_strings(body) {
            self.client.push_parameter(&name, &value);
        }
    }

    /// COPY FROM STDIN: the client's data goes to the node until the client ends it or the node fails.
    pub(super) async fn relay_copy_in(&mut self, group: GroupId, response: &[u8]) -> Result<()> {
        self.client.push(b'G', response);
        self.client.flush().await?;
        loop {
            let Some(connection) = self.transaction.opened(group) else { return Ok(()) };
            // An error of the node comes unasked: what the client still sends is then ignored by the caller.
            if connection.has_input() {
                return Ok(());
            }
            let frame = tokio::select! {
                biased;
                frame = self.client.next_message() => frame?,
                filled = connection.fill() => {
                    filled?;
                    continue;
                }
                Some(request) = self.loopback.recv() => {
                    loopback::serve_session(self, request).await;
                    continue;
                }
            };
            match frame.tag {
                b'd' | b'c' | b'f' => connection.queue_frame(frame.tag, &frame.body),
                // Sync and Flush are ignored during COPY ("COPY Operations" in protocol-flow).
                b'S' | b'H' => continue,
                other => {
                    let text = format!("unexpected message type 0x{other:02X} during COPY from stdin");
                    self.client.push_error(&Error::ProtocolViolation(text).fields());
                    let text = "terminating connection because protocol synchronization was lost";
                    return Err(fatal(SqlState::PROTOCOL_VIOLATION, text));
                }
            }
            let ended = frame.tag != b'd';
            if ended || connection.is_write_buffer_large() {
                connection.flush().await?;
            }
            if ended {
                return Ok(());
            }
        }
    }
}

/// A Parse or Bind that failed.
pub(super) struct Refusal {
    pub(super) error: Bytes,
    /// Parse had succeeded.
    pub(super) parsed: bool,
}

/// What is put in the place of a server's own messages.
#[derive(Clone, Copy, Default)]
pub(super) struct Relaying<'a> {
    /// The coordinator's RowDescription for a worker's.
    pub(super) columns: Option<&'a Columns>,
    /// The worker's query, what it is of, and the client's text: for errors.
    pub(super) shard: Option<(&'a str, &'a Distributed, &'a [u8])>,
}

impl Session {
    /// Tells the client, unless the statement may be tried again.
    pub(super) fn push_server_error(&mut self, body: &[u8], relaying: &Relaying<'_>) {
        let mut fields = error_fields(body);
        let missing = match relaying.shard {
            Some((_, distributed, _)) => misses_shard(&fields, &distributed.catalog),
            // A live table's. What commits by itself, as CALL does, may have done so before.
            None => self.transaction.is_in_progress() && misses_shard(&fields, &self.catalog()),
        };
        if let Some((query, distributed, text)) = relaying.shard {
            crate::shard_error::for_client(&mut fields, query, text, &distributed.catalog);
        } else {
            crate::shard_error::of_coordinator(&mut fields, &self.catalog());
        }
        // A server that ends ends one connection of ours, not the session.
        if fields.severity() > Severity::Error {
            fields.set_severity(Severity::Error);
        }
        match missing {
            true => {
                let alone = relaying.shard.is_some();
                self.missing_shard = Some(MissingShard { fields: Box::new(fields), alone });
            }
            false => self.client.push_error(&fields),
        }
    }
}

/// How a statement ended on a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    Succeeded,
    /// The client has the error already.
    Failed,
}
