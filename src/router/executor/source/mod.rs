//! A planned query whose rows are read in portions, while the connections that they come from are free for other work in between.
//!
//! Every part is a portal of the session's transaction, on a worker or on the coordinator. All are bound before the first portion is
//! read, so what the transaction writes after that is seen by none of them. A combine query is a portal over its
//! intermediate result; what runs over live tables is one on the coordinator, whose rows are all read before anything is
//! written ([`Source::hold`]).
//!
//! A source borrows nothing of the session. It has to be closed, unless its transaction ends.

mod part;
mod spool;

use bytes::Bytes;
use howdah_catalog::GroupId;
use howdah_planner::{Bound, Combine, Merge, MultiShard, Plan};

use self::part::Part;
pub(super) use self::spool::read_only;
use self::spool::{Spool, Spooled};
use super::combine::{self, Collector, Input};
use super::intermediate::{Encoding, Table, splits_letters};
use super::lanes::{Access, Lanes, one_per_worker};
use super::merge::Window;
use super::multi_shard::{anchor, exact_formats, locks_rows, tasks};
use super::rows::prefix;
use super::snapshot;
use super::task::{Form, Parameters, Task};
use super::{single_shard_task, time_constant};
use crate::error::{Error, Result};
use crate::execution::Execution;
use crate::fence::Hold;
use crate::server::Draws;
use crate::session::Session;
use crate::transaction::Block;

pub(super) struct Source {
    /// One on a node at most.
    parts: Vec<Part>,
    /// How many columns rows have, if more come than are wanted.
    columns: Option<usize>,
    window: Window,
    wanted: Wanted,
    /// What the portal on the coordinator reads.
    stored: Option<Stored>,
    /// Rows that were read ahead.
    held: Vec<Bytes>,
    live: Live,
}

enum Stored {
    Input(Input),
    Table(Table),
}

/// Whether PostgreSQL itself reads live tables for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Live {
    No,
    /// If it has begun to.
    Perhaps,
    /// Code of users may at any time.
    Ever,
}

/// What is wanted of a source.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) encoding: Encoding,
    /// The names of the columns' types.
    pub(super) types: Vec<String>,
    /// Whether the order of the rows is to be that of the query.
    pub(super) ordered: bool,
}

impl Source {
    /// Makes the portals; their first rows are not computed yet. The caller has opened a transaction.
    pub(super) async fn open(
        session: &mut Session,
        execution: &Execution<'_>,
        wanted: &Wanted,
    ) -> Result<Self> {
        match &execution.planned.plan {
            Plan::SingleShard(plan) => {
                let Some(task) = single_shard_task(session, execution, plan).await? else {
                    return Self::on_coordinator(session, execution, wanted).await;
                };
                Self::on_workers(session, execution, wanted, vec![task], Window::default(), None).await
            }
            Plan::MultiShard(plan) => Self::multi_shard(session, execution, wanted, plan).await,
            Plan::Coordinator { .. } => Self::on_coordinator(session, execution, wanted).await,
            Plan::InsertValues(_) | Plan::InsertSelect(_) => {
                Err(Error::Internal("the source of an INSERT is no query".to_owned()))
            }
        }
    }

    async fn multi_shard(
        session: &mut Session,
        execution: &Execution<'_>,
        wanted: &Wanted,
        plan: &MultiShard,
    ) -> Result<Self> {
        // Portals of several shards on one connection would need one query for all.
        if locks_rows(execution) && plan.live {
            return Self::on_coordinator(session, execution, wanted).await;
        }
        let time = time_constant(session, plan.uses_time).await?;
        let table = anchor(execution.catalog, plan)?;
        let tasks = tasks(plan, execution, &table, time.as_deref())?;
        match &plan.merge {
            Merge::Concat { limit, offset } => {
                let window = Window::of(*limit, *offset, execution)?;
                Self::on_workers(session, execution, wanted, tasks, window, None).await
            }
            Merge::Ordered { output_columns, limit: None, offset: None, .. } if !wanted.ordered => {
                let columns = Some(*output_columns);
                Self::on_workers(session, execution, wanted, tasks, Window::default(), columns).await
            }
            Merge::Ordered { limit, offset, fallback, .. } => {
                check_bounds(*limit, *offset, execution)?;
                Self::combined(session, execution, wanted, tasks, fallback).await
            }
            Merge::Combine(combine) => Self::combined(session, execution, wanted, tasks, combine).await,
            Merge::Modified => Err(Error::Internal("the source of an INSERT writes".to_owned())),
        }
    }

    fn new(parts: Vec<Part>, wanted: &Wanted) -> Self {
        Self {
            parts,
            columns: None,
            window: Window::default(),
            wanted: wanted.clone(),
            stored: None,
            held: vec![],
            live: Live::No,
        }
    }

    /// One portal a worker, over all its shards.
    async fn on_workers(
        session: &mut Session,
        execution: &Execution<'_>,
        wanted: &Wanted,
        tasks: Vec<Task>,
        window: Window,
        columns: Option<usize>,
    ) -> Result<Self> {
        let tasks = one_per_worker(tasks, Access::Read);
        let hold = snapshot::fence_portals(session, execution, tasks.iter()).await?;
        let parts = match hold {
            Some(hold) => {
                Hold::cover(hold, part::bind_now(session, execution, &tasks, &wanted.encoding)).await?
            }
            None => part::bind(session, execution, &tasks, &wanted.encoding).await?,
        };
        Ok(Self { columns, window, ..Self::new(parts, wanted) })
    }

    /// The coordinator runs the query as it stands.
    async fn on_coordinator(
        session: &mut Session,
        execution: &Execution<'_>,
        wanted: &Wanted,
    ) -> Result<Self> {
        let text = String::from_utf8_lossy(execution.text);
        let parameters = Parameters::on_coordinator(execution);
        session.live.statement(execution.text);
        let coordinator = GroupId::COORDINATOR;
        let part = Part::open(session, coordinator, &text, &parameters, &wanted.encoding).await?;
        session.coordinator_for(Draws::Likely).await?;
        let runs_code = execution.planned.plan.writes();
        if runs_code {
            session.transaction.mark_writer(coordinator);
        }
        let live = if runs_code { Live::Ever } else { Live::Perhaps };
        Ok(Self { live, ..Self::new(vec![part], wanted) })
    }

    /// The workers' rows are gathered first; the portal is the combine query's.
    async fn combined(
        session: &mut Session,
        execution: &Execution<'_>,
        wanted: &Wanted,
        tasks: Vec<Task>,
        combine: &Combine,
    ) -> Result<Self> {
        if splits_letters(&session.settings) {
            return Self::on_coordinator(session, execution, wanted).await;
        }
        let formats = exact_formats(session, execution, &tasks[0]).await?;
        let worker = tasks[0].group;
        let collector = Collector::new(&formats, combine.of_distinct);
        let lanes =
            Lanes::start(session, Form::Statement { execution, formats }, tasks, Access::Read).await?;
        let Some(input) = combine::collect(session, lanes, worker, combine, collector).await? else {
            return Self::on_coordinator(session, execution, wanted).await;
        };
        let query = combine::query(execution, combine, &input)?;
        let coordinator = GroupId::COORDINATOR;
        let parameters = query.parameters();
        let part = Part::open(session, coordinator, &query.text, &parameters, &wanted.encoding).await?;
        Ok(Self { stored: Some(Stored::Input(input)), ..Self::new(vec![part], wanted) })
    }

    /// Whether all rows have been read.
    pub(super) fn is_done(&self) -> bool {
        self.held.is_empty() && self.parts.iter().all(Part::is_done)
    }

    /// Some more rows: none only if there are no more.
    pub(super) async fn read(&mut self, session: &mut Session) -> Result<Vec<Bytes>> {
        let mut rows = std::mem::take(&mut self.held);
        while rows.is_empty() && !self.is_done() {
            let mut parts: Vec<&mut Part> = self.parts.iter_mut().filter(|it| !it.is_done()).collect();
            part::read(session, &mut parts, &mut rows).await?;
            self.narrow(&mut rows);
        }
        Ok(rows)
    }

    /// Drops rows outside of the window, and columns that nobody asked for.
    fn narrow(&mut self, rows: &mut Vec<Bytes>) {
        let skipped = rows.len().min(usize::try_from(self.window.offset).unwrap_or(usize::MAX));
        rows.drain(..skipped);
        self.window.offset -= skipped as u64;
        if let Some(limit) = &mut self.window.limit {
            rows.truncate(usize::try_from(*limit).unwrap_or(usize::MAX));
            *limit -= rows.len() as u64;
            if *limit == 0 {
                self.parts.iter_mut().for_each(Part::end);
            }
        }
        if let Some(columns) = self.columns {
            rows.iter_mut().for_each(|it| *it = prefix(it, columns));
        }
    }

    /// From now on the transaction writes, and what is left to be read must not see it: live tables read the shards when PostgreSQL
    /// asks them, so their rows are all read now.
    pub(super) async fn hold(&mut self, session: &mut Session) -> Result<()> {
        let reads_live = match self.live {
            Live::No => false,
            Live::Perhaps => session.live.is_begun(),
            Live::Ever => true,
        };
        self.live = Live::No;
        if !reads_live || self.is_done() {
            return Ok(());
        }
        let mut spool = Spool::new(&self.wanted);
        while !self.is_done() {
            for row in self.read(session).await? {
                spool.push(session, &row).await?;
            }
        }
        part::close(session, &self.parts).await?;
        self.parts.clear();
        match spool.finish(session).await? {
            Spooled::Rows(rows, columns) => self.held = rows.iter().map(|it| prefix(it, columns)).collect(),
            Spooled::Table(table, query) => {
                let (group, encoding) = (GroupId::COORDINATOR, &self.wanted.encoding);
                self.parts =
                    vec![Part::open(session, group, &query, &Parameters::default(), encoding).await?];
                self.stored = Some(Stored::Table(table));
            }
        }
        Ok(())
    }

    pub(super) async fn close(self, session: &mut Session) -> Result<()> {
        // Portals go with the transaction.
        if self.stored.is_some() || session.transaction.block() != Block::None {
            part::close(session, &self.parts).await?;
        }
        match self.stored {
            Some(Stored::Input(input)) => input.drop(session).await,
            Some(Stored::Table(table)) => table.drop(session).await,
            None => Ok(()),
        }
    }
}

/// What is wrong with them is the router's to say where the combine query does not have them.
fn check_bounds(limit: Option<Bound>, offset: Option<Bound>, execution: &Execution<'_>) -> Result<()> {
    Window::of(limit, offset, execution).map(drop)
}
