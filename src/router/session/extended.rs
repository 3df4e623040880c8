//! The extended query protocol. Messages are gathered up to Sync or Flush and run as a pipeline: what goes to
//! one server goes in one write.

use std::time::Duration;

use bytes::BytesMut;
use howdah_catalog::GroupId;
use howdah_pg::wire::backend;
use howdah_pg::wire::frontend::{self, Message, Target};

use super::Session;
use super::flight::{Flight, Reply};
use super::portal::{Place, Portal};
use crate::duplex::Frame;
use crate::error::{Error, MissingShard, Result};
use crate::transaction::Block;

/// What is between two Syncs.
#[derive(Default)]
pub(super) struct Pipeline {
    /// After an error everything up to Sync is ignored.
    pub(super) skipping: bool,
    pub(super) flight: Option<Flight>,
    /// Servers that were sent messages without Sync.
    pub(super) unsynced: Vec<GroupId>,
    /// Something was executed since the last Sync.
    pub(super) executed: bool,
    /// Session state is to be read after the statements.
    pub(super) refresh: bool,
    /// A portal of the coordinator may still be open after it.
    pub(super) leaves_portals: bool,
    /// A COPY from the client ran: it swallowed the Sync.
    pub(super) copied: bool,
}

impl Pipeline {
    /// Nothing has come since the last Sync.
    fn is_fresh(&self) -> bool {
        !self.skipping && !self.executed && self.flight.is_none() && self.unsynced.is_empty() && !self.copied
    }
}

/// The rest of a batch, as far as a message must know of it.
#[derive(Clone, Copy)]
pub(super) struct Ahead {
    pub(super) executes: usize,
    pub(super) syncs: bool,
}

impl Session {
    /// Runs messages from `first` up to the next Sync or Flush, or to the limits of a pipeline. Returns the
    /// message that does not belong to them, if one ended them.
    pub(super) async fn extended(&mut self, first: Frame) -> Result<Option<Frame>> {
        let mut batch = vec![first];
        let mut other = None;
        let mut size = batch[0].body.len();
        while !matches!(batch[batch.len() - 1].tag, b'S' | b'H') {
            let limits = &self.router.config.limits;
            if limits.pipeline_bytes <= size || limits.pipeline_messages <= batch.len() {
                break;
            }
            let Some(frame) = self.next_of_batch(batch[batch.len() - 1].tag).await? else { break };
            if !is_extended(frame.tag) {
                other = Some(frame);
                break;
            }
            size += frame.body.len();
            batch.push(frame);
        }
        self.run_batch(&batch).await?;
        Ok(other)
    }

    /// The next message. A client that stops after Execute may wait for a COPY to begin, which needs no Sync: then
    /// there is none.
    async fn next_of_batch(&mut self, last: u8) -> Result<Option<Frame>> {
        if last != b'E' || self.client.has_message()? {
            return self.client.next_message().await.map(Some);
        }
        match tokio::time::timeout(PAUSE, self.client.next_message()).await {
            Ok(frame) => frame.map(Some),
            Err(_) => Ok(None),
        }
    }

    async fn run_batch(&mut self, batch: &[Frame]) -> Result<()> {
        let complete = self.pipeline.is_fresh() && batch.last().is_some_and(|it| it.tag == b'S');
        let mut departure = self.departure(complete);
        loop {
            let synced = self.run_messages(batch).await?;
            let Some(missing) = self.missing_shard.take() else { return self.end_batch(synced).await };
            for group in std::mem::take(&mut self.pipeline.unsynced) {
                self.sync(group).await?;
            }
            // In a block of the client's, several statements are not told apart.
            let alone = missing.alone && batch.iter().filter(|it| it.tag == b'E').count() <= 1;
            match self.go_back(&mut departure, MissingShard { alone, ..missing }).await {
                Ok(()) => self.forget_batch(batch)?,
                Err(error) => {
                    self.report(error)?;
                    return self.end_batch(synced).await;
                }
            }
        }
    }

    async fn end_batch(&mut self, synced: bool) -> Result<()> {
        match synced {
            true => self.on_sync().await,
            // An error is sent at once: the client may wait for a COPY to begin before it sends Sync.
            false if self.pipeline.skipping => self.client.flush().await,
            false => Ok(()),
        }
    }

    /// As if its messages had not come.
    fn forget_batch(&mut self, batch: &[Frame]) -> Result<()> {
        self.pipeline = Pipeline::default();
        for frame in batch {
            match frontend::parse(frame.tag, &frame.body)? {
                Message::Parse(parse) => drop(self.statements.remove(parse.statement)),
                Message::Bind(bind) => drop(self.portals.remove(bind.portal)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Runs everything up to Sync, and lands; whether there was one.
    async fn run_messages(&mut self, batch: &[Frame]) -> Result<bool> {
        let syncs = batch.last().is_some_and(|it| it.tag == b'S');
        let mut executes = batch.iter().filter(|it| it.tag == b'E').count();
        for frame in batch {
            if frame.tag == b'S' {
                return self.land_at_sync(frame).await;
            }
            if self.pipeline.skipping {
                continue;
            }
            let ahead = Ahead { executes, syncs };
            if frame.tag == b'E' {
                executes -= 1;
            }
            if let Err(error) = self.on_message(frame, ahead).await {
                self.fail_pipeline(error).await?;
            }
        }
        if batch.last().is_some_and(|it| it.tag == b'E')
            && let Err(error) = self.land(self.is_in_block()).await
        {
            self.fail_pipeline(error).await?;
        }
        Ok(false)
    }

    async fn land_at_sync(&mut self, frame: &Frame) -> Result<bool> {
        if let Err(error) = frontend::parse(b'S', &frame.body) {
            self.fail_pipeline(error.into()).await?;
            return Ok(false);
        }
        if let Err(error) = self.land(true).await {
            self.report(error)?;
            self.pipeline.skipping = true;
        }
        Ok(true)
    }

    async fn on_message(&mut self, frame: &Frame, ahead: Ahead) -> Result<()> {
        match frontend::parse(frame.tag, &frame.body)? {
            Message::Parse(parse) => self.on_parse(&parse, &frame.body).await,
            Message::Bind(bind) => self.on_bind(&bind, &frame.body, ahead).await,
            Message::Describe(target) => self.on_describe(target).await,
            Message::Execute(execute) => self.on_execute(execute, ahead).await,
            Message::Close(target) => self.on_close(target).await,
            Message::Flush => {
                self.land(self.is_in_block()).await?;
                self.client.flush().await
            }
            _ => Err(Error::Internal("a message of another protocol in a pipeline".to_owned())),
        }
    }

    /// After an error: what came before it is answered, then it is told, then everything waits for Sync.
    async fn fail_pipeline(&mut self, error: Error) -> Result<()> {
        if error.ends_session() {
            return Err(error);
        }
        if let Err(earlier) = self.land(self.is_in_block()).await {
            self.report(earlier)?;
        } else if !self.pipeline.skipping {
            match error {
                Error::MissingShard(missing) => self.missing_shard = Some(missing),
                error => self.report(error)?,
            }
        }
        self.pipeline.skipping = true;
        self.pipeline.flight = None;
        Ok(())
    }

    async fn on_close(&mut self, target: Target<'_>) -> Result<()> {
        match target {
            Target::Statement(name) => {
                self.statements.remove(name);
            }
            Target::Portal(name) => {
                let place = self.drop_portal(name).await?;
                // What is not known here may be a cursor of DECLARE.
                let is_cursor = place.is_none() && !name.is_empty();
                if let Some(Place::Server(group)) =
                    place.or(is_cursor.then_some(Place::Server(GroupId::COORDINATOR)))
                    && self.transaction.opened(group).is_some()
                {
                    self.flight(group).await?;
                    let connection = self.on_flight()?;
                    frontend::put_close(connection.buffer(), target);
                    self.pipeline.expect(Reply::Forward(b'3'));
                    return Ok(());
                }
            }
        }
        let mut complete = BytesMut::new();
        backend::put_close_complete(&mut complete);
        self.answer(&complete);
        Ok(())
    }

    /// Ends the pipeline: what commits by itself commits now.
    async fn on_sync(&mut self) -> Result<()> {
        if self.pipeline.copied {
            // A server ignores Sync during COPY; so the client's next one is the one that counts.
            self.pipeline.copied = false;
            return self.client.flush().await;
        }
        let ended = self.end_pipeline().await;
        if let Err(error) = ended {
            self.report(error)?;
        }
        self.pipeline = Pipeline::default();
        if self.transaction.block() == Block::None {
            self.portals.clear();
        }
        self.ready_for_query().await
    }

    async fn end_pipeline(&mut self) -> Result<()> {
        for group in std::mem::take(&mut self.pipeline.unsynced) {
            self.sync(group).await?;
        }
        if self.transaction.block() == Block::Implicit {
            return match self.pipeline.skipping {
                true => self.roll_back_block().await,
                false => self.commit_block().await,
            };
        }
        self.end_unit().await
    }

    pub(super) fn portal(&self, name: &[u8]) -> Result<&Portal> {
        let missing = || Error::UndefinedPortal(String::from_utf8_lossy(name).into_owned());
        self.portals.get(name).ok_or_else(missing)
    }

    /// Answers in the router's own name, behind what servers have yet to answer.
    pub(super) fn answer(&mut self, messages: &BytesMut) {
        match &mut self.pipeline.flight {
            Some(flight) => flight.expect(Reply::Inject(messages.clone().freeze())),
            None => self.client.buffer().extend_from_slice(messages),
        }
    }

    pub(super) fn is_in_block(&self) -> bool {
        self.transaction.block() != Block::None
    }
}

fn is_extended(tag: u8) -> bool {
    matches!(tag, b'P' | b'B' | b'D' | b'E' | b'C' | b'S' | b'H')
}

/// After this a client that sent Execute is taken to wait for an answer.
const PAUSE: Duration = Duration::from_millis(20);
