//! The reader's half of the fence: several nodes read at one moment.
//!
//! A transaction that commits on several workers holds `howdah.fence` on each of them in ROW EXCLUSIVE mode from before its
//! first PREPARE until its COMMIT PREPARED there. Whoever has the same table in SHARE mode on all workers that it will read knows
//! that no such commit is half done among them: snapshots that are taken meanwhile show each transaction on all of
//! these workers or on none.
//!
//! The locks are held by connections of the router's own, for as long as it takes to get a snapshot: a lock of the reader's
//! own transaction would stay until its end, and stop all writers for as long. Readers of the same workers that come at the same time
//! share one [`Hold`].
//!
//! Invariants: a [`Hold`] has the lock on all its workers; who waits for the lock on one worker holds it on lower ones
//! only, in the order in which writers take it, so that readers and writers never wait for each other in a circle.

mod hold;
mod raise;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use howdah_catalog::GroupId;
use tokio::sync::oneshot;

pub(crate) use self::hold::Hold;
use crate::cancel::CancelTargets;
use crate::cores::CoreId;
use crate::error::Result;
use crate::pool::PooledConnection;
use crate::router::Router;

pub(crate) struct Fence {
    /// One for each core, whose connections they are.
    posts: Vec<Arc<Post>>,
}

/// What one core has of it.
#[derive(Default)]
struct Post {
    books: Mutex<Books>,
}

#[derive(Default)]
struct Books {
    /// Connections that have held the lock. The answer to their COMMIT may still be under way.
    idle: BTreeMap<GroupId, Vec<Idle>>,
    /// Readers that wait for a hold that another one is taking, by the workers that it is for.
    joining: HashMap<BTreeSet<GroupId>, Vec<oneshot::Sender<Arc<Hold>>>>,
}

struct Idle {
    connection: PooledConnection,
    since: Instant,
}

/// Who wants to read.
pub(crate) struct Reader {
    pub(crate) core: CoreId,
    /// Where its cancels go.
    pub(crate) targets: Option<Arc<CancelTargets>>,
}

/// Idle connections to one worker that a core keeps.
const MAX_IDLE: usize = 8;
/// Those that nobody has used for this long are closed.
const MAX_AGE: Duration = Duration::from_secs(60);

impl Fence {
    pub(crate) fn new(cores: usize) -> Self {
        // The router itself is one more.
        Self { posts: std::iter::repeat_with(Default::default).take(cores + 1).collect() }
    }

    /// The locks on these workers; of readers that come together one takes them for all.
    pub(crate) async fn hold(
        &self,
        router: &Router,
        reader: &Reader,
        groups: &BTreeSet<GroupId>,
    ) -> Result<Arc<Hold>> {
        let post = &self.posts[reader.core.index()];
        loop {
            let Some(joined) = post.join(groups) else { break };
            // Its taker may have given up: then it is somebody else's turn.
            if let Ok(hold) = joined.await {
                return Ok(hold);
            }
        }
        let mut turn = TakerTurn { post, groups, is_over: false };
        let hold = Arc::new(raise::raise(router, post, reader, groups).await?);
        for waiter in turn.end() {
            // Who has left meanwhile needs none.
            drop(waiter.send(hold.clone()));
        }
        Ok(hold)
    }

    /// Closes connections that nobody has used for long.
    pub(crate) fn reap(&self) {
        for post in &self.posts {
            let mut books = post.lock();
            let now = Instant::now();
            books.idle.values_mut().for_each(|it| it.retain(|it| now.duration_since(it.since) < MAX_AGE));
        }
    }
}

impl Post {
    fn lock(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins those that wait; `None` for the first, who has to take the locks.
    fn join(&self, groups: &BTreeSet<GroupId>) -> Option<oneshot::Receiver<Arc<Hold>>> {
        let mut books = self.lock();
        match books.joining.get_mut(groups) {
            Some(waiters) => {
                let (sender, receiver) = oneshot::channel();
                waiters.push(sender);
                Some(receiver)
            }
            None => {
                books.joining.insert(groups.clone(), Vec::new());
                None
            }
        }
    }

    fn take_idle(&self, group: GroupId) -> Option<PooledConnection> {
        self.lock().idle.get_mut(&group)?.pop().map(|it| it.connection)
    }

    fn put_idle(&self, connection: PooledConnection) {
        let mut books = self.lock();
        let idle = books.idle.entry(connection.group()).or_default();
        if idle.len() < MAX_IDLE {
            idle.push(Idle { connection, since: Instant::now() });
        }
    }
}

/// That of the reader who takes the locks for all. If it gives up, those who wait hear of it.
struct TakerTurn<'a> {
    post: &'a Post,
    groups: &'a BTreeSet<GroupId>,
    is_over: bool,
}

impl TakerTurn<'_> {
    fn end(&mut self) -> Vec<oneshot::Sender<Arc<Hold>>> {
        self.is_over = true;
        self.post.lock().joining.remove(self.groups).unwrap_or_default()
    }
}

impl Drop for TakerTurn<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.end();
        }
    }
}
