//! How many connections the pools of one kind may have together, one pool for each core.
//!
//! A lent connection costs nothing here: the quota is asked only when one is opened or closed, and by who found it used up.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::core_pool::Pool;

pub(super) struct Quota {
    max: usize,
    /// Idle, lent and being opened, of all cores together.
    open: AtomicUsize,
    /// Pools with waiters who found nothing left, since when.
    hungry: Mutex<VecDeque<(Instant, Weak<Pool>)>>,
    /// How many they are, to be seen without the lock.
    hungry_count: AtomicUsize,
}

/// How long a core waits for its own connections before it asks for those of others, and how long one with waiters of its own
/// keeps what it is asked for: to open a connection costs more than a few statements.
pub(super) const GRACE: Duration = Duration::from_millis(100);

impl Quota {
    pub(super) fn new(max: usize) -> Self {
        Self { max, open: AtomicUsize::new(0), hungry: Mutex::default(), hungry_count: AtomicUsize::new(0) }
    }

    /// Counts a connection about to be opened, if there is room for it.
    pub(super) fn take(&self) -> bool {
        let more = |open| (open < self.max).then_some(open + 1);
        self.open.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).is_ok()
    }

    pub(super) fn count_open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    pub(super) fn is_used_up(&self) -> bool {
        self.max <= self.open.load(Ordering::SeqCst)
    }

    /// Notes that a pool has waiters and neither a connection nor room for one.
    pub(super) fn ask(&self, pool: Weak<Pool>, now: Instant) {
        let mut hungry = self.lock();
        if hungry.iter().any(|it| Weak::ptr_eq(&it.1, &pool)) {
            return;
        }
        hungry.push_back((now, pool));
        self.hungry_count.store(hungry.len(), Ordering::SeqCst);
    }

    /// Whether a connection that is given back should make room for another core's.
    pub(super) fn is_wanted(&self, here: &Pool, needed_here: bool, now: Instant) -> bool {
        if self.hungry_count.load(Ordering::SeqCst) == 0 {
            return false;
        }
        let hungry = self.lock();
        let Some((since, pool)) = hungry.front() else { return false };
        !std::ptr::eq(pool.as_ptr(), here) && (!needed_here || *since + GRACE <= now)
    }

    /// A connection was closed, or not opened after all.
    pub(super) fn release(&self) {
        self.open.fetch_sub(1, Ordering::SeqCst);
        while !self.is_used_up()
            && let Some(pool) = self.next_hungry()
        {
            pool.serve();
        }
    }

    fn next_hungry(&self) -> Option<Arc<Pool>> {
        if self.hungry_count.load(Ordering::SeqCst) == 0 {
            return None;
        }
        let mut hungry = self.lock();
        let next = std::iter::from_fn(|| hungry.pop_front()).find_map(|it| it.1.upgrade());
        self.hungry_count.store(hungry.len(), Ordering::SeqCst);
        next
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(Instant, Weak<Pool>)>> {
        self.hungry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
