//! The commit protocol against servers that crash, connections that break and messages that come late or
//! twice. Every seed is one run; a failing one prints its seed and its steps.
//!
//! What is simulated of a server is only what the protocol relies on: an open transaction is lost in a
//! crash, a prepared one and a committed row are not, and a tombstone waits for a record in flight.

use super::*;

const SEEDS: u64 = 30_000;

#[test]
fn every_transaction_is_whole_or_absent() {
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        world.run();
        if let Err(problem) = world.check_end() {
            panic!("seed {seed}: {problem}\n{}", world.log.join("\n"));
        }
    }
}

#[derive(Debug, Default)]
struct Worker {
    open: bool,
    prepared: bool,
    committed: bool,
}

#[derive(Debug, Default)]
struct Coordinator {
    open: bool,
    /// The record stands, uncommitted, in the open transaction.
    recorded: bool,
    /// The committed row of the gid: 0 the record, -1 a tombstone.
    row: Option<i32>,
}

impl Coordinator {
    fn end(&mut self) {
        self.open = false;
        self.recorded = false;
    }

    /// Inserts the tombstone; `None` while the unique index makes it wait for the record in flight.
    fn tombstone(&mut self) -> Option<Decision> {
        if self.open && self.recorded {
            return None;
        }
        match *self.row.get_or_insert(-1) {
            0 => Some(Decision::Commit),
            _ => Some(Decision::Abort),
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Target {
    Coordinator,
    /// A fresh connection to the coordinator, for the tombstone.
    Control,
    Worker(GroupId),
}

#[derive(Debug)]
struct Request {
    target: Target,
    action: Action,
    /// False when the connection broke: the server may still do it, nobody hears the answer.
    heard: bool,
}

struct World {
    random: Random,
    coordinator: Coordinator,
    workers: Vec<Worker>,
    commit: Option<Commit>,
    requests: Vec<Request>,
    replies: Vec<Event>,
    past: Vec<Event>,
    /// Connections whose end the server has not noticed yet.
    broken: Vec<Target>,
    answer: Option<Outcome>,
    calm: bool,
    log: Vec<String>,
}

impl World {
    fn new(seed: u64) -> World {
        let mut random = Random(seed);
        let count = 1 + random.below(3);
        let workers = (0..count).map(|_| Worker { open: true, ..Worker::default() }).collect();
        let mut world = World {
            random,
            coordinator: Coordinator { open: true, ..Coordinator::default() },
            workers,
            commit: None,
            requests: vec![],
            replies: vec![],
            past: vec![],
            broken: vec![],
            answer: None,
            calm: false,
            log: vec![],
        };
        let (commit, actions) = if world.random.below(3) == 0 {
            world.coordinator.recorded = true;
            Commit::vote(world.groups())
        } else {
            Commit::start()
        };
        world.commit = Some(commit);
        world.perform(actions);
        world
    }

    fn groups(&self) -> BTreeSet<GroupId> {
        (0..self.workers.len()).map(|index| GroupId(index as i32 + 1)).collect()
    }

    fn worker(&mut self, group: GroupId) -> &mut Worker {
        &mut self.workers[group.0 as usize - 1]
    }

    fn run(&mut self) {
        for _ in 0..60 {
            self.step();
            self.check_step();
        }
        // From here nothing fails any more: what is in flight arrives, and recovery works.
        self.calm = true;
        for _ in 0..200 {
            self.step();
            self.check_step();
        }
    }

    fn step(&mut self) {
        let faults = if self.calm { 0 } else { 6 };
        match self.random.below(24 + faults) {
            0..8 => self.deliver_request(),
            8..16 => self.deliver_reply(),
            16..20 => self.recover(),
            20..24 => self.notice_broken(),
            24 => self.break_connection(),
            25 => self.repeat_reply(),
            26 => self.crash_worker(),
            27 => self.crash_coordinator(),
            28 if self.random.below(3) == 0 => self.crash_router(),
            _ => {}
        }
    }

    fn perform(&mut self, actions: Vec<Action>) {
        for action in actions {
            let target = match action {
                Action::Record
                | Action::Commit
                | Action::Approve
                | Action::Refuse
                | Action::RollbackCoordinator => Target::Coordinator,
                Action::Resolve => Target::Control,
                Action::Fence(group)
                | Action::Prepare(group)
                | Action::Rollback(group)
                | Action::CommitPrepared(group)
                | Action::RollbackPrepared(group) => Target::Worker(group),
                Action::Leave(_) => continue,
                Action::Answer(outcome) => {
                    self.log.push(format!("answer {outcome:?}"));
                    assert!(self.answer.replace(outcome).is_none(), "answered twice");
                    continue;
                }
            };
            self.requests.push(Request { target, action, heard: true });
        }
    }

    fn deliver_request(&mut self) {
        if self.requests.is_empty() {
            return;
        }
        let index = self.random.below(self.requests.len() as u64) as usize;
        let target = self.requests[index].target;
        // One connection keeps its order; what was left in a broken one may come at any time.
        let index = match self.requests[index].heard {
            true => self.requests.iter().position(|it| it.target == target && it.heard).unwrap_or(index),
            false => index,
        };
        let request = self.requests.remove(index);
        let fault = !self.calm && self.random.below(12) == 0;
        self.log.push(format!("execute {request:?} fault {fault}"));
        let heard = request.heard;
        match self.execute(&request, fault) {
            Execution::Replied(event) if heard => self.replies.push(event),
            Execution::Replied(_) | Execution::Silent => {}
            Execution::Waits => self.requests.push(request),
        }
    }

    fn execute(&mut self, request: &Request, fault: bool) -> Execution {
        let event = match request.action {
            Action::Record => self.record(fault),
            Action::Commit | Action::Approve => self.commit_coordinator(fault),
            Action::RollbackCoordinator | Action::Refuse => {
                self.coordinator.end();
                return Execution::Silent;
            }
            Action::Resolve => match (fault, self.coordinator.tombstone()) {
                (true, _) => Event::Unresolved,
                (false, Some(decision)) => Event::Resolved(decision),
                (false, None) => return Execution::Waits,
            },
            Action::Fence(group) if fault => {
                self.worker(group).open = false;
                Event::FenceFailed(group)
            }
            Action::Fence(group) if self.worker(group).open => Event::Fenced(group),
            Action::Fence(group) => Event::FenceFailed(group),
            Action::Prepare(group) => self.prepare(group, fault),
            Action::Rollback(group) => {
                self.worker(group).open = false;
                return Execution::Silent;
            }
            Action::CommitPrepared(group) | Action::RollbackPrepared(group) if fault => {
                Event::FinishFailed(group)
            }
            Action::CommitPrepared(group) => {
                self.commit_prepared(group);
                Event::Finished(group)
            }
            Action::RollbackPrepared(group) => {
                self.worker(group).prepared = false;
                Event::Finished(group)
            }
            Action::Leave(_) | Action::Answer(_) => return Execution::Silent,
        };
        Execution::Replied(event)
    }

    fn record(&mut self, fault: bool) -> Event {
        if !self.coordinator.open || fault || self.coordinator.row.is_some() {
            self.coordinator.end();
            return Event::RecordFailed;
        }
        self.coordinator.recorded = true;
        Event::Recorded(self.groups())
    }

    fn commit_coordinator(&mut self, fault: bool) -> Event {
        let stands = self.coordinator.open && self.coordinator.recorded;
        self.coordinator.end();
        if !stands || fault {
            return Event::CommitFailed;
        }
        assert_eq!(self.coordinator.row, None, "the unique index admits one row");
        self.coordinator.row = Some(0);
        Event::Committed
    }

    fn prepare(&mut self, group: GroupId, fault: bool) -> Event {
        let worker = self.worker(group);
        if !std::mem::take(&mut worker.open) || fault {
            return Event::PrepareFailed(group);
        }
        worker.prepared = true;
        Event::Prepared(group)
    }

    fn commit_prepared(&mut self, group: GroupId) {
        let decided = self.coordinator.row == Some(0);
        let worker = self.worker(group);
        // "does not exist" counts as done: recovery was faster.
        if std::mem::take(&mut worker.prepared) {
            assert!(decided, "committed before the decision");
            worker.committed = true;
        }
    }

    fn deliver_reply(&mut self) {
        if self.replies.is_empty() {
            return;
        }
        let index = self.random.below(self.replies.len() as u64) as usize;
        let event = self.replies.remove(index);
        self.past.push(event.clone());
        self.hear(event);
    }

    fn repeat_reply(&mut self) {
        if self.past.is_empty() {
            return;
        }
        let index = self.random.below(self.past.len() as u64) as usize;
        self.hear(self.past[index].clone());
    }

    fn hear(&mut self, event: Event) {
        let Some(commit) = &mut self.commit else { return };
        self.log.push(format!("event {event:?}"));
        let actions = commit.handle(event);
        self.perform(actions);
    }

    fn break_connection(&mut self) {
        let candidates: Vec<usize> = (0..self.requests.len()).filter(|it| self.requests[*it].heard).collect();
        if candidates.is_empty() {
            return;
        }
        let index = candidates[self.random.below(candidates.len() as u64) as usize];
        let event = lost(&self.requests[index].action);
        self.broken.push(self.requests[index].target);
        self.log.push(format!("break {:?}", self.requests[index]));
        if self.random.below(2) == 0 {
            self.requests[index].heard = false;
        } else {
            self.requests.remove(index);
        }
        self.replies.extend(event);
    }

    /// A server finds that its client is gone: the open transaction ends, what it had not read is lost.
    fn notice_broken(&mut self) {
        if self.broken.is_empty() {
            return;
        }
        let index = self.random.below(self.broken.len() as u64) as usize;
        let target = self.broken.swap_remove(index);
        self.log.push(format!("{target:?} notices"));
        self.requests.retain(|it| it.target != target || it.heard);
        match target {
            Target::Worker(group) => self.worker(group).open = false,
            Target::Coordinator => self.coordinator.end(),
            Target::Control => {}
        }
    }

    fn crash_worker(&mut self) {
        let group = GroupId(1 + self.random.below(self.workers.len() as u64) as i32);
        self.log.push(format!("crash {group:?}"));
        self.worker(group).open = false;
        self.drop_requests(|target| target == Target::Worker(group));
    }

    fn crash_coordinator(&mut self) {
        self.log.push("crash coordinator".to_owned());
        self.coordinator.end();
        self.drop_requests(|target| matches!(target, Target::Coordinator | Target::Control));
    }

    fn drop_requests(&mut self, crashed: impl Fn(Target) -> bool) {
        let (gone, kept) = std::mem::take(&mut self.requests).into_iter().partition(|it| crashed(it.target));
        self.requests = kept;
        let gone: Vec<Request> = gone;
        self.replies.extend(gone.iter().filter(|it| it.heard).filter_map(|it| lost(&it.action)));
    }

    fn crash_router(&mut self) {
        self.log.push("crash router".to_owned());
        self.commit = None;
        self.replies.clear();
        self.requests.iter_mut().for_each(|it| it.heard = false);
        self.broken = self.groups().into_iter().map(Target::Worker).chain([Target::Coordinator]).collect();
    }

    /// What `recovery.rs` does for one worker. It is safe at any time, also while the owner lives.
    fn recover(&mut self) {
        let group = GroupId(1 + self.random.below(self.workers.len() as u64) as i32);
        if !self.worker(group).prepared {
            return;
        }
        let Some(decision) = self.coordinator.tombstone() else { return };
        self.log.push(format!("recover {group:?} {decision:?}"));
        match decision {
            Decision::Commit => self.commit_prepared(group),
            Decision::Abort => self.worker(group).prepared = false,
        }
    }

    fn check_step(&self) {
        let committed = self.workers.iter().any(|it| it.committed);
        if committed && self.coordinator.row != Some(0) {
            panic!("a worker committed without a record\n{}", self.log.join("\n"));
        }
    }

    fn check_end(&self) -> Result<(), String> {
        let committed = self.workers.iter().filter(|it| it.committed).count();
        if self.workers.iter().any(|it| it.prepared) {
            return Err("a prepared transaction is left".to_owned());
        }
        if committed != 0 && committed != self.workers.len() {
            return Err(format!("{committed} of {} workers committed", self.workers.len()));
        }
        match (self.answer, committed) {
            (Some(Outcome::Committed), 0) => Err("an acknowledged commit is lost".to_owned()),
            (Some(Outcome::Aborted), 1..) => {
                Err("committed, though the client was told otherwise".to_owned())
            }
            (None, _) if self.commit.is_some() => Err(format!("never answered: {:?}", self.commit)),
            _ => Ok(()),
        }
    }
}

enum Execution {
    Replied(Event),
    Silent,
    /// Blocked on a lock; it is tried again.
    Waits,
}

/// What the driver reports when the connection breaks under a request.
fn lost(action: &Action) -> Option<Event> {
    match *action {
        Action::Record => Some(Event::RecordFailed),
        Action::Fence(group) => Some(Event::FenceFailed(group)),
        Action::Prepare(group) => Some(Event::PrepareLost(group)),
        Action::Commit | Action::Approve => Some(Event::CommitLost),
        Action::Resolve => Some(Event::Unresolved),
        Action::CommitPrepared(group) | Action::RollbackPrepared(group) => Some(Event::FinishFailed(group)),
        Action::Refuse
        | Action::RollbackCoordinator
        | Action::Rollback(_)
        | Action::Leave(_)
        | Action::Answer(_) => None,
    }
}

/// SplitMix64: small, and the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}
