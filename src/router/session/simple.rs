//! The simple query protocol: one text, any number of statements, one ReadyForQuery.

use std::ops::Range;

use bytes::Bytes;
use howdah_catalog::GroupId;
use howdah_pg::wire::{backend, frontend};
use howdah_sql::{Kind, Statement};

use super::Session;
use super::analysis::{Analyzed, Route};
use super::effects::Effects;
use super::large::LARGE;
use super::relay::{Outcome, Relaying};
use crate::error::{Error, Result};
use crate::transaction::Block;

impl Session {
    /// Answers a Query message, ReadyForQuery included. An error is returned only if the session ends with it.
    pub(super) async fn query(&mut self, body: &Bytes) -> Result<()> {
        let text = match frontend::parse(b'Q', body) {
            Ok(frontend::Message::Query { text }) => text,
            Ok(_) => return Err(Error::Internal("a Query is a Query".to_owned())),
            Err(error) => {
                self.report(error.into())?;
                return self.ready_for_query().await;
            }
        };
        // A simple query destroys the unnamed statement and portal ("Simple Query" in protocol-flow).
        self.statements.remove(&b""[..]);
        let dropped = self.drop_portal(b"").await.map(drop);
        let ran = if dropped.is_ok() { self.run_text(text).await } else { dropped };
        if let Err(error) = ran {
            self.report(error)?;
            self.abandon_implicit().await?;
        }
        if let Err(error) = self.end_unit().await {
            self.report(error)?;
        }
        if self.transaction.block() == Block::None {
            self.portals.clear();
        }
        self.ready_for_query().await
    }

    /// Ends what commits by itself, and looks at what it left behind.
    pub(super) async fn end_unit(&mut self) -> Result<()> {
        let ended = self.end_statement().await;
        let refreshed = self.refresh_after_block().await;
        ended.and(refreshed)
    }

    /// The fast path of old: the coordinator knows the functions.
    pub(super) async fn function_call(&mut self, body: &Bytes) -> Result<()> {
        if let Err(error) = self.run_function_call(body).await {
            self.report(error)?;
        }
        if let Err(error) = self.end_unit().await {
            self.report(error)?;
        }
        self.ready_for_query().await
    }

    async fn run_function_call(&mut self, body: &Bytes) -> Result<()> {
        self.refuse_if_failed()?;
        let refresh = self.refresh_query();
        let connection = self.participant(GroupId::COORDINATOR).await?;
        connection.queue_function_call(body);
        connection.queue_query(&refresh);
        self.transaction.mark_writer(GroupId::COORDINATOR);
        if let Some(connection) = self.transaction.opened(GroupId::COORDINATOR) {
            connection.flush().await?;
        }
        let outcome = self.relay_query(GroupId::COORDINATOR, &Relaying::default()).await?;
        self.note_outcome(outcome);
        self.take_refresh().await?;
        match self.missing_shard.take() {
            Some(missing) => Err(Error::MissingShard(missing)),
            None => Ok(()),
        }
    }

    async fn run_text(&mut self, text: &[u8]) -> Result<()> {
        if !may_be_several(text) {
            return self.run_statement(text).await.map(drop);
        }
        match str::from_utf8(text).ok().and_then(Self::statements_of) {
            Some(statements) => self.run_several(statements, text).await,
            // Most likely a syntax error, which is found before any of the statements runs.
            None => {
                self.refuse_if_failed()?;
                self.on_coordinator(text, Effects::UNKNOWN, true).await.map(drop)
            }
        }
    }

    /// `None` if the grammar refuses one of them. No more than one tree of a long text is in memory at a time.
    fn statements_of(text: &str) -> Option<Several> {
        if text.len() <= LARGE {
            return howdah_sql::parse(text).ok().map(Several::Parsed);
        }
        let ranges = howdah_sql::split_statements(text);
        let parses = |it: &Range<usize>| howdah_sql::parse(&text[it.clone()]).is_ok();
        // Longer ones are judged when it is their turn.
        let is_short = |it: &Range<usize>| it.len() <= LARGE;
        ranges.iter().filter(|it| is_short(it)).all(parses).then_some(Several::Split(ranges))
    }

    /// Several statements commit together, unless they say otherwise themselves.
    async fn run_several(&mut self, statements: Several, text: &[u8]) -> Result<()> {
        if let (Block::None, Several::Parsed(statements)) = (self.transaction.block(), &statements)
            && let Some(effects) = self.effects_if_local(statements)
        {
            return self.on_coordinator(text, effects, true).await.map(drop);
        }
        for statement in statements.texts(text) {
            if self.transaction.block() == Block::None {
                self.begin_implicit();
            }
            if self.run_statement(statement).await? == Outcome::Failed {
                return self.abandon_implicit().await;
            }
        }
        match self.transaction.block() {
            Block::Implicit => self.commit_block().await,
            Block::None | Block::Explicit | Block::Failed => Ok(()),
        }
    }

    /// Whether PostgreSQL itself can be left to run them as they stand, in one message; and with what effect.
    fn effects_if_local(&self, statements: &[Statement]) -> Option<Effects> {
        let catalog = self.catalog();
        let is_local = |it: &Statement| {
            let plain =
                it.kind().is_plannable() || matches!(it.kind(), Kind::Set { .. } | Kind::Show | Kind::Reset);
            plain && !howdah_sql::relation_names(it).bare().any(|it| catalog.knows_name(it))
        };
        let effects: Effects = statements.iter().map(|it| Effects::of(it, &catalog)).collect();
        (statements.iter().all(is_local) && !effects.runs_code).then_some(effects)
    }

    async fn run_statement(&mut self, text: &[u8]) -> Result<Outcome> {
        let mut departure = self.departure(true);
        loop {
            let missing = match self.try_statement(text).await {
                Err(Error::MissingShard(missing)) => missing,
                result => match self.missing_shard.take() {
                    Some(missing) => missing,
                    None => return result,
                },
            };
            self.go_back(&mut departure, missing).await?;
        }
    }

    async fn try_statement(&mut self, text: &[u8]) -> Result<Outcome> {
        if self.transaction.block() == Block::Failed && !is_control(text) {
            return Err(Error::InFailedTransaction);
        }
        self.transaction.takes_no_snapshot = locks_only(text);
        let translated = self.evaluate_execute(text).await?;
        let text = translated.as_ref().map_or(text, |it| it.as_bytes());
        let _room = self.room_for(text).await?;
        let (analyzed, _) = self.analyze(text, &[]).await?;
        self.custom_settings.extend(analyzed.custom_settings.iter().cloned());
        match &analyzed.route {
            Route::Empty => {
                backend::put_empty_query_response(self.client.buffer());
                Ok(Outcome::Succeeded)
            }
            Route::Control(command) => {
                let text = String::from_utf8_lossy(text);
                self.control(command, text.trim().trim_end_matches(';')).await.map(|()| Outcome::Succeeded)
            }
            Route::Local => self.run_local(text, &analyzed).await,
            Route::Planned(distributed) => self.run_planned(text, &analyzed, distributed).await,
            Route::Explain(distributed) => self.run_explain(text, &analyzed, distributed).await,
            Route::Copy => self.run_copy(text, &analyzed).await,
            Route::Utility => self.run_utility(text, &analyzed).await,
        }
    }

    async fn run_local(&mut self, text: &[u8], analyzed: &Analyzed) -> Result<Outcome> {
        if analyzed.statement.as_ref().is_some_and(|it| self.is_set_transaction(it)) {
            self.set_transaction(&String::from_utf8_lossy(text)).await?;
            return Ok(Outcome::Succeeded);
        }
        if analyzed.effects.runs_code {
            self.transaction.open_statement();
        }
        self.on_coordinator(text, analyzed.effects, analyzed.may_write()).await
    }

    /// Rung 0 and rung 6: the text as it is, to the coordinator.
    pub(super) async fn on_coordinator(
        &mut self,
        text: &[u8],
        effects: Effects,
        writes: bool,
    ) -> Result<Outcome> {
        let group = GroupId::COORDINATOR;
        self.live.statement(text);
        let refreshes = effects.may_change_session || self.is_passthrough();
        // Behind COPY FROM STDIN it would be taken for data.
        let pipelines = refreshes && !may_copy(text);
        let refresh = pipelines.then(|| self.refresh_query());
        self.asks_sequences |= effects.asks_sequences;
        let connection = self.coordinator_for(effects.draws(writes)).await?;
        connection.taint(refreshes || connection.is_tainted());
        connection.queue_query_bytes(text);
        if let Some(refresh) = &refresh {
            connection.queue_query(refresh);
        }
        if writes {
            self.transaction.mark_writer(group);
        }
        if let Some(connection) = self.transaction.opened(group) {
            connection.flush().await?;
        }
        let outcome = self.relay_query(group, &Relaying::default()).await?;
        self.note_outcome(outcome);
        match (refreshes, pipelines) {
            (true, true) => self.take_refresh().await?,
            (true, false) => self.refresh().await?,
            (false, _) => {}
        }
        self.adopt_block();
        if outcome == Outcome::Succeeded && leaves_portals(text, effects) {
            self.hold_portals().await?;
        }
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

/// The statements of one text.
enum Several {
    Parsed(Vec<Statement>),
    /// Where they are.
    Split(Vec<Range<usize>>),
}

impl Several {
    fn texts<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let (parsed, split) = match self {
            Self::Parsed(it) => (&it[..], &[][..]),
            Self::Split(it) => (&[][..], &it[..]),
        };
        parsed.iter().map(|it| it.text().as_bytes()).chain(split.iter().map(|it| &text[it.clone()]))
    }
}

/// A semicolon with something behind it. It may yet be part of a literal.
fn may_be_several(text: &[u8]) -> bool {
    let Some(at) = memchr::memchr(b';', text) else { return false };
    if text[at + 1..].iter().all(u8::is_ascii_whitespace) {
        return false;
    }
    str::from_utf8(text).is_ok_and(|it| howdah_sql::split_statements(it).len() > 1)
}

/// Whether a cursor may be open after it.
pub(super) fn leaves_portals(text: &[u8], effects: Effects) -> bool {
    let declares = text.trim_ascii_start().get(..7).is_some_and(|it| it.eq_ignore_ascii_case(b"declare"));
    declares || effects.runs_code || effects.may_change_session
}

/// Whether a text is worth a look in a failed block.
pub(super) fn is_control(text: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(text) else { return false };
    let statements = howdah_sql::parse(text).unwrap_or_default();
    statements.is_empty() || matches!(statements[0].kind(), Kind::Transaction(_))
}

/// Whether it is LOCK, which takes no snapshot (`analyze_requires_snapshot`): who locks first and reads then sees all that was
/// committed before the lock was granted.
pub(super) fn locks_only(text: &[u8]) -> bool {
    text.trim_ascii_start().get(..5).is_some_and(|it| it.eq_ignore_ascii_case(b"lock "))
}

/// Whether the word is anywhere in the text.
pub(super) fn may_copy(text: &[u8]) -> bool {
    text.windows(4).any(|it| it.eq_ignore_ascii_case(b"copy"))
}
