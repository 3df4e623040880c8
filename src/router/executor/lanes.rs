//! Runs the tasks of one statement on its workers, over as many connections as pay.
//!
//! Each worker has one lane on the connection of the session's transaction. A statement that only reads, outside of
//! any transaction, runs its tasks one by one in a transaction of its own on each worker; if they take long, more
//! lanes are opened that share its snapshot (*slow start*: one more after each interval). They are a gift: a pool
//! that is short of connections gives none, and nobody waits for them.
//!
//! Everything else has one lane a worker. Reads are one query there, so that they see one moment as well: the tasks
//! joined by UNION ALL.
//!
//! What reads several workers takes its snapshots on all of them within the fence ([`snapshot`]).
//!
//! Invariant: after [`Lanes::finish`] nothing runs any more, and no cancel is on its way.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use howdah_catalog::GroupId;

use super::lane::{Lane, Part, Shelter, Snapshot};
use super::limits::Limits;
use super::snapshot;
use super::summary::{Sink, Summary};
use super::task::{Form, Task};
use crate::client::Client;
use crate::error::{Error, Result};
use crate::fence::Hold;
use crate::pool::PooledConnection;
use crate::server::{Message, error_fields, text_row};
use crate::session::Session;
use crate::transaction::{Transaction, timed_out};

pub(crate) struct Lanes<'a> {
    pub(super) form: Form<'a>,
    access: Access,
    /// Tasks that no lane has been given.
    pub(super) waiting: BTreeMap<GroupId, VecDeque<Task>>,
    pub(super) lanes: Vec<Lane>,
    /// The snapshot that all lanes of a worker share, once it is known.
    snapshots: BTreeMap<GroupId, String>,
    pub(super) opening: FuturesUnordered<Opening>,
    pub(super) summary: Summary,
    limits: Limits,
    started: Instant,
    /// How often lanes were added, and when it is time again.
    growths: usize,
    growth: Option<Instant>,
    /// The lane that was read last.
    current: usize,
    /// The lanes that were asked what columns there are: each says it before its first row.
    described: BTreeSet<usize>,
    /// The portals that the tasks are bound to, one a lane, if their snapshots had to be taken before they run.
    pub(super) bound: Option<String>,
}

type Opening = BoxFuture<'static, Result<PooledConnection>>;

/// What a statement does with the shards.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Access {
    Read,
    /// So many rows are enough.
    ReadSome(u64),
    /// Changes rows, or locks them.
    Write,
}

pub(super) enum Event {
    Message(usize, Result<Message>),
    Opened(Result<PooledConnection>),
    Growth,
    Timeout,
}

impl<'a> Lanes<'a> {
    /// Sends the first tasks.
    pub(crate) async fn start(
        session: &mut Session,
        form: Form<'a>,
        tasks: Vec<Task>,
        access: Access,
    ) -> Result<Self> {
        let limits = Limits::of(session);
        let tasks = match access == Access::Write || may_spread(session, limits, &tasks) {
            true => tasks,
            false => one_per_worker(tasks, access),
        };
        let mut waiting: BTreeMap<GroupId, VecDeque<Task>> = BTreeMap::new();
        tasks.into_iter().for_each(|it| waiting.entry(it.group).or_default().push_back(it));
        let mut lanes = Self {
            form,
            access,
            waiting,
            lanes: Vec::new(),
            snapshots: BTreeMap::new(),
            opening: FuturesUnordered::new(),
            summary: Summary::default(),
            limits,
            started: Instant::now(),
            growths: 0,
            growth: None,
            current: 0,
            described: BTreeSet::new(),
            bound: None,
        };
        lanes.open(session).await?;
        Ok(lanes)
    }

    /// One lane for each worker. Those of a statement that only reads begin at one moment.
    async fn open(&mut self, session: &mut Session) -> Result<()> {
        let groups: BTreeSet<GroupId> = self.waiting.keys().copied().collect();
        session.join(groups.iter().copied()).await?;
        let hold = match (self.access, &self.form) {
            (Access::Write, _) => None,
            (_, Form::Statement { execution, .. }) if session.transaction.is_in_progress() => {
                let tasks = self.waiting.values().flatten();
                snapshot::fence_portals(session, execution, tasks).await?
            }
            _ if session.transaction.is_in_progress() => None,
            _ => session.fence(&groups).await?,
        };
        let begun = match hold {
            Some(hold) => Hold::cover(hold, self.begin(session, &groups, true)).await,
            None => self.begin(session, &groups, false).await,
        };
        if let Err(error) = begun {
            self.summary.fail(error);
            self.stop(session).await;
        }
        for index in 0..self.lanes.len() {
            self.flush(index, &mut session.transaction).await;
        }
        Ok(())
    }

    /// Begins on each worker; `fenced`, their snapshots are there when it returns.
    async fn begin(&mut self, session: &mut Session, groups: &BTreeSet<GroupId>, fenced: bool) -> Result<()> {
        let in_progress = session.transaction.is_in_progress();
        if fenced && in_progress {
            self.bound = Some(format!("howdah_read_{}", session.transaction.next_intermediate()));
        }
        for group in groups.iter().copied() {
            let waiting = self.waiting.get(&group).map_or(0, VecDeque::len);
            let shelter = match (in_progress, self.access) {
                (true, Access::ReadSome(_)) => Shelter::Savepoint,
                (true, Access::Read | Access::Write) => Shelter::None,
                (false, Access::Read | Access::ReadSome(_)) if 1 < waiting || fenced => Shelter::Transaction,
                (false, _) => Shelter::Own,
            };
            let shares = shelter == Shelter::Transaction && self.form.portion(waiting) < waiting;
            if shares {
                self.growth = Some(self.started + self.limits.slow_start);
            }
            let snapshot = match (shares, fenced) {
                (true, _) => Snapshot::Shared,
                (false, true) => Snapshot::Now,
                (false, false) => Snapshot::Later,
            };
            let mut lane = Lane::of_transaction(group, shelter);
            if let Some((connection, progress)) = lane.split(&mut session.transaction) {
                progress.queue_begin(connection, snapshot);
            }
            self.lanes.push(lane);
        }
        match fenced {
            true => self.take_snapshots(session).await,
            false => {
                (0..self.lanes.len()).for_each(|it| self.refill(it, &mut session.transaction));
                Ok(())
            }
        }
    }

    /// Whether all is answered. A lane that came too late to be of use is not waited for.
    pub(crate) fn is_done(&self) -> bool {
        let none_waits = self.waiting.values().all(VecDeque::is_empty);
        none_waits
            && self.lanes.iter().all(|it| it.has_ended() || (it.is_spare() && !it.progress.has_tasks()))
    }

    pub(super) fn count(&self) -> usize {
        self.lanes.len()
    }

    pub(super) fn group(&self, lane: usize) -> GroupId {
        self.lanes[lane].group
    }

    pub(crate) fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Reads until the sink is full or all is answered. After an error everything has been stopped, and
    /// [`Self::finish`] tells it.
    pub(crate) async fn read(&mut self, session: &mut Session, sink: &mut dyn Sink) -> Result<()> {
        while !self.is_done() && !sink.is_full() {
            self.take_rows(session, sink);
            if self.summary.has_failed() {
                self.stop(session).await;
            } else if !sink.is_full() {
                let event = self.next(&mut session.transaction, None).await;
                self.handle(session, event, sink).await?;
            }
        }
        Ok(())
    }

    /// Takes the rows of the current lane that are already here, as many as the client's buffer has room for; the next
    /// message is left to [`Self::next`].
    fn take_rows(&mut self, session: &mut Session, sink: &mut dyn Sink) {
        let Session { transaction, client, .. } = session;
        let Some(lane) = self.lanes.get_mut(self.current) else { return };
        let Some((connection, progress)) = lane.split(transaction) else { return };
        let takes = matches!(progress.part(), Some(Part::Tasks { .. })) && !connection.has_prologue();
        while takes && !client.is_full() && !sink.is_full() && connection.has_row() {
            let Ok(Some(message)) = connection.take_message() else { return };
            if let Err(error) = sink.row(&message.body, client) {
                return self.summary.fail(error);
            }
        }
    }

    /// The next row of one lane; `None` when it has no more, or the statement failed.
    pub(super) async fn next_row(&mut self, session: &mut Session, lane: usize) -> Result<Option<Bytes>> {
        let mut row = OneRow(None);
        while row.0.is_none() && !self.lanes[lane].has_ended() {
            let event = self.next(&mut session.transaction, Some(lane)).await;
            self.handle(session, event, &mut row).await?;
        }
        Ok(row.0.filter(|_| !self.summary.has_failed()))
    }

    /// The statement fails for a reason of its caller's.
    pub(super) fn fail(&mut self, error: Error) {
        self.summary.fail(error);
    }

    /// Ends the statement: what still runs is stopped. The first error, or what the tasks said beside their rows.
    pub(crate) async fn finish(mut self, session: &mut Session) -> Result<Summary> {
        self.stop(session).await;
        self.summary.finish()
    }

    pub(super) async fn handle(
        &mut self,
        session: &mut Session,
        event: Event,
        sink: &mut dyn Sink,
    ) -> Result<()> {
        match event {
            Event::Message(lane, Ok(message)) => {
                self.current = lane;
                self.take(lane, &message, sink, &mut session.client);
                if message.tag == b'Z' {
                    self.go_on(lane, &mut session.transaction).await;
                }
                session.client.flush_if_full().await?;
            }
            Event::Message(lane, Err(error)) => self.lose(lane, error, &mut session.transaction),
            Event::Opened(opened) => self.add(session, opened).await,
            Event::Growth => self.grow(session),
            Event::Timeout => self.summary.fail(timed_out()),
        }
        if self.summary.has_failed() {
            self.stop(session).await;
        }
        Ok(())
    }

    /// Notes a message of a lane.
    fn take(&mut self, index: usize, message: &Message, sink: &mut dyn Sink, client: &mut Client) {
        let lane = &mut self.lanes[index];
        match (lane.progress.part(), message.tag) {
            (_, b'N') => client.push(b'N', &message.body),
            (Some(Part::Tasks { .. }), b'D' | b'd') => {
                sink.row(&message.body, client).unwrap_or_else(|error| self.summary.fail(error));
            }
            (Some(Part::Tasks { tasks, .. }), b'E') => {
                let query = tasks.front().map_or("", |it| &it.text);
                self.summary.fail(self.form.in_client_terms(error_fields(&message.body).into(), query));
            }
            (Some(Part::Tasks { tasks, .. }), tag) => {
                if matches!(tag, b'C' | b'I' | b's') {
                    tasks.pop_front();
                }
                if tag == b's' {
                    self.summary.suspended.insert(lane.group);
                }
                self.summary.note(message);
            }
            (Some(Part::Begin), b'D') => {
                if let Some(Some(name)) = text_row(&message.body).into_iter().next() {
                    self.snapshots.insert(lane.group, name);
                }
            }
            (Some(Part::Settings | Part::Begin), b'E') => {
                self.summary.fail(error_fields(&message.body).into());
            }
            (Some(Part::Bind { query }), b'E') => {
                self.summary.fail(self.form.in_client_terms(error_fields(&message.body).into(), query));
            }
            (Some(Part::Bind { .. }), _) => self.summary.note(message),
            // The snapshot went with the lane that had it: there is nothing left to help with.
            (Some(Part::Join), b'E') => lane.end(),
            _ => {}
        }
    }

    /// A part of a lane is answered.
    async fn go_on(&mut self, index: usize, transaction: &mut Transaction) {
        match self.lanes[index].progress.end_part() {
            Some(Part::Tasks { tasks, count, since }) if tasks.is_empty() => {
                self.form.note_pace(count, since.elapsed());
            }
            Some(Part::Begin) => {
                let group = self.lanes[index].group;
                for other in 0..self.lanes.len() {
                    if self.lanes[other].group == group && self.lanes[other].is_spare() {
                        self.join(other, transaction).await;
                    }
                }
            }
            _ => {}
        }
        if self.lanes[index].progress.is_idle() && !self.summary.has_failed() {
            self.refill(index, transaction);
            self.flush(index, transaction).await;
        }
    }

    /// Gives a lane its next tasks, or its end.
    fn refill(&mut self, index: usize, transaction: &mut Transaction) {
        let lane = &mut self.lanes[index];
        let portion = match (lane.is_wanted(), self.waiting.get(&lane.group).map_or(0, VecDeque::len)) {
            (true, _) => 0,
            (false, waiting) if self.access == Access::Write => waiting,
            (false, waiting) => self.form.portion(waiting),
        };
        let Some((connection, progress)) = lane.split(transaction) else { return lane.end() };
        let mut is_last = true;
        if let Some(waiting) = self.waiting.get_mut(&connection.group()).filter(|_| 0 < portion) {
            let tasks: VecDeque<Task> = waiting.drain(..portion).collect();
            is_last = waiting.is_empty();
            match &self.bound {
                Some(portal) => snapshot::queue_portal(connection, portal),
                None => {
                    for task in &tasks {
                        let describes = self.described.insert(index);
                        self.form.queue(connection, task, describes);
                    }
                    self.form.queue_sync(connection);
                }
            }
            progress.push(Part::Tasks { tasks, count: portion, since: Instant::now() });
        }
        if is_last && !progress.queue_end(connection) && progress.is_idle() {
            lane.end();
        }
    }

    pub(super) async fn flush(&mut self, index: usize, transaction: &mut Transaction) {
        let sent = match self.lanes[index].connection(transaction) {
            Some(connection) => connection.flush().await,
            None => return,
        };
        if let Err(error) = sent {
            self.lose(index, error, transaction);
        }
    }

    /// A connection broke, or could not be brought to the session's settings.
    fn lose(&mut self, index: usize, error: Error, transaction: &mut Transaction) {
        let lane = &mut self.lanes[index];
        if let Some(connection) = lane.connection(transaction) {
            connection.give_up();
        }
        // One that had not begun to help is no loss.
        if lane.progress.has_tasks() || !lane.is_spare() {
            let query = lane.progress.query().unwrap_or_default();
            self.summary.fail(self.form.in_client_terms(error, query));
        }
        lane.end();
    }

    /// Opens more connections to the workers whose tasks still wait.
    fn grow(&mut self, session: &Session) {
        self.growths += 1;
        self.growth = Some(Instant::now() + self.limits.slow_start);
        for (group, waiting) in self.waiting.iter().filter(|it| !it.1.is_empty()) {
            let there = self.lanes.iter().filter(|it| it.group == *group && !it.has_ended()).count();
            let allowed = self.limits.pool_size.saturating_sub(there + self.opening.len());
            let wanted = if self.limits.slow_start.is_zero() { allowed } else { self.growths };
            for _ in 0..wanted.min(allowed).min(waiting.len()) {
                let Some(opening) = session.spare(*group, self.limits.shared) else { break };
                self.opening.push(Box::pin(opening));
            }
        }
        if self.waiting.values().all(VecDeque::is_empty) || self.limits.slow_start.is_zero() {
            self.growth = None;
        }
    }

    /// Makes a lane of a connection that was opened.
    async fn add(&mut self, session: &mut Session, opened: Result<PooledConnection>) {
        let mut connection = match opened {
            Ok(connection) => connection,
            Err(error) => {
                tracing::debug!(%error, "no further connection for a statement");
                self.growth = None;
                return;
            }
        };
        let group = connection.group();
        if self.waiting.get(&group).is_none_or(VecDeque::is_empty) {
            return;
        }
        connection.queue_settings(&session.settings);
        self.lanes.push(Lane::of_spare(connection));
        if self.snapshots.contains_key(&group) {
            self.join(self.lanes.len() - 1, &mut session.transaction).await;
        }
    }

    async fn join(&mut self, index: usize, transaction: &mut Transaction) {
        let lane = &mut self.lanes[index];
        let Some(snapshot) = self.snapshots.get(&lane.group) else { return };
        if let Some((connection, progress)) = lane.split(transaction) {
            progress.queue_join(connection, snapshot);
        }
        self.flush(index, transaction).await;
    }

    /// No task is sent any more, and no connection opened.
    pub(super) fn forget_waiting(&mut self) {
        self.waiting.values_mut().for_each(VecDeque::clear);
        self.opening.clear();
        self.growth = None;
    }

    /// Waits for something to happen; on one lane only if it is named.
    pub(super) async fn next(&mut self, transaction: &mut Transaction, only: Option<usize>) -> Event {
        let current = only.unwrap_or(self.current);
        if let Some(message) = self.buffered(current, transaction) {
            return Event::Message(current, message);
        }
        let timeout = self.limits.timeout.map(|it| self.started + it);
        if timeout.is_some_and(|it| it <= Instant::now()) {
            return Event::Timeout;
        }
        let growth = self.growth.filter(|_| only.is_none());
        let wake = [timeout, growth].into_iter().flatten().min();
        let Self { lanes, opening, .. } = self;
        tokio::select! {
            biased;
            (lane, message) = poll_fn(|cx| poll_lanes(lanes, transaction, current, only, cx)) => {
                Event::Message(lane, message)
            }
            Some(opened) = opening.next(), if only.is_none() => Event::Opened(opened),
            () = sleep_until(wake), if wake.is_some() => match timeout == wake {
                true => Event::Timeout,
                false => Event::Growth,
            },
        }
    }

    /// A message that is already here.
    fn buffered(&mut self, lane: usize, transaction: &mut Transaction) -> Option<Result<Message>> {
        let connection = self.lanes.get_mut(lane)?.connection(transaction)?;
        match connection.is_busy() && !connection.has_prologue() {
            true => connection.take_message().transpose(),
            false => None,
        }
    }
}

/// The next message of any busy lane, the one behind the current first.
fn poll_lanes(
    lanes: &mut [Lane],
    transaction: &mut Transaction,
    current: usize,
    only: Option<usize>,
    cx: &mut Context<'_>,
) -> Poll<(usize, Result<Message>)> {
    let count = lanes.len();
    let order = (1..=count).map(|it| (current + it) % count).filter(|it| only.is_none_or(|only| only == *it));
    for index in order {
        let Some(connection) = lanes[index].connection(transaction).filter(|it| it.is_busy()) else {
            continue;
        };
        if let Poll::Ready(message) = pin!(connection.next_message()).poll(cx) {
            return Poll::Ready((index, message));
        }
    }
    Poll::Pending
}

async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}

/// Whether the tasks may run one by one on several connections: nobody else's transaction is concerned.
fn may_spread(session: &Session, limits: Limits, tasks: &[Task]) -> bool {
    1 < limits.pool_size
        && !session.transaction.is_in_progress()
        && !tasks.iter().any(|it| session.transaction.has(it.group))
}

/// Joins the tasks of each worker, so that they are one query with one snapshot.
pub(super) fn one_per_worker(tasks: Vec<Task>, access: Access) -> Vec<Task> {
    let limit = match access {
        Access::ReadSome(rows) => format!(" LIMIT {rows}"),
        Access::Read | Access::Write => String::new(),
    };
    Task::joined_per_worker(tasks, &limit)
}

/// Takes a single row.
struct OneRow(Option<Bytes>);

impl Sink for OneRow {
    fn row(&mut self, row: &Bytes, _client: &mut Client) -> Result<()> {
        self.0 = Some(row.clone());
        Ok(())
    }
}
