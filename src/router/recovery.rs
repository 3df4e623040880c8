//! Finds the outcome of prepared transactions whose owner is gone, and ends them.
//!
//! For such a transaction a tombstone `(-1, gid)` is inserted into `pg_dist_transaction`. The unique index on
//! gid alone makes that wait for a committer in flight. If the record `(0, gid)` turns out to be there, the
//! transaction is committed, else nobody can commit it any more, and it is rolled back. This is right at any
//! time, whoever the owner is and whether or not he lives; those of our own living sessions are left alone
//! only because they will be ended anyway.
//!
//! A node is resolved before its first statement after the router's start, and again whenever a session had
//! to leave something behind there: else an acknowledged write could be invisible. Besides, everything is
//! looked at every [`INTERVAL`].

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use howdah_catalog::GroupId;
use howdah_pg::SqlState;
use tokio::sync::{Notify, OnceCell};
use tokio_util::sync::CancellationToken;

use crate::commit::Decision;
use crate::error::{Error, Result};
use crate::gid::{InFlight, RouterId, TransactionId};
use crate::pool::PooledConnection;
use crate::router::Router;
use crate::settings::literal;

const INTERVAL: Duration = Duration::from_secs(60);
/// How soon nodes are tried again that could not be resolved.
const RETRY: Duration = Duration::from_secs(2);
/// A committer in flight is waited for; one that hangs is not waited for longer than this.
const LOCK_TIMEOUT: &str = "5s";

pub(crate) struct Recovery {
    in_flight: InFlight,
    /// Nodes on which nothing of the past is undecided.
    resolved: Mutex<HashSet<GroupId>>,
    /// Held while a node is being resolved, so that one does it and the others wait.
    turns: Mutex<HashMap<GroupId, Arc<tokio::sync::Mutex<()>>>>,
    wake: Notify,
    key: OnceCell<String>,
}

impl Recovery {
    /// `random` names this router; it must differ from that of any router before.
    pub(crate) fn new(random: u64) -> Self {
        Self {
            in_flight: InFlight::new(RouterId::new(random)),
            resolved: Mutex::default(),
            turns: Mutex::default(),
            wake: Notify::new(),
            key: OnceCell::new(),
        }
    }

    pub(crate) fn in_flight(&self) -> &InFlight {
        &self.in_flight
    }

    /// Something was left on this node: nobody may use it before it is resolved.
    pub(crate) fn suspect(&self, group: GroupId) {
        self.resolved().remove(&group);
        self.wake.notify_one();
    }

    /// Waits until nothing of the past is undecided on a node.
    pub(crate) async fn ensure_resolved(&self, router: &Router, group: GroupId) -> Result<()> {
        if group == GroupId::COORDINATOR || self.resolved().contains(&group) {
            return Ok(());
        }
        let turn = lock(&self.turns).entry(group).or_default().clone();
        let _turn = turn.lock().await;
        if self.resolved().contains(&group) {
            return Ok(());
        }
        // Marked first: what is left behind while this runs makes it suspect again.
        self.resolved().insert(group);
        let result = resolve_node(router, group).await;
        if result.is_err() {
            self.resolved().remove(&group);
        }
        result
    }

    /// The secret that lets sessions of ordinary users write commit records.
    pub(crate) async fn key(&self, router: &Router) -> Result<String> {
        let read = || async {
            let mut coordinator = superuser(router, GroupId::COORDINATOR).await?;
            let rows = coordinator.rows("SELECT key FROM howdah.live_key").await?;
            first_value(rows).ok_or_else(|| Error::Internal("howdah.live_key is empty".to_owned()))
        };
        self.key.get_or_try_init(read).await.cloned()
    }

    fn resolved(&self) -> MutexGuard<'_, HashSet<GroupId>> {
        lock(&self.resolved)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Recovers at the router's start, when asked to, and now and then, until `shutdown`.
pub(crate) async fn run(router: Arc<Router>, shutdown: CancellationToken) {
    let mut due = tokio::time::Instant::now();
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(due) => {}
            () = router.recovery.wake.notified() => {}
            () = shutdown.cancelled() => return,
        }
        let everything = due <= tokio::time::Instant::now();
        let complete = recover(&router, everything).await;
        due = tokio::time::Instant::now() + if complete { INTERVAL } else { RETRY };
    }
}

/// Resolves the workers, or only those under suspicion; false if one could not be.
async fn recover(router: &Router, everything: bool) -> bool {
    let workers: Vec<GroupId> = router.catalog.borrow().workers().map(|it| it.group).collect();
    let mut complete = true;
    for group in workers {
        let result = match everything && router.recovery.resolved().contains(&group) {
            true => resolve_node(router, group).await,
            false => router.recovery.ensure_resolved(router, group).await,
        };
        if let Err(error) = result {
            tracing::warn!(%group, %error, "cannot resolve the prepared transactions of a node");
            complete = false;
        }
    }
    if complete
        && everything
        && let Err(error) = forget_finished(router).await
    {
        tracing::warn!(%error, "cannot clean up commit records");
    }
    complete
}

/// Ends every prepared transaction of a node that has no living owner here.
async fn resolve_node(router: &Router, group: GroupId) -> Result<()> {
    let mut connection = superuser(router, group).await?;
    resolve(router, &mut connection, |it| it == group).await
}

/// The same for what was prepared on this server for nodes that no catalog got to know: attempts to add it. Only for a server
/// that belongs to no other group, whose transactions these might be.
pub(crate) async fn resolve_attempts(router: &Router, group: GroupId) -> Result<()> {
    let mut connection = superuser(router, group).await?;
    let catalog = router.catalog.borrow().clone();
    resolve(router, &mut connection, |it| catalog.node(it).is_none()).await
}

async fn resolve(
    router: &Router,
    connection: &mut PooledConnection,
    is_concerned: impl Fn(GroupId) -> bool,
) -> Result<()> {
    for (gid, id) in prepared(connection, is_concerned).await? {
        if router.recovery.in_flight.is_living(&id) {
            continue;
        }
        let decision = decision(router, id).await?;
        tracing::info!(gid, ?decision, "resolving a transaction without owner");
        finish_on(connection, &gid, decision).await?;
    }
    Ok(())
}

/// The names of our prepared transactions on a server, of the nodes that are asked for.
async fn prepared(
    connection: &mut PooledConnection,
    is_wanted: impl Fn(GroupId) -> bool,
) -> Result<Vec<(String, TransactionId)>> {
    let query = "SELECT gid FROM pg_catalog.pg_prepared_xacts \
                 WHERE database = pg_catalog.current_database() AND gid LIKE 'howdah\\_%'";
    let rows = connection.rows(query).await?;
    let ours = rows.into_iter().flatten().flatten().filter_map(|gid| {
        let (id, owner) = TransactionId::parse(&gid)?;
        is_wanted(owner).then_some((gid, id))
    });
    Ok(ours.collect())
}

/// How a transaction ended. If it has not, it ends now, as rolled back.
pub(crate) async fn decision(router: &Router, id: TransactionId) -> Result<Decision> {
    let mut coordinator = superuser(router, GroupId::COORDINATOR).await?;
    // Two statements: the second must see a row whose insertion the first one waited for.
    let rows = coordinator
        .rows(&format!(
            "SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'; \
             INSERT INTO howdah.pg_dist_transaction (groupid, gid) VALUES (-1, '{id}') ON CONFLICT (gid) DO NOTHING; \
             SELECT groupid FROM howdah.pg_dist_transaction WHERE gid = '{id}'"
        ))
        .await?;
    match first_value(rows).as_deref() {
        Some("0") => Ok(Decision::Commit),
        Some("-1") => Ok(Decision::Abort),
        other => Err(Error::Internal(format!("the record of {id} reads {other:?}"))),
    }
}

/// COMMIT PREPARED or ROLLBACK PREPARED as a superuser. One that is not there was ended by somebody else.
pub(crate) async fn finish(router: &Router, group: GroupId, gid: &str, decision: Decision) -> Result<()> {
    let mut connection = superuser(router, group).await?;
    finish_on(&mut connection, gid, decision).await
}

async fn finish_on(connection: &mut PooledConnection, gid: &str, decision: Decision) -> Result<()> {
    let command = match decision {
        Decision::Commit => "COMMIT PREPARED",
        Decision::Abort => "ROLLBACK PREPARED",
    };
    match connection.run(&format!("{command} {}", literal(gid))).await {
        Err(Error::Postgres(fields)) if fields.code() == SqlState::UNDEFINED_OBJECT => Ok(()),
        other => other,
    }
}

/// Deletes the records and tombstones that no prepared transaction can ask for any more.
///
/// A record is committed only after all have prepared, so one that was read before the nodes were looked at
/// and is prepared on none of them has been carried out everywhere. Without its tombstone a late PREPARE would
/// only be given another.
async fn forget_finished(router: &Router) -> Result<()> {
    let mut coordinator = superuser(router, GroupId::COORDINATOR).await?;
    let rows = coordinator.rows("SELECT gid FROM howdah.pg_dist_transaction").await?;
    let mut finished: BTreeSet<String> = rows.into_iter().flatten().flatten().collect();
    if finished.is_empty() {
        return Ok(());
    }
    let living = |gid: &str| {
        let id = TransactionId::parse(&format!("{gid}_0")).map(|it| it.0);
        id.is_some_and(|it| router.recovery.in_flight.is_living(&it))
    };
    finished.retain(|it| !living(it));
    let workers: Vec<GroupId> = router.catalog.borrow().workers().map(|it| it.group).collect();
    for group in workers {
        let mut worker = superuser(router, group).await?;
        for (_, id) in prepared(&mut worker, |it| it == group).await? {
            finished.remove(&id.to_string());
        }
    }
    let finished: Vec<String> = finished.into_iter().collect();
    for some in finished.chunks(1000) {
        let list = some.iter().map(|it| literal(it)).collect::<Vec<_>>().join(", ");
        coordinator.run(&format!("DELETE FROM howdah.pg_dist_transaction WHERE gid IN ({list})")).await?;
    }
    Ok(())
}

async fn superuser(router: &Router, group: GroupId) -> Result<PooledConnection> {
    router.pools.acquire(group, &router.config.superuser).await
}

fn first_value(rows: Vec<Vec<Option<String>>>) -> Option<String> {
    rows.into_iter().next()?.into_iter().next()?
}
