//! Rows that go to their shards by COPY.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use howdah_catalog::{GroupId, Table};
use howdah_pg::SqlState;
use howdah_pg::wire::{Field, frontend};
use howdah_planner::InsertSelect;
use howdah_sql::quote_identifier;

use super::{HELD, changed, columns, group_of};
use crate::error::{Error, Result};
use crate::execution::Execution;
use crate::executor::for_client;
use crate::executor::intermediate::{Encoding, Rows};
use crate::executor::source::read_only;
use crate::session::Session;

/// A shard is sent what it has when that has grown to this size.
const BURST: usize = 128 << 10;

pub(super) struct Copies<'a> {
    execution: &'a Execution<'a>,
    table: &'a Table,
    /// The columns in brackets.
    columns: String,
    encoding: Encoding,
    shards: BTreeMap<usize, Rows>,
    held: usize,
    copied: u64,
}

impl<'a> Copies<'a> {
    pub(super) fn new(
        execution: &'a Execution<'a>,
        plan: &InsertSelect,
        table: &'a Table,
        encoding: &Encoding,
    ) -> Self {
        let names: Vec<String> = columns(plan).map(|it| quote_identifier(&it.name)).collect();
        let columns = if names.is_empty() { String::new() } else { format!("({})", names.join(", ")) };
        let (shards, encoding) = (BTreeMap::new(), encoding.clone());
        Self { execution, table, columns, encoding, shards, held: 0, copied: 0 }
    }

    pub(super) fn push(&mut self, shard: usize, row: &[u8], more: &[u8]) {
        let rows = self.shards.entry(shard).or_insert_with(|| Rows::new(self.encoding.clone()));
        let before = rows.size();
        rows.push_joined(row, more);
        self.held += rows.size() - before;
        self.copied += 1;
    }

    /// Sends on what has grown large enough.
    pub(super) async fn send(&mut self, session: &mut Session) -> Result<()> {
        let least = if HELD < self.held { 1 } else { BURST };
        self.send_from(session, least).await
    }

    async fn send_from(&mut self, session: &mut Session, least: usize) -> Result<()> {
        let mut groups = BTreeSet::new();
        for (shard, rows) in self.shards.iter_mut().filter(|it| least <= it.1.size()) {
            let group = group_of(self.table, *shard)?;
            if groups.insert(group) {
                // What it was sent before must have been taken.
                session.finish_on(group).await.map_err(|it| in_client_terms(it, self.execution))?;
            }
            self.held -= rows.size();
            let id = self.table.shards()[*shard].id;
            let connection = session.participant(group).await?;
            connection.queue_query(&format!(
                "COPY {}.{} {} FROM STDIN {}",
                quote_identifier(&self.table.schema),
                quote_identifier(&self.table.shard_name(id)),
                self.columns,
                self.encoding.copy_options()
            ));
            frontend::put_copy_data(connection.buffer(), &rows.take_copy_data());
            frontend::put_copy_done(connection.buffer());
            session.transaction.mark_writer(group);
        }
        let flushes = session.transaction.connections().filter(|it| groups.contains(&it.0));
        let flushes = join_all(flushes.map(|it| it.1.flush())).await;
        flushes.into_iter().collect::<Result<()>>()
    }

    /// Sends the rest and waits for all; the command tag.
    pub(super) async fn finish(mut self, session: &mut Session) -> Result<String> {
        self.send_from(session, 1).await?;
        let groups: BTreeSet<GroupId> =
            self.shards.keys().map(|it| group_of(self.table, *it)).collect::<Result<_>>()?;
        for group in groups {
            session.finish_on(group).await.map_err(|it| in_client_terms(it, self.execution))?;
        }
        Ok(format!("INSERT 0 {}", self.copied))
    }
}

/// Nobody wrote a COPY, nor the line of its input.
fn in_client_terms(error: Error, execution: &Execution<'_>) -> Error {
    if error.sqlstate() == SqlState::READ_ONLY_SQL_TRANSACTION {
        return read_only();
    }
    let error = changed(error, |fields| {
        if fields.get(Field::Where).is_some_and(|it| it.starts_with("COPY ")) {
            fields.remove(Field::Where);
        }
    });
    for_client(error, "", execution)
}
