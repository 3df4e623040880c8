//! The transaction of a session: which nodes take part in it, and how each of them is brought in.
//!
//! A node takes part from the first statement that needs it. What it missed until then (BEGIN, the
//! savepoints) is queued in front of that statement and goes out with it. How the transaction ends is in
//! `commit_driver.rs`.
//!
//! Invariants: every participant that is open has all savepoints of the stack, so that ROLLBACK TO means the
//! same on all of them; a participant whose connection broke can only be rolled back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use howdah_catalog::GroupId;
use howdah_pg::SqlState;
use howdah_pg::wire::ErrorFields;
use howdah_pg::wire::backend::TransactionStatus;

use crate::commit::Commit;
use crate::error::{Error, Result};
use crate::gid::{Owned, TransactionId};
use crate::pool::PooledConnection;
use crate::server::ServerConnection;
use crate::session::Session;
use crate::settings::{Settings, quote_identifier};

/// The block a client is in, as it sees it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Block {
    /// Each statement commits by itself.
    #[default]
    None,
    /// Several statements up to the next Sync, or of one simple Query, commit together.
    Implicit,
    /// After BEGIN.
    Explicit,
    /// After an error in an explicit block.
    Failed,
}

#[derive(Default)]
pub(crate) struct Transaction {
    block: Block,
    /// A statement outside of any block that needs a transaction on its nodes nonetheless: it writes on
    /// several, or the coordinator runs it and reaches workers through live tables.
    statement: bool,
    /// Its last statement had an error.
    statement_failed: bool,
    /// `BEGIN` with the options the client gave; empty for the defaults.
    begin: String,
    /// What a node that joins later must run after BEGIN, in order.
    opening: Vec<Step>,
    participants: BTreeMap<GroupId, Participant>,
    /// now() of this transaction, once somebody asked.
    time: Option<String>,
    /// The name under which it commits on several nodes; made when first needed.
    owned: Option<Owned>,
    /// The votes on the coordinator's commit: cast, and its outcome not yet known.
    pub(crate) vote: Option<Commit>,
    /// The workers prepare or have prepared: no more work for them.
    pub(crate) closed: bool,
}

/// A command that belongs to the transaction as a whole.
enum Step {
    Savepoint(String),
    /// One that the coordinator made by itself, while it runs a statement over live tables.
    WorkerSavepoint(String),
    /// SET TRANSACTION, SET CONSTRAINTS.
    Command(String),
}

impl Step {
    fn command(&self) -> String {
        match self {
            Self::Savepoint(name) | Self::WorkerSavepoint(name) => {
                format!("SAVEPOINT {}", quote_identifier(name))
            }
            Self::Command(command) => command.clone(),
        }
    }

    fn is_savepoint(&self, wanted: &str) -> bool {
        match self {
            Self::Savepoint(name) | Self::WorkerSavepoint(name) => name == wanted,
            Self::Command(_) => false,
        }
    }

    fn concerns(&self, group: GroupId) -> bool {
        group != GroupId::COORDINATOR || !matches!(self, Self::WorkerSavepoint(_))
    }
}

struct Participant {
    connection: PooledConnection,
    /// BEGIN was queued: it has a transaction, or will once the queue is sent.
    open: bool,
    wrote: bool,
}

impl Transaction {
    pub(crate) fn block(&self) -> Block {
        self.block
    }

    /// What ReadyForQuery says.
    pub(crate) fn status(&self) -> TransactionStatus {
        match self.block {
            Block::None | Block::Implicit => TransactionStatus::Idle,
            Block::Explicit => TransactionStatus::InTransaction,
            Block::Failed => TransactionStatus::Failed,
        }
    }

    /// BEGIN, or the start of an implicit block. No node is touched yet.
    pub(crate) fn begin(&mut self, block: Block, command: &str) {
        self.block = block;
        self.begin = command.to_owned();
    }

    /// BEGIN in an implicit block makes it explicit, with what was done in it.
    pub(crate) fn make_explicit(&mut self) {
        self.block = Block::Explicit;
    }

    /// A block that the coordinator opened by itself, by statements that were not understood here.
    pub(crate) fn adopt(&mut self) {
        if self.block == Block::None {
            self.begin(Block::Explicit, "BEGIN");
            if let Some(coordinator) = self.participants.get_mut(&GroupId::COORDINATOR) {
                coordinator.open = true;
            }
        }
    }

    /// A statement failed, on whatever node.
    pub(crate) fn fail(&mut self) {
        self.statement_failed = true;
        if self.block == Block::Explicit {
            self.block = Block::Failed;
        }
    }

    /// A connection that is already part of it.
    pub(crate) fn opened(&mut self, group: GroupId) -> Option<&mut ServerConnection> {
        self.participants.get_mut(&group).map(|it| &mut *it.connection)
    }

    pub(crate) fn has(&self, group: GroupId) -> bool {
        self.participants.contains_key(&group)
    }

    /// Whether statements on this node run inside a transaction that has begun there.
    pub(crate) fn is_open_on(&self, group: GroupId) -> bool {
        self.participants.get(&group).is_some_and(|it| it.open)
    }

    /// Notes that a statement which may change data is about to run on a node.
    pub(crate) fn mark_writer(&mut self, group: GroupId) {
        if let Some(participant) = self.participants.get_mut(&group) {
            participant.wrote = true;
        }
    }

    pub(crate) fn wrote_on(&self, group: GroupId) -> bool {
        self.participants.get(&group).is_some_and(|it| it.wrote)
    }

    /// The workers that wrote.
    pub(crate) fn writers(&self) -> BTreeSet<GroupId> {
        let wrote =
            self.participants.iter().filter(|(group, it)| it.wrote && **group != GroupId::COORDINATOR);
        wrote.map(|it| *it.0).collect()
    }

    pub(crate) fn groups(&self) -> Vec<GroupId> {
        self.participants.keys().copied().collect()
    }

    /// The participants that have begun a transaction.
    fn open_groups(&self) -> Vec<GroupId> {
        self.participants.iter().filter(|it| it.1.open).map(|it| *it.0).collect()
    }

    /// All connections at once.
    pub(crate) fn connections(&mut self) -> impl Iterator<Item = (GroupId, &mut ServerConnection)> {
        self.participants.iter_mut().map(|(group, it)| (*group, &mut *it.connection))
    }

    fn open_participants(&mut self) -> impl Iterator<Item = (GroupId, &mut Participant)> {
        self.participants.iter_mut().filter(|it| it.1.open).map(|(group, it)| (*group, it))
    }

    /// Whether statements run inside a transaction that ends with a command of its own.
    pub(crate) fn is_in_progress(&self) -> bool {
        self.block != Block::None || self.statement
    }

    /// Gives a statement outside of any block a transaction of its own; true if it had none.
    pub(crate) fn open_statement(&mut self) -> bool {
        let opens = !self.is_in_progress();
        self.statement |= opens;
        opens
    }

    /// Whether a statement has failed since this was last asked.
    pub(crate) fn take_failure(&mut self) -> bool {
        std::mem::take(&mut self.statement_failed)
    }

    /// The participant has left its transaction, by PREPARE or an end of its own.
    pub(crate) fn mark_ended(&mut self, group: GroupId) {
        if let Some(participant) = self.participants.get_mut(&group) {
            participant.open = false;
            participant.wrote = false;
        }
    }

    /// A participant that can be spoken to; `None` for one that is not there or whose connection broke.
    pub(crate) fn sound(&mut self, group: GroupId) -> Option<&mut ServerConnection> {
        self.opened(group).filter(|it| !it.is_broken())
    }

    /// Its name among prepared transactions.
    pub(crate) fn id(&self) -> Option<TransactionId> {
        self.owned.as_ref().map(Owned::id)
    }

    pub(crate) fn set_owned(&mut self, owned: Owned) {
        self.owned = Some(owned);
    }

    /// The commit or its resolution is over: the next one gets a new name.
    pub(crate) fn forget_id(&mut self) {
        self.owned = None;
    }

    /// As before BEGIN; what it used is handed out.
    pub(crate) fn reset(&mut self) -> Vec<PooledConnection> {
        let old = std::mem::take(self);
        old.participants.into_values().map(|it| it.connection).collect()
    }

    fn begin_command(&self) -> &str {
        if self.begin.is_empty() { "BEGIN" } else { &self.begin }
    }

    fn is_serializable(&self, settings: &Settings) -> bool {
        let commands = self.opening.iter().rev().filter_map(|it| match it {
            Step::Command(command) => Some(command.as_str()),
            Step::Savepoint(_) | Step::WorkerSavepoint(_) => None,
        });
        for command in commands.chain([self.begin.as_str()]).map(str::to_ascii_lowercase) {
            if command.contains("isolation") {
                return command.contains("serializable");
            }
        }
        let current = settings.get("transaction_isolation");
        current.or(settings.get("default_transaction_isolation")).is_some_and(|it| it == "serializable")
    }
}

impl Session {
    /// The connection to a node on which this transaction's statements run. Opens it if need be: the
    /// settings, BEGIN and the savepoints so far are queued in front of whatever is queued next, and nothing is sent.
    pub(crate) async fn participant(&mut self, group: GroupId) -> Result<&mut ServerConnection> {
        if !self.transaction.has(group) {
            self.check_second_node(group)?;
            let connection = self.acquire_resolved(group).await?;
            let participant = Participant { connection, open: false, wrote: false };
            self.transaction.participants.insert(group, participant);
        }
        let Self { transaction, settings, .. } = self;
        let in_progress = transaction.is_in_progress();
        let begin = transaction.begin_command().to_owned();
        let Transaction { participants, opening, .. } = transaction;
        let participant = participants.get_mut(&group).expect("it was just put there");
        let connection = &mut *participant.connection;
        if connection.is_broken() {
            let reason = "its connection broke earlier in this transaction".to_owned();
            return Err(Error::ConnectionLost { group, reason });
        }
        connection.queue_settings(settings);
        if in_progress && !participant.open {
            // Commands without Sync between them are one transaction, in which the settings were the first query: too late for
            // an isolation level.
            let options = begin.to_ascii_lowercase().contains("isolation")
                || opening.iter().any(|it| matches!(it, Step::Command(_)));
            if options && connection.has_prologue() {
                connection.queue_sync();
                connection.flush().await?;
                connection.finish().await?;
            }
            connection.queue_prologue(&begin);
            let steps = opening.iter().filter(|it| it.concerns(group));
            steps.for_each(|it| connection.queue_prologue(&it.command()));
            participant.open = true;
        }
        Ok(connection)
    }

    /// Makes sure that all these nodes take part. New connections are opened one after the other.
    pub(crate) async fn join(&mut self, groups: impl IntoIterator<Item = GroupId>) -> Result<()> {
        for group in groups {
            self.participant(group).await?;
        }
        Ok(())
    }

    /// Reads the rows of everything that is under way on the coordinator, as text.
    pub(crate) async fn coordinator_rows(&mut self) -> Result<Vec<Vec<Option<String>>>> {
        let mut rows = Vec::new();
        let mut result = Ok(());
        while self.transaction.opened(GroupId::COORDINATOR).is_some_and(|it| it.is_busy()) {
            let message = self.next_coordinator_message().await?;
            match message.tag {
                b'D' => rows.push(crate::server::text_row(&message.body)),
                b'E' if result.is_ok() => {
                    result = Err(Error::from(crate::server::error_fields(&message.body)));
                }
                _ => {}
            }
        }
        result.map(|()| rows)
    }

    /// now() of this transaction as a constant for the workers: the coordinator's, if there is a block.
    pub(crate) async fn transaction_time(&mut self) -> Result<String> {
        if let Some(time) = &self.transaction.time {
            return Ok(time.clone());
        }
        let time = match self.transaction.block {
            Block::None => format_time(SystemTime::now()),
            _ => self.coordinator_time().await?,
        };
        self.transaction.time = Some(time.clone());
        Ok(time)
    }

    async fn coordinator_time(&mut self) -> Result<String> {
        let coordinator = self.participant(GroupId::COORDINATOR).await?;
        coordinator.queue_query(
            "SELECT pg_catalog.to_char(pg_catalog.timezone('UTC', pg_catalog.now()), \
             'YYYY-MM-DD HH24:MI:SS.US') || '+00'",
        );
        coordinator.flush().await?;
        let rows = self.coordinator_rows().await?;
        let time = rows.into_iter().next().and_then(|it| it.into_iter().next()).flatten();
        time.ok_or_else(|| Error::Internal("the coordinator has no time".to_owned()))
    }

    /// SAVEPOINT: the nodes hear of it with their next statement.
    pub(crate) async fn savepoint(&mut self, name: &str) -> Result<()> {
        self.push_savepoint(Step::Savepoint(name.to_owned()));
        Ok(())
    }

    /// The same on the workers only.
    pub(crate) async fn savepoint_on_workers(&mut self, name: &str) -> Result<()> {
        self.push_savepoint(Step::WorkerSavepoint(name.to_owned()));
        Ok(())
    }

    fn push_savepoint(&mut self, step: Step) {
        for (_, participant) in self.transaction.open_participants().filter(|it| step.concerns(it.0)) {
            participant.connection.queue_prologue(&step.command());
        }
        self.transaction.opening.push(step);
    }

    /// Whether ROLLBACK TO or RELEASE of this name would find it.
    pub(crate) fn has_savepoint(&self, name: &str) -> bool {
        self.find_step(name).is_ok()
    }

    /// RELEASE SAVEPOINT: with it go all that were made after it.
    pub(crate) async fn release_savepoint(&mut self, name: &str) -> Result<()> {
        let at = self.find_step(name)?;
        let mut later = self.transaction.opening.split_off(at);
        let command = format!("RELEASE SAVEPOINT {}", quote_identifier(name));
        for (_, participant) in self.transaction.open_participants().filter(|it| later[0].concerns(it.0)) {
            participant.connection.queue_prologue(&command);
        }
        later.retain(|it| matches!(it, Step::Command(_)));
        self.transaction.opening.append(&mut later);
        Ok(())
    }

    /// The same for one on the workers only; it may have gone with an older one already.
    pub(crate) async fn release_on_workers(&mut self, name: &str) -> Result<()> {
        if self.has_savepoint(name) { self.release_savepoint(name).await } else { Ok(()) }
    }

    /// ROLLBACK TO SAVEPOINT, on all nodes at once: the locks taken since must go now.
    pub(crate) async fn rollback_to(&mut self, name: &str) -> Result<()> {
        let at = self.find_step(name)?;
        if self.transaction.participants.values().any(|it| it.connection.is_broken()) {
            // Its part of the transaction is gone for good.
            return Err(Error::InFailedTransaction);
        }
        let command = format!("ROLLBACK TO SAVEPOINT {}", quote_identifier(name));
        let step = &self.transaction.opening[at];
        let groups =
            self.transaction.open_groups().into_iter().filter(|it| step.concerns(*it)).collect::<Vec<_>>();
        self.run_on(&groups, &command).await?;
        for (_, participant) in self.transaction.open_participants() {
            participant.connection.doubt_settings();
        }
        self.transaction.opening.truncate(at + 1);
        if self.transaction.block == Block::Failed {
            self.transaction.block = Block::Explicit;
        }
        Ok(())
    }

    /// The same for one on the workers only; it may have gone with an older one already.
    pub(crate) async fn rollback_to_on_workers(&mut self, name: &str) -> Result<()> {
        if self.has_savepoint(name) { self.rollback_to(name).await } else { Ok(()) }
    }

    /// A command that every participant runs, now or when it joins: SET TRANSACTION, SET CONSTRAINTS.
    pub(crate) async fn in_transaction(&mut self, command: &str) -> Result<()> {
        let groups = self.transaction.open_groups();
        self.run_on(&groups, command).await?;
        self.transaction.opening.push(Step::Command(command.to_owned()));
        Ok(())
    }

    /// Where a savepoint is among the steps.
    fn find_step(&self, name: &str) -> Result<usize> {
        self.transaction.opening.iter().rposition(|it| it.is_savepoint(name)).ok_or_else(|| {
            let message = format!("savepoint \"{name}\" does not exist");
            ErrorFields::error(SqlState::INVALID_SAVEPOINT_SPECIFICATION, message).into()
        })
    }

    /// Runs a command on several participants in one flight each, and waits for all.
    pub(crate) async fn run_on(&mut self, groups: &[GroupId], command: &str) -> Result<()> {
        // The coordinator alone and first: it may use the workers meanwhile, through its live tables.
        let (coordinator, workers): (Vec<_>, Vec<_>) =
            groups.iter().copied().partition(|it| *it == GroupId::COORDINATOR);
        let mut result = Ok(());
        for groups in [coordinator, workers] {
            for group in &groups {
                if let Some(connection) = self.transaction.opened(*group) {
                    connection.queue_query(command);
                    result = result.and(connection.flush().await);
                }
            }
            for group in &groups {
                result = result.and(self.finish_on(*group).await);
            }
        }
        result
    }

    /// Reads until a participant has answered everything. The coordinator may need its live tables for that.
    pub(crate) async fn finish_on(&mut self, group: GroupId) -> Result<()> {
        if group != GroupId::COORDINATOR {
            let Some(connection) = self.transaction.opened(group) else { return Ok(()) };
            return connection.finish().await;
        }
        let mut result = Ok(());
        while self.transaction.opened(group).is_some_and(|it| it.is_busy()) {
            let message = self.next_coordinator_message().await?;
            if message.tag == b'E' && result.is_ok() {
                result = Err(crate::server::error_fields(&message.body).into());
            }
        }
        result
    }

    fn check_second_node(&self, group: GroupId) -> Result<()> {
        let transaction = &self.transaction;
        let alone = transaction.participants.keys().all(|it| *it == group);
        if alone || !transaction.is_in_progress() || !transaction.is_serializable(&self.settings) {
            return Ok(());
        }
        Err(Error::not_supported(
            "cannot use a second node in a SERIALIZABLE transaction",
            "Use REPEATABLE READ, or statements of a single shard group.",
        ))
    }

    /// A connection to a node on which no transaction of the past is still undecided.
    async fn acquire_resolved(&mut self, group: GroupId) -> Result<PooledConnection> {
        let router = self.router.clone();
        router.recovery.ensure_resolved(&router, group).await?;
        self.acquire(group).await
    }

    /// True if any participant is in a state in which COMMIT would be a rollback.
    pub(crate) fn has_failed_participant(&self) -> bool {
        let transaction = &self.transaction;
        let broken = |it: &&Participant| it.wrote && it.connection.is_broken();
        let failed = |it: &&Participant| it.open && it.connection.status() == TransactionStatus::Failed;
        transaction.participants.values().any(|it| broken(&it) || failed(&it))
    }
}

/// As PostgreSQL writes a timestamptz in UTC, to the microsecond.
fn format_time(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let seconds = i64::try_from(since.as_secs()).unwrap_or(0);
    let moment = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let date = moment.to_zoned(jiff::tz::TimeZone::UTC);
    format!("{}.{:06}+00", date.strftime("%Y-%m-%d %H:%M:%S"), since.subsec_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_written_as_postgres_writes_it() {
        let time = SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 1_234_000);
        assert_eq!(format_time(time), "2023-11-14 22:13:20.001234+00");
    }

    #[test]
    fn the_isolation_level_is_that_of_begin_or_of_the_settings() {
        let serializable = Settings::new(
            [("default_transaction_isolation".to_owned(), "serializable".to_owned())].into_iter().collect(),
        );
        let mut transaction = Transaction::default();
        assert!(!transaction.is_serializable(&Settings::default()));
        assert!(transaction.is_serializable(&serializable));
        transaction.begin(Block::Explicit, "BEGIN ISOLATION LEVEL READ COMMITTED");
        assert!(!transaction.is_serializable(&serializable));
        transaction.begin(Block::Explicit, "start transaction isolation level Serializable");
        assert!(transaction.is_serializable(&Settings::default()));
    }
}
