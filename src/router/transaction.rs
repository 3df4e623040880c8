//! The transaction of a session: which nodes take part, and how it ends.

use std::collections::BTreeMap;

use howdah_catalog::GroupId;

use crate::error::Result;
use crate::pool::PooledConnection;
use crate::server::ServerConnection;
use crate::session::Session;

/// The block a client is in, as it sees it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Block {
    /// Each statement commits by itself.
    #[default]
    None,
    /// Several statements up to the next Sync, or of one simple Query, commit together.
    Implicit,
    /// After BEGIN.
    Explicit,
    /// After an error in an explicit block.
    Failed,
}

#[derive(Default)]
pub struct Transaction {
    block: Block,
    /// `BEGIN` with the options the client gave.
    begin: String,
    participants: BTreeMap<GroupId, PooledConnection>,
}

impl Transaction {
    pub fn block(&self) -> Block {
        self.block
    }

    /// BEGIN, or the start of an implicit block. No node is touched yet.
    pub fn begin(&mut self, block: Block, command: &str) {
        self.block = block;
        self.begin = command.to_owned();
    }

    pub fn fail(&mut self) {
        if self.block == Block::Explicit {
            self.block = Block::Failed;
        }
    }

    /// A connection that is already part of it.
    pub fn opened(&mut self, group: GroupId) -> Option<&mut ServerConnection> {
        self.participants.get_mut(&group).map(|it| &mut **it)
    }
}

impl Session {
    /// The connection to a node on which this transaction's statements run. Opens it if need be: BEGIN, the
    /// savepoints so far and the settings are queued in front of whatever is queued next, and nothing is sent.
    pub(crate) async fn participant(&mut self, group: GroupId) -> Result<&mut ServerConnection> {
        if !self.transaction.participants.contains_key(&group) {
            let connection = self.router.pools.acquire(group, &self.user).await?;
            self.transaction.participants.insert(group, connection);
        }
        let connection = self.transaction.participants.get_mut(&group).expect("it was just put there");
        connection.queue_settings(&self.settings);
        Ok(connection)
    }

    pub(crate) async fn commit(&mut self) -> Result<()> {
        Ok(())
    }

    pub(crate) async fn rollback(&mut self) -> Result<()> {
        Ok(())
    }

    pub(crate) async fn savepoint(&mut self, name: &str) -> Result<()> {
        let _ = name;
        Ok(())
    }
}
