//! Messages on their way to one server, and what is to be made of each answer.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use howdah_catalog::GroupId;
use howdah_pg::wire::frontend;

use super::Session;
use super::analysis::Route;
use super::extended::Pipeline;
use super::relay::Relaying;
use super::statements::Prepared;
use super::worker_statement::WorkerStatement;
use crate::error::{Error, Result};
use crate::server::{Message, ServerConnection};

pub(super) struct Flight {
    group: GroupId,
    replies: VecDeque<Reply>,
    /// The statement that the server's unnamed one stands for, once this flight made it.
    unnamed: Option<Arc<Prepared>>,
    /// Names whose Parse is under way.
    parsing: VecDeque<String>,
    /// The query of a worker that ran last, for its errors.
    query: Option<(Arc<WorkerStatement>, Arc<Prepared>)>,
    /// Sync went with it.
    synced: bool,
}

/// What one message of the client is answered by.
pub(super) enum Reply {
    /// By the router.
    Inject(Bytes),
    /// By this message of the server.
    Forward(u8),
    /// The client did not ask for it.
    Swallow(u8),
    /// ParseComplete of the client's own statement of this name.
    Parsed(Bytes),
    Describe,
    Execute,
}

impl Flight {
    pub(super) fn expect(&mut self, reply: Reply) {
        self.replies.push_back(reply);
    }

    pub(super) fn note_unnamed(&mut self, prepared: &Arc<Prepared>) {
        if prepared.server_name.is_empty() {
            self.unnamed = Some(prepared.clone());
        }
    }
}

impl Pipeline {
    pub(super) fn expect(&mut self, reply: Reply) {
        if let Some(flight) = &mut self.flight {
            flight.expect(reply);
        }
    }

    pub(super) fn note_unnamed(&mut self, prepared: &Arc<Prepared>) {
        if let Some(flight) = &mut self.flight {
            flight.note_unnamed(prepared);
        }
    }

    pub(super) fn has_unnamed(&self, prepared: &Arc<Prepared>) -> bool {
        let unnamed = self.flight.as_ref().and_then(|it| it.unnamed.as_ref());
        unnamed.is_some_and(|it| Arc::ptr_eq(it, prepared))
    }

    pub(super) fn note_parsing(&mut self, name: &str) {
        if let Some(flight) = &mut self.flight {
            flight.parsing.push_back(name.to_owned());
        }
    }

    pub(super) fn note_query(&mut self, query: Arc<WorkerStatement>, prepared: Arc<Prepared>) {
        if let Some(flight) = &mut self.flight {
            flight.query = Some((query, prepared));
        }
    }
}

impl Session {
    /// The flight to a node: the one under way, or a new one after that has landed.
    pub(super) async fn flight(&mut self, group: GroupId) -> Result<&mut Flight> {
        self.flight_for(group, false).await
    }

    /// The same for a statement that may write.
    pub(super) async fn flight_for(&mut self, group: GroupId, writes: bool) -> Result<&mut Flight> {
        if self.pipeline.flight.as_ref().is_some_and(|it| it.group != group) {
            self.land(self.is_in_block()).await?;
        }
        if self.pipeline.flight.is_none() {
            self.participant_for_statement(group, writes).await?;
        }
        let new = || Flight {
            group,
            replies: VecDeque::new(),
            unnamed: None,
            parsing: VecDeque::new(),
            query: None,
            synced: false,
        };
        Ok(self.pipeline.flight.get_or_insert_with(new))
    }

    /// The connection of the flight under way.
    pub(super) fn on_flight(&mut self) -> Result<&mut ServerConnection> {
        let group = self.pipeline.flight.as_ref().map(|it| it.group);
        let connection = group.and_then(|it| self.transaction.opened(it));
        connection.ok_or_else(|| Error::Internal("no flight is under way".to_owned()))
    }

    /// Sends what is queued and passes on the answers. `syncs`: the server's part ends with it.
    ///
    /// An error of the server has been told the client when this returns, and the pipeline skips.
    pub(super) async fn land(&mut self, syncs: bool) -> Result<()> {
        let Some(mut flight) = self.pipeline.flight.take() else { return Ok(()) };
        flight.synced = syncs;
        let group = flight.group;
        let refresh = syncs && group == GroupId::COORDINATOR && std::mem::take(&mut self.pipeline.refresh);
        let refresh = refresh.then(|| self.refresh_query());
        let Some(connection) = self.transaction.opened(group) else {
            return Err(Error::Internal("a flight without a connection".to_owned()));
        };
        match syncs {
            true => connection.queue_sync(),
            false => frontend::put_flush(connection.buffer()),
        }
        if let Some(refresh) = &refresh {
            connection.queue_query(refresh);
        }
        connection.flush().await?;
        let failed = !self.take_replies(&mut flight).await?;
        let copied = self.pipeline.copied;
        if failed {
            self.pipeline.skipping = true;
            self.transaction.fail();
            self.forget_parses(&flight);
        }
        match (syncs, failed) {
            (true, _) if copied && !failed => self.pipeline.unsynced.push(group),
            (true, _) => self.drain(group).await?,
            (false, true) => self.sync(group).await?,
            (false, false) if self.pipeline.unsynced.contains(&group) => {}
            (false, false) => self.pipeline.unsynced.push(group),
        }
        if refresh.is_some() && !copied {
            self.take_refresh().await?;
        }
        if syncs && !copied {
            self.pipeline.unsynced.retain(|it| *it != group);
            self.adopt_block();
        }
        let portals =
            group == GroupId::COORDINATOR && syncs && std::mem::take(&mut self.pipeline.leaves_portals);
        if portals && !failed && !copied {
            self.hold_portals().await?;
        }
        Ok(())
    }

    /// Planning may ask the coordinator, which must have answered everything before.
    pub(super) async fn land_before_questions(&mut self) -> Result<()> {
        self.land(self.is_in_block()).await?;
        match self.pipeline.skipping {
            // The client has been told why; this is not told, and stands for what is now skipped.
            true => Err(Error::InFailedTransaction),
            false => Ok(()),
        }
    }

    /// Whether all went well; else the error is with the client.
    async fn take_replies(&mut self, flight: &mut Flight) -> Result<bool> {
        while let Some(reply) = flight.replies.pop_front() {
            let done = match reply {
                Reply::Inject(messages) => {
                    self.client.buffer().extend_from_slice(&messages);
                    true
                }
                Reply::Execute => self.take_execute(flight).await?,
                Reply::Parsed(name) => {
                    let done = self.take_reply(flight, b"1", true).await?;
                    if !done {
                        self.statements.remove(&name);
                    }
                    done
                }
                Reply::Forward(tag) => self.take_reply(flight, &[tag], true).await?,
                Reply::Swallow(tag) => self.take_reply(flight, &[tag], false).await?,
                Reply::Describe => self.take_reply(flight, b"Tn", true).await?,
            };
            if !done {
                self.forget_unparsed_statements(flight);
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// One answer, which ends with a message of one of these types.
    async fn take_reply(&mut self, flight: &mut Flight, last: &[u8], forwards: bool) -> Result<bool> {
        loop {
            let message = self.message_of(flight.group).await?;
            match message.tag {
                b'E' => {
                    self.tell(flight, &message);
                    return Ok(false);
                }
                b'S' => self.relay_parameter(&message.body),
                b'N' | b'A' => self.client.push(message.tag, &message.body),
                tag => {
                    if tag == b'1' && !flight.parsing.is_empty() {
                        flight.parsing.pop_front();
                    }
                    if forwards {
                        self.client.push(tag, &message.body);
                    }
                    if last.contains(&tag) {
                        return Ok(true);
                    }
                }
            }
        }
    }

    async fn take_execute(&mut self, flight: &mut Flight) -> Result<bool> {
        loop {
            let passes = |tag| matches!(tag, b'D' | b'N' | b'A' | b'H' | b'd' | b'c' | b'T');
            let message = self.relay_until(flight.group, passes).await?;
            match message.tag {
                b'C' | b'I' | b's' => {
                    self.client.push(message.tag, &message.body);
                    return Ok(true);
                }
                b'E' => {
                    self.tell(flight, &message);
                    return Ok(false);
                }
                b'S' => self.relay_parameter(&message.body),
                b'G' => {
                    self.pipeline.copied = flight.synced;
                    if let Some(connection) = self.transaction.opened(flight.group) {
                        connection.forget_sync();
                    }
                    self.relay_copy_in(flight.group, &message.body).await?;
                    // The Sync that would make the server send its answer is still with the client.
                    if let Some(connection) = self.transaction.opened(flight.group) {
                        frontend::put_flush(connection.buffer());
                        connection.flush().await?;
                    }
                }
                other => {
                    return Err(Error::Internal(format!("a server answered Execute with message {other}")));
                }
            }
        }
    }

    fn tell(&mut self, flight: &Flight, message: &Message) {
        let shard = flight.query.as_ref().and_then(|(query, prepared)| match &prepared.analyzed.route {
            Route::Planned(it) => Some((query.text.as_str(), &**it, &*prepared.text)),
            _ => None,
        });
        self.push_server_error(&message.body, &Relaying { columns: None, shard });
    }

    /// Sends Sync to a server that has had none, and reads up to its ReadyForQuery.
    pub(super) async fn sync(&mut self, group: GroupId) -> Result<()> {
        let Some(connection) = self.transaction.opened(group) else { return Ok(()) };
        connection.queue_sync();
        connection.flush().await?;
        self.drain(group).await
    }

    pub(super) async fn drain(&mut self, group: GroupId) -> Result<()> {
        loop {
            let message = self.relay_until(group, |tag| matches!(tag, b'N' | b'A')).await?;
            match message.tag {
                b'Z' => return Ok(()),
                b'S' => self.relay_parameter(&message.body),
                // A deferred constraint speaks up at the end.
                b'E' => {
                    self.push_server_error(&message.body, &Relaying::default());
                    self.pipeline.skipping = true;
                    self.transaction.fail();
                }
                _ => {}
            }
        }
    }

    /// What was behind the error was not prepared.
    fn forget_parses(&mut self, flight: &Flight) {
        if let Some(connection) = self.transaction.opened(flight.group) {
            flight.parsing.iter().for_each(|it| connection.prepared.forget(it));
        }
    }

    fn forget_unparsed_statements(&mut self, flight: &Flight) {
        for reply in &flight.replies {
            if let Reply::Parsed(name) = reply {
                self.statements.remove(name);
            }
        }
    }
}
