//! The extended query protocol. Messages are gathered up to Sync or Flush and run as a pipeline: what goes to
//! one server goes in one write.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use howdah_catalog::GroupId;
use howdah_pg::wire::frontend::{self, Message, Target};
use howdah_pg::wire::{ErrorFields, backend};
use howdah_pg::{SqlState, TypeOid};
use howdah_sql::Kind;

use super::Session;
use super::analysis::{Analyzed, Route};
use super::dispatch::{Choice, choose, execution};
use super::flight::{Flight, Reply};
use super::portal::{Place, Portal};
use super::relay::Outcome;
use super::single_shard::Values;
use crate::duplex::Frame;
use crate::error::{Error, Result};
use crate::transaction::Block;

const COORDINATOR: GroupId = GroupId::COORDINATOR;

/// A client's prepared statement.
pub(super) struct Prepared {
    pub(super) text: Bytes,
    pub(super) types: Vec<TypeOid>,
    /// Its name on the coordinator: empty for the unnamed one, else it says what it stands for.
    pub(super) server_name: String,
    pub(super) analyzed: Arc<Analyzed>,
    /// Under which `analyzed` holds.
    pub(super) environment: [u8; 16],
}

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

/// The rest of a batch, as far as a message must know of it.
#[derive(Clone, Copy)]
struct Ahead {
    executes: usize,
    syncs: bool,
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
        if last != b'E' {
            return self.client.next_message().await.map(Some);
        }
        match tokio::time::timeout(PAUSE, self.client.next_message()).await {
            Ok(frame) => frame.map(Some),
            Err(_) => Ok(None),
        }
    }

    async fn run_batch(&mut self, batch: &[Frame]) -> Result<()> {
        let syncs = batch.last().is_some_and(|it| it.tag == b'S');
        let mut executes = batch.iter().filter(|it| it.tag == b'E').count();
        for frame in batch {
            if frame.tag == b'S' {
                match frontend::parse(b'S', &frame.body) {
                    Ok(_) => self.on_sync().await?,
                    Err(error) => self.fail_pipeline(error.into()).await?,
                }
                continue;
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
        Ok(())
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
            self.report(error)?;
        }
        self.pipeline.skipping = true;
        self.pipeline.flight = None;
        Ok(())
    }

    async fn on_parse(&mut self, parse: &frontend::Parse<'_>, body: &Bytes) -> Result<()> {
        let unnamed = parse.statement.is_empty();
        if self.transaction.block() == Block::Failed && !super::simple::is_control(parse.text) {
            return Err(Error::InFailedTransaction);
        }
        if !unnamed {
            self.check_new_statement(parse.statement)?;
        }
        let types: Vec<TypeOid> = parse.parameter_types.iter().collect();
        if self.kept.has_statements() {
            self.land(self.is_in_block()).await?;
        }
        let translated = self.translate_execute(parse.text).await?.map(Bytes::from);
        let text = translated.unwrap_or_else(|| body.slice_ref(parse.text));
        self.land_before_questions(&text, &types).await?;
        let analyzed = self.analyze(&text, &types).await?;
        let environment = self.environment();
        let server_name = match unnamed {
            true => String::new(),
            false => statement_name(b'c', &environment, &text, &types),
        };
        let prepared = Arc::new(Prepared { text, types, server_name, analyzed, environment });
        if matches!(prepared.analyzed.route, Route::Local | Route::Utility | Route::Copy) {
            self.parse_on_coordinator(&prepared).await?;
            self.pipeline.expect(Reply::Parsed(Bytes::copy_from_slice(parse.statement)));
        } else {
            let mut complete = BytesMut::new();
            backend::put_parse_complete(&mut complete);
            self.answer(&complete);
        }
        self.statements.insert(Bytes::copy_from_slice(parse.statement), prepared);
        Ok(())
    }

    /// Planning may ask the coordinator, which must have answered everything before.
    async fn land_before_questions(&mut self, text: &[u8], types: &[TypeOid]) -> Result<()> {
        if self.pipeline.flight.is_some() && !self.is_known(text, types) {
            self.land(self.is_in_block()).await?;
        }
        Ok(())
    }

    fn check_new_statement(&self, name: &[u8]) -> Result<()> {
        if self.statements.contains_key(name) {
            let message = format!("prepared statement \"{}\" already exists", String::from_utf8_lossy(name));
            return Err(ErrorFields::error(SqlState::DUPLICATE_PREPARED_STATEMENT, message).into());
        }
        if self.router.config.limits.statements_per_session <= self.statements.len() {
            return Err(Error::LimitExceeded("too many prepared statements in one session".to_owned()));
        }
        Ok(())
    }

    /// A client's own Parse is always PostgreSQL's to check, so that it never meets an old meaning.
    async fn parse_on_coordinator(&mut self, prepared: &Arc<Prepared>) -> Result<()> {
        let flight = self.flight(COORDINATOR).await?;
        flight.note_unnamed(prepared);
        let name = prepared.server_name.as_str();
        let connection = self.on_flight()?;
        let known = !name.is_empty() && connection.prepared.touch(name);
        if known {
            frontend::put_close(connection.buffer(), Target::Statement(name.as_bytes()));
        }
        let evicted = match name.is_empty() || known {
            true => None,
            false => connection.prepared.insert(name),
        };
        if let Some(evicted) = &evicted {
            frontend::put_close(connection.buffer(), Target::Statement(evicted.as_bytes()));
        }
        frontend::put_parse(connection.buffer(), name.as_bytes(), &prepared.text, &prepared.types);
        if known || evicted.is_some() {
            self.pipeline.expect(Reply::Swallow(b'3'));
        }
        if !name.is_empty() {
            self.pipeline.note_parsing(name);
        }
        Ok(())
    }

    async fn on_bind(&mut self, bind: &frontend::Bind<'_>, body: &Bytes, ahead: Ahead) -> Result<()> {
        let prepared = self.statement(bind.statement).await?;
        self.check_new_portal(bind.portal)?;
        if self.transaction.block() == Block::Failed && !matches!(prepared.analyzed.route, Route::Control(_))
        {
            return Err(Error::InFailedTransaction);
        }
        let place = match &prepared.analyzed.route {
            Route::Empty | Route::Control(_) => Place::Router,
            Route::Local => self.bind_on_coordinator(&prepared, bind).await?,
            // They take no parameters, and need more than the coordinator.
            Route::Utility | Route::Copy => Place::Router,
            Route::Explain(_) => Place::Router,
            Route::Planned(distributed) => {
                check_bound_parameters(bind, distributed.description.parameters.len())?;
                let literals = self.take_literals(&prepared.text);
                let values = Values {
                    text: &prepared.text,
                    literals: &literals,
                    bind: Some(bind),
                    parameter_types: &distributed.description.parameters,
                    utf8: self.utf8,
                };
                let chosen = choose(distributed, &values)?;
                let needs_block = ahead.executes > 1 || !ahead.syncs || self.pipeline.executed;
                if needs_block && self.transaction.block() == Block::None {
                    self.open_implicit().await?;
                }
                let place = match chosen {
                    Choice::Single(single, shard) => {
                        let query = self.worker_query(single, shard, distributed, &values).await?;
                        if single.writes {
                            self.flight(shard.group).await?;
                            self.transaction.mark_writer(shard.group);
                        }
                        self.bind_on_worker(&prepared, bind, shard.group, query).await?;
                        Place::Server(shard.group)
                    }
                    Choice::Coordinator { writes } => {
                        self.open_for(&distributed.statement);
                        let place = self.bind_on_coordinator(&prepared, bind).await?;
                        if writes {
                            self.transaction.mark_writer(COORDINATOR);
                        }
                        place
                    }
                    Choice::Executor(_) => Place::Router,
                };
                self.shape.literals = literals;
                place
            }
        };
        if place == Place::Router {
            let mut complete = BytesMut::new();
            backend::put_bind_complete(&mut complete);
            self.answer(&complete);
        }
        let portal = Portal { statement: prepared, bind: body.clone(), place, held: None };
        self.portals.insert(Bytes::copy_from_slice(bind.portal), portal);
        Ok(())
    }

    fn check_new_portal(&self, name: &[u8]) -> Result<()> {
        if !name.is_empty() && self.portals.contains_key(name) {
            let message = format!("cursor \"{}\" already exists", String::from_utf8_lossy(name));
            return Err(ErrorFields::error(SqlState::DUPLICATE_CURSOR, message).into());
        }
        if self.router.config.limits.statements_per_session <= self.portals.len() {
            return Err(Error::LimitExceeded("too many portals in one session".to_owned()));
        }
        Ok(())
    }

    /// From here on the pipeline commits as a whole, on all nodes.
    async fn open_implicit(&mut self) -> Result<()> {
        self.land(false).await?;
        self.begin_implicit();
        // What a node did without BEGIN becomes part of the block when BEGIN follows ("Pipelining" in
        // protocol-flow; `BeginTransactionBlock` in an implicit one).
        for group in self.transaction.groups() {
            self.participant(group).await?;
        }
        Ok(())
    }

    async fn bind_on_coordinator(
        &mut self,
        prepared: &Arc<Prepared>,
        bind: &frontend::Bind<'_>,
    ) -> Result<Place> {
        if prepared.analyzed.effects.runs_code && self.transaction.block() == Block::None {
            self.land(false).await?;
            self.transaction.open_statement();
        }
        self.live.statement();
        self.flight(COORDINATOR).await?;
        self.pipeline.leaves_portals |= !bind.portal.is_empty()
            || super::simple::leaves_portals(&prepared.text, prepared.analyzed.effects);
        self.ensure_prepared(prepared, &prepared.server_name, &prepared.text, &prepared.types)?;
        let connection = self.on_flight()?;
        let name = prepared.server_name.as_bytes();
        frontend::put_bind_renamed(connection.buffer(), bind.portal, name, bind);
        self.pipeline.expect(Reply::Forward(b'2'));
        Ok(Place::Server(COORDINATOR))
    }

    async fn bind_on_worker(
        &mut self,
        prepared: &Arc<Prepared>,
        bind: &frontend::Bind<'_>,
        group: GroupId,
        query: String,
    ) -> Result<()> {
        let Route::Planned(distributed) = &prepared.analyzed.route else {
            return Err(Error::Internal("only a planned statement runs on a worker".to_owned()));
        };
        self.flight(group).await?;
        // Types of users have other OIDs there: the worker finds them out by itself.
        let known = |it: &TypeOid| if it.0 < FIRST_NORMAL_OID { *it } else { TypeOid(0) };
        let types: Vec<TypeOid> = distributed.description.parameters.iter().map(known).collect();
        let name = statement_name(b'w', &prepared.environment, query.as_bytes(), &types);
        self.ensure_prepared(prepared, &name, query.as_bytes(), &types)?;
        let connection = self.on_flight()?;
        frontend::put_bind_renamed(connection.buffer(), bind.portal, name.as_bytes(), bind);
        self.pipeline.expect(Reply::Forward(b'2'));
        self.pipeline.note_query(query, prepared.clone());
        Ok(())
    }

    /// Sends Parse in front, unless the connection of the flight has the statement.
    fn ensure_prepared(
        &mut self,
        prepared: &Arc<Prepared>,
        name: &str,
        text: &[u8],
        types: &[TypeOid],
    ) -> Result<()> {
        if name.is_empty() && self.pipeline.has_unnamed(prepared) {
            return Ok(());
        }
        let connection = self.on_flight()?;
        if !name.is_empty() && connection.prepared.touch(name) {
            return Ok(());
        }
        let evicted = match name.is_empty() {
            true => None,
            false => connection.prepared.insert(name),
        };
        if let Some(evicted) = &evicted {
            frontend::put_close(connection.buffer(), Target::Statement(evicted.as_bytes()));
        }
        frontend::put_parse(connection.buffer(), name.as_bytes(), text, types);
        if evicted.is_some() {
            self.pipeline.expect(Reply::Swallow(b'3'));
        }
        match name.is_empty() {
            true => self.pipeline.note_unnamed(prepared),
            false => self.pipeline.note_parsing(name),
        }
        self.pipeline.expect(Reply::Swallow(b'1'));
        Ok(())
    }

    async fn on_describe(&mut self, target: Target<'_>) -> Result<()> {
        let mut answer = BytesMut::new();
        match target {
            Target::Statement(name) => {
                let prepared = self.statement(name).await?;
                match &prepared.analyzed.route {
                    Route::Planned(it) => it.description.put_for_statement(&mut answer),
                    Route::Empty | Route::Control(_) => {
                        backend::put_parameter_description(&mut answer, &[]);
                        backend::put_no_data(&mut answer);
                    }
                    Route::Explain(_) => {
                        backend::put_parameter_description(&mut answer, &prepared.types);
                        super::portal::put_plan_column(&mut answer);
                    }
                    Route::Local | Route::Utility | Route::Copy => {
                        self.flight(COORDINATOR).await?;
                        self.ensure_prepared(
                            &prepared,
                            &prepared.server_name,
                            &prepared.text,
                            &prepared.types,
                        )?;
                        let connection = self.on_flight()?;
                        let name = prepared.server_name.as_bytes();
                        frontend::put_describe(connection.buffer(), Target::Statement(name));
                        self.pipeline.expect(Reply::Describe);
                        return Ok(());
                    }
                }
            }
            Target::Portal(name) => {
                let portal = self.portal(name)?;
                let (prepared, bind, place) = (portal.statement.clone(), portal.bind.clone(), portal.place);
                match (&prepared.analyzed.route, place) {
                    (Route::Planned(it), _) => {
                        let Message::Bind(bind) = frontend::parse(b'B', &bind)? else { return Ok(()) };
                        it.description.put_columns(&mut answer, Some(&bind.result_formats));
                    }
                    (Route::Explain(_), _) => super::portal::put_plan_column(&mut answer),
                    (_, Place::Server(group)) => {
                        self.flight(group).await?;
                        let connection = self.on_flight()?;
                        frontend::put_describe(connection.buffer(), target);
                        self.pipeline.expect(Reply::Describe);
                        return Ok(());
                    }
                    (_, Place::Router) => backend::put_no_data(&mut answer),
                }
            }
        }
        self.answer(&answer);
        Ok(())
    }

    async fn on_execute(&mut self, execute: frontend::Execute<'_>, ahead: Ahead) -> Result<()> {
        let portal = self.portal(execute.portal)?;
        let (prepared, bind, place) = (portal.statement.clone(), portal.bind.clone(), portal.place);
        let analyzed = prepared.analyzed.clone();
        let is_control = matches!(analyzed.route, Route::Control(_));
        if self.transaction.block() == Block::Failed && !is_control {
            return Err(Error::InFailedTransaction);
        }
        self.custom_settings.extend(analyzed.custom_settings.iter().cloned());
        if let Place::Server(group) = place {
            self.pipeline.executed = true;
            let sets_transaction = analyzed.statement.as_ref().is_some_and(|it| self.is_set_transaction(it));
            if sets_transaction {
                self.land(self.is_in_block()).await?;
                return self.set_transaction(&String::from_utf8_lossy(&prepared.text)).await;
            }
            self.flight(group).await?;
            let refreshes = analyzed.effects.may_change_session || self.is_passthrough();
            if refreshes && let Some(connection) = self.transaction.opened(COORDINATOR) {
                connection.taint(true);
            }
            match group == COORDINATOR && refreshes {
                true if super::simple::may_copy(&prepared.text) => self.suspect = true,
                refreshes => self.pipeline.refresh |= refreshes,
            }
            if group == COORDINATOR
                && let Some(connection) = self.transaction.opened(COORDINATOR)
            {
                connection.note_sequences(analyzed.may_write() || analyzed.effects.uses_sequences);
            }
            if group == COORDINATOR && analyzed.may_write() && matches!(analyzed.route, Route::Local) {
                self.transaction.mark_writer(COORDINATOR);
            }
            self.pipeline.leaves_portals |= 0 < execute.max_rows;
            let connection = self.on_flight()?;
            frontend::put_execute(connection.buffer(), execute.portal, execute.max_rows);
            self.pipeline.expect(Reply::Execute);
            return Ok(());
        }
        self.land(self.is_in_block()).await?;
        match &analyzed.route {
            Route::Empty => backend::put_empty_query_response(self.client.buffer()),
            Route::Control(command) => {
                self.portals.clear();
                let text = String::from_utf8_lossy(&prepared.text).into_owned();
                self.control(command, text.trim().trim_end_matches(';')).await?;
            }
            Route::Explain(distributed) => {
                let Some(statement) = &analyzed.statement else { return Ok(()) };
                let text = distributed.statement.text().as_bytes();
                let literals = self.take_literals(text);
                let Message::Bind(bind) = frontend::parse(b'B', &bind)? else { return Ok(()) };
                let values = Values {
                    text,
                    literals: &literals,
                    bind: Some(&bind),
                    parameter_types: &distributed.description.parameters,
                    utf8: self.utf8,
                };
                let execution = execution(distributed, &distributed.planned, &values)?;
                crate::executor::explain(self, statement, &execution).await?;
            }
            Route::Planned(_) => {
                self.pipeline.executed = true;
                self.execute_held(execute, &prepared, &bind).await?;
            }
            Route::Utility => {
                let outcome = self.run_utility(&prepared.text, &analyzed).await?;
                self.pipeline.skipping |= outcome == Outcome::Failed;
            }
            Route::Copy => {
                let outcome = self.run_copy(&prepared.text, &analyzed).await?;
                self.pipeline.skipping |= outcome == Outcome::Failed;
                // The Sync that came with it was part of the conversation of COPY, and is not answered.
                self.pipeline.copied =
                    ahead.syncs && analyzed.statement.as_ref().is_some_and(|it| *it.kind() == Kind::CopyFrom);
            }
            Route::Local => {}
        }
        Ok(())
    }

    /// Runs a portal by the executor. Rows beyond the limit wait in the portal.
    async fn execute_held(
        &mut self,
        execute: frontend::Execute<'_>,
        prepared: &Arc<Prepared>,
        bind: &Bytes,
    ) -> Result<()> {
        let held = self.portals.get_mut(execute.portal).and_then(|it| it.held.take());
        let mut held = match held {
            Some(held) => held,
            None if execute.max_rows <= 0 => return self.execute_planned(prepared, bind).await,
            None => {
                self.client.hold();
                let result = self.execute_planned(prepared, bind).await;
                let held = self.client.release();
                result?;
                held.freeze()
            }
        };
        super::portal::put_rows(&mut held, execute.max_rows, self.client.buffer())?;
        if let Some(portal) = self.portals.get_mut(execute.portal) {
            portal.held = Some(held);
        }
        Ok(())
    }

    async fn execute_planned(&mut self, prepared: &Arc<Prepared>, bind: &Bytes) -> Result<()> {
        let Route::Planned(distributed) = &prepared.analyzed.route else { return Ok(()) };
        let Message::Bind(bind) = frontend::parse(b'B', bind)? else { return Ok(()) };
        let literals = self.take_literals(&prepared.text);
        let values = Values {
            text: &prepared.text,
            literals: &literals,
            bind: Some(&bind),
            parameter_types: &distributed.description.parameters,
            utf8: self.utf8,
        };
        let Choice::Executor(planned) = choose(distributed, &values)? else {
            return Err(Error::Internal("a portal changed its plan".to_owned()));
        };
        let execution = execution(distributed, planned, &values)?;
        self.execute_by_router(&execution).await.map(drop)
    }

    async fn on_close(&mut self, target: Target<'_>) -> Result<()> {
        match target {
            Target::Statement(name) => {
                self.statements.remove(name);
            }
            Target::Portal(name) => {
                let place = self.portals.remove(name).map(|it| it.place);
                if let Some(Place::Server(group)) = place
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
        if let Err(error) = self.land(true).await {
            self.report(error)?;
            self.pipeline.skipping = true;
        }
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

    /// A statement of the client's, understood as of now.
    async fn statement(&mut self, name: &[u8]) -> Result<Arc<Prepared>> {
        let Some(prepared) = self.statements.get(name).cloned() else {
            return Err(no_statement(name));
        };
        if prepared.environment == self.environment() {
            return Ok(prepared);
        }
        self.land_before_questions(&prepared.text, &prepared.types).await?;
        let analyzed = self.analyze(&prepared.text, &prepared.types).await?;
        let environment = self.environment();
        let server_name = match prepared.server_name.is_empty() {
            true => String::new(),
            false => statement_name(b'c', &environment, &prepared.text, &prepared.types),
        };
        let (text, types) = (prepared.text.clone(), prepared.types.clone());
        let prepared = Arc::new(Prepared { text, types, server_name, analyzed, environment });
        self.statements.insert(Bytes::copy_from_slice(name), prepared.clone());
        Ok(prepared)
    }

    fn portal(&self, name: &[u8]) -> Result<&Portal> {
        let missing = || Error::UndefinedPortal(String::from_utf8_lossy(name).into_owned());
        self.portals.get(name).ok_or_else(missing)
    }

    /// Answers in the router's own name, behind what servers have yet to answer.
    fn answer(&mut self, messages: &BytesMut) {
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

fn check_bound_parameters(bind: &frontend::Bind<'_>, expected: usize) -> Result<()> {
    if bind.parameters.len() == expected {
        return Ok(());
    }
    let message = format!(
        "bind message supplies {} parameters, but prepared statement \"{}\" requires {expected}",
        bind.parameters.len(),
        String::from_utf8_lossy(bind.statement)
    );
    Err(ErrorFields::error(SqlState::PROTOCOL_VIOLATION, message).into())
}

fn no_statement(name: &[u8]) -> Error {
    let message = match name {
        b"" => "unnamed prepared statement does not exist".to_owned(),
        name => format!("prepared statement \"{}\" does not exist", String::from_utf8_lossy(name)),
    };
    ErrorFields::error(SqlState::INVALID_SQL_STATEMENT_NAME, message).into()
}

/// A name that two statements share only if they are the same: they are met on connections that other sessions
/// prepared them on.
fn statement_name(kind: u8, environment: &[u8; 16], text: &[u8], types: &[TypeOid]) -> String {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    context.update(environment);
    types.iter().for_each(|it| context.update(&it.0.to_be_bytes()));
    context.update(&[0]);
    context.update(text);
    let digest = context.finish();
    let mut name = String::with_capacity(34);
    name.push(char::from(kind));
    for byte in &digest.as_ref()[..16] {
        let hex = |it: u8| char::from(b"0123456789abcdef"[usize::from(it)]);
        name.push(hex(byte >> 4));
        name.push(hex(byte & 15));
    }
    name
}

/// After this a client that sent Execute is taken to wait for an answer.
const PAUSE: Duration = Duration::from_millis(20);

/// `FirstNormalObjectId` of transam.h.
const FIRST_NORMAL_OID: u32 = 16384;

pub(super) type Statements = HashMap<Bytes, Arc<Prepared>>;
pub(super) type Portals = HashMap<Bytes, Portal>;
