//! Which statements are prepared on one server connection, the least recently used of them going first.

use std::collections::HashMap;

/// Names are ours and say what they mean (a hash of text and types), so that a name met again is the same
/// statement, whichever session prepared it.
#[derive(Debug)]
pub(crate) struct PreparedStatements {
    /// Name -> when it was last used.
    used: HashMap<String, u64>,
    clock: u64,
    max: usize,
}

impl PreparedStatements {
    pub(crate) fn new(max: usize) -> Self {
        Self { used: HashMap::new(), clock: 0, max: max.max(1) }
    }

    /// Whether the statement is there; counts as a use.
    pub(crate) fn touch(&mut self, name: &str) -> bool {
        self.clock += 1;
        match self.used.get_mut(name) {
            Some(last) => {
                *last = self.clock;
                true
            }
            None => false,
        }
    }

    /// Notes a statement whose Parse is about to be sent; returns the one to close for it.
    #[must_use]
    pub(crate) fn insert(&mut self, name: &str) -> Option<String> {
        self.clock += 1;
        self.used.insert(name.to_owned(), self.clock);
        if self.used.len() <= self.max {
            return None;
        }
        let oldest = self.used.iter().min_by_key(|it| it.1).map(|it| it.0.clone())?;
        self.used.remove(&oldest);
        Some(oldest)
    }

    /// Its Parse failed, or was skipped, or somebody closed it.
    pub(crate) fn forget(&mut self, name: &str) {
        self.used.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut prepared = PreparedStatements::new(2);
        assert_eq!(prepared.insert("a"), None);
        assert_eq!(prepared.insert("b"), None);
        assert!(prepared.touch("a"));
        assert_eq!(prepared.insert("c").as_deref(), Some("b"));
        assert!(prepared.touch("a") && prepared.touch("c") && !prepared.touch("b"));
    }
}
