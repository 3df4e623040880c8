//! The simple query protocol: one text, any number of statements, one ReadyForQuery.

use bytes::Bytes;
use howdah_catalog::GroupId;
use howdah_pg::wire::{backend, frontend};
use howdah_sql::{Kind, Statement};

use super::Session;
use super::relay::Outcome;
use crate::error::{Error, Result};
use crate::transaction::Block;

impl Session {
    /// Answers a Query message, ReadyForQuery included. An error is returned only if the session ends with it.
    pub(super) async fn query(&mut self, body: &Bytes) -> Result<()> {
        let text = match frontend::parse(b'Q', body) {
            Ok(frontend::Message::Query { text }) => text,
            Ok(_) => return Err(Error::Internal("a Query is a Query".to_owned())),
            Err(error) => return Err(error.into()),
        };
        if let Err(error) = self.run_text(text).await {
            self.report(error)?;
            self.abandon_implicit().await?;
        }
        if let Err(error) = self.end_statement().await {
            self.report(error)?;
        }
        self.ready_for_query().await
    }

    async fn run_text(&mut self, text: &[u8]) -> Result<()> {
        // What only the coordinator can read is only for the coordinator.
        let Ok(utf8) = str::from_utf8(text) else { return self.run_unread(text).await };
        let Ok(statements) = howdah_sql::parse(utf8) else { return self.run_unread(text).await };
        match statements.as_slice() {
            [] => backend::put_empty_query_response(self.client.buffer()),
            [only] => return self.run_statement(only).await.map(drop),
            several => return self.run_several(several, utf8).await,
        }
        Ok(())
    }

    /// Text that the grammar here does not know: the coordinator answers, most likely with a syntax error.
    async fn run_unread(&mut self, text: &[u8]) -> Result<()> {
        self.refuse_if_failed()?;
        let outcome = self.on_coordinator(text, super::effects::Effects::UNKNOWN).await?;
        self.note_outcome(outcome);
        Ok(())
    }

    /// Several statements commit together, unless they say otherwise themselves.
    async fn run_several(&mut self, statements: &[Statement], text: &str) -> Result<()> {
        if self.transaction.block() == Block::None && self.are_local(statements) {
            let effects = statements.iter().map(|it| self.effects_of(it)).collect();
            let outcome = self.on_coordinator(text.as_bytes(), effects).await?;
            self.note_outcome(outcome);
            return Ok(());
        }
        for statement in statements {
            if self.transaction.block() == Block::None {
                self.begin_implicit();
            }
            if self.run_statement(statement).await? == Outcome::Failed {
                self.abandon_implicit().await?;
                return Ok(());
            }
        }
        if self.transaction.block() == Block::Implicit {
            self.commit_block().await?;
        }
        Ok(())
    }

    /// Whether PostgreSQL itself can be left to run them as they stand, in one message.
    fn are_local(&self, statements: &[Statement]) -> bool {
        let catalog = self.catalog();
        statements.iter().all(|statement| {
            !matches!(statement.kind(), Kind::Transaction(_))
                && !howdah_sql::relation_names(statement).bare().any(|it| catalog.knows_name(it))
        })
    }

    async fn run_statement(&mut self, statement: &Statement) -> Result<Outcome> {
        if let Kind::Transaction(command) = statement.kind() {
            return self.control(command, statement.text()).await.map(|()| Outcome::Succeeded);
        }
        self.refuse_if_failed()?;
        if self.is_set_transaction(statement) {
            self.set_transaction(statement.text()).await?;
            return Ok(Outcome::Succeeded);
        }
        let effects = self.effects_of(statement);
        self.custom_settings.extend(super::effects::custom_settings(statement));
        let outcome = self.on_coordinator(statement.text().as_bytes(), effects).await?;
        self.note_outcome(outcome);
        Ok(outcome)
    }

    /// Rung 0 and rung 6: the text as it is, to the coordinator.
    pub(super) async fn on_coordinator(
        &mut self,
        text: &[u8],
        effects: super::effects::Effects,
    ) -> Result<Outcome> {
        let group = GroupId::COORDINATOR;
        if effects.reads_sequences {
            self.forget_foreign_sequences().await?;
        }
        let refreshes = effects.may_change_session || self.is_passthrough();
        let refresh = refreshes.then(|| self.refresh_query());
        let connection = self.participant(group).await?;
        connection.queue_query_bytes(text);
        if let Some(refresh) = &refresh {
            connection.queue_query(refresh);
        }
        connection.flush().await?;
        let outcome = self.relay_query(group).await?;
        if refreshes {
            self.take_refresh().await?;
        }
        self.adopt_block();
        Ok(outcome)
    }

    pub(super) fn note_outcome(&mut self, outcome: Outcome) {
        if outcome == Outcome::Failed {
            self.transaction.fail();
        }
    }

    /// Tells the client of an error, unless the session ends with it.
    pub(super) fn report(&mut self, error: Error) -> Result<()> {
        if error.ends_session() {
            return Err(error);
        }
        tracing::debug!(%error, code = %error.sqlstate(), "a statement failed");
        self.client.push_error(&error.fields());
        self.transaction.fail();
        Ok(())
    }
}
