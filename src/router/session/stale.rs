//! A statement that was planned with an older catalog: a worker says that a shard is not there, and the catalog is
//! another when it is read again. It is tried again unseen, if nothing of it can have stayed; else the client is
//! told to repeat its transaction (40001).

use howdah_catalog::{CatalogVersion, GroupId};
use howdah_pg::SqlState;
use howdah_pg::wire::{ErrorFields, Field};

use super::Session;
use crate::client::Mark;
use crate::error::{Error, MissingShard, Result};
use crate::transaction::Block;

/// What there was before a statement, or before the messages up to a Sync.
pub(super) struct Departure {
    /// Published then.
    version: CatalogVersion,
    sent: Mark,
    block: Block,
    /// The nodes that took part already.
    open: Vec<GroupId>,
    commits: u64,
    /// All that was done since can be done again.
    repeatable: bool,
    tries: u32,
}

/// A catalog that changes this often within one statement is not waited for.
const MAX_TRIES: u32 = 3;

impl Session {
    pub(super) fn departure(&self, repeatable: bool) -> Departure {
        Departure {
            version: self.router.catalog.borrow().version(),
            sent: self.client.mark(),
            block: self.transaction.block(),
            open: self.transaction.open_groups(),
            commits: self.commits,
            repeatable,
            tries: 0,
        }
    }

    /// After a shard was missed: brings everything back to where it was, with a newer catalog. The error is what the
    /// client is to be told instead.
    pub(super) async fn go_back(&mut self, to: &mut Departure, missing: MissingShard) -> Result<()> {
        let version = self.router.reload_catalog().await?;
        if version == to.version {
            return Err(Error::Postgres(missing.fields));
        }
        to.version = version;
        to.tries += 1;
        let repeatable = to.repeatable && to.tries <= MAX_TRIES && to.commits == self.commits;
        let possible = repeatable && self.client.may_rewind(&to.sent);
        if !possible || !self.take_back(to, missing.alone).await? {
            return Err(moved());
        }
        tracing::debug!(%version, "a statement of an older catalog is tried again");
        self.client.rewind(&to.sent)
    }

    /// Undoes the statement on all nodes; false if it cannot be told apart from what the transaction did before.
    async fn take_back(&mut self, to: &Departure, alone: bool) -> Result<bool> {
        match (to.block, self.transaction.block()) {
            (Block::None, Block::None) => {
                self.transaction.fail();
                self.end_unit().await.map(|()| true)
            }
            (Block::None, _) => self.roll_back_block().await.map(|()| true),
            _ if !alone && to.open.iter().any(|it| *it != GroupId::COORDINATOR) => Ok(false),
            _ => self.leave_joined(&to.open, to.block).await,
        }
    }
}

/// 40001: the transaction saw the shard where it was, and cannot see it where it is.
fn moved() -> Error {
    let message = "could not serialize access because a shard was moved";
    let fields = ErrorFields::error(SqlState::SERIALIZATION_FAILURE, message);
    fields.with(Field::Hint, "Run the transaction again.").into()
}
