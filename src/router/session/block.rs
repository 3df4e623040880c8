//! Transaction control as the client sees it: tags, warnings and states are PostgreSQL's (`xact.c`).

use howdah_catalog::GroupId;
use howdah_pg::SqlState;
use howdah_pg::wire::ErrorFields;
use howdah_pg::wire::backend::TransactionStatus;
use howdah_sql::{NodeEnum, Statement, Token, TransactionKind};

use super::Session;
use crate::error::{Error, Result};
use crate::settings::Settings;
use crate::transaction::Block;

/// What a rollback brings back.
#[derive(Default)]
pub(super) struct Marks {
    begin: Option<Settings>,
    /// `BEGIN` as the client wrote it, for AND CHAIN.
    command: String,
    savepoints: Vec<(String, Settings)>,
}

impl Session {
    pub(super) async fn control(&mut self, command: &TransactionKind, text: &str) -> Result<()> {
        match command {
            TransactionKind::Begin => self.begin_block(text).await,
            TransactionKind::Commit { chain } => self.end_by_commit(*chain).await,
            TransactionKind::Rollback { chain } => self.end_by_rollback(*chain).await,
            TransactionKind::Savepoint(name) => self.set_savepoint(name).await,
            TransactionKind::Release(name) => self.release_to(name).await,
            TransactionKind::RollbackTo(name) => self.back_to(name).await,
            TransactionKind::Prepare(_) => Err(Error::not_supported(
                "PREPARE TRANSACTION is not available through the router",
                "Use COMMIT: the router prepares and commits on all nodes by itself.",
            )),
            TransactionKind::CommitPrepared(_) | TransactionKind::RollbackPrepared(_) => {
                self.refuse_if_failed()?;
                self.on_coordinator(text.as_bytes(), super::effects::Effects::NONE, true).await.map(drop)
            }
        }
    }

    /// The error of every statement but the ends of a failed block.
    pub(super) fn refuse_if_failed(&self) -> Result<()> {
        match self.transaction.block() {
            Block::Failed => Err(Error::InFailedTransaction),
            Block::None | Block::Implicit | Block::Explicit => Ok(()),
        }
    }

    pub(super) fn begin_implicit(&mut self) {
        self.mark_begin("BEGIN");
        self.transaction.begin(Block::Implicit, "BEGIN");
    }

    /// Rolls back what an error left of an implicit block.
    pub(super) async fn abandon_implicit(&mut self) -> Result<()> {
        if self.transaction.block() == Block::Implicit {
            self.roll_back_block().await?;
        }
        Ok(())
    }

    fn mark_begin(&mut self, command: &str) {
        self.marks =
            Marks { begin: Some(self.settings.clone()), command: command.to_owned(), savepoints: Vec::new() };
    }

    async fn begin_block(&mut self, text: &str) -> Result<()> {
        self.refuse_if_failed()?;
        match self.transaction.block() {
            Block::None => {
                self.mark_begin(text);
                self.transaction.begin(Block::Explicit, text);
            }
            Block::Implicit => {
                self.transaction.make_explicit();
                self.marks.command = text.to_owned();
                // The transaction has begun with the first statement of the same text, and PostgreSQL too sets the modes then
                // (`standard_ProcessUtility`).
                if let Some(modes) = modes_of(text) {
                    self.in_transaction(&format!("SET TRANSACTION {modes}")).await?;
                }
            }
            Block::Explicit | Block::Failed => {
                self.warn(SqlState::ACTIVE_SQL_TRANSACTION, "there is already a transaction in progress");
            }
        }
        let is_start = text.trim_start().get(..5).is_some_and(|it| it.eq_ignore_ascii_case("start"));
        self.client.push_command_complete(if is_start { "START TRANSACTION" } else { "BEGIN" });
        Ok(())
    }

    async fn end_by_commit(&mut self, chain: bool) -> Result<()> {
        let tag = match self.transaction.block() {
            Block::None | Block::Implicit if chain => return Err(no_block("COMMIT AND CHAIN")),
            Block::None => {
                self.warn(SqlState::NO_ACTIVE_SQL_TRANSACTION, "there is no transaction in progress");
                "COMMIT"
            }
            Block::Implicit => {
                self.warn(SqlState::NO_ACTIVE_SQL_TRANSACTION, "there is no transaction in progress");
                self.commit_block().await?;
                "COMMIT"
            }
            Block::Explicit => {
                self.commit_block().await?;
                "COMMIT"
            }
            Block::Failed => {
                self.roll_back_block().await?;
                "ROLLBACK"
            }
        };
        self.chain(chain);
        self.client.push_command_complete(tag);
        Ok(())
    }

    async fn end_by_rollback(&mut self, chain: bool) -> Result<()> {
        match self.transaction.block() {
            Block::None | Block::Implicit if chain => return Err(no_block("ROLLBACK AND CHAIN")),
            Block::None => {
                self.warn(SqlState::NO_ACTIVE_SQL_TRANSACTION, "there is no transaction in progress");
            }
            Block::Implicit => {
                self.warn(SqlState::NO_ACTIVE_SQL_TRANSACTION, "there is no transaction in progress");
                self.roll_back_block().await?;
            }
            Block::Explicit | Block::Failed => self.roll_back_block().await?,
        }
        self.chain(chain);
        self.client.push_command_complete("ROLLBACK");
        Ok(())
    }

    fn chain(&mut self, chain: bool) {
        if chain {
            let command = std::mem::take(&mut self.marks.command);
            self.mark_begin(&command);
            self.transaction.begin(Block::Explicit, &command);
        }
    }

    pub(super) async fn commit_block(&mut self) -> Result<()> {
        let result = self.commit().await;
        if result.is_err() {
            self.restore_settings();
        }
        self.after_block().await?;
        result
    }

    pub(super) async fn roll_back_block(&mut self) -> Result<()> {
        let result = self.rollback().await;
        self.restore_settings();
        self.after_block().await?;
        result
    }

    fn restore_settings(&mut self) {
        if let Some(settings) = self.marks.begin.take() {
            self.set_settings(settings);
        }
    }

    /// The block is over on all nodes: what was true only inside of it ends, and what it left is looked at.
    async fn after_block(&mut self) -> Result<()> {
        self.portals.clear();
        self.marks.begin = None;
        self.marks.savepoints.clear();
        self.refresh_after_block().await
    }

    async fn set_savepoint(&mut self, name: &str) -> Result<()> {
        self.refuse_if_failed()?;
        self.require_block("SAVEPOINT")?;
        self.savepoint(name).await?;
        self.marks.savepoints.push((name.to_owned(), self.settings.clone()));
        self.client.push_command_complete("SAVEPOINT");
        Ok(())
    }

    async fn release_to(&mut self, name: &str) -> Result<()> {
        self.refuse_if_failed()?;
        self.require_block("RELEASE SAVEPOINT")?;
        let at = self.find_savepoint(name)?;
        self.release_savepoint(name).await?;
        self.marks.savepoints.truncate(at);
        self.release_portals(at);
        self.client.push_command_complete("RELEASE");
        Ok(())
    }

    async fn back_to(&mut self, name: &str) -> Result<()> {
        self.require_block("ROLLBACK TO SAVEPOINT")?;
        let at = self.find_savepoint(name)?;
        self.rollback_to(name).await?;
        self.marks.savepoints.truncate(at + 1);
        self.forget_portals_since(at);
        let settings = self.marks.savepoints[at].1.clone();
        if let Some(coordinator) = self.transaction.opened(GroupId::COORDINATOR) {
            coordinator.note_settings(settings.clone());
        }
        self.set_settings(settings);
        if self.overlay.take().is_some() {
            self.refresh().await?;
        }
        self.client.push_command_complete("ROLLBACK");
        Ok(())
    }

    /// How many there are.
    pub(super) fn savepoints(&self) -> usize {
        self.marks.savepoints.len()
    }

    fn find_savepoint(&self, name: &str) -> Result<usize> {
        self.marks.savepoints.iter().rposition(|it| it.0 == name).ok_or_else(|| {
            let message = format!("savepoint \"{name}\" does not exist");
            ErrorFields::error(SqlState::INVALID_SAVEPOINT_SPECIFICATION, message).into()
        })
    }

    fn require_block(&self, command: &str) -> Result<()> {
        match self.transaction.block() {
            Block::None | Block::Implicit => Err(no_block(command)),
            Block::Explicit | Block::Failed => Ok(()),
        }
    }

    /// SET TRANSACTION, and SET of what it sets.
    pub(super) fn is_set_transaction(&self, statement: &Statement) -> bool {
        if self.transaction.block() == Block::None {
            return false;
        }
        match statement.node() {
            NodeEnum::VariableSetStmt(it) => matches!(
                it.name.to_ascii_lowercase().as_str(),
                "transaction"
                    | "transaction snapshot"
                    | "transaction_isolation"
                    | "transaction_read_only"
                    | "transaction_deferrable"
            ),
            _ => false,
        }
    }

    /// Every node of the transaction must know, those that join later as well.
    pub(super) async fn set_transaction(&mut self, text: &str) -> Result<()> {
        if text.to_ascii_lowercase().split_ascii_whitespace().nth(2) == Some("snapshot") {
            return Err(Error::not_supported(
                "SET TRANSACTION SNAPSHOT is not available through the router",
                "A snapshot is one node's own. Statements of one REPEATABLE READ transaction see the same moment on all nodes.",
            ));
        }
        self.in_transaction(text).await?;
        self.client.push_command_complete("SET");
        Ok(())
    }

    /// A server that is in a block of which nothing is known here was brought there by text that was not
    /// understood. It is the client's block from now on.
    pub(super) fn adopt_block(&mut self) {
        let status = self.transaction.opened(GroupId::COORDINATOR).map(|it| it.status());
        if !self.transaction.is_in_progress() && status.is_some_and(|it| it != TransactionStatus::Idle) {
            self.mark_begin("BEGIN");
            self.transaction.adopt();
        }
    }

    pub(super) fn warn(&mut self, code: SqlState, message: &str) {
        self.client.push_notice(&ErrorFields::warning(code, message));
    }
}

/// What stands behind BEGIN or START TRANSACTION, if anything does.
fn modes_of(text: &str) -> Option<String> {
    let tokens = howdah_sql::parse(text).ok()?.pop()?.tokens().ok()?;
    let first = match tokens.token(1) {
        Some(Token::Work | Token::Transaction) => 2,
        _ => 1,
    };
    let (start, end) = (tokens.range(first)?.start, tokens.range(tokens.len() - 1)?.end);
    text.get(start..end).map(str::to_owned)
}

fn no_block(command: &str) -> Error {
    let message = format!("{command} can only be used in transaction blocks");
    ErrorFields::error(SqlState::NO_ACTIVE_SQL_TRANSACTION, message).into()
}
