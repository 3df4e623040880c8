//! The transaction of a session: which nodes take part in it, and how each of them is brought in.
//!
//! A node takes part from the first statement that needs it. What it missed until then (BEGIN, the
//! savepoints) is queued in front of that statement and goes out with it. How the transaction ends is in
//! `commit_driver.rs`.
//!
//! Invariants: every participant that is open has all savepoints of the stack, so that ROLLBACK TO means the
//! same on all of them; a participant whose connection broke can only be rolled back.

mod participants;
mod savepoints;
mod snapshots;
mod time;

use std::collections::{BTreeMap, BTreeSet};

use howdah_catalog::GroupId;
use howdah_pg::wire::backend::TransactionStatus;

use self::snapshots::Snapshots;
pub(crate) use self::snapshots::timed_out;
use crate::commit::Commit;
use crate::gid::{Owned, TransactionId};
use crate::pool::PooledConnection;
use crate::server::ServerConnection;
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
    /// Intermediate results that it has stored so far.
    intermediates: u64,
    /// The name under which it commits on several nodes; made when first needed.
    owned: Option<Owned>,
    /// The votes on the coordinator's commit: cast, and its outcome not yet known.
    pub(crate) vote: Option<Commit>,
    /// The workers prepare or have prepared: no more work for them.
    pub(crate) closed: bool,
    /// COMMIT was sent to the coordinator, in one phase.
    pub(crate) is_committing: bool,
    /// A trigger was given the name for the commit record.
    pub(crate) is_recorded: bool,
    snapshots: Snapshots,
    /// Nodes that its snapshots leave out: they could not be reached.
    left_out: BTreeSet<GroupId>,
    /// What runs now is of a kind for which PostgreSQL takes none, so that what comes next may see what others commit meanwhile.
    pub(crate) takes_no_snapshot: bool,
}

/// What statements of a transaction see of others.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Isolation {
    ReadCommitted,
    RepeatableRead,
    Serializable,
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
    pub(crate) fn open_groups(&self) -> Vec<GroupId> {
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

    /// Tells its intermediate results apart.
    pub(crate) fn next_intermediate(&mut self) -> u64 {
        self.intermediates += 1;
        self.intermediates
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

    /// SET TRANSACTION ran, which may have changed it.
    fn doubt_isolation(&mut self) {
        if self.snapshots == Snapshots::PerStatement {
            self.snapshots = Snapshots::Unknown;
        }
    }

    /// Whether it is SERIALIZABLE, and the coordinator has no part in it.
    pub(crate) fn is_serializable_elsewhere(&self, settings: &Settings) -> bool {
        self.is_in_progress()
            && !self.has(GroupId::COORDINATOR)
            && self.isolation_by(settings) == Isolation::Serializable
    }

    /// What BEGIN, SET TRANSACTION or the settings say.
    fn isolation_by(&self, settings: &Settings) -> Isolation {
        let commands = self.opening.iter().rev().filter_map(|it| match it {
            Step::Command(command) => Some(command.as_str()),
            Step::Savepoint(_) | Step::WorkerSavepoint(_) => None,
        });
        for command in commands.chain([self.begin.as_str()]).map(str::to_ascii_lowercase) {
            if command.contains("isolation") {
                return Isolation::named(&command);
            }
        }
        let current = settings.get("transaction_isolation");
        let level = current.or(settings.get("default_transaction_isolation"));
        level.map_or(Isolation::ReadCommitted, Isolation::named)
    }
}

impl Isolation {
    /// The level that a command or a setting names.
    fn named(text: &str) -> Self {
        let text = text.to_ascii_lowercase();
        if text.contains("serializable") {
            Self::Serializable
        } else if text.contains("repeatable") {
            Self::RepeatableRead
        } else {
            Self::ReadCommitted
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_isolation_level_is_that_of_begin_or_of_the_settings() {
        let serializable = Settings::new(
            [("default_transaction_isolation".to_owned(), "serializable".to_owned())].into_iter().collect(),
        );
        let mut transaction = Transaction::default();
        assert_eq!(transaction.isolation_by(&Settings::default()), Isolation::ReadCommitted);
        assert_eq!(transaction.isolation_by(&serializable), Isolation::Serializable);
        transaction.begin(Block::Explicit, "BEGIN ISOLATION LEVEL READ COMMITTED");
        assert_eq!(transaction.isolation_by(&serializable), Isolation::ReadCommitted);
        transaction.begin(Block::Explicit, "start transaction isolation level Repeatable  Read");
        assert_eq!(transaction.isolation_by(&serializable), Isolation::RepeatableRead);
        let serializable = "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE".to_owned();
        transaction.opening.push(Step::Command(serializable));
        assert_eq!(transaction.isolation_by(&Settings::default()), Isolation::Serializable);
    }
}
