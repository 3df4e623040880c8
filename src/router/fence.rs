//! The reader's half of the fence: several nodes read at one moment.
//!
//! A transaction that commits on several workers holds `howdah.fence` on each of them in ROW EXCLUSIVE mode from before its
//! first PREPARE until its COMMIT PREPARED there. Whoever has the same table in SHARE mode on all workers that it will read knows
//! that no such commit is half done among them: snapshots that are taken meanwhile show each transaction on all of
//! these workers or on none.
//!
//! The locks are held by connections of the router's own, for as long as it takes to get a snapshot: a lock of the reader's
//! own transaction would stay until its end, and stop all writers for as long. Readers of the same workers share one [`Hold`], also
//! those that come within [`LEASE`] after it was taken; a commit of this router's own sessions ends the lease at once.
//!
//! Invariants: a [`Hold`] has the lock on all its workers; who waits for the lock on one worker holds it on lower ones
//! only, in the order in which writers take it, so that readers and writers never wait for each other in a circle.

mod hold;
mod raise;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
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
    /// Holds that further readers may use.
    leased: HashMap<BTreeSet<GroupId>, Arc<Hold>>,
    /// Readers that wait for a hold that another one is taking, by the workers that it is for.
    joining: HashMap<BTreeSet<GroupId>, Vec<oneshot::Sender<Arc<Hold>>>>,
}

struct Idle {
    connection: PooledConnection,
    since: Instant,
}

/// How a reader comes to a hold.
enum Join {
    /// There is one.
    Held(Arc<Hold>),
    /// Somebody is taking one.
    Waits(oneshot::Receiver<Arc<Hold>>),
    /// It takes one itself, for all that come meanwhile.
    Takes,
}

/// Who wants to read.
pub(crate) struct Reader {
    pub(crate) core: CoreId,
    /// Where its cancels go.
    pub(crate) targets: Option<Arc<CancelTargets>>,
}

/// How long the commits of other routers may have to wait for readers that come one after the other.
const LEASE: Duration = Duration::from_millis(10);
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
            match post.join(groups) {
                Join::Held(hold) => return Ok(hold),
                // Its taker may have given up: then it is somebody else's turn.
                Join::Waits(hold) => {
                    if let Ok(hold) = hold.await {
                        return Ok(hold);
                    }
                }
                Join::Takes => break,
            }
        }
        let mut turn = TakerTurn { post, groups, is_over: false };
        let hold = Arc::new(raise::raise(router, post, reader, groups).await?);
        for waiter in turn.end(Some(&hold)) {
            // Who has left meanwhile needs none.
            drop(waiter.send(hold.clone()));
        }
        tokio::spawn(end_lease(post.clone(), Arc::downgrade(&hold)));
        Ok(hold)
    }

    /// A commit is about to take the lock: no further reader may keep it waiting.
    pub(crate) fn end_leases(&self) {
        for post in &self.posts {
            let ended = std::mem::take(&mut post.lock().leased);
            drop(ended);
        }
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

    fn join(&self, groups: &BTreeSet<GroupId>) -> Join {
        let mut books = self.lock();
        if let Some(hold) = books.leased.get(groups) {
            return Join::Held(hold.clone());
        }
        match books.joining.get_mut(groups) {
            Some(waiters) => {
                let (sender, receiver) = oneshot::channel();
                waiters.push(sender);
                Join::Waits(receiver)
            }
            None => {
                books.joining.insert(groups.clone(), Vec::new());
                Join::Takes
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
    /// Who waits; those that come later use the hold, if there is one.
    fn end(&mut self, hold: Option<&Arc<Hold>>) -> Vec<oneshot::Sender<Arc<Hold>>> {
        self.is_over = true;
        let mut books = self.post.lock();
        let waiters = books.joining.remove(self.groups).unwrap_or_default();
        let replaced = hold.and_then(|it| books.leased.insert(self.groups.clone(), it.clone()));
        drop(books);
        // Its connections come back here.
        drop(replaced);
        waiters
    }
}

impl Drop for TakerTurn<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.end(None);
        }
    }
}

async fn end_lease(post: Arc<Post>, hold: Weak<Hold>) {
    tokio::time::sleep(LEASE).await;
    let Some(hold) = hold.upgrade() else { return };
    post.lock().leased.retain(|_, it| !Arc::ptr_eq(it, &hold));
}
