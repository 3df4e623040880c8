//! One connection's part in a statement over several shards: what was sent on it, and what protects others from an
//! early end.

use std::collections::VecDeque;
use std::time::Instant;

use howdah_catalog::GroupId;
use howdah_pg::wire::backend::TransactionStatus;

use super::task::Task;
use crate::pool::PooledConnection;
use crate::server::ServerConnection;
use crate::transaction::Transaction;

pub(super) struct Lane {
    pub(super) group: GroupId,
    line: Line,
    pub(super) progress: Progress,
}

/// Which connection it is.
enum Line {
    /// That of the session's transaction.
    Own,
    /// One beyond it.
    Spare(PooledConnection),
    /// None any more: it has nothing more to do.
    Ended,
}

pub(super) struct Progress {
    /// What is under way, in order. Each part ends with a ReadyForQuery.
    parts: VecDeque<Part>,
    shelter: Shelter,
    /// The end of the shelter was sent.
    closed: bool,
}

pub(super) enum Part {
    /// The session's settings, before a transaction begins.
    Settings,
    /// BEGIN. A row of it is the name of its snapshot.
    Begin,
    /// BEGIN with the snapshot of another lane.
    Join,
    Tasks {
        /// Those not yet answered.
        tasks: VecDeque<Task>,
        count: usize,
        since: Instant,
    },
    /// The portal of the only task.
    Bind { query: String },
    /// The end of the shelter.
    End,
}

/// When a lane's transaction takes its snapshot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Snapshot {
    /// With its first task.
    Later,
    /// When it begins.
    Now,
    /// When it begins, for further lanes as well.
    Shared,
}

/// What a cancelled or failed task can be undone by, without a trace in the client's transaction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Shelter {
    /// The query is a transaction by itself.
    Own,
    /// A transaction around several tasks, which all see the same moment.
    Transaction,
    /// A savepoint in the client's transaction.
    Savepoint,
    /// There is none: whatever happens, happens to the client's transaction.
    None,
}

const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ";
const SAVEPOINT: &str = "howdah_limit";

impl Lane {
    /// On the connection of the session's transaction.
    pub(super) fn of_transaction(group: GroupId, shelter: Shelter) -> Self {
        Self { group, line: Line::Own, progress: Progress::new(shelter) }
    }

    /// On one beyond it.
    pub(super) fn of_spare(connection: PooledConnection) -> Self {
        let progress = Progress::new(Shelter::Transaction);
        Self { group: connection.group(), line: Line::Spare(connection), progress }
    }

    pub(super) fn is_spare(&self) -> bool {
        matches!(self.line, Line::Spare(_))
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.line, Line::Ended)
    }

    /// Whether it should make room for a session that needs a connection.
    pub(super) fn is_wanted(&self) -> bool {
        matches!(&self.line, Line::Spare(connection) if connection.is_wanted())
    }

    /// Its connection, and what is under way there.
    pub(super) fn split<'c>(
        &'c mut self,
        transaction: &'c mut Transaction,
    ) -> Option<(&'c mut ServerConnection, &'c mut Progress)> {
        let connection = match &mut self.line {
            Line::Own => transaction.opened(self.group)?,
            Line::Spare(connection) => connection,
            Line::Ended => return None,
        };
        Some((connection, &mut self.progress))
    }

    pub(super) fn connection<'c>(
        &'c mut self,
        transaction: &'c mut Transaction,
    ) -> Option<&'c mut ServerConnection> {
        self.split(transaction).map(|it| it.0)
    }

    /// Nothing more is expected of it; a spare connection goes back.
    pub(super) fn end(&mut self) {
        self.progress.parts.clear();
        self.line = Line::Ended;
    }
}

impl Progress {
    fn new(shelter: Shelter) -> Self {
        Self { parts: VecDeque::new(), shelter, closed: false }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.parts.is_empty()
    }

    pub(super) fn part(&mut self) -> Option<&mut Part> {
        self.parts.front_mut()
    }

    pub(super) fn push(&mut self, part: Part) {
        self.parts.push_back(part);
    }

    pub(super) fn end_part(&mut self) -> Option<Part> {
        self.parts.pop_front()
    }

    /// Whether a cancel would leave the client's transaction alone.
    pub(super) fn is_sheltered(&self) -> bool {
        self.shelter != Shelter::None
    }

    pub(super) fn has_tasks(&self) -> bool {
        self.parts.iter().any(|it| matches!(it, Part::Tasks { .. } | Part::Bind { .. }))
    }

    /// The text of the query that is answered now.
    pub(super) fn query(&self) -> Option<&str> {
        match self.parts.front() {
            Some(Part::Tasks { tasks, .. }) => tasks.front().map(|it| it.text.as_str()),
            Some(Part::Bind { query }) => Some(query),
            _ => None,
        }
    }

    /// Whether its transaction has no snapshot yet.
    pub(super) fn is_beginning(&self) -> bool {
        matches!(self.parts.front(), Some(Part::Settings | Part::Begin | Part::Bind { .. }))
    }

    /// Queues what the shelter begins with.
    pub(super) fn queue_begin(&mut self, connection: &mut ServerConnection, snapshot: Snapshot) {
        match self.shelter {
            Shelter::Own | Shelter::None => {}
            Shelter::Savepoint => connection.queue_prologue(&format!("SAVEPOINT {SAVEPOINT}")),
            Shelter::Transaction => {
                self.queue_settings(connection);
                let snapshot = match snapshot {
                    Snapshot::Later => "",
                    Snapshot::Now => "; SELECT",
                    Snapshot::Shared => "; SELECT pg_catalog.pg_export_snapshot()",
                };
                connection.queue_query(&format!("{BEGIN}{snapshot}"));
                self.push(Part::Begin);
            }
        }
    }

    /// Begins with the snapshot of another lane.
    pub(super) fn queue_join(&mut self, connection: &mut ServerConnection, snapshot: &str) {
        self.queue_settings(connection);
        connection.queue_query(&format!("{BEGIN}; SET TRANSACTION SNAPSHOT '{snapshot}'"));
        self.push(Part::Join);
    }

    /// They are a query, after which it is too late for an isolation level.
    fn queue_settings(&mut self, connection: &mut ServerConnection) {
        if connection.has_prologue() {
            connection.queue_sync();
            self.push(Part::Settings);
        }
    }

    /// Queues what the shelter ends with, once. True if there is such a thing.
    pub(super) fn queue_end(&mut self, connection: &mut ServerConnection) -> bool {
        if std::mem::replace(&mut self.closed, true) {
            return false;
        }
        match self.shelter {
            Shelter::Own | Shelter::None => return false,
            Shelter::Transaction => connection.queue_query("COMMIT"),
            Shelter::Savepoint => connection.queue_query(&format!("RELEASE SAVEPOINT {SAVEPOINT}")),
        }
        self.push(Part::End);
        true
    }

    /// What undoes the shelter's content after an early end; `None` if there is nothing to undo. After an error of the
    /// statement the client's transaction is to stay a failed one.
    pub(super) fn undo(&self, status: TransactionStatus, statement_failed: bool) -> Option<String> {
        match self.shelter {
            Shelter::Transaction if status != TransactionStatus::Idle => Some("ROLLBACK".to_owned()),
            Shelter::Savepoint if status == TransactionStatus::Failed && !statement_failed => {
                Some(format!("ROLLBACK TO SAVEPOINT {SAVEPOINT}; RELEASE SAVEPOINT {SAVEPOINT}"))
            }
            Shelter::Own | Shelter::Transaction | Shelter::Savepoint | Shelter::None => None,
        }
    }
}
