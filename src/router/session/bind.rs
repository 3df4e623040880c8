//! Bind: decides where a portal is, and sends it there.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use howdah_catalog::GroupId;
use howdah_pg::SqlState;
use howdah_pg::wire::{ErrorFields, backend, frontend};

use super::Session;
use super::analysis::Route;
use super::dispatch::{Choice, choose};
use super::extended::Ahead;
use super::flight::Reply;
use super::portal::{Place, Portal, Rest};
use super::single_shard::Values;
use super::statements::Prepared;
use super::worker_statement::{Routed, WorkerStatement};
use crate::error::{Error, Result};
use crate::transaction::Block;

const COORDINATOR: GroupId = GroupId::COORDINATOR;

impl Session {
    pub(super) async fn on_bind(
        &mut self,
        bind: &frontend::Bind<'_>,
        body: &Bytes,
        ahead: Ahead,
    ) -> Result<()> {
        let mut prepared = self.statement(bind.statement).await?;
        if let Route::Planned(distributed) = &prepared.analyzed.route
            && let Some(text) = self.bind_as_text(distributed, bind).await?
            && let frontend::Message::Bind(bind) = frontend::parse(b'B', &text)?
        {
            return Box::pin(self.on_bind(&bind, &text, ahead)).await;
        }
        self.check_new_portal(bind.portal)?;
        if self.transaction.block() == Block::Failed && !matches!(prepared.analyzed.route, Route::Control(_))
        {
            return Err(Error::InFailedTransaction);
        }
        self.transaction.takes_no_snapshot = super::simple::locks_only(&prepared.text);
        let place = match &prepared.analyzed.route {
            Route::Empty | Route::Control(_) => Place::Router,
            Route::Local => {
                // The rest of the pipeline is to know what it changes, which is asked for only within a block.
                let changes = prepared.analyzed.effects.may_change_session && !prepared.analyzed.runs_alone();
                if changes && 1 < ahead.executes && self.transaction.block() == Block::None {
                    self.open_implicit().await?;
                }
                self.bind_on_coordinator(&prepared, bind).await?
            }
            // They take no parameters, and need more than the coordinator.
            Route::Utility | Route::Copy => Place::Router,
            Route::Explain(_) => Place::Router,
            Route::Planned(_) => {
                let (place, own) = self.bind_planned(&prepared, bind, ahead).await?;
                prepared = own.unwrap_or(prepared);
                place
            }
        };
        if place == Place::Router {
            let mut complete = BytesMut::new();
            backend::put_bind_complete(&mut complete);
            self.answer(&complete);
        }
        self.drop_portal(bind.portal).await?;
        let depth = self.savepoints();
        let portal = Portal { statement: prepared, bind: body.clone(), place, rest: Rest::default(), depth };
        self.portals.insert(Bytes::copy_from_slice(bind.portal), portal);
        Ok(())
    }

    /// Where the plan and the values lead; and the statement with another plan, if these values need one.
    async fn bind_planned(
        &mut self,
        prepared: &Arc<Prepared>,
        bind: &frontend::Bind<'_>,
        ahead: Ahead,
    ) -> Result<(Place, Option<Arc<Prepared>>)> {
        let Route::Planned(distributed) = &prepared.analyzed.route else {
            return Err(Error::Internal("only a planned statement is bound by its plan".to_owned()));
        };
        check_bound_parameters(bind, distributed.description.parameters.len())?;
        let values = Values {
            text: &prepared.text,
            literals: &prepared.literals,
            bind: Some(bind),
            parameter_types: &distributed.description.parameters,
            utf8: self.utf8,
        };
        let chosen = choose(distributed, &values)?;
        let needs_block = ahead.executes > 1 || !ahead.syncs || self.pipeline.executed;
        if needs_block && self.transaction.block() == Block::None {
            self.open_implicit().await?;
        }
        let mut own = None;
        let place = match chosen {
            Choice::Single(single, shard) => {
                let routed = Routed { single, shard, distributed, values: &values };
                let statement = self.worker_statement(&routed, prepared).await?;
                if single.writes {
                    self.flight_for(shard.group, true).await?;
                    self.transaction.mark_writer(shard.group);
                }
                self.bind_on_worker(prepared, bind, &routed, statement).await?;
                Place::Server(shard.group)
            }
            Choice::Coordinator { writes } => {
                self.open_for(&distributed.statement);
                let place = self.bind_on_coordinator(prepared, bind).await?;
                if writes {
                    self.transaction.mark_writer(COORDINATOR);
                }
                place
            }
            Choice::Executor(_) => Place::Router,
            Choice::Anew(plan) => {
                own = Some(Arc::new(prepared.with_plan(plan)));
                Place::Router
            }
        };
        Ok((place, own))
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
        self.live.statement(&prepared.text);
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
        routed: &Routed<'_>,
        statement: Arc<WorkerStatement>,
    ) -> Result<()> {
        self.flight(routed.shard.group).await?;
        self.ensure_prepared(prepared, &statement.name, statement.text.as_bytes(), &statement.types)?;
        let literals = routed.literals(routed.typed_parameters());
        let connection = self.on_flight()?;
        let name = statement.name.as_bytes();
        frontend::put_bind_extended(connection.buffer(), bind.portal, name, bind, &literals);
        self.pipeline.expect(Reply::Forward(b'2'));
        self.pipeline.note_query(statement, prepared.clone());
        Ok(())
    }
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
