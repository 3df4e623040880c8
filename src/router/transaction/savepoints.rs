//! Savepoints, and other commands that every participant runs, now or when it joins.

use howdah_catalog::GroupId;
use howdah_pg::SqlState;
use howdah_pg::wire::ErrorFields;

use super::{Block, Step};
use crate::error::{Error, Result};
use crate::session::Session;
use crate::settings::quote_identifier;

impl Session {
    /// SAVEPOINT: the nodes hear of it with their next statement.
    pub(crate) async fn savepoint(&mut self, name: &str) -> Result<()> {
        self.push_savepoint(Step::Savepoint(name.to_owned()));
        Ok(())
    }

    /// The same on the workers only.
    pub(crate) async fn savepoint_on_workers(&mut self, name: &str) -> Result<()> {
        self.push_savepoint(Step::WorkerSavepoint(name.to_owned()));
        Ok(())
    }

    fn push_savepoint(&mut self, step: Step) {
        for (_, participant) in self.transaction.open_participants().filter(|it| step.concerns(it.0)) {
            participant.connection.queue_prologue(&step.command());
        }
        self.transaction.opening.push(step);
    }

    /// Whether ROLLBACK TO or RELEASE of this name would find it.
    pub(crate) fn has_savepoint(&self, name: &str) -> bool {
        self.find_step(name).is_ok()
    }

    /// RELEASE SAVEPOINT: with it go all that were made after it.
    pub(crate) async fn release_savepoint(&mut self, name: &str) -> Result<()> {
        let at = self.find_step(name)?;
        let mut later = self.transaction.opening.split_off(at);
        let command = format!("RELEASE SAVEPOINT {}", quote_identifier(name));
        for (_, participant) in self.transaction.open_participants().filter(|it| later[0].concerns(it.0)) {
            participant.connection.queue_prologue(&command);
        }
        later.retain(|it| matches!(it, Step::Command(_)));
        self.transaction.opening.append(&mut later);
        Ok(())
    }

    /// The same for one on the workers only; it may have gone with an older one already.
    pub(crate) async fn release_on_workers(&mut self, name: &str) -> Result<()> {
        if self.has_savepoint(name) { self.release_savepoint(name).await } else { Ok(()) }
    }

    /// ROLLBACK TO SAVEPOINT, on all nodes at once: the locks taken since must go now.
    pub(crate) async fn rollback_to(&mut self, name: &str) -> Result<()> {
        self.roll_back_step(name).await?;
        if self.transaction.block == Block::Failed {
            self.transaction.block = Block::Explicit;
        }
        Ok(())
    }

    async fn roll_back_step(&mut self, name: &str) -> Result<()> {
        let at = self.find_step(name)?;
        if self.transaction.participants.values().any(|it| it.connection.is_broken()) {
            // Its part of the transaction is gone for good.
            return Err(Error::InFailedTransaction);
        }
        let command = format!("ROLLBACK TO SAVEPOINT {}", quote_identifier(name));
        let step = &self.transaction.opening[at];
        let groups =
            self.transaction.open_groups().into_iter().filter(|it| step.concerns(*it)).collect::<Vec<_>>();
        self.run_on(&groups, &command).await?;
        // The coordinator is where settings are made: it has taken its own back, and SET LOCAL must not come again as SET.
        for (_, participant) in self.transaction.open_participants().filter(|it| it.0 != GroupId::COORDINATOR)
        {
            participant.connection.doubt_settings();
        }
        self.transaction.opening.truncate(at + 1);
        Ok(())
    }

    /// The same for one on the workers only; it may have gone with an older one already. The client's block stays as it is: after
    /// an error the coordinator takes its savepoints back by itself, and the client's transaction has failed all the same.
    pub(crate) async fn rollback_to_on_workers(&mut self, name: &str) -> Result<()> {
        if self.has_savepoint(name) { self.roll_back_step(name).await } else { Ok(()) }
    }

    /// A command that every participant runs, now or when it joins: SET TRANSACTION, SET CONSTRAINTS.
    pub(crate) async fn in_transaction(&mut self, command: &str) -> Result<()> {
        let groups = self.transaction.open_groups();
        self.run_on(&groups, command).await?;
        self.transaction.opening.push(Step::Command(command.to_owned()));
        self.transaction.doubt_isolation();
        Ok(())
    }

    /// Where a savepoint is among the steps.
    fn find_step(&self, name: &str) -> Result<usize> {
        self.transaction.opening.iter().rposition(|it| it.is_savepoint(name)).ok_or_else(|| {
            let message = format!("savepoint \"{name}\" does not exist");
            ErrorFields::error(SqlState::INVALID_SAVEPOINT_SPECIFICATION, message).into()
        })
    }
}
