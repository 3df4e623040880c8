//! The status of a ServerGroup, from what was seen and what is being done. Pure.
use howdah_api::{
    Condition, ConditionType, HaStatus, NodePhase, NodeStatus, Phase, ServerGroup, ServerGroupStatus,
    WorkersStatus,
};
use howdah_group::NodeName;
use howdah_instance::pods::POSTGRES_PORT;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::names::Names;
use crate::problem::Problem;
use crate::snapshot::{Snapshot, is_ready};
use crate::survey::Survey;

/// What a turn has come to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    /// Everything is as the spec wants it.
    pub(crate) settled: bool,
    /// All nodes of the spec serve, whatever is still to change.
    pub(crate) serving: bool,
    /// What is being done, for people; empty when nothing is.
    pub(crate) doing: Vec<String>,
    pub(crate) kind: Doing,
    pub(crate) problems: Vec<Problem>,
}

/// Which phase the work belongs to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Doing {
    #[default]
    Nothing,
    Scaling,
    Updating,
}

pub(crate) fn status(
    group: &ServerGroup,
    names: &Names,
    snapshot: &Snapshot,
    survey: &Survey,
    report: &Report,
    now: Timestamp,
) -> ServerGroupStatus {
    let old = group.status.clone().unwrap_or_default();
    let was_ready = was_ready(&old);
    let phase = phase(group, report, was_ready);
    let nodes = nodes(group, names, snapshot, survey);
    let ready_workers =
        nodes.iter().filter(|it| it.name != "coordinator" && it.phase == NodePhase::Ready).count();
    let (desired, ready) = (group.spec.workers.count, u32::try_from(ready_workers).unwrap_or(u32::MAX));
    let conditions = conditions(group, &nodes, report, was_ready, &old.conditions, now);
    let version = survey.status.get(&NodeName::Coordinator).and_then(|it| it.postgres_version.clone());
    ServerGroupStatus {
        observed_generation: group.metadata.generation,
        phase: Some(phase),
        endpoint: Some(format!("{}:{POSTGRES_PORT}", names.service_host())),
        postgres_version: version.or(old.postgres_version),
        selector: Some(names.worker_selector()),
        workers: Some(WorkersStatus { desired, ready, summary: format!("{ready}/{desired}") }),
        ha: Some(HaStatus { summary: "off".into(), ..HaStatus::default() }),
        metadata_version: survey.catalog.as_ref().map(|it| it.version).or(old.metadata_version),
        rebalance: old.rebalance,
        backup: old.backup,
        nodes,
        conditions,
    }
}

/// Which nodes do not serve.
fn waiting_for(nodes: &[NodeStatus]) -> String {
    let down: Vec<&str> =
        nodes.iter().filter(|it| it.phase != NodePhase::Ready).map(|it| it.name.as_str()).collect();
    match down.as_slice() {
        [] => "waiting for the routers and the catalog".into(),
        down => format!("waiting until {} can serve", down.join(", ")),
    }
}

/// The status of a group that nobody touches: as it was, and why.
pub(crate) fn paused(group: &ServerGroup, now: Timestamp) -> ServerGroupStatus {
    let old = group.status.clone().unwrap_or_default();
    let paused =
        wanted(ConditionType::Paused, true, "Paused", "spec.paused is true: the operator changes nothing");
    let mut conditions = old.conditions.clone();
    conditions.retain(|it| it.type_ != ConditionType::Paused.as_str());
    conditions.push(with_time(&paused, group.metadata.generation, &old.conditions, now));
    ServerGroupStatus { observed_generation: group.metadata.generation, conditions, ..old }
}

/// Whether the group has been whole before; tells a start from an outage.
pub(crate) fn was_ready(status: &ServerGroupStatus) -> bool {
    // Written first when a group becomes ready, and kept from then on.
    status.metadata_version.is_some()
        && status.conditions.iter().any(|it| it.type_ == "Ready" && it.reason != PROVISIONING)
}

fn phase(group: &ServerGroup, report: &Report, was_ready: bool) -> Phase {
    if group.spec.hibernate {
        return Phase::Hibernated;
    }
    match (report.settled, was_ready, report.kind) {
        (true, _, _) if !report.problems.is_empty() => Phase::Degraded,
        (true, _, _) => Phase::Ready,
        // A wish that cannot be granted, not work under way.
        (false, true, _) if report.serving && report.doing.is_empty() && !report.problems.is_empty() => {
            Phase::Degraded
        }
        (false, true, Doing::Scaling) => Phase::Scaling,
        (false, true, Doing::Updating) => Phase::Updating,
        (false, true, Doing::Nothing) => Phase::Degraded,
        (false, false, _) if report.problems.is_empty() => Phase::Provisioning,
        (false, false, _) => Phase::Pending,
    }
}

fn nodes(group: &ServerGroup, names: &Names, snapshot: &Snapshot, survey: &Survey) -> Vec<NodeStatus> {
    let there = crate::situation::nodes(&group.spec, snapshot);
    there.into_iter().map(|it| node(group, names, snapshot, survey, it)).collect()
}

fn node(
    group: &ServerGroup,
    names: &Names,
    snapshot: &Snapshot,
    survey: &Survey,
    node: NodeName,
) -> NodeStatus {
    let pod = snapshot.pods.get(&node);
    let serves = pod.is_some_and(|it| is_ready(it, node));
    let registered = survey.catalog.as_ref().and_then(|catalog| match node {
        NodeName::Coordinator => catalog.nodes.iter().find(|it| it.group_id == 0),
        NodeName::Worker(_) => catalog.node(&names.host(node)),
    });
    let status = survey.status.get(&node);
    let wanted = crate::situation::desired(&group.spec).nodes().any(|it| it == node);
    let known = || {
        let old = group.status.as_ref()?.nodes.iter().find(|it| it.name == node.to_string())?;
        Some(old.clone())
    };
    let phase = match (wanted, serves, pod) {
        _ if group.spec.hibernate => NodePhase::Hibernated,
        (false, _, _) => NodePhase::Removing,
        // While the catalog cannot be asked, what it said last holds.
        (true, true, _)
            if registered.is_some()
                || survey.catalog.is_none() && known().is_some_and(|it| it.group_id.is_some()) =>
        {
            NodePhase::Ready
        }
        (true, true, _) => NodePhase::Provisioning,
        (true, false, None) => NodePhase::Pending,
        (true, false, Some(_)) if known().is_some_and(|it| it.group_id.is_some()) => NodePhase::Degraded,
        (true, false, Some(_)) => NodePhase::Provisioning,
    };
    NodeStatus {
        name: node.to_string(),
        group_id: registered.map(|it| it.group_id).or_else(|| known()?.group_id),
        primary: pod.is_some().then(|| names.member(node)),
        term: None,
        ready: format!("{}/1", u8::from(serves)),
        lag: None,
        shards: registered.and_then(|it| u32::try_from(it.shards).ok()).or_else(|| known()?.shards),
        disk_used_percent: status.and_then(|it| it.disk_used_percent).map(u32::from),
        phase,
    }
}

/// A condition without its history.
struct Wanted {
    kind: ConditionType,
    status: bool,
    reason: String,
    message: String,
}

fn wanted(kind: ConditionType, status: bool, reason: &str, message: impl Into<String>) -> Wanted {
    Wanted { kind, status, reason: reason.into(), message: message.into() }
}

fn conditions(
    group: &ServerGroup,
    nodes: &[NodeStatus],
    report: &Report,
    was_ready: bool,
    old: &[Condition],
    now: Timestamp,
) -> Vec<Condition> {
    let of = |kind| report.problems.iter().filter(move |it| it.condition == kind).collect::<Vec<_>>();
    let healthy = |kind, reason, message: &str| match of(kind).as_slice() {
        [] => wanted(kind, true, reason, message),
        problems => wanted(kind, false, problems[0].reason, joined(problems)),
    };
    let all: Vec<&Problem> = report.problems.iter().collect();
    let ready = match (group.spec.hibernate, report.serving, report.doing.is_empty()) {
        (true, _, _) => {
            wanted(ConditionType::Ready, false, "Hibernated", "spec.hibernate is true: no pods, data kept")
        }
        (_, true, _) => wanted(ConditionType::Ready, true, "Ready", "all nodes serve"),
        (_, false, _) if !all.is_empty() => {
            let reason = if was_ready { all[0].reason } else { PROVISIONING };
            wanted(ConditionType::Ready, false, reason, joined(&all))
        }
        (_, false, true) => {
            let reason = if was_ready { "NotReady" } else { PROVISIONING };
            wanted(ConditionType::Ready, false, reason, waiting_for(nodes))
        }
        (_, false, false) => {
            let reason = if was_ready { "NotReady" } else { PROVISIONING };
            wanted(ConditionType::Ready, false, reason, report.doing.join("; "))
        }
    };
    let progressing = match report.doing.as_slice() {
        [] => wanted(ConditionType::Progressing, false, "Settled", "nothing is being changed"),
        doing => wanted(ConditionType::Progressing, true, "Changing", doing.join("; ")),
    };
    let degraded = match all.as_slice() {
        [] => wanted(ConditionType::Degraded, false, "Healthy", "no problem is known"),
        problems => wanted(ConditionType::Degraded, true, problems[0].reason, joined(problems)),
    };
    let not_in_force = crate::not_in_force::fields(&group.spec);
    let in_force = match not_in_force.as_slice() {
        [] => wanted(ConditionType::SpecInForce, true, "InForce", "the whole spec is acted upon"),
        fields => wanted(
            ConditionType::SpecInForce,
            false,
            "NotInForce",
            format!("valid, but this version does not act upon: {}", fields.join(", ")),
        ),
    };
    let list = [
        ready,
        progressing,
        degraded,
        healthy(
            ConditionType::CertificatesReady,
            "Valid",
            "certificates are valid and will be renewed in time",
        ),
        healthy(
            ConditionType::StorageHealthy,
            "Healthy",
            "all volumes are there and have the size of the spec",
        ),
        healthy(ConditionType::ParametersApplied, "Applied", "the parameters of the spec are in force"),
        in_force,
        wanted(ConditionType::Paused, false, "Active", "the operator acts"),
    ];
    list.iter().map(|it| with_time(it, group.metadata.generation, old, now)).collect()
}

fn joined(problems: &[&Problem]) -> String {
    problems.iter().map(|it| it.message.as_str()).collect::<Vec<_>>().join("; ")
}

/// The time of a condition moves with its status only.
fn with_time(it: &Wanted, generation: Option<i64>, old: &[Condition], now: Timestamp) -> Condition {
    let status = if it.status { "True" } else { "False" };
    let since = old.iter().find(|old| old.type_ == it.kind.as_str() && old.status == status);
    // Events and conditions have limits; the first words say it.
    let message = it.message.chars().take(2_000).collect();
    Condition {
        type_: it.kind.as_str().into(),
        status: status.into(),
        observed_generation: generation,
        last_transition_time: since.map_or(Time(now), |it| it.last_transition_time.clone()),
        reason: it.reason.clone(),
        message,
    }
}

const PROVISIONING: &str = "Provisioning";

#[cfg(test)]
mod tests {
    use super::*;

    fn check(report: &Report, was_ready: bool, expected: Phase) {
        let group = ServerGroup::new("demo", howdah_api::ServerGroupSpec::default());
        assert_eq!(phase(&group, report, was_ready), expected);
    }

    #[test]
    fn a_phase_says_in_a_word_what_is_going_on() {
        let refused = Problem::new(ConditionType::Degraded, "ScaleInRefused", "w1 holds shards");
        let done = Report { settled: true, serving: true, ..Report::default() };
        check(&done, false, Phase::Ready);
        check(&Report { problems: vec![refused.clone()], ..done.clone() }, true, Phase::Degraded);
        check(&Report::default(), false, Phase::Provisioning);
        check(&Report::default(), true, Phase::Degraded);
        let scaling = Report { serving: true, kind: Doing::Scaling, ..Report::default() };
        check(&scaling, true, Phase::Scaling);
        check(&Report { problems: vec![refused], ..scaling }, true, Phase::Degraded);
        check(&Report { kind: Doing::Updating, ..Report::default() }, true, Phase::Updating);
    }
}
