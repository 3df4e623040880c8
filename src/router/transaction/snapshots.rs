//! Snapshots of several nodes that show one moment: of a statement, or of a REPEATABLE READ transaction.

use std::collections::BTreeSet;
use std::sync::Arc;

use howdah_catalog::GroupId;
use howdah_pg::SqlState;
use howdah_pg::wire::{ErrorFields, Field};

use super::Isolation;
use crate::error::{Error, Result};
use crate::fence::{Hold, Reader};
use crate::pool::Term;
use crate::session::Session;

/// Whether nodes have one snapshot for the whole transaction.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Snapshots {
    /// No statement that takes one has run.
    #[default]
    Unknown,
    /// Each statement takes its own.
    PerStatement,
    /// All nodes have theirs, of one moment.
    Taken,
}

/// Off, a statement may see a transaction on one node and not yet on another.
const SETTING: &str = "howdah.consistent_reads";

impl Session {
    /// The fence around these workers, for a statement that is about to take snapshots there; none if it takes none, or one only.
    pub(crate) async fn fence(&self, groups: &BTreeSet<GroupId>) -> Result<Option<Arc<Hold>>> {
        match groups.len() < 2 || !self.needs_fence() {
            true => Ok(None),
            false => self.hold_fence(groups).await.map(Some),
        }
    }

    /// Whether statements are to see one moment, and the transaction has none that all of them see.
    pub(crate) fn needs_fence(&self) -> bool {
        if self.transaction.is_in_progress() && self.transaction.snapshots == Snapshots::Taken {
            return false;
        }
        let setting = self.setting(SETTING).unwrap_or_default();
        !matches!(
            setting.trim().to_ascii_lowercase().as_str(),
            "off" | "false" | "no" | "0" | "f" | "n" | "of"
        )
    }

    async fn hold_fence(&self, groups: &BTreeSet<GroupId>) -> Result<Arc<Hold>> {
        let reader = Reader { core: self.core(), targets: Some(self.cancel_targets()) };
        let hold = self.router.fence.hold(&self.router, &reader, groups);
        match self.timeout("statement_timeout") {
            None => hold.await,
            Some(limit) => tokio::time::timeout(limit, hold).await.unwrap_or_else(|_| Err(timed_out())),
        }
    }

    /// A node is needed by a statement of a transaction. The first one that takes a snapshot in REPEATABLE READ takes those of all nodes.
    pub(super) async fn check_snapshots(&mut self, group: GroupId) -> Result<()> {
        match self.transaction.snapshots {
            Snapshots::PerStatement => Ok(()),
            Snapshots::Taken if self.transaction.left_out.contains(&group) => Err(left_out(group)),
            Snapshots::Taken => Ok(()),
            Snapshots::Unknown if self.transaction.takes_no_snapshot => Ok(()),
            Snapshots::Unknown => match self.transaction.isolation_by(&self.settings) {
                Isolation::RepeatableRead => Box::pin(self.take_snapshots(group)).await,
                Isolation::ReadCommitted | Isolation::Serializable => {
                    self.transaction.snapshots = Snapshots::PerStatement;
                    Ok(())
                }
            },
        }
    }

    /// What cannot be reached is left out, unless it is the node that is needed now.
    async fn take_snapshots(&mut self, needed: GroupId) -> Result<()> {
        self.transaction.snapshots = Snapshots::Taken;
        let mut groups = vec![GroupId::COORDINATOR];
        groups.extend(self.catalog().workers().map(|it| it.group));
        let mut workers = BTreeSet::new();
        for group in groups {
            match self.join_one(group, Term::Open).await {
                Ok(_) if group == GroupId::COORDINATOR => {}
                Ok(_) => drop(workers.insert(group)),
                Err(error) if group == needed => return Err(error),
                Err(error) => {
                    tracing::debug!(%group, %error, "a node has no part in the snapshot of a transaction");
                    self.transaction.left_out.insert(group);
                }
            }
        }
        let mut all: Vec<GroupId> = workers.iter().copied().collect();
        if !self.transaction.left_out.contains(&GroupId::COORDINATOR) {
            all.push(GroupId::COORDINATOR);
        }
        match workers.len() {
            0 | 1 => self.run_on(&all, "SELECT").await,
            _ => {
                let hold = self.hold_fence(&workers).await?;
                Hold::cover(hold, self.run_on(&all, "SELECT")).await
            }
        }
    }
}

/// What a worker would say that knows how long the statement has run.
pub(crate) fn timed_out() -> Error {
    let message = "canceling statement due to statement timeout";
    ErrorFields::error(SqlState::QUERY_CANCELED, message).into()
}

fn left_out(group: GroupId) -> Error {
    let message = format!("cannot use node group {group} in this transaction");
    let mut fields = ErrorFields::error(SqlState::SERIALIZATION_FAILURE, message);
    fields.set(Field::Detail, "It could not be reached when the transaction took its snapshot.");
    fields.set(Field::Hint, "Run the transaction again.");
    fields.into()
}
