//! Whose transaction a loopback connection takes part in.

use std::sync::Arc;
use std::time::Duration;

use howdah_catalog::GroupId;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::Request;
use super::standalone;
use crate::error::{Error, Result};
use crate::router::Router;

pub(super) struct Owner {
    pub(super) session: mpsc::Sender<Request>,
    /// The backend is a parallel worker of the session's.
    pub(super) parallel: bool,
    /// Runs as long as the owner of a backend without session.
    _task: Option<Task>,
}

struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        // It ends by itself when its queue closes, unless it waits for a worker.
        let handle = &self.0;
        if handle.is_finished() {
            handle.abort();
        }
    }
}

/// How long the coordinator may take to say who leads a parallel worker.
const LOOK_UP: Duration = Duration::from_secs(5);

/// The session that holds the backend, or the one that leads it; else one of its own (autovacuum, a job of the database, psql on
/// the coordinator's socket).
pub(super) async fn owner_of(pid: u32, router: &Arc<Router>) -> Result<Owner> {
    if let Some(session) = router.registry.session_of(pid) {
        return Ok(Owner { session, parallel: false, _task: None });
    }
    let leader = tokio::time::timeout(LOOK_UP, leader_of(pid, router)).await;
    let leader = leader.map_err(|_| Error::PoolTimeout(GroupId::COORDINATOR))??;
    if let Some(session) = leader.and_then(|it| router.registry.session_of(it)) {
        return Ok(Owner { session, parallel: true, _task: None });
    }
    let (session, requests) = mpsc::channel(1);
    let task = tokio::spawn(standalone::run(router.clone(), requests));
    Ok(Owner { session, parallel: false, _task: Some(Task(task)) })
}

/// Reads a view that takes no lock that a statement could hold.
async fn leader_of(pid: u32, router: &Router) -> Result<Option<u32>> {
    let mut connection = router.pools.acquire(GroupId::COORDINATOR, &router.config.superuser).await?;
    let sql = format!("SELECT leader_pid FROM pg_catalog.pg_stat_activity WHERE pid = {pid}");
    let rows = connection.rows(&sql).await?;
    Ok(rows.into_iter().flatten().next().flatten().and_then(|it| it.parse().ok()))
}
