//! Bringing nodes into a transaction, and speaking to those that take part.

use howdah_catalog::GroupId;
use howdah_pg::wire::backend::TransactionStatus;

use super::{Block, Isolation, Participant, Step, Transaction};
use crate::error::{Error, Result};
use crate::pool::{PooledConnection, Term};
use crate::server::{Message, ServerConnection};
use crate::session::{IDLE_IN_TRANSACTION, Session};

impl Session {
    /// The connection to a node on which this transaction's statements run. Opens it if need be: the
    /// settings, BEGIN and the savepoints so far are queued in front of whatever is queued next, and nothing is sent.
    pub(crate) async fn participant(&mut self, group: GroupId) -> Result<&mut ServerConnection> {
        self.participant_for(group, Term::Open).await
    }

    /// The same for a statement of one shard group: if it is a transaction by itself, it waits for its turn. One that writes
    /// does not: most of its time it waits for the disk, together with others.
    pub(crate) async fn participant_for_statement(
        &mut self,
        group: GroupId,
        writes: bool,
    ) -> Result<&mut ServerConnection> {
        let alone = self.transaction.participants.is_empty() && !self.transaction.is_in_progress();
        self.participant_for(group, if alone && !writes { Term::Statement } else { Term::Open }).await
    }

    async fn participant_for(&mut self, group: GroupId, term: Term) -> Result<&mut ServerConnection> {
        if self.transaction.is_in_progress() {
            self.check_snapshots(group).await?;
        }
        self.join_one(group, term).await
    }

    /// Brings one node in, whatever the transaction's snapshots say of it.
    pub(super) async fn join_one(&mut self, group: GroupId, term: Term) -> Result<&mut ServerConnection> {
        if !self.transaction.has(group) {
            self.check_second_node(group)?;
            let connection = self.acquire_resolved(group, term).await?;
            let participant = Participant { connection, open: false, wrote: false };
            self.transaction.participants.insert(group, participant);
        }
        let begins = self.transaction.is_in_progress() && !self.transaction.is_open_on(group);
        let limits_idleness =
            begins && group != GroupId::COORDINATOR && self.timeout(IDLE_IN_TRANSACTION).is_some();
        let Self { transaction, settings, .. } = self;
        let in_progress = transaction.is_in_progress();
        let Transaction { participants, opening, begin, .. } = transaction;
        let participant = participants.get_mut(&group).expect("it was just put there");
        let connection = &mut *participant.connection;
        if connection.is_broken() {
            let reason = "its connection broke earlier in this transaction".to_owned();
            return Err(Error::ConnectionLost { group, reason });
        }
        let begins_otherwise = connection.queue_settings(settings);
        if !participant.open {
            // Commands without Sync between them are one transaction, in which the settings were the first query: too late for
            // an isolation level, and for the defaults of transactions.
            let options = in_progress
                && (begin.to_ascii_lowercase().contains("isolation")
                    || opening.iter().any(|it| matches!(it, Step::Command(_))));
            let block = !in_progress && connection.opens_implicit_block();
            if (begins_otherwise || options || block) && connection.has_prologue() {
                connection.queue_sync();
                connection.flush().await?;
                connection.finish().await?;
            }
        }
        if in_progress && !participant.open {
            connection.queue_prologue(if begin.is_empty() { "BEGIN" } else { begin });
            if limits_idleness {
                connection.queue_prologue("SET LOCAL idle_in_transaction_session_timeout = 0");
            }
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

    /// The next message of a participant.
    pub(crate) async fn message_of(&mut self, group: GroupId) -> Result<Message> {
        if group == GroupId::COORDINATOR {
            return self.next_coordinator_message().await;
        }
        match self.transaction.opened(group) {
            Some(connection) => connection.next_message().await,
            None => Err(Error::Internal("no connection to read from".to_owned())),
        }
    }

    /// Reads the rows of everything that is under way on a participant, as text.
    pub(crate) async fn rows_on(&mut self, group: GroupId) -> Result<Vec<Vec<Option<String>>>> {
        match self.transaction.opened(group) {
            Some(connection) if group != GroupId::COORDINATOR => connection.take_rows().await,
            _ => self.coordinator_rows().await,
        }
    }

    /// The same on the coordinator.
    pub(crate) async fn coordinator_rows(&mut self) -> Result<Vec<Vec<Option<String>>>> {
        let mut rows = Vec::new();
        let mut result = Ok(());
        while self.transaction.opened(GroupId::COORDINATOR).is_some_and(|it| it.is_busy()) {
            let message = self.next_coordinator_message().await?;
            match message.tag {
                b'D' => {
                    let row = crate::server::text_row(&message.body);
                    if !self.utf8
                        && result.is_ok()
                        && row.iter().flatten().any(|it| it.contains(char::REPLACEMENT_CHARACTER))
                    {
                        result = Err(Error::not_supported(
                            "a value that the coordinator computes has letters that cannot be read with this client_encoding",
                            "SET client_encoding = 'UTF8'.",
                        ));
                    }
                    rows.push(row);
                }
                b'E' if result.is_ok() => {
                    result = Err(Error::from(crate::server::error_fields(&message.body)));
                }
                _ => {}
            }
        }
        result.map(|()| rows)
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
        if alone
            || !transaction.is_in_progress()
            || transaction.isolation_by(&self.settings) != Isolation::Serializable
        {
            return Ok(());
        }
        Err(Error::not_supported(
            "cannot use a second node in a SERIALIZABLE transaction",
            "Use REPEATABLE READ, or statements of a single shard group.",
        ))
    }

    /// A connection to a node on which no transaction of the past is still undecided.
    async fn acquire_resolved(&mut self, group: GroupId, term: Term) -> Result<PooledConnection> {
        let router = self.router.clone();
        router.recovery.ensure_resolved(&router, group).await?;
        self.acquire(group, term).await
    }

    /// Undoes a failed statement by leaving the nodes that it brought into a block; false if others were harmed by it.
    pub(crate) async fn leave_joined(&mut self, before: &[GroupId], block: Block) -> Result<bool> {
        let sound = |it: &Participant| {
            !it.connection.is_broken() && it.connection.status() != TransactionStatus::Failed
        };
        if !before.iter().all(|it| self.transaction.participants.get(it).is_some_and(sound)) {
            return Ok(false);
        }
        let joined: Vec<_> =
            self.transaction.open_groups().into_iter().filter(|it| !before.contains(it)).collect();
        self.run_on(&joined, "ROLLBACK").await?;
        for group in joined {
            if let Some(mut participant) = self.transaction.participants.remove(&group) {
                participant.connection.doubt_settings();
                self.release(participant.connection);
            }
        }
        self.transaction.block = block;
        self.transaction.take_failure();
        Ok(true)
    }

    /// True if any participant is in a state in which COMMIT would be a rollback.
    pub(crate) fn has_failed_participant(&self) -> bool {
        let transaction = &self.transaction;
        let broken = |it: &&Participant| it.wrote && it.connection.is_broken();
        let failed = |it: &&Participant| it.open && it.connection.status() == TransactionStatus::Failed;
        transaction.participants.values().any(|it| broken(&it) || failed(&it))
    }
}
