//! The transitions, one by one.

use super::*;

const A: GroupId = GroupId(1);
const B: GroupId = GroupId(2);

fn writers(groups: &[GroupId]) -> BTreeSet<GroupId> {
    groups.iter().copied().collect()
}

/// A commit that has come as far as PREPARE on both workers.
fn preparing() -> Commit {
    let (mut commit, actions) = Commit::start();
    assert_eq!(actions, [Action::Record]);
    assert_eq!(commit.handle(Event::Recorded(writers(&[A, B]))), [Action::Fence(A)]);
    assert_eq!(commit.handle(Event::Fenced(A)), [Action::Fence(B)]);
    assert_eq!(commit.handle(Event::Fenced(B)), [Action::Prepare(A), Action::Prepare(B)]);
    commit
}

fn deciding() -> Commit {
    let mut commit = preparing();
    assert_eq!(commit.handle(Event::Prepared(A)), []);
    assert_eq!(commit.handle(Event::Prepared(B)), [Action::Commit]);
    commit
}

#[test]
fn the_coordinator_commits_after_all_have_prepared() {
    let mut commit = deciding();
    assert_eq!(commit.handle(Event::Committed), [Action::CommitPrepared(A), Action::CommitPrepared(B)]);
    assert_eq!(commit.handle(Event::Finished(B)), []);
    assert_eq!(commit.handle(Event::Finished(A)), [Action::Answer(Outcome::Committed)]);
    assert!(commit.is_done());
}

#[test]
fn a_failed_prepare_takes_everything_back() {
    let mut commit = preparing();
    assert_eq!(commit.handle(Event::PrepareFailed(B)), [], "the other worker has not answered yet");
    assert_eq!(commit.handle(Event::Prepared(A)), [Action::RollbackCoordinator, Action::RollbackPrepared(A)]);
    assert_eq!(commit.handle(Event::Finished(A)), [Action::Answer(Outcome::Aborted)]);
}

#[test]
fn a_worker_lost_in_prepare_is_left_to_recovery() {
    let mut commit = preparing();
    assert_eq!(commit.handle(Event::PrepareLost(A)), []);
    assert_eq!(
        commit.handle(Event::PrepareFailed(B)),
        [Action::Leave(A), Action::RollbackCoordinator, Action::Answer(Outcome::Aborted)]
    );
}

#[test]
fn a_lost_commit_is_looked_up() {
    let mut commit = deciding();
    assert_eq!(commit.handle(Event::CommitLost), [Action::Resolve]);
    assert_eq!(
        commit.handle(Event::Resolved(Decision::Abort)),
        [Action::RollbackPrepared(A), Action::RollbackPrepared(B)]
    );
}

#[test]
fn an_unreachable_coordinator_leaves_the_outcome_unknown() {
    let mut commit = deciding();
    commit.handle(Event::CommitLost);
    assert_eq!(
        commit.handle(Event::Unresolved),
        [Action::Leave(A), Action::Leave(B), Action::Answer(Outcome::Unknown)]
    );
}

#[test]
fn a_worker_that_dies_after_the_decision_does_not_change_it() {
    let mut commit = deciding();
    commit.handle(Event::Committed);
    assert_eq!(commit.handle(Event::FinishFailed(A)), [Action::Leave(A)]);
    assert_eq!(commit.handle(Event::Finished(B)), [Action::Answer(Outcome::Committed)]);
}

#[test]
fn a_failed_fence_rolls_back_what_is_open() {
    let (mut commit, _) = Commit::start();
    commit.handle(Event::Recorded(writers(&[A, B])));
    assert_eq!(
        commit.handle(Event::FenceFailed(A)),
        [
            Action::RollbackCoordinator,
            Action::Rollback(A),
            Action::Rollback(B),
            Action::Answer(Outcome::Aborted)
        ]
    );
}

#[test]
fn a_vote_prepares_before_it_approves() {
    let (mut commit, actions) = Commit::vote(writers(&[A]));
    assert_eq!(actions, [Action::Prepare(A)], "a single worker needs no fence");
    assert_eq!(commit.handle(Event::Prepared(A)), [Action::Approve]);
    assert_eq!(commit.handle(Event::Committed), [Action::CommitPrepared(A)]);
    assert_eq!(commit.handle(Event::Finished(A)), [Action::Answer(Outcome::Committed)]);
}

#[test]
fn a_vote_is_refused_when_a_worker_cannot_prepare() {
    let (mut commit, _) = Commit::vote(writers(&[A]));
    assert_eq!(commit.handle(Event::PrepareFailed(A)), [Action::Refuse, Action::Answer(Outcome::Aborted)]);
}

#[test]
fn repeated_and_late_events_change_nothing() {
    let mut commit = preparing();
    assert_eq!(commit.handle(Event::Fenced(B)), []);
    assert_eq!(commit.handle(Event::Prepared(A)), []);
    assert_eq!(commit.handle(Event::Prepared(A)), []);
    assert_eq!(commit.handle(Event::Committed), [], "nobody asked for the commit yet");
    assert_eq!(commit.handle(Event::Prepared(B)), [Action::Commit]);
    assert_eq!(commit.handle(Event::PrepareFailed(B)), []);
}
