//! Rows that go to their shards by INSERT: one for each shard, because ON CONFLICT DO UPDATE must see all rows of a shard at
//! once to refuse a second change of the same row. They are gathered first, in memory or in tables on the shards' nodes.

use std::collections::BTreeMap;

use howdah_catalog::Table as Catalogued;
use howdah_planner::InsertSelect;

use super::{HELD, columns, group_of, type_name};
use crate::error::Result;
use crate::execution::Execution;
use crate::executor::intermediate::{Encoding, Rows, Table, arrays_of, from_arrays};
use crate::executor::multi_shard::write_tasks;
use crate::executor::rendering;
use crate::executor::source::read_only;
use crate::executor::task::Task;
use crate::session::Session;

pub(super) struct Statements<'a> {
    execution: &'a Execution<'a>,
    plan: &'a InsertSelect,
    table: &'a Catalogued,
    encoding: Encoding,
    shards: BTreeMap<usize, Rows>,
    held: usize,
    /// Where the rows are that were too many.
    stored: BTreeMap<usize, Table>,
}

impl<'a> Statements<'a> {
    pub(super) fn new(
        execution: &'a Execution<'a>,
        plan: &'a InsertSelect,
        table: &'a Catalogued,
        encoding: &Encoding,
    ) -> Self {
        let (shards, stored) = (BTreeMap::new(), BTreeMap::new());
        Self { execution, plan, table, encoding: encoding.clone(), shards, held: 0, stored }
    }

    pub(super) fn push(&mut self, shard: usize, row: &[u8], more: &[u8]) {
        let rows = self.shards.entry(shard).or_insert_with(|| Rows::new(self.encoding.clone()));
        let before = rows.size();
        rows.push_joined(row, more);
        self.held += rows.size() - before;
    }

    /// Stores what would be too much to hold.
    pub(super) async fn send(&mut self, session: &mut Session) -> Result<()> {
        if self.held < HELD { Ok(()) } else { self.store(session).await }
    }

    async fn store(&mut self, session: &mut Session) -> Result<()> {
        let types: Vec<String> = columns(self.plan).map(|it| type_name(it).to_owned()).collect();
        for (shard, rows) in self.shards.iter_mut().filter(|it| !it.1.is_empty()) {
            if !self.stored.contains_key(shard) {
                let group = group_of(self.table, *shard)?;
                let table = Table::create(session, group, &types, &self.encoding).await?;
                self.stored.insert(*shard, table.ok_or_else(read_only)?);
            }
            if let Some(table) = self.stored.get_mut(shard) {
                table.push(session, rows).await?;
            }
        }
        self.held = 0;
        Ok(())
    }

    /// Runs the INSERTs; the command tag.
    pub(super) async fn finish(mut self, session: &mut Session, time: Option<&str>) -> Result<String> {
        if !self.stored.is_empty() {
            self.store(session).await?;
            for table in self.stored.values_mut() {
                table.finish(session).await?;
            }
        }
        let tasks = self.tasks(time)?;
        self.execution.put_description(session.client.buffer());
        if tasks.is_empty() {
            return Ok("INSERT 0 0".to_owned());
        }
        let summary = write_tasks(session, self.execution, tasks, None).await?;
        for table in self.stored.into_values() {
            table.drop(session).await?;
        }
        Ok(summary.tag())
    }

    fn tasks(&self, time: Option<&str>) -> Result<Vec<Task>> {
        let count = columns(self.plan).count();
        let first = self.execution.bind.map_or(0, |_| self.execution.description.parameters.len()) + 1;
        let task = |(shard, rows): (&usize, &Rows)| {
            let rendering = rendering(self.execution, *shard, time, &[]);
            let (prefix, suffix) =
                (rendering.render(&self.plan.prefix)?, rendering.render(&self.plan.suffix)?);
            let group = group_of(self.table, *shard)?;
            if let Some(table) = self.stored.get(shard) {
                let names: Vec<String> = (0..count).map(|it| format!("c{it}")).collect();
                let source = format!("SELECT {} FROM {}", names.join(", "), table.relation());
                // Behind the table's name ON could be taken for a join's.
                return Ok(Task::new(group, format!("{prefix}({source}){suffix}")));
            }
            let source = from_arrays(columns(self.plan).map(type_name), first);
            let text = format!("{prefix}{source}{suffix}");
            Ok(Task { group, text, arrays: arrays_of(rows, count) })
        };
        self.shards.iter().map(task).collect()
    }
}
