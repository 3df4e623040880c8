//! Names of distributed transactions, and which of them this router is still working on.
//!
//! A name carries the id of the router that owns it, so that recovery can leave the transactions of a
//! living owner alone: `howdah_0_<router>_<sequence>` in `pg_dist_transaction`, and with `_<group>` behind
//! it on a worker, because two nodes may share one PostgreSQL server.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use howdah_catalog::GroupId;

/// Chosen at random when a router starts: a restarted router is another one.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct RouterId(u64);

impl RouterId {
    /// From 64 random bits.
    pub(crate) fn new(random: u64) -> Self {
        Self(random)
    }
}

impl fmt::Display for RouterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct TransactionId {
    pub(crate) router: RouterId,
    sequence: u64,
}

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "howdah_{}_{}_{}", GroupId::COORDINATOR, self.router, self.sequence)
    }
}

impl TransactionId {
    /// The name under which one worker prepares. Safe inside single quotes as it is.
    pub(crate) fn on(&self, group: GroupId) -> String {
        format!("{self}_{group}")
    }

    /// Reads the name of a prepared transaction; `None` for one that is not ours.
    pub(crate) fn parse(gid: &str) -> Option<(Self, GroupId)> {
        let mut parts = gid.strip_prefix("howdah_0_")?.split('_');
        let (router, sequence, group) = (parts.next()?, parts.next()?, parts.next()?);
        let id = Self {
            router: RouterId(u64::from_str_radix(router, 16).ok()?),
            sequence: sequence.parse().ok()?,
        };
        let group = GroupId(group.parse().ok()?);
        // Only what this module wrote: another spelling would not be found again under its own name.
        (id.on(group) == gid).then_some((id, group))
    }
}

/// The transactions that sessions of this router are committing.
#[derive(Clone, Debug)]
pub(crate) struct InFlight(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    router: RouterId,
    sequence: AtomicU64,
    living: Mutex<HashSet<u64>>,
}

impl InFlight {
    pub(crate) fn new(router: RouterId) -> Self {
        Self(Arc::new(Shared { router, sequence: AtomicU64::new(1), living: Mutex::default() }))
    }

    /// A new name, in flight until the guard is dropped.
    pub(crate) fn begin(&self) -> Owned {
        let sequence = self.0.sequence.fetch_add(1, Ordering::Relaxed);
        self.living().insert(sequence);
        Owned { id: TransactionId { router: self.0.router, sequence }, registry: self.clone() }
    }

    /// True if a session of this router will still decide or finish this transaction by itself.
    pub(crate) fn is_living(&self, id: &TransactionId) -> bool {
        id.router == self.0.router && self.living().contains(&id.sequence)
    }

    fn living(&self) -> std::sync::MutexGuard<'_, HashSet<u64>> {
        self.0.living.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A transaction whose session lives. Dropping it hands what is left of it to recovery.
#[derive(Debug)]
pub(crate) struct Owned {
    id: TransactionId,
    registry: InFlight,
}

impl Owned {
    pub(crate) fn id(&self) -> TransactionId {
        self.id
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.registry.living().remove(&self.id.sequence);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        let registry = InFlight::new(RouterId::new(0xabc));
        let owned = registry.begin();
        let gid = owned.id().on(GroupId(7));
        assert_eq!(gid, "howdah_0_0000000000000abc_1_7");
        assert_eq!(TransactionId::parse(&gid), Some((owned.id(), GroupId(7))));
    }

    #[test]
    fn foreign_names_are_not_ours() {
        for gid in ["", "howdah_0_abc_1_7", "howdah_0_0000000000000abc_1", "citus_0_1_2_3", "howdah_0_x_1_2"]
        {
            assert_eq!(TransactionId::parse(gid), None, "{gid}");
        }
        assert_eq!(TransactionId::parse("howdah_0_0000000000000abc_01_7"), None);
        assert_eq!(TransactionId::parse("howdah_0_0000000000000abc_1_7_8"), None);
    }

    #[test]
    fn a_transaction_lives_as_long_as_its_guard() {
        let registry = InFlight::new(RouterId::new(1));
        let owned = registry.begin();
        let id = owned.id();
        assert!(registry.is_living(&id));
        assert!(!InFlight::new(RouterId::new(2)).is_living(&id));
        drop(owned);
        assert!(!registry.is_living(&id));
    }
}
