//! Which session owns which backend of the coordinator.
//!
//! Invariant: an entry lives exactly as long as the session holds the backend: a loopback connection can never reach a session
//! that has given its backend back.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::Request;

/// Shared by all sessions of a router.
#[derive(Clone, Default)]
pub(crate) struct Registry {
    entries: Arc<Mutex<HashMap<u32, Entry>>>,
    leases: Arc<AtomicU64>,
}

struct Entry {
    lease: u64,
    session: mpsc::Sender<Request>,
}

/// Held by a session for as long as it holds the backend.
pub(crate) struct Lease {
    registry: Registry,
    pid: u32,
    number: u64,
}

impl Registry {
    /// Requests of this backend go to `session` until the lease is dropped.
    pub(crate) fn register(&self, pid: u32, session: mpsc::Sender<Request>) -> Lease {
        let number = self.leases.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(pid, Entry { lease: number, session });
        Lease { registry: self.clone(), pid, number }
    }

    pub(crate) fn session_of(&self, pid: u32) -> Option<mpsc::Sender<Request>> {
        self.lock().get(&pid).map(|it| it.session.clone())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u32, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut entries = self.registry.lock();
        if entries.get(&self.pid).is_some_and(|it| it.lease == self.number) {
            entries.remove(&self.pid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_ends_only_its_own_entry() {
        let registry = Registry::default();
        let (first, _a) = mpsc::channel(1);
        let (second, _b) = mpsc::channel(1);
        let old = registry.register(7, first);
        let new = registry.register(7, second);
        drop(old);
        assert!(registry.session_of(7).is_some());
        drop(new);
        assert!(registry.session_of(7).is_none());
    }
}
