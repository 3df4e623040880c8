//! Which cursors read with one snapshot, and which own writes they must not see.
//!
//! `postgres_fdw` numbers its cursors when a statement *starts*, and opens them whenever the executor first wants a row: perhaps
//! much later, perhaps again and again (a nested loop declares its inner cursor anew for each outer row). All of one
//! statement must see one snapshot, so each statement gets a *keeper* on each worker: a cursor that opens other cursors with its
//! own snapshot.
//!
//! Numbers are divided into *epochs* by the transaction's own writes: before each, a trigger reads a probe whose cursor has a
//! number too. A lower number belongs to a statement that began before the write: it reads with the keeper of its epoch, which
//! is opened on a worker before anything is written there ([`Snapshots::unopened`]). A higher one belongs to a later statement
//! and gets another keeper.
//!
//! Within an epoch, a new number starts a new keeper if no cursor is open, or if the router has begun a new top-level statement
//! since ([`Snapshots::statement`]); else it belongs to the statement whose cursors are open. A statement inside a function
//! that the open statement calls therefore reads with the outer one's snapshot, until the function writes.
//!
//! An epoch is forgotten when all its numbers are over. Which are is known by their CLOSE: `postgres_fdw` also closes a cursor
//! that it opens again, but then nothing new begins in between. Should a forgotten number be opened all the same, it is
//! refused ([`Snapshots::keeper_for`]): never a wrong snapshot.
//!
//! Nothing here talks to a worker.

use std::collections::{BTreeMap, BTreeSet};

use howdah_catalog::{GroupId, TableOid};

#[derive(Debug, Default)]
pub(crate) struct Snapshots {
    /// Epochs that a write has ended and that somebody may still read in, oldest first.
    past: Vec<Epoch>,
    current: Epoch,
    /// Highest number seen.
    highest: u32,
    /// Numbers whose cursors are open, of the session's own backend.
    open: BTreeSet<u32>,
    /// Numbers that were closed, but may be opened again as long as nothing new begins.
    closing: BTreeSet<u32>,
    /// The highest number seen when the transaction last wrote.
    last_write: u32,
    /// The same, of writes that may have changed any table.
    last_wide_write: u32,
    /// The same, by the only table that was written to.
    last_writes: BTreeMap<TableOid, u32>,
    /// The highest number seen when the current top-level statement began.
    begun: u32,
    next_keeper: u32,
}

/// Names a keeper within its session's transaction.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct KeeperId(u32);

/// Numbers between two writes.
#[derive(Debug)]
struct Epoch {
    /// The first number.
    from: u32,
    /// The last number, once it is past.
    to: u32,
    keeper: Option<Keeper>,
    /// Numbers whose statements have ended.
    over: BTreeSet<u32>,
    /// A portal of the client may still open cursors of it: kept until the transaction ends.
    held: bool,
}

#[derive(Debug)]
struct Keeper {
    id: KeeperId,
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

/// Nobody knows any more what a cursor was to see.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Forgotten;

/// Past epochs that are kept: each costs a cursor on every worker that was written to.
const PAST: usize = 64;

impl KeeperId {
    /// The name of its cursor on the workers.
    pub(crate) fn cursor_name(self) -> String {
        format!("howdah_keeper_{}", self.0)
    }
}

impl Default for Epoch {
    fn default() -> Self {
        Self::from(1)
    }
}

impl Epoch {
    fn from(number: u32) -> Self {
        Self { from: number, to: 0, keeper: None, over: BTreeSet::new(), held: false }
    }

    fn has(&self, number: u32) -> bool {
        self.from <= number && number <= self.to
    }

    fn is_over(&self) -> bool {
        self.to < self.from || ((self.to - self.from) as usize) < self.over.len()
    }

    fn keeper(&mut self, next: &mut u32) -> KeeperId {
        let new = || {
            *next += 1;
            Keeper { id: KeeperId(*next), workers: BTreeMap::new() }
        };
        self.keeper.get_or_insert_with(new).id
    }
}

impl Snapshots {
    /// The keeper for a cursor that is about to be declared, given how many are open, of parallel workers too; and what is to be closed.
    pub(crate) fn keeper_for(
        &mut self,
        number: u32,
        open: usize,
    ) -> Result<(KeeperId, Vec<Retired>), Forgotten> {
        self.closing.remove(&number);
        let mut retired = Vec::new();
        if self.highest < number {
            retired = self.settle();
            self.highest = number;
            if open == 0 {
                retired.extend(retire(self.current.keeper.take()));
                if self.current.over.len() == (number - self.current.from) as usize {
                    self.current = Epoch::from(number);
                }
            }
        }
        self.open.insert(number);
        if number < self.current.from {
            let epoch = self.past.iter_mut().rev().find(|it| it.has(number)).ok_or(Forgotten)?;
            epoch.over.remove(&number);
            return Ok((epoch.keeper(&mut self.next_keeper), retired));
        }
        self.current.over.remove(&number);
        Ok((self.current.keeper(&mut self.next_keeper), retired))
    }

    /// The keeper of the statement that is running, for a parallel worker of it: its numbers are its own.
    pub(crate) fn current(&mut self, open: usize) -> (KeeperId, Vec<Retired>) {
        let retired = if open == 0 { retire(self.current.keeper.take()) } else { Vec::new() };
        (self.current.keeper(&mut self.next_keeper), retired)
    }

    /// A cursor was closed; perhaps to be opened again.
    pub(crate) fn closed(&mut self, number: u32) {
        if self.open.remove(&number) {
            self.closing.insert(number);
        }
    }

    /// A cursor of ours, not over a table, that is over as soon as it was read.
    pub(crate) fn passed(&mut self, number: u32) -> Vec<Retired> {
        let retired = self.settle();
        self.highest = self.highest.max(number);
        if self.current.from <= number {
            self.current.over.insert(number);
        }
        retired
    }

    /// Something new begins: what was closed before will not be opened again.
    fn settle(&mut self) -> Vec<Retired> {
        for number in std::mem::take(&mut self.closing) {
            let epoch = match number < self.current.from {
                true => self.past.iter_mut().rev().find(|it| it.has(number)),
                false => Some(&mut self.current),
            };
            if let Some(epoch) = epoch {
                epoch.over.insert(number);
            }
        }
        self.forget(|it| !it.held && it.is_over())
    }

    /// Drops past epochs.
    fn forget(&mut self, gone: impl Fn(&Epoch) -> bool) -> Vec<Retired> {
        let mut retired = Vec::new();
        self.past.retain_mut(|it| {
            let gone = gone(it);
            if gone {
                retired.extend(retire(it.keeper.take()));
            }
            !gone
        });
        retired
    }

    /// The numbers so far are those of statements that began before what comes now.
    fn seal(&mut self) -> Vec<Retired> {
        let mut retired = self.settle();
        let next = Epoch::from(self.highest + 1);
        let mut ended = std::mem::replace(&mut self.current, next);
        ended.to = self.highest;
        if ended.is_over() {
            retired.extend(retire(ended.keeper));
            return retired;
        }
        ended.keeper(&mut self.next_keeper);
        self.past.push(ended);
        if PAST < self.past.len() {
            let open = &self.open;
            let idle =
                self.past.iter().position(|it| !it.held && open.range(it.from..=it.to).next().is_none());
            let at = idle.unwrap_or(0);
            retired.extend(retire(self.past.remove(at).keeper));
        }
        retired
    }

    /// A probe: every lower number belongs to a statement that started before the write that comes.
    pub(crate) fn boundary(&mut self, number: u32) -> Vec<Retired> {
        let mut retired = self.passed(number);
        retired.extend(self.seal());
        retired
    }

    /// The same, for what the router runs while portals of the client are open. Returns the keepers that must be open everywhere
    /// before it does.
    pub(crate) fn hold(&mut self, number: u32) -> (Vec<KeeperId>, Vec<Retired>) {
        let retired = self.boundary(number);
        // The router may write next, without a word here.
        self.last_write = self.highest;
        self.last_wide_write = self.highest;
        self.past.iter_mut().for_each(|it| it.held = true);
        (self.past_keepers(), retired)
    }

    /// The keepers of statements that began before the last write.
    pub(crate) fn past_keepers(&self) -> Vec<KeeperId> {
        self.past.iter().filter_map(|it| it.keeper.as_ref()).map(|it| it.id).collect()
    }

    /// Something was written, to one table only or to any. Whatever has not been seen yet begins later.
    pub(crate) fn wrote(&mut self, table: Option<TableOid>) -> Vec<Retired> {
        self.last_write = self.highest;
        match table {
            Some(table) => drop(self.last_writes.insert(table, self.highest)),
            None => self.last_wide_write = self.highest,
        }
        self.seal()
    }

    /// Whether a cursor over a table that takes a snapshot of its own sees no write that is newer than its statement.
    pub(crate) fn is_newer_than_writes(&self, number: u32, table: TableOid) -> bool {
        let last = self.last_writes.get(&table).copied().unwrap_or(0).max(self.last_wide_write);
        last == 0 || last < number
    }

    /// Whether a number that has not been seen is read after a write that an older statement, which may still run, must not see.
    pub(crate) fn follows_write(&self, number: u32) -> bool {
        self.highest < number && self.has_written()
    }

    /// Whether a statement that may still run is older than some write.
    pub(crate) fn has_written(&self) -> bool {
        self.begun < self.last_write || self.past.iter().any(|it| it.to <= self.last_write)
    }

    /// The keepers of past epochs that are not open on a worker. They must be, before anything is written there.
    pub(crate) fn unopened(&self, group: GroupId) -> Vec<KeeperId> {
        let keepers = self.past.iter().filter_map(|it| it.keeper.as_ref());
        keepers.filter(|it| !it.workers.contains_key(&group)).map(|it| it.id).collect()
    }

    /// All keepers, when nothing may be left to open cursors.
    pub(crate) fn retire_all(&mut self) -> Vec<Retired> {
        let mut retired = self.forget(|_| true);
        retired.extend(retire(self.current.keeper.take()));
        retired
    }

    /// As at the start of another transaction; names of keepers are not used again.
    pub(crate) fn next_transaction(&self) -> Self {
        Self { next_keeper: self.next_keeper, ..Self::default() }
    }

    /// A new top-level statement: all others are over, but for the portals of the client.
    pub(crate) fn statement(&mut self) -> Vec<Retired> {
        self.closing.clear();
        self.begun = self.highest;
        let next = Epoch::from(self.highest + 1);
        let mut ended = std::mem::replace(&mut self.current, next);
        ended.to = self.highest;
        self.past.push(ended);
        let open = self.open.clone();
        self.forget(|it| {
            !it.held
                && (it.to < it.from || it.keeper.is_none() || open.range(it.from..=it.to).next().is_none())
        })
    }

    pub(crate) fn is_open(&self, keeper: KeeperId, group: GroupId) -> bool {
        self.keepers().any(|it| it.id == keeper && it.workers.contains_key(&group))
    }

    /// Whether no worker has it.
    pub(crate) fn is_new(&self, keeper: KeeperId) -> bool {
        !self.keepers().any(|it| it.id == keeper && !it.workers.is_empty())
    }

    pub(crate) fn opened(&mut self, keeper: KeeperId, group: GroupId, depth: u32) {
        if let Some(it) = self.keepers_mut().find(|it| it.id == keeper) {
            it.workers.insert(group, depth);
        }
    }

    fn keepers(&self) -> impl Iterator<Item = &Keeper> {
        self.past.iter().chain([&self.current]).filter_map(|it| it.keeper.as_ref())
    }

    fn keepers_mut(&mut self) -> impl Iterator<Item = &mut Keeper> {
        self.past.iter_mut().chain([&mut self.current]).filter_map(|it| it.keeper.as_mut())
    }

    /// Whether a portal of the client may still open cursors.
    pub(crate) fn any_held(&self) -> bool {
        self.past.iter().any(|it| it.held)
    }

    /// After ROLLBACK TO SAVEPOINT s<depth>: what was opened inside is gone from the workers.
    pub(crate) fn rolled_back(&mut self, depth: u32) {
        self.keepers_mut().for_each(|it| it.workers.retain(|_, opened| *opened < depth));
    }

    /// After RELEASE: what was opened inside now belongs to the level around it.
    pub(crate) fn released(&mut self, depth: u32) {
        let depths = self.keepers_mut().flat_map(|it| it.workers.values_mut());
        depths.for_each(|it| *it = (*it).min(depth.saturating_sub(1)));
    }
}

fn retire(keeper: Option<Keeper>) -> Vec<Retired> {
    let Some(Keeper { id, workers }) = keeper else { return Vec::new() };
    workers.into_iter().map(|(group, depth)| Retired { keeper: id, group, depth }).collect()
}

#[cfg(test)]
mod tests;
