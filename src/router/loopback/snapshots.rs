//! Which cursors read with one snapshot.
//!
//! `postgres_fdw` numbers its cursors when a statement *starts*, and opens them whenever the executor first wants a row: perhaps
//! much later, perhaps again and again (a nested loop declares its inner cursor anew for each outer row). All of one
//! statement must see one snapshot, so each statement gets a *keeper* on each worker: a cursor that opens other cursors with its
//! own snapshot.
//!
//! The rules, by cursor number:
//! - a number not above the highest seen belongs to a statement that started before, and reads with that one's keeper;
//! - a higher number starts a new keeper if no cursor is open, or if the router has begun a new top-level statement since
//!   ([`Snapshots::seal`]); else it belongs to the statement whose cursors are open. A statement inside a function that
//!   the open statement calls therefore reads with the outer one's snapshot: as if it ran at its start, and nothing of its
//!   own could have been written in between, because functions do not write to shards.
//!
//! Nothing here talks to a worker.

use std::collections::BTreeMap;

use howdah_catalog::GroupId;

#[derive(Debug, Default)]
pub(crate) struct Snapshots {
    /// In order of `from`.
    keepers: Vec<Keeper>,
    /// Highest cursor number seen.
    highest: u32,
    /// Numbers up to this one belong to statements that are over or began before the current one.
    sealed: u32,
    next_keeper: u32,
}

/// Names a keeper within its session's transaction.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct KeeperId(u32);

#[derive(Debug)]
struct Keeper {
    id: KeeperId,
    /// The first cursor number that may belong to it.
    from: u32,
    /// A portal of the client may still open cursors of it: kept until the transaction ends.
    held: bool,
    /// Where it is open, and the savepoint depth at which it was opened.
    workers: BTreeMap<GroupId, u32>,
}

/// A keeper that is no longer needed on a worker.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Retired {
    pub(crate) keeper: KeeperId,
    pub(crate) group: GroupId,
    pub(crate) depth: u32,
}

impl KeeperId {
    /// The name of its cursor on the workers.
    pub(crate) fn cursor_name(self) -> String {
        format!("howdah_keeper_{}", self.0)
    }
}

impl Snapshots {
    /// The keeper for a cursor that is about to be declared, given how many are open; also what is to be closed.
    pub(crate) fn keeper_for(&mut self, number: u32, open: usize) -> (KeeperId, Vec<Retired>) {
        let known = number <= self.highest.max(self.sealed);
        self.highest = self.highest.max(number);
        let found = self.keepers.iter().rev().find(|it| it.from <= number);
        let current = found.filter(|it| known || (0 < open && self.sealed < it.from)).map(|it| it.id);
        match current {
            Some(keeper) => (keeper, Vec::new()),
            None => self.start(number.min(self.sealed + 1), open),
        }
    }

    /// The keeper of the statement that is running, for a parallel worker of it: its numbers are its own.
    pub(crate) fn current(&mut self, open: usize) -> (KeeperId, Vec<Retired>) {
        match self.keepers.last() {
            Some(it) if self.sealed < it.from && 0 < open => (it.id, Vec::new()),
            _ => self.start(self.sealed + 1, open),
        }
    }

    fn start(&mut self, from: u32, open: usize) -> (KeeperId, Vec<Retired>) {
        let retired = if open == 0 { self.retire() } else { Vec::new() };
        self.next_keeper += 1;
        let id = KeeperId(self.next_keeper);
        let from = self.keepers.last().map_or(from, |it| from.max(it.from));
        self.keepers.push(Keeper { id, from, held: false, workers: BTreeMap::new() });
        (id, retired)
    }

    fn retire(&mut self) -> Vec<Retired> {
        let (held, old) = std::mem::take(&mut self.keepers).into_iter().partition(|it| it.held);
        self.keepers = held;
        let workers = |it: Keeper| {
            it.workers.into_iter().map(move |(group, depth)| Retired { keeper: it.id, group, depth })
        };
        old.into_iter().flat_map(workers).collect()
    }

    /// All keepers, when nothing may be left to open cursors.
    pub(crate) fn retire_all(&mut self) -> Vec<Retired> {
        for keeper in &mut self.keepers {
            keeper.held = false;
        }
        self.retire()
    }

    /// As at the start of another transaction; names of keepers are not used again.
    pub(crate) fn next_transaction(&self) -> Self {
        Self { next_keeper: self.next_keeper, ..Self::default() }
    }

    /// A new top-level statement: higher numbers are not its predecessors'.
    pub(crate) fn seal(&mut self) {
        self.sealed = self.sealed.max(self.highest);
    }

    /// The probe's own number: every lower one belongs to a statement that started before, and may still be opened by a portal
    /// of it. Returns the keeper that such cursors read with; it must be opened now, before anything is written.
    pub(crate) fn hold(&mut self, boundary: u32, open: usize) -> (KeeperId, Vec<Retired>) {
        let (id, retired) = match self.keepers.last() {
            Some(it) if self.sealed < it.from => (it.id, Vec::new()),
            _ => self.start(self.sealed + 1, open),
        };
        if let Some(keeper) = self.keepers.last_mut() {
            keeper.held = true;
        }
        self.highest = self.highest.max(boundary);
        self.sealed = self.sealed.max(boundary);
        (id, retired)
    }

    pub(crate) fn is_open(&self, keeper: KeeperId, group: GroupId) -> bool {
        self.keepers.iter().any(|it| it.id == keeper && it.workers.contains_key(&group))
    }

    pub(crate) fn opened(&mut self, keeper: KeeperId, group: GroupId, depth: u32) {
        if let Some(it) = self.keepers.iter_mut().find(|it| it.id == keeper) {
            it.workers.insert(group, depth);
        }
    }

    /// Whether a portal of the client may still open cursors.
    pub(crate) fn any_held(&self) -> bool {
        self.keepers.iter().any(|it| it.held)
    }

    /// After ROLLBACK TO SAVEPOINT s<depth>: what was opened inside is gone from the workers.
    pub(crate) fn rolled_back(&mut self, depth: u32) {
        for keeper in &mut self.keepers {
            keeper.workers.retain(|_, opened| *opened < depth);
        }
    }

    /// After RELEASE: what was opened inside now belongs to the level around it.
    pub(crate) fn released(&mut self, depth: u32) {
        for opened in self.keepers.iter_mut().flat_map(|it| it.workers.values_mut()) {
            *opened = (*opened).min(depth.saturating_sub(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keeper(snapshots: &mut Snapshots, number: u32, open: usize) -> u32 {
        snapshots.keeper_for(number, open).0.0
    }

    #[test]
    fn two_scans_of_one_statement_share_a_keeper() {
        let mut it = Snapshots::default();
        it.seal();
        assert_eq!(keeper(&mut it, 1, 0), 1);
        assert_eq!(keeper(&mut it, 2, 1), 1);
        // A nested loop declares its inner cursor again.
        assert_eq!(keeper(&mut it, 2, 1), 1);
        // The executor opens a cursor of a lower number later.
        assert_eq!(keeper(&mut it, 1, 1), 1);
    }

    #[test]
    fn statements_of_a_function_one_after_another_have_their_own() {
        let mut it = Snapshots::default();
        assert_eq!(keeper(&mut it, 1, 0), 1);
        let (second, retired) = it.keeper_for(2, 0);
        assert_eq!((second.0, retired.len()), (2, 0));
        it.opened(second, GroupId(1), 1);
        let (third, retired) = it.keeper_for(3, 0);
        assert_eq!(third.0, 3);
        assert_eq!(retired, [Retired { keeper: second, group: GroupId(1), depth: 1 }]);
    }

    #[test]
    fn one_statement_may_close_its_cursor_and_open_it_again() {
        let mut it = Snapshots::default();
        assert_eq!(keeper(&mut it, 2, 0), 1);
        // c1 belongs to the same statement, although c2 was closed meanwhile.
        assert_eq!(keeper(&mut it, 1, 0), 1);
        assert_eq!(keeper(&mut it, 2, 0), 1);
    }

    #[test]
    fn a_new_statement_while_a_cursor_of_the_client_is_open() {
        let mut it = Snapshots::default();
        it.seal();
        assert_eq!(keeper(&mut it, 1, 0), 1);
        it.seal();
        assert_eq!(keeper(&mut it, 2, 1), 2);
        assert_eq!(keeper(&mut it, 3, 2), 2);
        // The client's cursor goes on.
        assert_eq!(keeper(&mut it, 1, 2), 1);
    }

    #[test]
    fn a_declared_portal_that_has_read_nothing_keeps_its_moment() {
        let mut it = Snapshots::default();
        it.seal();
        // DECLARE CURSOR took number 1 and 2 and opened nothing; the probe after it is number 3.
        let (held, _) = it.hold(3, 0);
        it.opened(held, GroupId(1), 0);
        // The next statement reads with number 4.
        it.seal();
        assert_eq!(keeper(&mut it, 4, 0), held.0 + 1);
        // FETCH from the client's cursor opens number 2 only now.
        it.seal();
        assert_eq!(it.keeper_for(2, 0).0, held);
        assert!(it.is_open(held, GroupId(1)));
    }

    #[test]
    fn a_rolled_back_savepoint_takes_its_keepers_with_it() {
        let mut it = Snapshots::default();
        let (id, _) = it.keeper_for(1, 0);
        it.opened(id, GroupId(1), 2);
        it.opened(id, GroupId(2), 1);
        it.rolled_back(2);
        assert!(!it.is_open(id, GroupId(1)));
        assert!(it.is_open(id, GroupId(2)));
    }
}
