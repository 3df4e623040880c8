//! Deadlocks across nodes, which no single PostgreSQL can see: who waits for whom is asked of all nodes, the
//! waits are joined by the sessions that own the backends, and the youngest transaction of a cycle is cancelled.
//!
//! The nodes are not asked at one moment, so a cycle counts only when it is seen twice in a row. A cycle of waits between
//! backends of one node is left to that node. A session's backends are one vertex, on all nodes and on the same one: it waits for the
//! fence with another backend than the one that has its locks.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use howdah_catalog::GroupId;
use tokio_util::sync::CancellationToken;

use crate::config::NodeAddress;
use crate::error::Result;
use crate::router::Router;

/// Twice this and the questions themselves stay below two seconds.
const INTERVAL: Duration = Duration::from_millis(700);

const WAITS: &str = "SELECT a.pid, b.pid, pg_catalog.date_part('epoch', a.xact_start) \
     FROM pg_catalog.pg_stat_activity a, pg_catalog.unnest(pg_catalog.pg_blocking_pids(a.pid)) b(pid) \
     WHERE a.wait_event_type = 'Lock' AND a.xact_start IS NOT NULL";

/// A session as the registry of cancels numbers it.
pub(crate) type SessionKey = u32;

#[derive(Clone, Debug, PartialEq)]
struct Wait {
    waiter: SessionKey,
    /// The waiting backend.
    pid: u32,
    node: GroupId,
    blocker: SessionKey,
    blocker_pid: u32,
    /// When the waiting transaction began, in seconds.
    since: f64,
}

pub(crate) async fn run(router: Arc<Router>, shutdown: CancellationToken) {
    let mut seen: Option<BTreeSet<SessionKey>> = None;
    loop {
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = shutdown.cancelled() => return,
        }
        if !router.cancels.may_deadlock() {
            seen = None;
            continue;
        }
        let cycle = match observe(&router).await {
            Ok(waits) => cycle(&waits),
            Err(error) => {
                tracing::warn!(%error, "cannot look for deadlocks");
                None
            }
        };
        let members = cycle.as_ref().map(|it| it.iter().map(|it| it.waiter).collect::<BTreeSet<_>>());
        match cycle {
            Some(cycle) if seen == members => {
                break_up(&router, &cycle).await;
                seen = None;
            }
            _ => seen = members,
        }
    }
}

/// All waits between sessions of this router.
async fn observe(router: &Router) -> Result<Vec<Wait>> {
    let owners = router.cancels.owners();
    let mut groups = vec![GroupId::COORDINATOR];
    groups.extend(router.catalog.borrow().workers().map(|it| it.group));
    let mut waits = Vec::new();
    for group in groups {
        let address = router.pools.address(group)?;
        let mut connection = router.pools.acquire(group, &router.config.superuser).await?;
        for row in connection.rows(WAITS).await? {
            waits.extend(wait(&row, group, &address, &owners));
        }
    }
    Ok(waits)
}

fn wait(
    row: &[Option<String>],
    node: GroupId,
    address: &NodeAddress,
    owners: &HashMap<(NodeAddress, u32), SessionKey>,
) -> Option<Wait> {
    let [Some(pid), Some(blocker), Some(since)] = row else { return None };
    let pid: u32 = pid.parse().ok()?;
    let blocker_pid: u32 = blocker.parse().ok()?;
    let owner = |pid: u32| owners.get(&(address.clone(), pid)).copied();
    Some(Wait {
        waiter: owner(pid)?,
        pid,
        node,
        blocker: owner(blocker_pid)?,
        blocker_pid,
        since: since.parse().ok()?,
    })
}

/// One cycle of waits that no node can see.
fn cycle(waits: &[Wait]) -> Option<Vec<Wait>> {
    let mut by_waiter: BTreeMap<SessionKey, Vec<&Wait>> = BTreeMap::new();
    for wait in waits.iter().filter(|it| it.waiter != it.blocker) {
        by_waiter.entry(wait.waiter).or_default().push(wait);
    }
    let mut done = BTreeSet::new();
    by_waiter.keys().find_map(|start| walk(*start, &by_waiter, &mut Vec::new(), &mut done))
}

/// Whether each wait is for the very backend that waits next, so that PostgreSQL finds it.
fn is_seen_by_its_node(cycle: &[Wait]) -> bool {
    let next = cycle.iter().cycle().skip(1);
    cycle.iter().zip(next).all(|(wait, next)| wait.node == next.node && wait.blocker_pid == next.pid)
}

/// Follows the waits from one session; `path` leads to it.
fn walk<'w>(
    session: SessionKey,
    waits: &BTreeMap<SessionKey, Vec<&'w Wait>>,
    path: &mut Vec<&'w Wait>,
    done: &mut BTreeSet<SessionKey>,
) -> Option<Vec<Wait>> {
    if let Some(from) = path.iter().position(|it| it.waiter == session) {
        let cycle: Vec<Wait> = path[from..].iter().copied().cloned().collect();
        return (!is_seen_by_its_node(&cycle)).then_some(cycle);
    }
    if done.contains(&session) {
        return None;
    }
    for wait in waits.get(&session).into_iter().flatten() {
        path.push(wait);
        let found = walk(wait.blocker, waits, path, done);
        path.pop();
        if found.is_some() {
            return found;
        }
    }
    done.insert(session);
    None
}

/// Cancels the youngest transaction where it waits.
async fn break_up(router: &Router, cycle: &[Wait]) {
    let Some(victim) = cycle.iter().max_by(|a, b| a.since.total_cmp(&b.since)) else { return };
    let Ok(address) = router.pools.address(victim.node) else { return };
    tracing::info!(sessions = cycle.len(), node = %victim.node, pid = victim.pid, "breaking a deadlock");
    router.cancels.break_deadlock(victim.waiter, &address, victim.pid, router.pools.connector()).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(waiter: SessionKey, blocker: SessionKey, node: i32, since: f64) -> Wait {
        let (pid, blocker_pid) = (waiter + 1000, blocker + 1000);
        Wait { waiter, pid, node: GroupId(node), blocker, blocker_pid, since }
    }

    #[test]
    fn a_cycle_over_two_nodes_is_found() {
        let waits = [wait(1, 2, 1, 5.0), wait(2, 3, 2, 7.0), wait(3, 1, 1, 6.0), wait(4, 1, 1, 9.0)];
        let mut found: Vec<SessionKey> = cycle(&waits).unwrap().iter().map(|it| it.waiter).collect();
        found.sort();
        assert_eq!(found, [1, 2, 3], "session 4 waits for the cycle and is not part of it");
    }

    #[test]
    fn waits_of_one_node_are_its_own_business() {
        assert_eq!(cycle(&[wait(1, 2, 1, 0.0), wait(2, 1, 1, 0.0)]), None);
        assert_eq!(cycle(&[wait(1, 2, 1, 0.0), wait(2, 3, 2, 0.0)]), None);
        assert_eq!(cycle(&[wait(1, 1, 1, 0.0)]), None);
    }

    #[test]
    fn a_session_that_waits_with_another_backend_is_seen_by_nobody_else() {
        let fence = Wait { pid: 7, ..wait(1, 2, 1, 0.0) };
        assert!(cycle(&[fence, wait(2, 1, 1, 0.0)]).is_some());
    }
}
