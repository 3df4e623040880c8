//! The transaction of a session: which nodes take part, and how it ends.

use std::collections::BTreeMap;

use howdah_catalog::GroupId;
use howdah_pg::wire::backend::TransactionStatus;

use crate::error::{Error, Result};
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
    /// `BEGIN` with the options the client gave, and the commands since that a node which joins later must
    /// run first: savepoints, SET TRANSACTION.
    opening: Vec<String>,
    participants: BTreeMap<GroupId, PooledConnection>,
}

impl Transaction {
    pub fn block(&self) -> Block {
        self.block
    }

    /// What ReadyForQuery says.
    pub fn status(&self) -> TransactionStatus {
        match self.block {
            Block::None | Block::Implicit => TransactionStatus::Idle,
            Block::Explicit => TransactionStatus::InTransaction,
            Block::Failed => TransactionStatus::Failed,
        }
    }

    /// BEGIN, or the start of an implicit block. No node is touched yet.
    pub fn begin(&mut self, block: Block, command: &str) {
        self.block = block;
        self.opening = vec![command.to_owned()];
    }

    /// BEGIN in an implicit block makes it explicit, with what was done in it.
    pub fn make_explicit(&mut self) {
        self.block = Block::Explicit;
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

    pub fn groups(&self) -> impl Iterator<Item = GroupId> {
        self.participants.keys().copied()
    }

    /// Takes a connection out of it.
    pub(crate) fn remove(&mut self, group: GroupId) -> Option<PooledConnection> {
        self.participants.remove(&group)
    }

    /// A block that a server opened by itself, by statements that were not understood here.
    pub(crate) fn adopt(&mut self) {
        if self.block == Block::None {
            self.block = Block::Explicit;
            self.opening = vec!["BEGIN".to_owned()];
        }
    }
}

impl Session {
    /// The connection to a node on which this transaction's statements run. Opens it if need be: BEGIN, the
    /// savepoints so far and the settings are queued in front of whatever is queued next, and nothing is sent.
    pub(crate) async fn participant(&mut self, group: GroupId) -> Result<&mut ServerConnection> {
        let is_new = !self.transaction.participants.contains_key(&group);
        if is_new {
            let connection = self.acquire(group).await?;
            self.transaction.participants.insert(group, connection);
        }
        let transaction = &mut self.transaction;
        let connection = transaction.participants.get_mut(&group).expect("it was just put there");
        connection.queue_settings(&self.settings);
        if is_new && transaction.block != Block::None {
            for command in &transaction.opening {
                connection.queue_prologue(command);
            }
        }
        Ok(connection)
    }

    /// After a statement of its own: what it used goes back.
    pub(crate) fn end_statement(&mut self) {
        if self.transaction.block == Block::None {
            self.release_all();
        }
    }

    pub(crate) async fn commit(&mut self) -> Result<()> {
        self.end_block("COMMIT").await
    }

    pub(crate) async fn rollback(&mut self) -> Result<()> {
        self.end_block("ROLLBACK").await
    }

    pub(crate) async fn savepoint(&mut self, name: &str) -> Result<()> {
        let command = format!("SAVEPOINT {}", crate::settings::quote_identifier(name));
        self.on_all(&command).await?;
        self.transaction.opening.push(command);
        Ok(())
    }

    pub(crate) async fn release_savepoint(&mut self, name: &str) -> Result<()> {
        let command = format!("RELEASE SAVEPOINT {}", crate::settings::quote_identifier(name));
        self.on_all(&command).await?;
        self.transaction.opening.push(command);
        Ok(())
    }

    pub(crate) async fn rollback_to(&mut self, name: &str) -> Result<()> {
        let command = format!("ROLLBACK TO SAVEPOINT {}", crate::settings::quote_identifier(name));
        self.on_all(&command).await?;
        for connection in self.transaction.participants.values_mut() {
            connection.doubt_settings();
        }
        self.transaction.block = Block::Explicit;
        self.transaction.opening.push(command);
        Ok(())
    }

    /// A command that every participant runs; and so must those that join later.
    pub(crate) async fn in_transaction(&mut self, command: &str) -> Result<()> {
        self.on_all(command).await?;
        self.transaction.opening.push(command.to_owned());
        Ok(())
    }

    async fn on_all(&mut self, command: &str) -> Result<()> {
        let groups: Vec<GroupId> = self.transaction.groups().collect();
        for group in groups {
            if let Some(connection) = self.transaction.opened(group) {
                connection.run(command).await?;
            }
        }
        Ok(())
    }

    async fn end_block(&mut self, command: &str) -> Result<()> {
        let groups: Vec<GroupId> = self.transaction.groups().collect();
        let mut result = Ok(());
        for group in groups.into_iter().rev() {
            let ended = self.end_on(group, command).await;
            result = result.and(ended);
        }
        self.transaction.block = Block::None;
        self.release_all();
        result
    }

    async fn end_on(&mut self, group: GroupId, command: &str) -> Result<()> {
        let Some(connection) = self.transaction.opened(group) else { return Ok(()) };
        if connection.is_broken() {
            return Ok(());
        }
        connection.queue_query(command);
        connection.flush().await?;
        let mut result = Ok(());
        while self.transaction.opened(group).is_some_and(|it| it.is_busy()) {
            let message = if group == GroupId::COORDINATOR {
                self.next_coordinator_message().await?
            } else {
                let Some(connection) = self.transaction.opened(group) else { break };
                connection.next_message().await?
            };
            if message.tag == b'E' {
                result = Err(Error::from(crate::server::error_fields(&message.body)));
            }
        }
        result
    }

    fn release_all(&mut self) {
        let groups: Vec<GroupId> = self.transaction.groups().collect();
        for group in groups {
            if let Some(connection) = self.transaction.remove(group) {
                self.release(connection);
            }
        }
    }
}
