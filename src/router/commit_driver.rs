//! How a session's transaction ends: performs what the commit protocol says, and what is simpler than it.
//!
//! - nobody wrote, or one node did: COMMIT there, in one phase, and nothing can be half done;
//! - the coordinator decides by itself (it commits on its own, and asks for the vote of the workers over the
//!   loopback): [`Session::vote`], then [`Session::settle_vote`];
//! - else the protocol of `commit.rs`.

use howdah_catalog::GroupId;
use howdah_pg::SqlState;
use howdah_pg::wire::ErrorFields;
use howdah_pg::wire::Field;
use howdah_pg::wire::frontend;

use crate::commit::{Action, Commit, Decision, Event, Outcome};
use crate::error::{Error, Result};
use crate::gid::TransactionId;
use crate::recovery;
use crate::server::error_fields;
use crate::session::Session;
use crate::transaction::Block;

const COORDINATOR: GroupId = GroupId::COORDINATOR;

/// What one commit has found out on the way.
#[derive(Default)]
struct Journey {
    /// The first error is the one that the client is told of.
    error: Option<Error>,
    outcome: Option<Outcome>,
    /// The answer to a vote.
    approved: Option<bool>,
}

impl Journey {
    fn note(&mut self, error: Error) {
        self.error.get_or_insert(error);
    }
}

impl Session {
    /// Ends the transaction. After an error it is rolled back on every node, or its outcome is unknown (08007).
    pub(crate) async fn commit(&mut self) -> Result<()> {
        if self.transaction.block() == Block::Failed {
            return self.rollback().await;
        }
        let result = match self.has_failed_participant() {
            true => Err(self.failed_participant()),
            false => self.commit_participants().await,
        };
        if result.is_err() {
            self.abandon().await;
        }
        self.leave_transaction();
        result
    }

    /// Ends the transaction without effect. Nodes that cannot be reached have done so by themselves.
    pub(crate) async fn rollback(&mut self) -> Result<()> {
        self.abandon().await;
        self.leave_transaction();
        Ok(())
    }

    /// After a statement outside of any block: ends what it opened. An error means that its outcome is unknown,
    /// or that it was undone after all.
    pub(crate) async fn end_statement(&mut self) -> Result<()> {
        let succeeded = !self.transaction.take_failure();
        if self.transaction.block() != Block::None {
            return Ok(());
        }
        let voted = self.settle_vote(succeeded).await;
        let result = match (self.transaction.is_in_progress(), succeeded) {
            (false, _) => Ok(()),
            (true, true) if voted.is_ok() => self.commit_participants().await,
            (true, _) => {
                self.abandon().await;
                Ok(())
            }
        };
        if result.is_err() {
            self.abandon().await;
        }
        self.leave_transaction();
        voted.and(result)
    }

    /// The name under which the coordinator's commit is to be recorded by whoever writes on it; `None` if the commit is
    /// the router's own, which writes the record itself.
    pub(crate) fn record_gid(&mut self) -> Option<String> {
        let commits_itself = !self.transaction.is_open_on(COORDINATOR) || self.transaction.is_committing;
        if !commits_itself {
            return None;
        }
        self.transaction.is_recorded = true;
        Some(self.transaction_id().to_string())
    }

    /// Whether the workers have prepared, so that nothing more may be asked of them.
    pub(crate) fn is_voted(&self) -> bool {
        self.transaction.closed
    }

    /// The coordinator is about to commit by itself: brings the workers as far that they can follow it
    /// either way. An error makes the coordinator's commit fail.
    pub(crate) async fn vote(&mut self) -> Result<()> {
        if self.transaction.closed {
            return Ok(());
        }
        let writers = self.transaction.writers();
        if writers.is_empty() {
            return Ok(());
        }
        if !self.transaction.is_recorded {
            if self.transaction.is_committing {
                // COMMIT is the router's, and nothing was written on the coordinator: the only writer commits behind it.
                return Ok(());
            }
            // Without a record, a crash between the two commits would undo the workers' part.
            return Err(Error::not_supported(
                "cannot commit what was written to distributed tables here",
                "Send COMMIT as a statement of its own.",
            ));
        }
        self.transaction.closed = true;
        self.transaction_id();
        let (mut commit, actions) = Commit::vote(writers);
        let mut journey = Journey::default();
        self.drive(&mut commit, actions, &mut journey).await;
        if journey.approved == Some(true) {
            self.transaction.vote = Some(commit);
            return Ok(());
        }
        self.forget_commit();
        Err(journey.error.unwrap_or_else(|| Error::Internal("a vote was refused without reason".to_owned())))
    }

    /// After the coordinator's own commit: makes the workers follow it. `succeeded` says that the
    /// coordinator reported no error; otherwise the record tells.
    pub(crate) async fn settle_vote(&mut self, succeeded: bool) -> Result<()> {
        let Some(mut commit) = self.transaction.vote.take() else { return Ok(()) };
        let mut journey = Journey::default();
        let event = if succeeded { Event::Committed } else { Event::CommitLost };
        let actions = commit.handle(event);
        self.drive(&mut commit, actions, &mut journey).await;
        self.forget_commit();
        match journey.outcome {
            Some(Outcome::Unknown) => Err(unknown_outcome()),
            _ => Ok(()),
        }
    }

    async fn commit_participants(&mut self) -> Result<()> {
        let writers = self.transaction.writers();
        let coordinator_wrote = self.transaction.wrote_on(COORDINATOR);
        match (writers.len(), coordinator_wrote) {
            (0, _) => {
                self.commit_coordinator().await?;
            }
            (1, false) => {
                let writer = writers.into_iter().next().expect("there is one");
                // The coordinator first: a sequence that was drawn from must not go back behind the row.
                self.commit_coordinator().await?;
                self.commit_one_phase(writer).await?;
            }
            _ => self.commit_two_phase().await?,
        }
        self.end_readers().await;
        self.commits += 1;
        Ok(())
    }

    /// COMMIT on the coordinator, if it takes part. Deferred triggers may write to workers now; then their
    /// votes are asked for before it returns.
    async fn commit_coordinator(&mut self) -> Result<()> {
        if !self.transaction.is_open_on(COORDINATOR) {
            return Ok(());
        }
        let result = self.commit_one_phase(COORDINATOR).await;
        let settled = self.settle_vote(result.is_ok()).await;
        result.and(settled)
    }

    async fn commit_one_phase(&mut self, group: GroupId) -> Result<()> {
        self.transaction.is_committing = group == COORDINATOR;
        let Some(connection) = self.transaction.opened(group) else { return Ok(()) };
        connection.queue_query("COMMIT");
        let sent = connection.flush().await;
        let result = match sent {
            Ok(()) => self.read_end(group, "COMMIT").await,
            Err(error) => Err(error),
        };
        self.transaction.mark_ended(group);
        match result {
            Err(Error::ConnectionLost { .. }) => Err(unknown_outcome()),
            other => other,
        }
    }

    async fn commit_two_phase(&mut self) -> Result<()> {
        self.transaction_id();
        let (mut commit, actions) = Commit::start();
        let mut journey = Journey::default();
        self.drive(&mut commit, actions, &mut journey).await;
        self.forget_commit();
        match journey.outcome {
            Some(Outcome::Committed) => Ok(()),
            Some(Outcome::Unknown) => Err(unknown_outcome()),
            Some(Outcome::Aborted) | None => {
                let lost = || Error::Internal("a commit failed without reason".to_owned());
                Err(journey.error.unwrap_or_else(lost))
            }
        }
    }

    /// Performs actions until there are none left. Each round sends everything first and then reads, so that
    /// the nodes work at the same time.
    async fn drive(&mut self, commit: &mut Commit, mut actions: Vec<Action>, journey: &mut Journey) {
        while !actions.is_empty() {
            let rounds: Vec<Vec<Action>> = match self.takes_turns(&actions) {
                true => actions.into_iter().map(|it| vec![it]).collect(),
                false => vec![actions],
            };
            let mut next = Vec::new();
            for (index, round) in rounds.iter().enumerate() {
                self.pause_before(round, index).await;
                for action in round {
                    self.send(action).await;
                }
                for action in round {
                    if let Some(event) = self.receive(action, journey).await {
                        next.extend(commit.handle(event));
                    }
                }
            }
            actions = next;
        }
    }

    /// Sends what an action asks of a server. A failure shows when the answer is read.
    async fn send(&mut self, action: &Action) {
        if let Action::Fence(_) = action {
            self.router.fence.end_leases();
        }
        let (group, command) = match *action {
            Action::Fence(group) => (group, "LOCK TABLE howdah.fence IN ROW EXCLUSIVE MODE".to_owned()),
            Action::Prepare(group) => (group, format!("PREPARE TRANSACTION '{}'", self.gid_on(group))),
            Action::CommitPrepared(group) => (group, format!("COMMIT PREPARED '{}'", self.gid_on(group))),
            Action::RollbackPrepared(group) => (group, format!("ROLLBACK PREPARED '{}'", self.gid_on(group))),
            Action::Rollback(group) => (group, "ROLLBACK".to_owned()),
            Action::RollbackCoordinator => (COORDINATOR, "ROLLBACK".to_owned()),
            Action::Commit => (COORDINATOR, "COMMIT".to_owned()),
            Action::Record
            | Action::Approve
            | Action::Refuse
            | Action::Resolve
            | Action::Leave(_)
            | Action::Answer(_) => return,
        };
        if let Some(connection) = self.transaction.sound(group) {
            connection.queue_query(&command);
            // An error marks the connection as broken, which is what `receive` looks at.
            let _ = connection.flush().await;
        }
    }

    async fn receive(&mut self, action: &Action, journey: &mut Journey) -> Option<Event> {
        match *action {
            Action::Record => Some(self.record(journey).await),
            Action::Fence(group) => match self.read_end(group, "LOCK TABLE").await {
                Ok(()) => Some(Event::Fenced(group)),
                Err(error) => {
                    journey.note(error);
                    Some(Event::FenceFailed(group))
                }
            },
            Action::Prepare(group) => Some(self.prepared(group, journey).await),
            Action::Commit => {
                self.transaction.mark_ended(COORDINATOR);
                Some(match self.read_end(COORDINATOR, "COMMIT").await {
                    Ok(()) => Event::Committed,
                    Err(error @ Error::ConnectionLost { .. }) => {
                        journey.note(error);
                        Event::CommitLost
                    }
                    Err(error) => {
                        journey.note(error);
                        Event::CommitFailed
                    }
                })
            }
            Action::CommitPrepared(group) => Some(self.finished(group, Decision::Commit).await),
            Action::RollbackPrepared(group) => Some(self.finished(group, Decision::Abort).await),
            Action::Rollback(group) => {
                let _ = self.read_end(group, "ROLLBACK").await;
                self.transaction.mark_ended(group);
                None
            }
            Action::RollbackCoordinator => {
                let _ = self.read_end(COORDINATOR, "ROLLBACK").await;
                self.transaction.mark_ended(COORDINATOR);
                None
            }
            Action::Resolve => Some(self.resolve().await),
            Action::Leave(group) => {
                self.router.recovery.suspect(group);
                None
            }
            Action::Approve => {
                journey.approved = Some(true);
                None
            }
            Action::Refuse => {
                journey.approved = Some(false);
                None
            }
            Action::Answer(outcome) => {
                journey.outcome = Some(outcome);
                None
            }
        }
    }

    /// Fires deferred triggers and writes the record, in one flight. The triggers may write to further
    /// workers; after it no loopback may ask anything of them.
    async fn record(&mut self, journey: &mut Journey) -> Event {
        let result = self.write_record().await;
        self.transaction.closed = true;
        match result {
            Ok(()) => Event::Recorded(self.transaction.writers()),
            Err(error) => {
                journey.note(error);
                Event::RecordFailed
            }
        }
    }

    async fn write_record(&mut self) -> Result<()> {
        let key = self.router.recovery.key(&self.router).await?;
        let gid = self.transaction_id().to_string();
        let fires_triggers = self.transaction.is_open_on(COORDINATOR);
        let coordinator = self.participant(COORDINATOR).await?;
        let buffer = coordinator.buffer();
        if fires_triggers {
            frontend::put_parse(buffer, b"", b"SET CONSTRAINTS ALL IMMEDIATE", &[]);
            frontend::put_bind(buffer, b"", b"", &[], [], &[]);
            frontend::put_execute(buffer, b"", 0);
        }
        // The key is a parameter, so that no statistics view shows it.
        frontend::put_parse(buffer, b"", b"SELECT howdah.record_transaction($1, $2)", &[]);
        frontend::put_bind(buffer, b"", b"", &[], [Some(key.as_bytes()), Some(gid.as_bytes())], &[]);
        frontend::put_execute(buffer, b"", 0);
        coordinator.queue_sync();
        coordinator.flush().await?;
        self.finish_on(COORDINATOR).await
    }

    async fn prepared(&mut self, group: GroupId, journey: &mut Journey) -> Event {
        let result = self.read_end(group, "PREPARE TRANSACTION").await;
        self.transaction.mark_ended(group);
        match result {
            Ok(()) => Event::Prepared(group),
            Err(error @ Error::ConnectionLost { .. }) => {
                journey.note(error);
                Event::PrepareLost(group)
            }
            Err(error) => {
                journey.note(error);
                Event::PrepareFailed(group)
            }
        }
    }

    /// The answer to COMMIT PREPARED or ROLLBACK PREPARED; where it failed, tries once more as a superuser
    /// on another connection: the session's own may have changed its role, or be gone.
    async fn finished(&mut self, group: GroupId, decision: Decision) -> Event {
        let tag = match decision {
            Decision::Commit => "COMMIT PREPARED",
            Decision::Abort => "ROLLBACK PREPARED",
        };
        if self.read_end(group, tag).await.is_ok() {
            return Event::Finished(group);
        }
        let gid = self.gid_on(group);
        match recovery::finish(&self.router, group, &gid, decision).await {
            Ok(()) => Event::Finished(group),
            Err(error) => {
                tracing::warn!(%group, gid, %error, "a prepared transaction is left to recovery");
                Event::FinishFailed(group)
            }
        }
    }

    async fn resolve(&mut self) -> Event {
        let Some(id) = self.transaction.id() else { return Event::Unresolved };
        match recovery::decision(&self.router, id).await {
            Ok(decision) => Event::Resolved(decision),
            Err(error) => {
                tracing::warn!(gid = %id, %error, "cannot read the outcome of a commit");
                Event::Unresolved
            }
        }
    }

    /// Reads the answer to one command and makes sure that it was what was asked for: COMMIT of a failed
    /// transaction says ROLLBACK, and that is no error to the server.
    async fn read_end(&mut self, group: GroupId, expected: &str) -> Result<()> {
        let mut result = Ok(());
        let mut tag = None;
        loop {
            let Some(connection) = self.transaction.opened(group) else {
                return Err(Error::ConnectionLost { group, reason: "it is not connected".to_owned() });
            };
            if connection.is_broken() && !connection.is_busy() {
                return Err(Error::ConnectionLost { group, reason: "its connection broke".to_owned() });
            }
            if !connection.is_busy() {
                break;
            }
            let message = match group {
                COORDINATOR => self.next_coordinator_message().await,
                _ => connection.next_message().await,
            };
            match message {
                Ok(message) if message.tag == b'E' && result.is_ok() => {
                    result = Err(Error::from(error_fields(&message.body)));
                }
                Ok(message) if message.tag == b'C' => tag = Some(message.body),
                Ok(_) => {}
                Err(error) => return Err(self.lost_or(group, error)),
            }
        }
        result?;
        let tag = tag.unwrap_or_default();
        if tag.strip_suffix(b"\0") == Some(expected.as_bytes()) {
            return Ok(());
        }
        let found = String::from_utf8_lossy(&tag).into_owned();
        Err(Error::Internal(format!("node group {group} answered {expected} with {found:?}")))
    }

    /// A server that goes away says so with a FATAL error first; for a commit that is a lost connection.
    fn lost_or(&mut self, group: GroupId, error: Error) -> Error {
        let broken = self.transaction.opened(group).is_none_or(|it| it.is_broken());
        match (broken, error) {
            (_, error @ Error::ConnectionLost { .. }) => error,
            (true, error) => Error::ConnectionLost { group, reason: error.to_string() },
            (false, error) => error,
        }
    }

    /// COMMIT on nodes that only read: how that ends changes nothing for anybody.
    async fn end_readers(&mut self) {
        let groups = self.transaction.groups();
        let open: Vec<GroupId> = groups.into_iter().filter(|it| self.transaction.is_open_on(*it)).collect();
        let _ = self.run_on(&open, "COMMIT").await;
        for group in open {
            self.transaction.mark_ended(group);
        }
    }

    /// ROLLBACK wherever a transaction is open.
    async fn abandon(&mut self) {
        let _ = self.settle_vote(false).await;
        let groups = self.transaction.groups();
        let open: Vec<GroupId> = groups
            .into_iter()
            .filter(|it| self.transaction.is_open_on(*it) && self.transaction.sound(*it).is_some())
            .collect();
        let _ = self.run_on(&open, "ROLLBACK").await;
        for group in open {
            // SET inside of the block is undone with it.
            if let Some(connection) = self.transaction.opened(group) {
                connection.doubt_settings();
            }
            self.transaction.mark_ended(group);
        }
    }

    /// Gives all connections back and forgets the transaction.
    fn leave_transaction(&mut self) {
        for connection in self.transaction.reset() {
            self.release(connection);
        }
        self.live.finished();
    }

    fn transaction_id(&mut self) -> TransactionId {
        if let Some(id) = self.transaction.id() {
            return id;
        }
        let owned = self.router.recovery.in_flight().begin();
        let id = owned.id();
        self.transaction.set_owned(owned);
        id
    }

    fn gid_on(&mut self, group: GroupId) -> String {
        self.transaction_id().on(group)
    }

    fn forget_commit(&mut self) {
        self.transaction.forget_id();
        self.transaction.closed = false;
        self.transaction.is_recorded = false;
    }

    fn failed_participant(&mut self) -> Error {
        let groups = self.transaction.groups();
        let broken = groups.into_iter().find(|it| self.transaction.sound(*it).is_none());
        match broken {
            Some(group) => {
                Error::ConnectionLost { group, reason: "its part of the transaction is gone".to_owned() }
            }
            None => Error::InFailedTransaction,
        }
    }
}

/// 08007: the connection broke between COMMIT and its answer.
fn unknown_outcome() -> Error {
    let code = SqlState::TRANSACTION_RESOLUTION_UNKNOWN;
    let fields = ErrorFields::error(code, "the connection to a node was lost during commit")
        .with(Field::Detail, "The transaction was either committed or rolled back as a whole.")
        .with(Field::Hint, "Read the data before trying again.");
    fields.into()
}
