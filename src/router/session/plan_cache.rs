//! What is known of statements, shared by all sessions of a router.
//!
//! The key holds everything that the knowledge depends on: the shape or text, and the *environment* (catalog
//! version, database, role, search path, settings that change what text means). Nothing is ever invalidated:
//! what is out of date is no longer asked for, and makes room.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::analysis::Analyzed;

pub(crate) struct PlanCache {
    parts: Vec<Mutex<HashMap<Box<[u8]>, Entry>>>,
    hasher: RandomState,
    max_per_part: usize,
}

struct Entry {
    analyzed: Arc<Analyzed>,
    /// Since the last sweep.
    used: AtomicBool,
}

/// Sessions on several cores seldom meet in one of them.
const PARTS: usize = 32;
/// A statement larger than this is not worth its place.
const MAX_KEY: usize = 64 << 10;

impl PlanCache {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            parts: (0..PARTS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            max_per_part: (max / PARTS).max(1),
        }
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<Arc<Analyzed>> {
        let part = self.part(key);
        let entry = part.get(key)?;
        entry.used.store(true, Ordering::Relaxed);
        Some(entry.analyzed.clone())
    }

    pub(crate) fn insert(&self, key: &[u8], analyzed: Arc<Analyzed>) {
        if MAX_KEY < key.len() {
            return;
        }
        let mut part = self.part(key);
        if self.max_per_part <= part.len() {
            part.retain(|_, entry| entry.used.swap(false, Ordering::Relaxed));
        }
        if self.max_per_part <= part.len() {
            part.clear();
        }
        part.insert(key.into(), Entry { analyzed, used: AtomicBool::new(true) });
    }

    fn part(&self, key: &[u8]) -> MutexGuard<'_, HashMap<Box<[u8]>, Entry>> {
        let part = &self.parts[self.hasher.hash_one(key) as usize % PARTS];
        part.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_grows_beyond_its_limit() {
        let cache = PlanCache::new(PARTS * 4);
        for number in 0..1000_u32 {
            cache.insert(&number.to_be_bytes(), Arc::new(Analyzed::empty()));
        }
        let size: usize = cache.parts.iter().map(|it| it.lock().unwrap().len()).sum();
        assert!(size <= PARTS * 4, "{size}");
        assert!(cache.get(&999_u32.to_be_bytes()).is_some());
    }
}
