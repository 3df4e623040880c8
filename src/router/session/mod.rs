//! One client's session: a task that owns everything of it.
//!
//! Invariant: between two turns of an idle session outside a transaction no server connection is held,
//! unless state that cannot be replayed pins the coordinator's backend.

mod analysis;
mod bind;
mod bind_text;
mod block;
mod describe;
mod dispatch;
mod effects;
mod execute;
mod extended;
mod flight;
mod large;
mod overlay;
mod pin;
mod plan_cache;
mod portal;
mod relay;
mod simple;
pub(crate) mod single_shard;
mod sql_execute;
mod stale;
mod start;
mod state;
mod statements;
mod worker_statement;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use howdah_catalog::GroupId;
use howdah_pg::SqlState;
use howdah_pg::wire::{Relay, backend};
use howdah_sql::Shape;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::cancel::{CancelLease, CancelTargets};
use crate::client::Client;
use crate::cores::CoreId;
use crate::duplex::Frame;
use crate::error::{Error, MissingShard, Result};
use crate::loopback::{self, Live};
use crate::pool::{Pool, PooledConnection, Term};
use crate::router::Router;
use crate::server::{Draws, Message, SequenceMemory, ServerConnection};
use crate::settings::{Settings, milliseconds};
use crate::startup::fatal;
use crate::transaction::{Block, Transaction};

use self::block::Marks;
use self::extended::Pipeline;
pub(crate) use self::large::Room;
use self::overlay::Overlay;
pub(crate) use self::plan_cache::PlanCache;
use self::portal::Portals;
pub(crate) use self::start::run;
use self::state::Kept;
use self::statements::Statements;

pub(crate) const IDLE_IN_TRANSACTION: &str = "idle_in_transaction_session_timeout";

pub(crate) struct Session {
    pub(crate) router: Arc<Router>,
    /// Role the client authenticated as, and its database.
    pub(crate) user: Arc<str>,
    pub(crate) database: Arc<str>,
    /// Of the sessions of this router.
    id: u64,
    /// Where its draws from sequences are remembered.
    sequences: SequenceMemory,
    /// Where it runs, and where its server connections are.
    core: CoreId,
    /// The pools that it has used.
    pools: Vec<(GroupId, Arc<Pool>)>,
    pub(crate) client: Client,
    pub(crate) transaction: Transaction,
    /// As the coordinator last reported them.
    pub(crate) settings: Settings,
    /// What the client asked for when it connected: what RESET goes back to.
    startup_settings: Settings,
    /// The catalog with this transaction's own uncommitted changes, if it made any.
    overlay: Option<Overlay>,
    /// How many there have been.
    overlays: u64,
    /// The coordinator's backend, kept between transactions for state that only it has.
    pinned: Option<PooledConnection>,
    kept: Kept,
    /// The block may have changed what the session keeps: to be asked at its end.
    suspect: bool,
    /// Names with a dot that the client set; PostgreSQL lists no others.
    custom_settings: BTreeSet<String>,
    /// It has called currval or lastval, which only the backend that drew can answer.
    asks_sequences: bool,
    marks: Marks,
    /// A worker misses a shard, and the client has not been told.
    pub(crate) missing_shard: Option<MissingShard>,
    /// Transactions that were committed.
    pub(crate) commits: u64,
    statements: Statements,
    portals: Portals,
    pipeline: Pipeline,
    /// Buffers for the key of the plan cache.
    shape: Shape,
    key: Vec<u8>,
    scratch: Vec<u8>,
    /// Of the settings that the meaning of text depends on, and what they say.
    settings_hash: u64,
    standard_strings: bool,
    pub(crate) utf8: bool,
    /// What the coordinator's backend reads of distributed tables by itself, through the loopback.
    pub(crate) live: Live,
    /// Requests of that backend, and where they are sent to.
    loopback: mpsc::Receiver<loopback::Request>,
    loopback_sender: mpsc::Sender<loopback::Request>,
    /// Where in a message the relay is.
    relay: Relay,
    cancel: CancelLease,
    /// The router stops: no transaction begins any more.
    shutdown: CancellationToken,
    /// Nor does one go on.
    deadline: CancellationToken,
}

impl Session {
    /// A connection to a node as this session's role; the pinned one if it is the coordinator's.
    pub(crate) async fn acquire(&mut self, group: GroupId, term: Term) -> Result<PooledConnection> {
        if group == GroupId::COORDINATOR
            && let Some(pinned) = self.pinned.take()
        {
            return Ok(pinned);
        }
        let pool = self.pool(group);
        let rank = |it: &ServerConnection| it.rank_for(self.sequences, &self.settings);
        let mut connection = self.router.pools.acquire_from(&pool, term, rank).await?;
        connection.attach(&self.cancel.targets);
        connection.lend_to(self.sequences);
        if group == GroupId::COORDINATOR {
            let pid = connection.pid();
            connection.lease = Some(self.router.registry.register(pid, self.loopback_sender.clone()));
        }
        Ok(connection)
    }

    pub(crate) fn core(&self) -> CoreId {
        self.core
    }

    pub(crate) fn cancel_targets(&self) -> Arc<CancelTargets> {
        self.cancel.targets.clone()
    }

    /// A setting that the router itself obeys.
    pub(crate) fn setting(&self, name: &str) -> Option<String> {
        self.settings.get(name).map(str::to_owned).or_else(|| self.router.defaults.get(&self.user, name))
    }

    /// A further connection to a node for one statement, if the pool has one to spare; what is returned opens it.
    pub(crate) fn spare(
        &self,
        group: GroupId,
        most: Option<usize>,
    ) -> Option<impl Future<Output = Result<PooledConnection>> + Send + use<>> {
        let router = self.router.clone();
        let pool = router.pools.pool(self.core, group, &self.user, &self.database);
        let spare = router.pools.spare(&pool, most, |it| it.rank_for(self.sequences, &self.settings))?;
        let (memory, targets) = (self.sequences, self.cancel.targets.clone());
        Some(async move {
            let mut connection = router.pools.open_spare(&pool, spare).await?;
            connection.attach(&targets);
            connection.lend_to(memory);
            Ok(connection)
        })
    }

    /// The coordinator's connection, for a statement that draws from sequences.
    pub(crate) async fn coordinator_for(&mut self, draws: Draws) -> Result<&mut ServerConnection> {
        self.participant(GroupId::COORDINATOR).await?;
        let Some(connection) = self.transaction.opened(GroupId::COORDINATOR) else {
            return Err(Error::Internal("no coordinator connection was opened".to_owned()));
        };
        connection.note_draws(draws, &mut self.sequences);
        Ok(connection)
    }

    fn pool(&mut self, group: GroupId) -> Arc<Pool> {
        if let Some((_, pool)) = self.pools.iter().find(|it| it.0 == group) {
            return pool.clone();
        }
        let pool = self.router.pools.pool(self.core, group, &self.user, &self.database);
        self.pools.push((group, pool.clone()));
        pool
    }

    /// The coordinator's next message; loopback requests of this session are served meanwhile. Whoever waits
    /// for the coordinator while it may run live tables, deferred triggers or user code waits here.
    pub(crate) async fn next_coordinator_message(&mut self) -> Result<Message> {
        loop {
            let Some(coordinator) = self.transaction.opened(GroupId::COORDINATOR) else {
                return Err(Error::Internal("no coordinator connection to wait for".to_owned()));
            };
            let request = tokio::select! {
                biased;
                message = coordinator.next_message() => return message,
                Some(request) = self.loopback.recv() => request,
            };
            loopback::serve_session(self, request).await;
        }
    }

    /// Serves the client until it leaves.
    async fn serve(&mut self) -> Result<()> {
        let mut pending = None;
        loop {
            let frame = match pending.take() {
                Some(frame) => frame,
                None => self.next_request().await?,
            };
            match frame.tag {
                b'X' => return Ok(()),
                b'P' | b'B' | b'D' | b'E' | b'C' | b'S' | b'H' => pending = self.extended(frame).await?,
                // After an error everything up to Sync is ignored, simple queries as well.
                b'Q' | b'F' if self.pipeline.skipping => {}
                b'F' => self.function_call(&frame.body).await?,
                b'Q' => self.query(&frame.body).await?,
                // Left over from a COPY that failed; PostgreSQL ignores them as well.
                b'd' | b'c' | b'f' => {}
                other => {
                    let message = format!("invalid frontend message type {other}");
                    return Err(fatal(SqlState::PROTOCOL_VIOLATION, message));
                }
            }
        }
    }

    /// Waits for the client, and for what a pinned backend has to say meanwhile.
    async fn next_request(&mut self) -> Result<Frame> {
        let idle_limit = self.idle_limit();
        loop {
            let end = match self.transaction.block() {
                Block::None => &self.shutdown,
                _ => &self.deadline,
            };
            tokio::select! {
                biased;
                frame = self.client.next_message() => return frame,
                () = end.cancelled() => return Err(Error::ShuttingDown),
                () = tokio::time::sleep(idle_limit.unwrap_or_default()), if idle_limit.is_some() => {
                    let message = "terminating connection due to idle-in-transaction timeout";
                    return Err(fatal(SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT, message));
                }
                message = pin::spontaneous(&mut self.pinned) => self.relay_spontaneous(message).await?,
            }
        }
    }

    /// How long the client may leave its transaction open without a word. Its nodes cannot tell: one that is not asked for long may
    /// belong to a session that is busy on another.
    fn idle_limit(&self) -> Option<Duration> {
        match self.transaction.block() {
            Block::Explicit | Block::Failed => self.timeout(IDLE_IN_TRANSACTION),
            Block::None | Block::Implicit => None,
        }
    }

    /// A setting that is a time; none if it is 0.
    pub(crate) fn timeout(&self, name: &str) -> Option<Duration> {
        self.setting(name).and_then(|it| milliseconds(&it)).filter(|it| !it.is_zero())
    }

    async fn ready_for_query(&mut self) -> Result<()> {
        backend::put_ready_for_query(self.client.buffer(), self.transaction.status());
        self.client.flush().await
    }
}
