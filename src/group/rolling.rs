//! Changes that interrupt a node: which node is next.
use std::collections::BTreeMap;

use crate::NodeName;

/// What a node needs before it is as it should be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Disruption {
    /// Its pod differs from what it should be.
    ReplacePod,
    /// Settings that PostgreSQL takes only when it starts.
    RestartPostgres,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NodeState {
    pub ready: bool,
    pub needs: Option<Disruption>,
}

/// The nodes to interrupt now: at most `allowed` are down at a time, those that are down anyway counted, workers before
/// the coordinator. A pod that does not serve is replaced at once: it may be the very change that mends it.
pub fn next_disruptions(
    nodes: &BTreeMap<NodeName, NodeState>,
    allowed: usize,
) -> Vec<(NodeName, Disruption)> {
    let down = nodes.values().filter(|it| !it.ready).count();
    let needy = |ready: bool| {
        let workers_first = nodes.iter().skip_while(|it| *it.0 == NodeName::Coordinator);
        let ordered = workers_first.chain(nodes.get_key_value(&NodeName::Coordinator));
        ordered.filter(move |it| it.1.ready == ready).filter_map(|(name, it)| Some((*name, it.needs?)))
    };
    let mend = needy(false).filter(|it| it.1 == Disruption::ReplacePod);
    mend.chain(needy(true).take(allowed.saturating_sub(down))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(nodes: &[(NodeName, bool, Option<Disruption>)], allowed: usize, expected: &[NodeName]) {
        let nodes =
            nodes.iter().map(|(name, ready, needs)| (*name, NodeState { ready: *ready, needs: *needs }));
        let next = next_disruptions(&nodes.collect(), allowed);
        assert_eq!(next.iter().map(|it| it.0).collect::<Vec<_>>(), expected);
    }

    const C: NodeName = NodeName::Coordinator;
    const W0: NodeName = NodeName::Worker(0);
    const W1: NodeName = NodeName::Worker(1);
    const REPLACE: Option<Disruption> = Some(Disruption::ReplacePod);
    const RESTART: Option<Disruption> = Some(Disruption::RestartPostgres);

    #[test]
    fn one_at_a_time_and_the_coordinator_last() {
        check(&[(C, true, REPLACE), (W0, true, REPLACE), (W1, true, RESTART)], 1, &[W0]);
        check(&[(C, true, REPLACE), (W0, true, None), (W1, true, RESTART)], 1, &[W1]);
        check(&[(C, true, REPLACE), (W0, true, None), (W1, true, None)], 1, &[C]);
        check(&[(C, true, REPLACE), (W0, true, REPLACE), (W1, true, RESTART)], 2, &[W0, W1]);
        check(&[(C, true, None), (W0, true, None)], 1, &[]);
    }

    #[test]
    fn nothing_that_works_is_stopped_while_something_does_not() {
        check(&[(C, true, REPLACE), (W0, false, None), (W1, true, RESTART)], 1, &[]);
        check(&[(C, true, REPLACE), (W0, false, RESTART)], 1, &[]);
    }

    #[test]
    fn what_does_not_work_is_replaced_at_once() {
        check(&[(C, false, REPLACE), (W0, false, REPLACE), (W1, true, REPLACE)], 1, &[W0, C]);
    }
}
