//! Server connections, kept per core and (node, role, database), and lent for a transaction at a time.
//!
//! Invariants: a connection is idle, lent, or being opened, and the sum of all cores never passes the limit of its kind.
//! Waiters are served first come, first served; what comes back unclean is closed. A session uses connections of its own
//! core: their sockets wake the thread that the session runs on.

mod addresses;
mod core_pool;
mod lender;
mod loan;
mod quota;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use howdah_catalog::{Catalog, GroupId};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout_at};

use self::addresses::Addresses;
use self::core_pool::{Grant, Key, Turn};
use self::loan::Slot;
use self::quota::Quota;
use crate::config::{NodeAddress, PoolConfig};
use crate::connect::Connector;
use crate::cores::CoreId;
use crate::error::{Error, Result};
use crate::server::{ServerConnection, Startup};

pub(crate) use self::core_pool::Pool;
pub(crate) use self::lender::{Rank, Term};
pub(crate) use self::loan::PooledConnection;

/// All pools of a router.
pub(crate) struct Pools {
    config: PoolConfig,
    /// How many cores serve sessions.
    cores: usize,
    addresses: Addresses,
    database: String,
    connector: Connector,
    /// Those of one kind have the numbers of their cores.
    pools: RwLock<HashMap<Arc<Key>, Vec<Arc<Pool>>>>,
}

/// How long a waiter waits at most before it looks whether there is something to wait for.
const MAX_PATIENCE: Duration = Duration::from_millis(16);

impl Pools {
    pub(crate) fn new(
        config: PoolConfig,
        cores: usize,
        coordinator: NodeAddress,
        database: String,
        catalog: watch::Receiver<Arc<Catalog>>,
        connector: Connector,
    ) -> Self {
        let addresses = Addresses::new(coordinator, catalog);
        Self { config, cores, addresses, database, connector, pools: RwLock::default() }
    }

    /// A connection to a node, to the group's database, as a role, for an errand of the router itself. No session has used it, so
    /// that it has none of their settings.
    pub(crate) async fn acquire(&self, group: GroupId, user: &str) -> Result<PooledConnection> {
        self.acquire_on(CoreId::ROUTER, group, user).await
    }

    /// The same on a core, where a session of this role may have used it.
    pub(crate) async fn acquire_on(
        &self,
        core: CoreId,
        group: GroupId,
        user: &str,
    ) -> Result<PooledConnection> {
        let pool = self.pool(core, group, user, &self.database);
        self.acquire_from(&pool, Term::Open, |_| Rank::Fit(0)).await
    }

    /// A connection of a pool; of those that are idle, one that fits best. Unfit ones are closed, if there is no other.
    pub(crate) async fn acquire_from(
        &self,
        pool: &Arc<Pool>,
        term: Term,
        rank: impl Fn(&ServerConnection) -> Rank + Copy,
    ) -> Result<PooledConnection> {
        if self.addresses.may_have_changed() {
            self.follow_addresses();
        }
        loop {
            let grant = match pool.take_or_wait(term, rank)? {
                Turn::Now(grant) => grant,
                Turn::Wait(waiting) => self.wait(pool, waiting).await?,
            };
            let mut connection = match grant {
                Grant::Slot(slot) => return self.open(pool, slot).await,
                Grant::Connection(connection) => connection,
            };
            if rank(&connection) == Rank::Unfit {
                connection.retire();
                continue;
            }
            if connection.is_alive() {
                return Ok(connection);
            }
            // Its server ended: then so did the others of its kind, most likely.
            drop(connection);
            pool.reap(Duration::ZERO);
        }
    }

    /// A connection beyond the one that a session needs. Nobody waits for it, and it is nobody's loss: there is none once the
    /// core has lent its part of half of what there may be, or `most`.
    pub(crate) fn spare(
        &self,
        pool: &Arc<Pool>,
        most: Option<usize>,
        rank: impl Fn(&ServerConnection) -> Rank + Copy,
    ) -> Option<Grant> {
        let part = (self.config.max_per_node / 2 / self.cores).max(1);
        let most = most.map_or(part, |it| it.min(part));
        loop {
            let mut connection = match pool.take_spare(most, rank)? {
                Grant::Connection(connection) => connection,
                slot => return Some(slot),
            };
            if rank(&connection) == Rank::Unfit {
                connection.retire();
            } else if connection.is_alive() {
                return Some(Grant::Connection(connection));
            }
        }
    }

    /// Opens it, unless it is open.
    pub(crate) async fn open_spare(&self, pool: &Pool, spare: Grant) -> Result<PooledConnection> {
        match spare {
            Grant::Connection(connection) => Ok(connection),
            Grant::Slot(slot) => self.open(pool, slot).await,
        }
    }

    async fn wait(&self, pool: &Arc<Pool>, waiting: oneshot::Receiver<Grant>) -> Result<Grant> {
        let since = Instant::now();
        let deadline = since + self.config.acquire_timeout;
        let mut patience = lender::PATIENCE;
        tokio::pin!(waiting);
        while Instant::now() < deadline {
            if pool.is_starving(since.elapsed() < quota::GRACE) {
                self.make_room(pool);
            }
            match timeout_at(deadline.min(Instant::now() + patience), &mut waiting).await {
                Ok(Ok(grant)) => return Ok(grant),
                Ok(Err(_)) => break,
                Err(_) => pool.lose_patience(),
            }
            patience = (patience * 2).min(MAX_PATIENCE);
        }
        Err(Error::PoolTimeout(pool.key.group))
    }

    /// Closes a connection that another core has and does not use.
    fn make_room(&self, pool: &Arc<Pool>) {
        let pools = self.pools.read().unwrap_or_else(PoisonError::into_inner);
        let others = pools.get(&pool.key).into_iter().flatten().filter(|it| !Arc::ptr_eq(it, pool)).cloned();
        let others: Vec<_> = others.collect();
        drop(pools);
        others.iter().any(|it| it.yield_idle());
    }

    /// A core's pool, for callers that come often.
    pub(crate) fn pool(&self, core: CoreId, group: GroupId, user: &str, database: &str) -> Arc<Pool> {
        let key = Key { group, user: user.to_owned(), database: database.to_owned() };
        if let Some(pools) = self.pools.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return pools[core.index()].clone();
        }
        let mut pools = self.pools.write().unwrap_or_else(PoisonError::into_inner);
        let key = Arc::new(key);
        pools.entry(key.clone()).or_insert_with(|| self.new_pools(&key))[core.index()].clone()
    }

    fn new_pools(&self, key: &Arc<Key>) -> Vec<Arc<Pool>> {
        let quota = Arc::new(Quota::new(self.config.max_per_node));
        let at_once = match key.group {
            // What a session drew from sequences is remembered by the backend that it used last: no reason to share those more
            // than need be.
            GroupId::COORDINATOR => usize::MAX,
            _ => self.config.busy_per_node.div_ceil(self.cores),
        };
        let pool = || Arc::new(Pool::new(key.clone(), quota.clone(), at_once, self.config.max_waiting));
        std::iter::repeat_with(pool).take(self.cores + 1).collect()
    }

    /// Closes connections that nobody has used for long. Called now and then by the router's own loop.
    pub(crate) fn reap(&self) {
        for pool in self.pools.read().unwrap_or_else(PoisonError::into_inner).values().flatten() {
            pool.reap(self.config.idle_timeout);
        }
    }

    /// How many connections are open to each node.
    pub(crate) fn open_connections(&self) -> BTreeMap<GroupId, usize> {
        let mut open = BTreeMap::new();
        // The pools of one kind share their count.
        for (key, pools) in self.pools.read().unwrap_or_else(PoisonError::into_inner).iter() {
            *open.entry(key.group).or_default() += pools.first().map_or(0, |it| it.count_open());
        }
        open
    }

    /// Where a node is that is being added.
    pub(crate) fn introduce(&self, group: GroupId, address: NodeAddress) {
        self.addresses.introduce(group, address);
    }

    pub(crate) fn address(&self, group: GroupId) -> Result<NodeAddress> {
        self.addresses.of(group)
    }

    /// Tells the pools of nodes that have moved.
    fn follow_addresses(&self) {
        for pool in self.pools.read().unwrap_or_else(PoisonError::into_inner).values().flatten() {
            if let Ok(address) = self.address(pool.key.group) {
                pool.move_to(address);
            }
        }
    }

    pub(crate) fn connector(&self) -> &Connector {
        &self.connector
    }

    /// Opens a connection for a slot that is already counted.
    async fn open(&self, pool: &Pool, slot: Slot) -> Result<PooledConnection> {
        let Key { group, user, database } = &*pool.key;
        let address = self.addresses.soon_of(*group).await?;
        let opening = async {
            let stream = self.connector.connect(&address).await;
            let startup = Startup {
                group: *group,
                address: address.clone(),
                user,
                database,
                max_prepared: self.config.max_prepared,
            };
            let stream =
                stream.map_err(|error| Error::Connect { group: *group, reason: error.to_string() })?;
            ServerConnection::start(stream, startup).await
        };
        let timeout = self.config.connect_timeout;
        let opened = tokio::time::timeout(timeout, opening).await;
        let connection = opened.unwrap_or_else(|_| {
            let reason = format!("no answer within {} s", timeout.as_secs());
            Err(Error::Connect { group: *group, reason })
        })?;
        Ok(slot.fill(Box::new(connection)))
    }
}
