//! A result over several shards that the client reads in portions.
//!
//! Each worker has a portal of the session's transaction, over all its shards, from which no more rows are asked for than the
//! client wants: the workers wait, not the rows, and their connections are free for other statements in between. What those
//! write is not seen by the portals, which have the snapshots of their beginning.
//!
//! Rows in order are read a little ahead, a megabyte or so of each worker.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use howdah_catalog::GroupId;
use howdah_planner::{Merge, MultiShard, Plan};

use super::lanes::{Access, Lanes, one_per_worker};
use super::merge::{Head, Keys, Order, Window, iso_dates, per_worker, row_formats};
use super::multi_shard::{anchor, locks_rows, tasks};
use super::rows::{ClientRows, push_prefix};
use super::snapshot::{self, NoRows};
use super::summary::Sink;
use super::task::{Form, RowFormats, Task};
use super::time_constant;
use crate::client::Client;
use crate::error::Result;
use crate::execution::Execution;
use crate::fence::Hold;
use crate::session::Session;

/// The result of a portal, as far as the client has not read it.
pub(crate) struct Portions {
    parts: Vec<Part>,
    /// How the parts' rows are merged; without it they come as they come.
    merge: Option<Merging>,
    window: Window,
    /// How many rows were seen, and passed on, by earlier portions.
    rows: ClientRows,
    catalog: std::sync::Arc<howdah_catalog::Catalog>,
}

struct Merging {
    keys: Keys,
    output_columns: usize,
}

/// The portal of one worker.
struct Part {
    group: GroupId,
    portal: String,
    /// Rows that were read ahead.
    heads: VecDeque<Head>,
    /// How many are read ahead next.
    ahead: u64,
    ended: bool,
}

/// Rows to be read ahead at first, when nobody knows how wide they are; later so many bytes, but never more rows.
const FIRST_AHEAD: u64 = 32;
const AHEAD_BYTES: u64 = 1 << 20;
const MAX_AHEAD: u64 = 10_000;

impl Portions {
    /// Makes the portals. `None` for a result that does not come in portions: it is computed as a whole.
    pub(crate) async fn open(session: &mut Session, execution: &Execution<'_>) -> Result<Option<Self>> {
        let Plan::MultiShard(plan) = &execution.planned.plan else { return Ok(None) };
        if locks_rows(execution) {
            return Ok(None);
        }
        match &plan.merge {
            Merge::Concat { limit, offset } => {
                let window = Window::of(*limit, *offset, execution)?;
                let access = window.wanted().map_or(Access::Read, Access::ReadSome);
                let tasks = one_per_worker(Self::tasks(session, execution, plan).await?, access);
                Self::bind(session, execution, tasks, RowFormats::Client, window, |_| Some(None)).await
            }
            Merge::Ordered { keys, output_columns, limit, offset, fallback } => {
                let window = Window::of(*limit, *offset, execution)?;
                let order = Order { keys, output_columns: *output_columns };
                let tasks = per_worker(&Self::tasks(session, execution, plan).await?, &order, window);
                let formats = row_formats(execution, &order, fallback);
                let iso = iso_dates(session);
                let merging = |columns: &[_]| {
                    let keys = Keys::of(keys, columns, iso)?;
                    Some(Some(Merging { keys, output_columns: *output_columns }))
                };
                Self::bind(session, execution, tasks, formats, window, merging).await
            }
            Merge::Combine(_) | Merge::Modified => Ok(None),
        }
    }

    async fn tasks(session: &mut Session, execution: &Execution<'_>, plan: &MultiShard) -> Result<Vec<Task>> {
        let anchor = anchor(execution.catalog, plan)?;
        let time = time_constant(session, plan.uses_time).await?;
        tasks(plan, execution, &anchor, time.as_deref())
    }

    async fn bind(
        session: &mut Session,
        execution: &Execution<'_>,
        tasks: Vec<Task>,
        formats: RowFormats,
        window: Window,
        merging: impl FnOnce(&[howdah_pg::wire::backend::ColumnDescription]) -> Option<Option<Merging>>,
    ) -> Result<Option<Self>> {
        // A portal lives as long as its transaction.
        session.transaction.open_statement();
        let portal = format!("howdah_portal_{}", session.transaction.next_intermediate());
        let groups: Vec<GroupId> = tasks.iter().map(|it| it.group).collect();
        let form = Form::Bind { execution, formats, portal: portal.clone() };
        session.join(groups.iter().copied()).await?;
        let hold = snapshot::fence_portals(session, execution, tasks.iter()).await?;
        let bound = async {
            let mut lanes = Lanes::start(session, form, tasks, Access::Write).await?;
            lanes.read(session, &mut NoRows).await?;
            lanes.finish(session).await
        };
        let bound = match hold {
            Some(hold) => Hold::cover(hold, bound).await?,
            None => bound.await?,
        };
        let columns = bound.columns.unwrap_or_default();
        let part = |group| Part {
            group,
            portal: portal.clone(),
            heads: VecDeque::new(),
            ahead: FIRST_AHEAD,
            ended: false,
        };
        let mut portions = Self {
            parts: groups.into_iter().map(part).collect(),
            merge: None,
            window,
            rows: ClientRows::new(window),
            catalog: execution.catalog.clone(),
        };
        match merging(&columns) {
            Some(merge) => {
                portions.merge = merge;
                Ok(Some(portions))
            }
            None => {
                portions.close(session);
                Ok(None)
            }
        }
    }

    /// Passes on at most `max` rows, and says how many there were.
    pub(crate) async fn pass(&mut self, session: &mut Session, max: u64) -> Result<u64> {
        let before = self.rows.passed();
        let end = before.saturating_add(max).min(self.window.limit.unwrap_or(u64::MAX));
        match self.merge {
            None => self.pass_any(session, end).await?,
            Some(_) => self.pass_ordered(session, end).await?,
        }
        Ok(self.rows.passed() - before)
    }

    /// All workers at once, each with its share of what is missing.
    async fn pass_any(&mut self, session: &mut Session, end: u64) -> Result<()> {
        loop {
            let missing = end - self.rows.passed();
            let skipped = self.window.offset.saturating_sub(self.rows.seen());
            let mut asked = missing.saturating_add(skipped);
            let mut open = self.parts.iter().filter(|it| !it.ended).count() as u64;
            if missing == 0 || open == 0 {
                return Ok(());
            }
            let mut quotas = BTreeMap::new();
            for part in self.parts.iter().filter(|it| !it.ended) {
                let quota = asked.div_ceil(open).min(MAX_EXECUTE);
                asked -= quota;
                open -= 1;
                if 0 < quota {
                    quotas.insert(part.group, quota);
                }
            }
            let mut lanes = self.execute(session, &quotas).await?;
            lanes.read(session, &mut Uncut(&mut self.rows)).await?;
            let suspended = lanes.finish(session).await?.suspended;
            self.note_ends(&quotas, &suspended);
        }
    }

    async fn pass_ordered(&mut self, session: &mut Session, end: u64) -> Result<()> {
        while self.rows.passed() < end {
            self.read_ahead(session).await?;
            let Some(merging) = &self.merge else { return Ok(()) };
            let heads: Vec<Option<&Head>> = self.parts.iter().map(|it| it.heads.front()).collect();
            let Some(first) = merging.keys.first_of(&heads) else { return Ok(()) };
            let Some(head) = self.parts[first].heads.pop_front() else { return Ok(()) };
            if self.rows.admit() {
                push_prefix(&mut session.client, &head.row, merging.output_columns);
                session.client.flush_if_full().await?;
            }
        }
        Ok(())
    }

    /// Sees to it that the first row of every part that has more is known.
    async fn read_ahead(&mut self, session: &mut Session) -> Result<()> {
        let dry = |it: &&mut Part| !it.ended && it.heads.is_empty();
        let quotas: BTreeMap<GroupId, u64> =
            self.parts.iter_mut().filter(dry).map(|it| (it.group, it.ahead)).collect();
        let (false, Some(merging)) = (quotas.is_empty(), &self.merge) else { return Ok(()) };
        let mut lanes = self.execute(session, &quotas).await?;
        let mut read: BTreeMap<GroupId, VecDeque<Head>> = BTreeMap::new();
        for lane in 0..lanes.count() {
            let heads = read.entry(lanes.group(lane)).or_default();
            while let Some(row) = lanes.next_row(session, lane).await? {
                match merging.keys.head(row) {
                    Ok(head) => heads.push_back(head),
                    Err(error) => lanes.fail(error),
                }
            }
        }
        let suspended = lanes.finish(session).await?.suspended;
        for part in &mut self.parts {
            if let Some(heads) = read.remove(&part.group) {
                part.note_ahead(heads);
            }
        }
        self.note_ends(&quotas, &suspended);
        Ok(())
    }

    async fn execute(
        &self,
        session: &mut Session,
        quotas: &BTreeMap<GroupId, u64>,
    ) -> Result<Lanes<'static>> {
        let asked = self.parts.iter().filter(|it| quotas.contains_key(&it.group));
        let tasks = asked.map(|it| Task::new(it.group, it.portal.clone())).collect();
        let form = Form::Portal { quotas: quotas.clone(), catalog: self.catalog.clone() };
        Lanes::start(session, form, tasks, Access::Write).await
    }

    fn note_ends(&mut self, quotas: &BTreeMap<GroupId, u64>, suspended: &BTreeSet<GroupId>) {
        let asked = self.parts.iter_mut().filter(|it| quotas.contains_key(&it.group));
        asked.for_each(|it| it.ended = !suspended.contains(&it.group));
    }

    /// Has the workers' portals closed, with what is sent there next.
    pub(crate) fn close(self, session: &mut Session) {
        for part in self.parts {
            if session.transaction.is_open_on(part.group)
                && let Some(connection) = session.transaction.sound(part.group)
                && !connection.is_busy()
            {
                connection.queue_prologue(&format!("CLOSE {}", part.portal));
            }
        }
    }
}

impl Part {
    fn note_ahead(&mut self, heads: VecDeque<Head>) {
        let size: usize = heads.iter().map(|it| it.row.len()).sum();
        let width = (size / heads.len().max(1)).max(1) as u64;
        // It may be that only the first rows are narrow.
        self.ahead = (AHEAD_BYTES / width).clamp(1, MAX_AHEAD).min(self.ahead * 8);
        self.heads = heads;
    }
}

/// The most rows that one Execute can ask for.
const MAX_EXECUTE: u64 = i32::MAX as u64;

/// Passes rows on, and never is full: no more come than were asked for.
struct Uncut<'a>(&'a mut ClientRows);

impl Sink for Uncut<'_> {
    fn row(&mut self, row: &Bytes, client: &mut Client) -> Result<()> {
        self.0.row(row, client)
    }
}
