//! From what was seen to what `group` decides upon. Pure.
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use howdah_api::ServerGroupSpec;
use howdah_group::{
    Desired, Disruption, Life, Member, MemberName, NodeName, NodeState, Observed, Setup, next_disruptions,
};
use kube::ResourceExt as _;

use crate::build::{Blueprint, template_hash};
use crate::memory::Memory;
use crate::names::{Names, POSTGRES, ROUTER};
use crate::problem::Problem;
use crate::snapshot::{PodFacts as _, Snapshot, is_ready};
use crate::survey::Survey;

pub(crate) fn desired(spec: &ServerGroupSpec) -> Desired {
    Desired { workers: spec.workers.count }
}

/// All nodes that are there or should be.
pub(crate) fn nodes(spec: &ServerGroupSpec, snapshot: &Snapshot) -> BTreeSet<NodeName> {
    desired(spec).nodes().chain(snapshot.stateful_sets.keys().copied()).collect()
}

pub(crate) fn observed(
    names: &Names,
    spec: &ServerGroupSpec,
    snapshot: &Snapshot,
    survey: &Survey,
    memory: &Memory,
    was_ready: bool,
) -> Observed {
    let wanted: BTreeSet<NodeName> = desired(spec).nodes().collect();
    // Until the catalog is known to have let it go, a worker may still hold shards.
    let leaving: BTreeSet<NodeName> = match &survey.catalog {
        None => snapshot.stateful_sets.keys().filter(|it| !wanted.contains(*it)).copied().collect(),
        Some(catalog) => {
            let known = catalog.nodes.iter().filter_map(|it| names.worker_of(&it.host));
            known.filter(|it| !wanted.contains(it)).collect()
        }
    };
    let staying = snapshot.stateful_sets.keys().filter(|it| !leaving.contains(*it));
    let mut members: BTreeMap<MemberName, Member> =
        staying.map(|node| (MemberName::Postgres(*node), member(life(snapshot, *node, POSTGRES)))).collect();
    if snapshot.stateful_sets.contains_key(&NodeName::Coordinator) {
        members.insert(MemberName::Router, member(life(snapshot, NodeName::Coordinator, ROUTER)));
    }
    let registered = match &survey.catalog {
        Some(catalog) => {
            wanted.iter().filter(|it| catalog.node(&names.host(**it)).is_some()).copied().collect()
        }
        // Nothing is registered twice: registering asks the catalog itself.
        None => BTreeSet::new(),
    };
    let setup = wanted.iter().filter(|it| is_set_up(snapshot, memory, **it)).map(|it| (*it, Setup::Done));
    Observed { members, setup: setup.collect(), registered, leaving, registering: BTreeSet::new(), was_ready }
}

fn member(life: Life) -> Member {
    Member { life, failures: 0 }
}

/// Kubernetes starts what ends: nothing is ever down to us.
fn life(snapshot: &Snapshot, node: NodeName, container: &str) -> Life {
    let ready = snapshot.pods.get(&node).is_some_and(|it| it.is_container_ready(container));
    if ready { Life::Ready } else { Life::Starting }
}

/// By this process, in the pod that runs now: another pod may have other data.
fn is_set_up(snapshot: &Snapshot, memory: &Memory, node: NodeName) -> bool {
    let uid = snapshot.pods.get(&node).and_then(|it| it.uid());
    uid.is_some() && memory.set_up.get(&node) == uid.as_ref()
}

/// The nodes of the spec that the catalog has; the coordinator is there when there is a catalog.
pub(crate) fn known_nodes(names: &Names, spec: &ServerGroupSpec, survey: &Survey) -> Vec<NodeName> {
    let Some(catalog) = &survey.catalog else { return Vec::new() };
    let known =
        |node: &NodeName| *node == NodeName::Coordinator || catalog.node(&names.host(*node)).is_some();
    desired(spec).nodes().filter(known).collect()
}

/// Whether the routers beside the coordinator's are all there, if there should be any.
pub(crate) fn routers_serve(spec: &ServerGroupSpec, snapshot: &Snapshot) -> bool {
    let status = snapshot.deployment.as_ref().and_then(|it| it.status.as_ref());
    let ready = status.and_then(|it| it.ready_replicas).and_then(|it| u32::try_from(it).ok());
    ready.unwrap_or(0) >= spec.router.replicas
}

/// A worker that is to leave and may not.
pub(crate) fn refused_removal(names: &Names, observed: &Observed, survey: &Survey) -> Option<Problem> {
    let last = observed.leaving.last()?;
    let node = survey.catalog.as_ref()?.node(&names.host(*last)).filter(|it| it.shards > 0)?;
    let NodeName::Worker(index) = last else { return None };
    let message = format!(
        "worker {last} holds {} shards and cannot leave: their rows are nowhere else. Drop or undistribute the tables, or set spec.workers.count to {} again; this version cannot move shards to other workers yet.",
        node.shards,
        index + 1,
    );
    Some(Problem::new(howdah_api::ConditionType::Degraded, "ScaleInRefused", message))
}

/// Which pods to replace and which servers to restart now.
pub(crate) fn disruptions(
    blueprint: &Blueprint<'_>,
    snapshot: &Snapshot,
    survey: &Survey,
) -> (Vec<(NodeName, Disruption)>, usize) {
    let states: BTreeMap<NodeName, NodeState> = blueprint
        .nodes()
        .map(|node| {
            let pod = snapshot.pods.get(&node);
            let stale = pod.is_some_and(|it| {
                !it.is_leaving() && it.template() != Some(template_hash(blueprint, Some(node)).as_str())
            });
            let pending = survey.status.get(&node).is_some_and(|it| !it.pending_restart.is_empty());
            let needs = match (stale, pending) {
                (true, _) => Some(Disruption::ReplacePod),
                (false, true) => Some(Disruption::RestartPostgres),
                (false, false) => None,
            };
            (node, NodeState { ready: pod.is_some_and(|it| is_ready(it, node)), needs })
        })
        .collect();
    let allowed = usize::try_from(blueprint.spec().update.max_unavailable_nodes).unwrap_or(1).max(1);
    let waiting = states.values().filter(|it| it.needs.is_some()).count();
    (next_disruptions(&states, allowed), waiting)
}

/// A clock is only for members that are down, and none is here.
pub(crate) const NOW: Duration = Duration::ZERO;
