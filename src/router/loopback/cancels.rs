//! Cancel requests of the coordinator's backends for what their loopback connections do.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use howdah_pg::wire::CancelKey;
use ring::rand::{SecureRandom, SystemRandom};
use tokio_util::sync::CancellationToken;

use super::request::ConnectionId;

/// All loopback connections of a router, by number.
#[derive(Default)]
pub(super) struct Cancels {
    next: AtomicU64,
    entries: Mutex<HashMap<u32, Entry>>,
}

struct Entry {
    secret: Box<[u8]>,
    /// Of the request that runs, or of the last one.
    token: CancellationToken,
}

impl Cancels {
    pub(super) fn register(&self) -> (CancelKey, ConnectionId) {
        let mut secret = [0; 4];
        SystemRandom::new().fill(&mut secret).expect("the system has randomness");
        let number = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        let pid = pid_of(ConnectionId(number));
        let entry = Entry { secret: secret.into(), token: CancellationToken::new() };
        self.lock().insert(pid, entry);
        (CancelKey { pid, secret: secret.into() }, ConnectionId(number))
    }

    pub(super) fn remove(&self, key: &CancelKey) {
        self.lock().remove(&key.pid);
    }

    /// A token for the next request of a connection.
    pub(super) fn arm(&self, connection: ConnectionId) -> CancellationToken {
        let token = CancellationToken::new();
        if let Some(entry) = self.lock().get_mut(&pid_of(connection)) {
            entry.token = token.clone();
        }
        token
    }

    pub(super) fn cancel(&self, key: &CancelKey) {
        if let Some(entry) = self.lock().get(&key.pid).filter(|it| it.secret == key.secret) {
            entry.token.cancel();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u32, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Positive, as process ids are. A router does not live long enough for two to meet.
fn pid_of(connection: ConnectionId) -> u32 {
    (connection.0 & 0x7fff_ffff) as u32
}
