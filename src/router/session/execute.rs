//! Execute: runs a portal where Bind put it.

use std::sync::Arc;

use bytes::Bytes;
use howdah_catalog::GroupId;
use howdah_pg::wire::backend;
use howdah_pg::wire::frontend::{self, Message};
use howdah_sql::Kind;

use super::Session;
use super::analysis::{Distributed, Route};
use super::dispatch::{Choice, choose, execution};
use super::extended::Ahead;
use super::flight::Reply;
use super::portal::{Place, Rest};
use super::relay::Outcome;
use super::single_shard::Values;
use super::statements::Prepared;
use crate::error::{Error, Result};
use crate::executor::Portions;
use crate::transaction::Block;

const COORDINATOR: GroupId = GroupId::COORDINATOR;

impl Session {
    pub(super) async fn on_execute(&mut self, execute: frontend::Execute<'_>, ahead: Ahead) -> Result<()> {
        let portal = self.portal(execute.portal)?;
        let (prepared, bind, place) = (portal.statement.clone(), portal.bind.clone(), portal.place);
        let analyzed = prepared.analyzed.clone();
        let is_control = matches!(analyzed.route, Route::Control(_));
        if self.transaction.block() == Block::Failed && !is_control {
            return Err(Error::InFailedTransaction);
        }
        self.custom_settings.extend(analyzed.custom_settings.iter().cloned());
        self.transaction.takes_no_snapshot = super::simple::locks_only(&prepared.text);
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
            self.asks_sequences |= analyzed.effects.asks_sequences;
            if group == COORDINATOR {
                self.coordinator_for(analyzed.effects.draws(analyzed.may_write())).await?;
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
                self.execute_in_portions(execute, &prepared, &bind).await?;
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

    /// Runs a portal by the executor. Rows beyond the limit wait on the workers, or in the portal.
    async fn execute_in_portions(
        &mut self,
        execute: frontend::Execute<'_>,
        prepared: &Arc<Prepared>,
        bind: &Bytes,
    ) -> Result<()> {
        let rest = self.portals.get_mut(execute.portal).map(|it| std::mem::take(&mut it.rest));
        let rest = match rest.unwrap_or_default() {
            Rest::All if execute.max_rows <= 0 => return self.execute_planned(prepared, bind).await,
            Rest::All => self.begin_portions(prepared, bind).await?,
            begun => begun,
        };
        let rest = match rest {
            Rest::All => rest,
            Rest::Held(mut held) => {
                super::portal::put_rows(&mut held, execute.max_rows, self.client.buffer())?;
                Rest::Held(held)
            }
            Rest::Portions(mut portions) => {
                let max = u64::try_from(execute.max_rows).ok().filter(|it| 0 < *it).unwrap_or(u64::MAX);
                let passed = portions.pass(self, max).await?;
                match passed < max {
                    // The count is that of this Execute (`ProcessQuery`, `PortalRunSelect`).
                    true => self.client.push_command_complete(&format!("SELECT {passed}")),
                    false => backend::put_portal_suspended(self.client.buffer()),
                }
                Rest::Portions(portions)
            }
        };
        if let Some(portal) = self.portals.get_mut(execute.portal) {
            portal.rest = rest;
        }
        Ok(())
    }

    async fn begin_portions(&mut self, prepared: &Arc<Prepared>, bind: &Bytes) -> Result<Rest> {
        let Route::Planned(distributed) = &prepared.analyzed.route else { return Ok(Rest::All) };
        let Message::Bind(parsed) = frontend::parse(b'B', bind)? else { return Ok(Rest::All) };
        let values = values(prepared, distributed, &parsed, self.utf8);
        if let Choice::Executor(planned) = choose(distributed, &values)?
            && let Some(portions) = Portions::open(self, &execution(distributed, planned, &values)?).await?
        {
            return Ok(Rest::Portions(Box::new(portions)));
        }
        self.client.hold();
        let result = self.execute_planned(prepared, bind).await;
        let held = self.client.release();
        result.map(|()| Rest::Held(held.freeze()))
    }

    async fn execute_planned(&mut self, prepared: &Arc<Prepared>, bind: &Bytes) -> Result<()> {
        let Route::Planned(distributed) = &prepared.analyzed.route else { return Ok(()) };
        let Message::Bind(bind) = frontend::parse(b'B', bind)? else { return Ok(()) };
        let values = values(prepared, distributed, &bind, self.utf8);
        let Choice::Executor(planned) = choose(distributed, &values)? else {
            return Err(Error::Internal("a portal changed its plan".to_owned()));
        };
        let execution = execution(distributed, planned, &values)?;
        self.execute_by_router(&execution).await.map(drop)
    }
}

fn values<'a>(
    prepared: &'a Prepared,
    distributed: &'a Distributed,
    bind: &'a frontend::Bind<'a>,
    utf8: bool,
) -> Values<'a> {
    let parameter_types = &distributed.description.parameters;
    Values { text: &prepared.text, literals: &prepared.literals, bind: Some(bind), parameter_types, utf8 }
}
