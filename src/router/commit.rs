//! The commit of a distributed transaction, as a state machine without IO.
//!
//! The coordinator never prepares: it commits last, in one phase, and its commit is the decision. A row of
//! `pg_dist_transaction`, written in that same coordinator transaction, tells recovery which way it went.
//!
//! ```text
//! Recording ──> Fencing ──> Preparing ──> Deciding ──> Finishing ──> Done
//!     │            │            │            └─> Resolving (the answer to COMMIT was lost)
//!     └────────────┴────────────┴──> abort, Done
//! ```
//!
//! Invariants:
//! - no COMMIT PREPARED before the coordinator's commit is known to be durable;
//! - no ROLLBACK PREPARED once the coordinator's COMMIT was asked for, unless it is known to have failed;
//! - no worker prepares before the record stands in the coordinator's open transaction, so that a
//!   tombstone of the same gid either waits for that transaction or makes the record impossible.
//!
//! A transaction that wrote on one node only does not come here: it commits in one phase.
//! What this module does not do: talk to servers (the driver in `transaction.rs` does), and clean up
//! after a router that died (`recovery.rs` does).

use std::collections::BTreeSet;

use howdah_catalog::GroupId;

/// What happened. An event that does not fit the state is a repetition or too late, and is ignored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Event {
    /// The record stands; deferred triggers have fired, and these are all workers that wrote.
    Recorded(BTreeSet<GroupId>),
    /// The record could not be written, or a deferred trigger failed.
    RecordFailed,
    Fenced(GroupId),
    FenceFailed(GroupId),
    Prepared(GroupId),
    /// The worker answered PREPARE with an error: its transaction is gone.
    PrepareFailed(GroupId),
    /// The connection broke: the worker may have prepared, now or later.
    PrepareLost(GroupId),
    Committed,
    CommitFailed,
    /// The connection broke after COMMIT was asked for.
    CommitLost,
    Resolved(Decision),
    /// The coordinator cannot be asked at the moment.
    Unresolved,
    /// COMMIT PREPARED or ROLLBACK PREPARED was done.
    Finished(GroupId),
    FinishFailed(GroupId),
}

/// What the driver is to do next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Action {
    /// On the coordinator: `SET CONSTRAINTS ALL IMMEDIATE` and the record. Answer: `Recorded`.
    Record,
    /// Takes the fence of consistent reads on one worker. Answer: `Fenced`.
    Fence(GroupId),
    /// Answer: `Prepared`, `PrepareFailed` or `PrepareLost`.
    Prepare(GroupId),
    /// Answer: `Committed`, `CommitFailed` or `CommitLost`.
    Commit,
    /// Lets the coordinator, which waits in its pre-commit, go on to commit. Same answers as `Commit`.
    Approve,
    /// Fails the coordinator's waiting pre-commit.
    Refuse,
    /// Ends the coordinator's transaction, and with it the record.
    RollbackCoordinator,
    /// Ends the open transaction of a worker that has not prepared.
    Rollback(GroupId),
    CommitPrepared(GroupId),
    RollbackPrepared(GroupId),
    /// Reads the record by way of a tombstone. Answer: `Resolved` or `Unresolved`.
    Resolve,
    /// The prepared transaction of this worker is left to recovery.
    Leave(GroupId),
    Answer(Outcome),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Decision {
    Commit,
    Abort,
}

/// What the client is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    Committed,
    Aborted,
    /// The decision stands on the coordinator, but nobody could read it: SQLSTATE 08007.
    Unknown,
}

/// Who asks the coordinator to commit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Decider {
    /// The router, by COMMIT on the session's coordinator connection.
    Router,
    /// The coordinator itself is committing and asks for our vote over the loopback. The record was
    /// written by the probe trigger.
    Coordinator,
}

#[derive(Debug)]
pub(crate) struct Commit {
    decider: Decider,
    state: State,
}

#[derive(Debug)]
enum State {
    Recording,
    /// One worker after the other, in node order: readers take the fence in the same order.
    Fencing {
        fenced: BTreeSet<GroupId>,
        next: GroupId,
        rest: BTreeSet<GroupId>,
    },
    Preparing {
        waiting: BTreeSet<GroupId>,
        prepared: BTreeSet<GroupId>,
        /// Connections that broke: they may be prepared or not.
        lost: BTreeSet<GroupId>,
        failed: bool,
    },
    Deciding {
        prepared: BTreeSet<GroupId>,
    },
    Resolving {
        prepared: BTreeSet<GroupId>,
    },
    Finishing {
        waiting: BTreeSet<GroupId>,
        outcome: Outcome,
    },
    Done,
}

impl Commit {
    /// Starts the commit that the router decides.
    pub(crate) fn start() -> (Commit, Vec<Action>) {
        (Commit { decider: Decider::Router, state: State::Recording }, vec![Action::Record])
    }

    /// Starts the vote on a commit that the coordinator is about to make by itself.
    pub(crate) fn vote(writers: BTreeSet<GroupId>) -> (Commit, Vec<Action>) {
        let mut commit = Commit { decider: Decider::Coordinator, state: State::Done };
        let actions = commit.fence(writers);
        (commit, actions)
    }

    #[cfg(test)]
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    pub(crate) fn handle(&mut self, event: Event) -> Vec<Action> {
        match (std::mem::replace(&mut self.state, State::Done), event) {
            (State::Recording, Event::Recorded(writers)) => self.fence(writers),
            (State::Recording, Event::RecordFailed) => self.abort(BTreeSet::new(), BTreeSet::new()),
            (State::Fencing { mut fenced, next, rest }, Event::Fenced(group)) if group == next => {
                fenced.insert(group);
                self.fence_next(fenced, rest)
            }
            (State::Fencing { fenced, next, rest }, Event::FenceFailed(group)) if group == next => {
                let open = fenced.into_iter().chain([next]).chain(rest).collect();
                self.abort(open, BTreeSet::new())
            }
            (State::Preparing { waiting, prepared, lost, failed }, event) => {
                self.on_prepare(waiting, prepared, lost, failed, &event)
            }
            (State::Deciding { prepared }, Event::Committed) => self.finish(prepared, Outcome::Committed),
            (State::Deciding { prepared }, Event::CommitFailed) => self.finish(prepared, Outcome::Aborted),
            (State::Deciding { prepared }, Event::CommitLost) => {
                self.state = State::Resolving { prepared };
                vec![Action::Resolve]
            }
            (State::Resolving { prepared }, Event::Resolved(Decision::Commit)) => {
                self.finish(prepared, Outcome::Committed)
            }
            (State::Resolving { prepared }, Event::Resolved(Decision::Abort)) => {
                self.finish(prepared, Outcome::Aborted)
            }
            (State::Resolving { prepared }, Event::Unresolved) => {
                let leave = prepared.into_iter().map(Action::Leave);
                leave.chain([Action::Answer(Outcome::Unknown)]).collect()
            }
            (State::Finishing { waiting, outcome }, event) => self.on_finish(waiting, outcome, &event),
            (state, _) => {
                self.state = state;
                vec![]
            }
        }
    }

    fn fence(&mut self, writers: BTreeSet<GroupId>) -> Vec<Action> {
        if writers.len() > 1 {
            return self.fence_next(BTreeSet::new(), writers);
        }
        // One worker: a reader sees it before or after, there is no half.
        self.prepare(writers)
    }

    fn fence_next(&mut self, fenced: BTreeSet<GroupId>, mut rest: BTreeSet<GroupId>) -> Vec<Action> {
        let Some(next) = rest.pop_first() else { return self.prepare(fenced) };
        self.state = State::Fencing { fenced, next, rest };
        vec![Action::Fence(next)]
    }

    fn prepare(&mut self, writers: BTreeSet<GroupId>) -> Vec<Action> {
        if writers.is_empty() {
            return self.decide(BTreeSet::new());
        }
        let actions = writers.iter().copied().map(Action::Prepare).collect();
        self.state = State::Preparing {
            waiting: writers,
            prepared: BTreeSet::new(),
            lost: BTreeSet::new(),
            failed: false,
        };
        actions
    }

    fn on_prepare(
        &mut self,
        mut waiting: BTreeSet<GroupId>,
        mut prepared: BTreeSet<GroupId>,
        mut lost: BTreeSet<GroupId>,
        mut failed: bool,
        event: &Event,
    ) -> Vec<Action> {
        match *event {
            Event::Prepared(group) if waiting.remove(&group) => {
                prepared.insert(group);
            }
            Event::PrepareFailed(group) if waiting.remove(&group) => failed = true,
            Event::PrepareLost(group) if waiting.remove(&group) => {
                lost.insert(group);
                failed = true;
            }
            _ => {}
        }
        match (waiting.is_empty(), failed) {
            (false, _) => {
                self.state = State::Preparing { waiting, prepared, lost, failed };
                vec![]
            }
            (true, false) => self.decide(prepared),
            (true, true) => {
                let mut actions: Vec<Action> = lost.into_iter().map(Action::Leave).collect();
                actions.extend(self.abort(BTreeSet::new(), prepared));
                actions
            }
        }
    }

    fn decide(&mut self, prepared: BTreeSet<GroupId>) -> Vec<Action> {
        self.state = State::Deciding { prepared };
        match self.decider {
            Decider::Router => vec![Action::Commit],
            Decider::Coordinator => vec![Action::Approve],
        }
    }

    /// Before the decision was asked for: everything can still be taken back.
    fn abort(&mut self, open: BTreeSet<GroupId>, prepared: BTreeSet<GroupId>) -> Vec<Action> {
        let mut actions = match self.decider {
            Decider::Router => vec![Action::RollbackCoordinator],
            Decider::Coordinator => vec![Action::Refuse],
        };
        actions.extend(open.into_iter().map(Action::Rollback));
        actions.extend(self.finish(prepared, Outcome::Aborted));
        actions
    }

    fn finish(&mut self, prepared: BTreeSet<GroupId>, outcome: Outcome) -> Vec<Action> {
        if prepared.is_empty() {
            self.state = State::Done;
            return vec![Action::Answer(outcome)];
        }
        let action = match outcome {
            Outcome::Committed => Action::CommitPrepared,
            Outcome::Aborted => Action::RollbackPrepared,
            Outcome::Unknown => Action::Leave,
        };
        let actions = prepared.iter().copied().map(action).collect();
        self.state = State::Finishing { waiting: prepared, outcome };
        actions
    }

    fn on_finish(&mut self, mut waiting: BTreeSet<GroupId>, outcome: Outcome, event: &Event) -> Vec<Action> {
        let mut actions = vec![];
        match *event {
            Event::Finished(group) => {
                waiting.remove(&group);
            }
            // The decision stands whatever happens to this worker: recovery brings it there.
            Event::FinishFailed(group) if waiting.remove(&group) => actions.push(Action::Leave(group)),
            _ => {}
        }
        if waiting.is_empty() {
            actions.push(Action::Answer(outcome));
        } else {
            self.state = State::Finishing { waiting, outcome };
        }
        actions
    }
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
