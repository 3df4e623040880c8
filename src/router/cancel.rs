//! Cancel requests: which server connections a session uses right now, and how they are told to stop.
//!
//! A cancel that arrives late must not hit whoever has the connection next. Therefore a connection that a
//! cancel was sent to is never lent again: the flag is raised under the same lock by which connections
//! leave the session.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use howdah_pg::wire::{CancelKey, startup};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::config::NodeAddress;
use crate::connect::Connector;

/// Every session's key, and what it stands for.
#[derive(Default)]
pub(crate) struct CancelRegistry {
    sessions: Mutex<HashMap<u32, (CancelKey, Arc<CancelTargets>)>>,
}

/// The server connections that one session uses.
#[derive(Default)]
pub(crate) struct CancelTargets {
    targets: Mutex<Vec<Arc<Target>>>,
}

/// A backend, and what was sent to it.
pub(crate) struct Target {
    pub(crate) address: NodeAddress,
    pub(crate) key: CancelKey,
    pub(crate) cancelled: AtomicBool,
    /// The cancel is for a deadlock: the error it causes is told as one.
    pub(crate) deadlocked: AtomicBool,
}

/// A session's place in the registry.
pub(crate) struct CancelLease {
    registry: Arc<CancelRegistry>,
    pub(crate) key: CancelKey,
    pub(crate) targets: Arc<CancelTargets>,
}

impl CancelRegistry {
    pub(crate) fn register(self: &Arc<Self>) -> CancelLease {
        let random = SystemRandom::new();
        let mut sessions = lock(&self.sessions);
        let key = loop {
            let mut bytes = [0; 8];
            random.fill(&mut bytes).expect("the system has randomness");
            let (pid, secret) = bytes.split_at(4);
            // Positive, as process ids are: drivers show it as one.
            let pid = u32::from_be_bytes([pid[0], pid[1], pid[2], pid[3]]) >> 1;
            if pid != 0 && !sessions.contains_key(&pid) {
                break CancelKey { pid, secret: secret.into() };
            }
        };
        let targets = Arc::new(CancelTargets::default());
        sessions.insert(key.pid, (key.clone(), targets.clone()));
        CancelLease { registry: self.clone(), key, targets }
    }

    /// Sends cancels to all that the session of this key uses. Who guesses wrong learns nothing.
    pub(crate) async fn cancel(&self, key: &CancelKey, connector: &Connector) {
        let targets = match lock(&self.sessions).get(&key.pid) {
            Some((expected, targets)) if equal(&expected.secret, &key.secret) => targets.clone(),
            _ => return,
        };
        cancel_each([targets], connector).await;
    }

    /// Sends cancels to all that any session uses.
    pub(crate) async fn cancel_all(&self, connector: &Connector) {
        let targets: Vec<_> = lock(&self.sessions).values().map(|it| it.1.clone()).collect();
        cancel_each(targets, connector).await;
    }
}

impl CancelRegistry {
    /// How many sessions there are.
    pub(crate) fn count(&self) -> usize {
        lock(&self.sessions).len()
    }

    /// Whether there are sessions that could wait for each other on different nodes.
    pub(crate) fn may_deadlock(&self) -> bool {
        let sessions = lock(&self.sessions);
        sessions.values().filter(|it| it.1.nodes() > 1).nth(1).is_some()
    }

    /// Which session each backend works for.
    pub(crate) fn owners(&self) -> HashMap<(NodeAddress, u32), u32> {
        let sessions = lock(&self.sessions);
        let backends = sessions.iter().flat_map(|(session, (_, targets))| {
            let targets = lock(&targets.targets);
            targets.iter().map(|it| ((it.address.clone(), it.key.pid), *session)).collect::<Vec<_>>()
        });
        backends.collect()
    }

    /// Cancels what one backend of a session does, which then reports a deadlock.
    pub(crate) async fn break_deadlock(
        &self,
        session: u32,
        address: &NodeAddress,
        pid: u32,
        connector: &Connector,
    ) {
        let targets = lock(&self.sessions).get(&session).map(|it| it.1.clone());
        let Some(key) = targets.and_then(|it| it.claim_deadlocked(address, pid)) else { return };
        if let Err(error) = send(connector, address, &key).await {
            tracing::warn!(host = %address.host, %error, "could not cancel a deadlocked statement");
        }
    }
}

impl Target {
    pub(crate) fn new(address: NodeAddress, key: CancelKey) -> Self {
        Self { address, key, cancelled: AtomicBool::new(false), deadlocked: AtomicBool::new(false) }
    }
}

impl CancelTargets {
    /// On how many nodes the session is.
    fn nodes(&self) -> usize {
        let targets = lock(&self.targets);
        let mut addresses: Vec<&NodeAddress> = targets.iter().map(|it| &it.address).collect();
        addresses.sort_by(|a, b| (&a.host, a.port).cmp(&(&b.host, b.port)));
        addresses.dedup();
        addresses.len()
    }

    fn claim_deadlocked(&self, address: &NodeAddress, pid: u32) -> Option<CancelKey> {
        let targets = lock(&self.targets);
        let target = targets.iter().find(|it| it.address == *address && it.key.pid == pid)?;
        target.cancelled.store(true, Ordering::Relaxed);
        target.deadlocked.store(true, Ordering::Relaxed);
        Some(target.key.clone())
    }

    pub(crate) fn add(&self, target: Arc<Target>) {
        lock(&self.targets).push(target);
    }

    pub(crate) fn remove(&self, target: &Arc<Target>) {
        lock(&self.targets).retain(|it| !Arc::ptr_eq(it, target));
    }

    /// Marks all connections as cancelled and says where to send.
    fn claim(&self) -> Vec<(NodeAddress, CancelKey)> {
        let targets = lock(&self.targets);
        targets.iter().for_each(|it| it.cancelled.store(true, Ordering::Relaxed));
        targets.iter().map(|it| (it.address.clone(), it.key.clone())).collect()
    }
}

impl Drop for CancelLease {
    fn drop(&mut self) {
        lock(&self.registry.sessions).remove(&self.key.pid);
    }
}

async fn cancel_each(targets: impl IntoIterator<Item = Arc<CancelTargets>>, connector: &Connector) {
    let claimed = targets.into_iter().flat_map(|it| it.claim());
    let sends = claimed.map(|(address, key)| async move {
        if let Err(error) = send(connector, &address, &key).await {
            tracing::warn!(host = %address.host, port = address.port, %error, "could not send a cancel");
        }
    });
    futures::future::join_all(sends).await;
}

pub(crate) async fn send(
    connector: &Connector,
    address: &NodeAddress,
    key: &CancelKey,
) -> std::io::Result<()> {
    let mut stream = connector.connect(address).await?;
    let mut request = BytesMut::new();
    startup::cancel_request(&mut request, key);
    stream.write_all(&request).await?;
    stream.flush().await?;
    // The server closes once the signal is sent.
    let _ = stream.read(&mut [0; 1]).await;
    Ok(())
}

/// Takes the same time wherever the first difference is.
fn equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
