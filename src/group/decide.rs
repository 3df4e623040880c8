//! The decision itself.
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::{MemberName, NodeName};

/// What should be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Desired {
    pub workers: u32,
}

impl Desired {
    pub fn nodes(&self) -> impl Iterator<Item = NodeName> + use<> {
        std::iter::once(NodeName::Coordinator).chain((0..self.workers).map(NodeName::Worker))
    }

    pub fn members(&self) -> impl Iterator<Item = MemberName> + use<> {
        self.nodes().map(MemberName::Postgres).chain(std::iter::once(MemberName::Router))
    }
}

/// What is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Observed {
    /// Only members that were ever started; the rest are [`Life::Down`] without failures.
    pub members: BTreeMap<MemberName, Member>,
    /// How far the database of a node is; absent means nothing is known to be there.
    pub setup: BTreeMap<NodeName, Setup>,
    /// Workers that the catalog knows, at the address they have now.
    pub registered: BTreeSet<NodeName>,
    /// Workers that are not desired any more, and that the catalog may still know.
    pub leaving: BTreeSet<NodeName>,
    /// A registration, or its end, under way.
    pub registering: BTreeSet<NodeName>,
    /// Whether the whole group has answered queries before; tells a start from an outage.
    pub was_ready: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Member {
    pub life: Life,
    /// Ends in a row without having been ready in between. Lengthens the pause before the next start.
    pub failures: u32,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Life {
    /// No process; since when, on the clock of `now`.
    Down {
        since: Duration,
    },
    /// A process that does not serve yet.
    Starting,
    Ready,
}

/// Database, roles and catalog of one node. Every step is idempotent, so that a crash in between is no matter.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Setup {
    Running,
    Done,
}

/// One step for the driver. Applying it needs no further decision.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Action {
    Start(MemberName),
    /// Make database, roles and catalog of the node what they should be.
    SetUp(NodeName),
    /// Make the worker a node of the catalog, with all that a node must have.
    Register(NodeName),
    /// Take the worker out of the catalog, which refuses if it holds shards, and then what is left of it away.
    Remove(NodeName),
    /// The worker is not wanted any more and holds nothing.
    Stop(MemberName),
}

/// The phase of a server group, as its status shows it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    Provisioning,
    Ready,
    Degraded,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Decision {
    pub actions: Vec<Action>,
    pub phase: Phase,
    /// Look again after this long even if nothing happens.
    pub check_again_in: Duration,
}

/// What to do now. `now` is any clock that does not go backwards.
pub fn decide(desired: &Desired, observed: &Observed, now: Duration) -> Decision {
    let mut actions = Vec::new();
    let mut check_again_in = IDLE;
    for name in desired.members().filter(|it| may_run(*it, observed)) {
        match start_in(name, observed, now) {
            Some(Duration::ZERO) => actions.push(Action::Start(name)),
            Some(wait) => check_again_in = check_again_in.min(wait),
            None => {}
        }
    }
    for node in desired.nodes() {
        if observed.is_ready(MemberName::Postgres(node)) && !observed.setup.contains_key(&node) {
            actions.push(Action::SetUp(node));
        }
    }
    actions.extend(desired.nodes().filter(|it| must_register(*it, observed)).map(Action::Register));
    actions.extend(must_remove(observed).map(Action::Remove));
    let unwanted = observed.members.keys().filter(|it| !desired.members().any(|wanted| wanted == **it));
    actions.extend(unwanted.map(|it| Action::Stop(*it)));
    Decision { actions, phase: phase(desired, observed), check_again_in }
}

/// The router needs a database to log in to and the catalog; the servers need nothing.
fn may_run(name: MemberName, observed: &Observed) -> bool {
    match name {
        MemberName::Postgres(_) => true,
        MemberName::Router => observed.is_set_up(NodeName::Coordinator),
    }
}

/// How long until the member should be started; `None` while it runs.
fn start_in(name: MemberName, observed: &Observed, now: Duration) -> Option<Duration> {
    let Some(member) = observed.members.get(&name) else { return Some(Duration::ZERO) };
    match member.life {
        Life::Down { since } => Some((since + pause_after(member.failures)).saturating_sub(now)),
        Life::Starting | Life::Ready => None,
    }
}

/// At once the first time, then ever slower, but never so slow that a repaired cause waits long.
fn pause_after(failures: u32) -> Duration {
    match failures {
        0 | 1 => Duration::ZERO,
        failures => (Duration::from_millis(100) * 2_u32.pow(failures.min(10) - 2)).min(MAX_PAUSE),
    }
}

/// The coordinator is node 0 of its own catalog by installation; workers follow in their order, so that
/// worker k is group k + 1 in every new server group. What a node must have is brought there through the router.
fn must_register(node: NodeName, observed: &Observed) -> bool {
    let NodeName::Worker(index) = node else { return false };
    (0..index).all(|it| observed.registered.contains(&NodeName::Worker(it)))
        && observed.is_set_up(node)
        && observed.is_set_up(NodeName::Coordinator)
        && observed.is_ready(MemberName::Postgres(node))
        && observed.is_ready(MemberName::Postgres(NodeName::Coordinator))
        && observed.is_ready(MemberName::Router)
        && !observed.registered.contains(&node)
        && !observed.registering.contains(&node)
}

/// The last first, one at a time, so that the names of those that stay have no gap whatever happens.
fn must_remove(observed: &Observed) -> Option<NodeName> {
    let last = observed.leaving.last().copied();
    last.filter(|it| {
        observed.is_ready(MemberName::Router)
            && observed.is_ready(MemberName::Postgres(NodeName::Coordinator))
            && !observed.registering.contains(it)
    })
}

fn phase(desired: &Desired, observed: &Observed) -> Phase {
    let running = desired.members().all(|it| observed.is_ready(it));
    let placed = desired.nodes().all(|it| {
        observed.is_set_up(it) && (it == NodeName::Coordinator || observed.registered.contains(&it))
    });
    match (running && placed && observed.leaving.is_empty(), observed.was_ready) {
        (true, _) => Phase::Ready,
        (false, true) => Phase::Degraded,
        (false, false) => Phase::Provisioning,
    }
}

impl Observed {
    fn is_ready(&self, name: MemberName) -> bool {
        self.members.get(&name).is_some_and(|it| it.life == Life::Ready)
    }

    fn is_set_up(&self, node: NodeName) -> bool {
        self.setup.get(&node) == Some(&Setup::Done)
    }
}

const MAX_PAUSE: Duration = Duration::from_secs(2);
const IDLE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
