//! The statements that workers keep prepared for statements of one shard group.
//!
//! A statement's text for a shard is made once, and then only looked up. Its literals travel as parameters where the plan
//! says that this is the same ([`SingleShard::parameters`]), so that all statements of a shape share it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use howdah_catalog::{Catalog, GroupId};
use howdah_pg::wire::{ErrorFields, frontend};
use howdah_pg::{SqlState, TypeOid};
use howdah_planner::{SingleShard, SlotParameter};

use super::Session;
use super::analysis::Distributed;
use super::relay::{Outcome, Relaying};
use super::single_shard::{Rendering, ShardGroup, Values};
use super::statements::{Prepared, statement_name};
use crate::error::Result;
use crate::server::{Parsing, error_fields};

pub(crate) struct WorkerStatement {
    /// Two statements share it only if they are the same.
    pub(super) name: String,
    pub(super) text: String,
    pub(super) types: Vec<TypeOid>,
}

/// A statement's own, by shard group, each made when it is first needed.
#[derive(Default)]
pub(crate) struct WorkerStatements {
    by_shard: OnceLock<Box<[OnceLock<Arc<WorkerStatement>>]>>,
    /// It was run before.
    met: AtomicBool,
    /// A worker did not understand it with parameters for literals.
    refused: AtomicBool,
}

impl WorkerStatements {
    fn get(&self, shard: usize) -> Option<Arc<WorkerStatement>> {
        self.by_shard.get()?.get(shard)?.get().cloned()
    }

    fn put(&self, shard: usize, shards: usize, statement: &Arc<WorkerStatement>) {
        let by_shard = self.by_shard.get_or_init(|| (0..shards).map(|_| OnceLock::new()).collect());
        if let Some(place) = by_shard.get(shard) {
            let _ = place.set(statement.clone());
        }
    }

    /// Whether it is worth a place among what workers keep: statements that are met once are not.
    fn is_worth_keeping(&self) -> bool {
        self.met.swap(true, Ordering::Relaxed) && !self.refused.load(Ordering::Relaxed)
    }
}

/// A statement of one shard group that is about to run.
#[derive(Clone, Copy)]
pub(super) struct Routed<'a> {
    pub(super) single: &'a SingleShard,
    pub(super) shard: ShardGroup,
    pub(super) distributed: &'a Distributed,
    pub(super) values: &'a Values<'a>,
}

impl<'a> Routed<'a> {
    /// The literals to be sent as parameters; none if they stay in the text. What a parameter of unknown type is found
    /// to be wrong with is told in other words than of a literal.
    pub(super) fn typed_parameters(&self) -> &'a [SlotParameter] {
        let parameters = self.single.parameters.as_deref().unwrap_or_default();
        if parameters.iter().all(|it| it.type_oid != TypeOid(0)) { parameters } else { &[] }
    }

    /// What they are sent as.
    pub(super) fn literals(&self, parameters: &[SlotParameter]) -> Vec<Vec<u8>> {
        let literals = parameters.iter().filter_map(|it| self.values.literals.get(it.slot));
        literals.map(|it| it.value(self.values.text)).collect()
    }

    fn rendering<'r>(&'r self, parameters: &'r [SlotParameter], time: Option<&'r str>) -> Rendering<'r> {
        let Values { text, literals, parameter_types, .. } = *self.values;
        Rendering {
            catalog: &self.distributed.catalog,
            shard: self.shard.index,
            text,
            literals,
            parameters,
            client_parameters: parameter_types.len(),
            time,
            values: &[],
        }
    }

    fn shards(&self) -> usize {
        let catalog: &Catalog = &self.distributed.catalog;
        catalog.table(self.single.anchor).map_or(0, |it| it.shards().len())
    }
}

impl Session {
    /// What a client's prepared statement is on the worker.
    pub(super) async fn worker_statement(
        &mut self,
        routed: &Routed<'_>,
        prepared: &Prepared,
    ) -> Result<Arc<WorkerStatement>> {
        let parameters = routed.typed_parameters();
        let literal = routed.single.template.has_literals() && parameters.is_empty();
        // Literals in the text make it this statement's own, and not that of all of the shape.
        let kept = if literal { &prepared.on_workers } else { &routed.distributed.on_workers };
        self.kept_statement(routed, parameters, kept, Some(prepared)).await
    }

    async fn kept_statement(
        &mut self,
        routed: &Routed<'_>,
        parameters: &[SlotParameter],
        kept: &WorkerStatements,
        prepared: Option<&Prepared>,
    ) -> Result<Arc<WorkerStatement>> {
        // The time of a transaction is a constant of its own.
        let lasts = !(routed.single.uses_time && self.transaction.is_in_progress());
        if lasts && let Some(known) = kept.get(routed.shard.index) {
            return Ok(known);
        }
        let text = self.worker_query(routed, parameters).await?;
        // Types of users have other OIDs there: the worker finds them out by itself.
        let known = |it: &TypeOid| if it.is_user_defined() { TypeOid(0) } else { *it };
        let types = routed.values.parameter_types.iter().map(known);
        let types: Vec<TypeOid> = types.chain(parameters.iter().map(|it| it.type_oid)).collect();
        let environment = prepared.map_or_else(|| self.environment(), |it| it.environment);
        let name = statement_name(b'w', &environment, text.as_bytes(), &types);
        let statement = Arc::new(WorkerStatement { name, text, types });
        if lasts {
            kept.put(routed.shard.index, routed.shards(), &statement);
        }
        Ok(statement)
    }

    /// The text for a worker.
    async fn worker_query(&mut self, routed: &Routed<'_>, parameters: &[SlotParameter]) -> Result<String> {
        let time = match routed.single.uses_time {
            true => Some(self.time_constant().await?),
            false => None,
        };
        routed.rendering(parameters, time.as_deref()).render(&routed.single.template)
    }

    /// now() as a worker is to see it. A statement that is a transaction by itself may ask its node.
    async fn time_constant(&mut self) -> Result<String> {
        if !self.transaction.is_in_progress() {
            return Ok("pg_catalog.now()".to_owned());
        }
        Ok(format!("'{}'::timestamptz", self.transaction_time().await?))
    }

    /// Runs a statement of the simple protocol.
    pub(super) async fn run_single(&mut self, routed: &Routed<'_>) -> Result<Outcome> {
        if let Some(parameters) = self.kept_parameters(routed)
            && let Some(outcome) = self.run_kept(routed, parameters).await?
        {
            return Ok(outcome);
        }
        let query = self.worker_query(routed, &[]).await?;
        let group = routed.shard.group;
        let connection = self.participant_for_statement(group, routed.single.writes).await?;
        connection.queue_query(&query);
        if routed.single.writes {
            self.transaction.mark_writer(group);
        }
        self.flush_to(group).await?;
        let relaying = Relaying {
            columns: routed.distributed.description.columns.as_ref(),
            shard: Some((&query, routed.distributed, routed.values.text)),
        };
        let outcome = self.relay_query(group, &relaying).await?;
        self.note_outcome(outcome);
        Ok(outcome)
    }

    /// The literals of a statement of the simple protocol that is to run as one that the worker keeps.
    fn kept_parameters<'a>(&self, routed: &Routed<'a>) -> Option<&'a [SlotParameter]> {
        let parameters = routed.single.parameters.as_deref()?;
        // What a worker refuses is sent again as it was written, which an open transaction would not survive.
        let may_fail = parameters.iter().any(|it| it.type_oid == TypeOid(0));
        let worth = routed.distributed.on_workers.is_worth_keeping();
        (worth && !(may_fail && self.transaction.is_in_progress())).then_some(parameters)
    }

    /// Runs it by the name under which the worker keeps it; `None` if it has to be sent as it was written.
    async fn run_kept(
        &mut self,
        routed: &Routed<'_>,
        parameters: &[SlotParameter],
    ) -> Result<Option<Outcome>> {
        let distributed = routed.distributed;
        let statement = self.kept_statement(routed, parameters, &distributed.on_workers, None).await?;
        let group = routed.shard.group;
        let connection = self.participant_for_statement(group, routed.single.writes).await?;
        let parsing = connection.queue_parse(&statement.name, statement.text.as_bytes(), &statement.types);
        let literals = routed.literals(parameters);
        let values = literals.iter().map(|it| Some(&**it));
        let buffer = connection.buffer();
        frontend::put_bind(buffer, b"", statement.name.as_bytes(), &[], values, &[]);
        frontend::put_execute(buffer, b"", 0);
        connection.queue_sync();
        if routed.single.writes {
            self.transaction.mark_writer(group);
        }
        self.flush_to(group).await?;
        let shard = Some((statement.text.as_str(), distributed, routed.values.text));
        let relaying = Relaying { columns: distributed.description.columns.as_ref(), shard };
        let retries = !self.transaction.is_in_progress();
        let outcome = match self.take_binding(group, &relaying).await? {
            None => self.relay_query(group, &relaying).await?,
            Some(refusal) => {
                let fields = error_fields(&refusal.error);
                if parsing != Parsing::Known
                    && !refusal.parsed
                    && let Some(connection) = self.transaction.opened(group)
                {
                    connection.prepared.forget(&statement.name);
                }
                if retries && says_literal_is_wrong(&fields) {
                    self.drain(group).await?;
                    // Of values another may fit; the statement itself is refused whatever they are.
                    distributed.on_workers.refused.fetch_or(fields.code().class() == "42", Ordering::Relaxed);
                    return Ok(None);
                }
                self.push_server_error(&refusal.error, &relaying);
                self.drain(group).await?;
                Outcome::Failed
            }
        };
        self.note_outcome(outcome);
        Ok(Some(outcome))
    }

    async fn flush_to(&mut self, group: GroupId) -> Result<()> {
        match self.transaction.opened(group) {
            Some(connection) => connection.flush().await,
            None => Ok(()),
        }
    }
}

/// Whether the error is of the kind that PostgreSQL tells otherwise of a literal, or does not make of one.
fn says_literal_is_wrong(fields: &ErrorFields) -> bool {
    fields.code() != SqlState::QUERY_CANCELED && matches!(fields.code().class(), "0A" | "22" | "23" | "42")
}
