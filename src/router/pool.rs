//! Server connections, kept per (node, role, database) and lent for a transaction at a time.
//!
//! Invariant: a connection is idle, lent, or being opened, and their sum never passes the limit of its
//! pool. Waiters are served first come, first served; what comes back unclean is closed.

use std::collections::{HashMap, VecDeque};
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use howdah_catalog::{Catalog, GroupId};
use tokio::sync::{oneshot, watch};

use crate::cancel::{CancelTargets, Target};
use crate::config::{NodeAddress, PoolConfig};
use crate::connect::Connector;
use crate::error::{Error, Result};
use crate::server::{ServerConnection, Startup};
use crate::settings::Settings;

/// How long news of a committed catalog may take.
const NEWS: Duration = Duration::from_secs(5);

/// All pools of a router.
pub(crate) struct Pools {
    config: PoolConfig,
    coordinator: NodeAddress,
    database: String,
    catalog: watch::Receiver<Arc<Catalog>>,
    connector: Connector,
    pools: RwLock<HashMap<Key, Arc<Pool>>>,
    /// Nodes that a transaction is about to add, and no committed catalog has yet.
    introduced: RwLock<HashMap<GroupId, NodeAddress>>,
    /// The catalog whose addresses the pools know.
    followed: AtomicI64,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Key {
    group: GroupId,
    user: String,
    database: String,
}

/// Connections of one role to one database of one node.
pub(crate) struct Pool {
    key: Key,
    max: usize,
    max_waiting: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Where the node is; connections to where it was are not lent again.
    address: Option<NodeAddress>,
    idle: Vec<Idle>,
    /// Idle, lent and opening together.
    open: usize,
    waiting: VecDeque<oneshot::Sender<Grant>>,
}

struct Idle {
    connection: Box<ServerConnection>,
    since: Instant,
}

/// What a waiter gets: a connection, or the right to open one.
enum Grant {
    Connection(Box<ServerConnection>),
    Slot,
}

/// A connection on loan. Dropped clean it goes back to the pool, otherwise it is closed.
pub(crate) struct PooledConnection {
    connection: Option<Box<ServerConnection>>,
    pool: Arc<Pool>,
    /// The list of the session that uses it, for cancel requests.
    targets: Option<Arc<CancelTargets>>,
}

impl Pools {
    pub(crate) fn new(
        config: PoolConfig,
        coordinator: NodeAddress,
        database: String,
        catalog: watch::Receiver<Arc<Catalog>>,
        connector: Connector,
    ) -> Self {
        Self {
            config,
            coordinator,
            database,
            catalog,
            connector,
            pools: RwLock::default(),
            introduced: RwLock::default(),
            followed: AtomicI64::new(0),
        }
    }

    /// A connection to a node, to the group's database, as a role, for the router's own work: without what a session has set.
    pub(crate) async fn acquire(&self, group: GroupId, user: &str) -> Result<PooledConnection> {
        let mut connection = self.acquire_to(group, user, &self.database).await?;
        connection.queue_settings(&Settings::default());
        if connection.has_prologue() {
            connection.queue_sync();
            connection.flush().await?;
            connection.finish().await?;
        }
        Ok(connection)
    }

    pub(crate) async fn acquire_to(
        &self,
        group: GroupId,
        user: &str,
        database: &str,
    ) -> Result<PooledConnection> {
        let pool = self.pool(group, user, database);
        self.acquire_from(&pool, 0).await
    }

    /// A connection of a pool; the one that the session used last, if nobody has it.
    pub(crate) async fn acquire_from(&self, pool: &Arc<Pool>, session: u64) -> Result<PooledConnection> {
        let group = pool.key.group;
        self.follow_addresses();
        let waiting = loop {
            match pool.take_or_wait(session)? {
                Turn::Idle(mut connection) => {
                    if connection.is_alive() {
                        return Ok(pool.lend(connection));
                    }
                    // Its server ended: then so did the others of its kind, most likely.
                    drop(connection);
                    pool.release_slot();
                    pool.reap(Duration::ZERO);
                }
                Turn::Open => return self.open(pool).await,
                Turn::Wait(waiting) => break waiting,
            }
        };
        match tokio::time::timeout(self.config.acquire_timeout, waiting).await {
            Ok(Ok(Grant::Connection(connection))) => Ok(pool.lend(connection)),
            Ok(Ok(Grant::Slot)) => self.open(pool).await,
            Ok(Err(_)) | Err(_) => Err(Error::PoolTimeout(group)),
        }
    }

    /// A connection beyond the one that a session needs. Nobody waits for it, and it is nobody's loss: there is none once
    /// the pool has lent half of what it may, or `most` of them.
    pub(crate) fn spare(&self, pool: &Arc<Pool>, session: u64, most: Option<usize>) -> Option<Spare> {
        self.follow_addresses();
        loop {
            match pool.take_spare(session, most)? {
                Turn::Idle(mut connection) => {
                    if connection.is_alive() {
                        return Some(Spare::Ready(pool.lend(connection)));
                    }
                    drop(connection);
                    pool.release_slot();
                }
                Turn::Open => return Some(Spare::Slot(Slot(Some(pool.clone())))),
                Turn::Wait(_) => return None,
            }
        }
    }

    /// Opens it, unless it is open.
    pub(crate) async fn open_spare(&self, spare: Spare) -> Result<PooledConnection> {
        match spare {
            Spare::Ready(connection) => Ok(connection),
            Spare::Slot(slot) => self.open_in(slot).await,
        }
    }

    /// The pool itself, for callers that come often.
    pub(crate) fn pool(&self, group: GroupId, user: &str, database: &str) -> Arc<Pool> {
        let key = Key { group, user: user.to_owned(), database: database.to_owned() };
        if let Some(pool) = self.pools.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return pool.clone();
        }
        let mut pools = self.pools.write().unwrap_or_else(PoisonError::into_inner);
        pools.entry(key.clone()).or_insert_with(|| Arc::new(Pool::new(key, &self.config))).clone()
    }

    /// Closes connections that nobody has used for long. Called now and then by the router's own loop.
    pub(crate) fn reap(&self) {
        for pool in self.pools.read().unwrap_or_else(PoisonError::into_inner).values() {
            pool.reap(self.config.idle_timeout);
        }
    }

    /// Where a node is that is being added. Once a catalog has it, the catalog's word counts.
    pub(crate) fn introduce(&self, group: GroupId, address: NodeAddress) {
        self.introduced.write().unwrap_or_else(PoisonError::into_inner).insert(group, address);
    }

    pub(crate) fn address(&self, group: GroupId) -> Result<NodeAddress> {
        if group == GroupId::COORDINATOR {
            return Ok(self.coordinator.clone());
        }
        if let Some(node) = self.catalog.borrow().node(group) {
            return Ok(NodeAddress { host: node.host().to_owned(), port: node.port });
        }
        let introduced = self.introduced.read().unwrap_or_else(PoisonError::into_inner);
        introduced.get(&group).cloned().ok_or(Error::UnknownGroup(group))
    }

    /// The same of a node that the coordinator has told somebody of: the catalog with it is on its way.
    async fn address_soon(&self, group: GroupId) -> Result<NodeAddress> {
        if self.address(group).is_err() {
            let mut catalog = self.catalog.clone();
            let known = catalog.wait_for(|it| it.node(group).is_some());
            let _ = tokio::time::timeout(NEWS, known).await;
        }
        self.address(group)
    }

    pub(crate) fn connector(&self) -> &Connector {
        &self.connector
    }

    /// Tells the pools of nodes that have moved.
    fn follow_addresses(&self) {
        let version = self.catalog.borrow().version().0;
        if self.followed.swap(version, Ordering::Relaxed) == version {
            return;
        }
        for pool in self.pools.read().unwrap_or_else(PoisonError::into_inner).values() {
            if let Ok(address) = self.address(pool.key.group) {
                pool.move_to(address);
            }
        }
    }

    /// Opens a connection for a slot that is already counted.
    async fn open(&self, pool: &Arc<Pool>) -> Result<PooledConnection> {
        self.open_in(Slot(Some(pool.clone()))).await
    }

    async fn open_in(&self, slot: Slot) -> Result<PooledConnection> {
        let Some(pool) = slot.0.clone() else {
            return Err(Error::Internal("a slot of no pool".to_owned()));
        };
        let Key { group, user, database } = &pool.key;
        let address = self.address_soon(*group).await?;
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
        slot.keep();
        Ok(pool.lend(Box::new(connection)))
    }
}

/// The right to open a connection. Given back if opening fails or is cancelled.
pub(crate) struct Slot(Option<Arc<Pool>>);

/// A connection beyond the one that a session needs, or the right to open it.
pub(crate) enum Spare {
    Ready(PooledConnection),
    Slot(Slot),
}

impl Slot {
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(pool) = &self.0 {
            pool.release_slot();
        }
    }
}

enum Turn {
    Idle(Box<ServerConnection>),
    Open,
    Wait(oneshot::Receiver<Grant>),
}

impl Pool {
    fn new(key: Key, config: &PoolConfig) -> Self {
        Self { key, max: config.max_per_node, max_waiting: config.max_waiting, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_or_wait(&self, session: u64) -> Result<Turn> {
        let mut state = self.lock();
        let own = state.idle.iter().rposition(|it| it.connection.owner() == session);
        let last = state.idle.len().checked_sub(1);
        if let Some(at) = own.or(last) {
            let idle = state.idle.swap_remove(at);
            return Ok(Turn::Idle(idle.connection));
        }
        if state.open < self.max {
            state.open += 1;
            return Ok(Turn::Open);
        }
        state.waiting.retain(|it| !it.is_closed());
        if state.waiting.len() >= self.max_waiting {
            return Err(Error::PoolOverrun(self.key.group));
        }
        let (sender, receiver) = oneshot::channel();
        state.waiting.push_back(sender);
        Ok(Turn::Wait(receiver))
    }

    /// Never takes what others wait for, and leaves half of the pool to those who need it.
    fn take_spare(&self, session: u64, most: Option<usize>) -> Option<Turn> {
        let mut state = self.lock();
        state.waiting.retain(|it| !it.is_closed());
        let lent = state.open - state.idle.len();
        if !state.waiting.is_empty() || most.unwrap_or(usize::MAX).min(self.max / 2) <= lent {
            return None;
        }
        let own = state.idle.iter().rposition(|it| it.connection.owner() == session);
        match own.or(state.idle.len().checked_sub(1)) {
            Some(at) => Some(Turn::Idle(state.idle.swap_remove(at).connection)),
            None => {
                state.open += 1;
                Some(Turn::Open)
            }
        }
    }

    /// Whether sessions wait for a connection.
    fn is_wanted(&self) -> bool {
        self.lock().waiting.iter().any(|it| !it.is_closed())
    }

    fn lend(self: &Arc<Self>, connection: Box<ServerConnection>) -> PooledConnection {
        PooledConnection { connection: Some(connection), pool: self.clone(), targets: None }
    }

    fn move_to(&self, address: NodeAddress) {
        let mut state = self.lock();
        if state.address.replace(address.clone()).is_none_or(|it| it == address) {
            return;
        }
        let left = std::mem::take(&mut state.idle);
        state.open -= left.len();
        drop(state);
        drop(left);
    }

    fn give_back(&self, mut connection: Box<ServerConnection>) {
        let mut state = self.lock();
        if state.address.as_ref().is_some_and(|it| it != connection.address()) {
            drop(state);
            return self.release_slot();
        }
        while let Some(waiter) = state.waiting.pop_front() {
            match waiter.send(Grant::Connection(connection)) {
                Ok(()) => return,
                Err(Grant::Connection(returned)) => connection = returned,
                Err(Grant::Slot) => unreachable!("a connection was sent"),
            }
        }
        state.idle.push(Idle { connection, since: Instant::now() });
    }

    fn release_slot(&self) {
        let mut state = self.lock();
        while let Some(waiter) = state.waiting.pop_front() {
            if waiter.send(Grant::Slot).is_ok() {
                return;
            }
        }
        state.open -= 1;
    }

    fn reap(&self, idle_timeout: Duration) {
        let mut closed = Vec::new();
        let mut state = self.lock();
        let now = Instant::now();
        let mut kept = Vec::with_capacity(state.idle.len());
        for idle in state.idle.drain(..) {
            let old = now.duration_since(idle.since) >= idle_timeout;
            if old { closed.push(idle) } else { kept.push(idle) }
        }
        state.idle = kept;
        state.open -= closed.len();
        drop(state);
        // Closing sockets is not done under the lock.
        drop(closed);
    }
}

impl PooledConnection {
    /// Whether others wait for a connection of its pool.
    pub(crate) fn is_wanted(&self) -> bool {
        self.pool.is_wanted()
    }

    /// From now on a cancel of this session reaches the connection.
    pub(crate) fn attach(&mut self, targets: &Arc<CancelTargets>) {
        targets.add(Target {
            address: self.address().clone(),
            key: self.cancel_key().clone(),
            cancelled: self.cancelled().clone(),
            deadlocked: self.deadlocked().clone(),
        });
        self.targets = Some(targets.clone());
    }
}

impl Deref for PooledConnection {
    type Target = ServerConnection;

    fn deref(&self) -> &ServerConnection {
        self.connection.as_ref().expect("taken only by drop")
    }
}

impl DerefMut for PooledConnection {
    fn deref_mut(&mut self) -> &mut ServerConnection {
        self.connection.as_mut().expect("taken only by drop")
    }
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        connection.lease = None;
        if let Some(targets) = &self.targets {
            targets.remove(connection.cancelled());
        }
        if connection.is_clean() {
            self.pool.give_back(connection);
        } else {
            drop(connection);
            self.pool.release_slot();
        }
    }
}
