//! Prepared statements of the extended protocol: a client's own, and what stands for them on servers.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use howdah_catalog::GroupId;
use howdah_pg::wire::frontend::{self, Target};
use howdah_pg::wire::{ErrorFields, backend};
use howdah_pg::{SqlState, TypeOid};
use howdah_sql::Literal;

use super::Session;
use super::analysis::{Analyzed, Distributed, Route};
use super::flight::Reply;
use super::overlay::Environment;
use super::worker_statement::WorkerStatements;
use crate::error::{Error, Result};
use crate::server::Parsing;
use crate::transaction::Block;

/// A client's prepared statement.
pub(super) struct Prepared {
    pub(super) text: Bytes,
    /// Those of the text's shape.
    pub(super) literals: Arc<[Literal]>,
    pub(super) types: Vec<TypeOid>,
    /// Its name on the coordinator: empty for the unnamed one, else it says what it stands for.
    pub(super) server_name: String,
    pub(super) analyzed: Arc<Analyzed>,
    /// Under which `analyzed` holds.
    pub(super) environment: Environment,
    /// Those in whose text its literals stand.
    pub(super) on_workers: WorkerStatements,
}

impl Prepared {
    /// The same with a plan of its own.
    pub(super) fn with_plan(&self, plan: Box<Distributed>) -> Self {
        Self {
            text: self.text.clone(),
            literals: self.literals.clone(),
            types: self.types.clone(),
            server_name: self.server_name.clone(),
            analyzed: Arc::new(self.analyzed.with_plan(plan)),
            environment: self.environment,
            on_workers: WorkerStatements::default(),
        }
    }
}

pub(super) type Statements = HashMap<Bytes, Arc<Prepared>>;

impl Session {
    pub(super) async fn on_parse(&mut self, parse: &frontend::Parse<'_>, body: &Bytes) -> Result<()> {
        self.transaction.takes_no_snapshot = super::simple::locks_only(parse.text);
        let unnamed = parse.statement.is_empty();
        if self.transaction.block() == Block::Failed && !super::simple::is_control(parse.text) {
            return Err(Error::InFailedTransaction);
        }
        if !unnamed {
            self.check_new_statement(parse.statement)?;
        }
        let types: Vec<TypeOid> = parse.parameter_types.iter().collect();
        if self.kept.has_statements() {
            self.land(self.is_in_block()).await?;
        }
        let translated = self.translate_execute(parse.text).await?.map(Bytes::from);
        let text = translated.unwrap_or_else(|| body.slice_ref(parse.text));
        let room = self.room_for(&text).await?;
        let (analyzed, environment) = self.analyze(&text, &types).await?;
        drop(room);
        let server_name = match unnamed {
            true => String::new(),
            false => statement_name(b'c', &environment, &text, &types),
        };
        let prepared = Arc::new(Prepared {
            literals: self.literals_of(&text),
            text,
            types,
            server_name,
            analyzed,
            environment,
            on_workers: WorkerStatements::default(),
        });
        if matches!(prepared.analyzed.route, Route::Local | Route::Utility | Route::Copy) {
            self.parse_on_coordinator(&prepared).await?;
            self.pipeline.expect(Reply::Parsed(Bytes::copy_from_slice(parse.statement)));
        } else {
            let mut complete = BytesMut::new();
            backend::put_parse_complete(&mut complete);
            self.answer(&complete);
        }
        self.statements.insert(Bytes::copy_from_slice(parse.statement), prepared);
        Ok(())
    }

    fn literals_of(&mut self, text: &[u8]) -> Arc<[Literal]> {
        self.shape.read(text);
        self.shape.literals.as_slice().into()
    }

    fn check_new_statement(&self, name: &[u8]) -> Result<()> {
        if self.statements.contains_key(name) {
            let message = format!("prepared statement \"{}\" already exists", String::from_utf8_lossy(name));
            return Err(ErrorFields::error(SqlState::DUPLICATE_PREPARED_STATEMENT, message).into());
        }
        if self.router.config.limits.statements_per_session <= self.statements.len() {
            return Err(Error::LimitExceeded("too many prepared statements in one session".to_owned()));
        }
        Ok(())
    }

    /// A client's own Parse is always PostgreSQL's to check, so that it never meets an old meaning.
    async fn parse_on_coordinator(&mut self, prepared: &Arc<Prepared>) -> Result<()> {
        let flight = self.flight(GroupId::COORDINATOR).await?;
        flight.note_unnamed(prepared);
        let name = prepared.server_name.as_str();
        let connection = self.on_flight()?;
        let known = !name.is_empty() && connection.prepared.touch(name);
        if known {
            frontend::put_close(connection.buffer(), Target::Statement(name.as_bytes()));
        }
        let evicted = match name.is_empty() || known {
            true => None,
            false => connection.prepared.insert(name),
        };
        if let Some(evicted) = &evicted {
            frontend::put_close(connection.buffer(), Target::Statement(evicted.as_bytes()));
        }
        frontend::put_parse(connection.buffer(), name.as_bytes(), &prepared.text, &prepared.types);
        if known || evicted.is_some() {
            self.pipeline.expect(Reply::Swallow(b'3'));
        }
        if !name.is_empty() {
            self.pipeline.note_parsing(name);
        }
        Ok(())
    }

    /// A statement of the client's, understood as of now.
    pub(super) async fn statement(&mut self, name: &[u8]) -> Result<Arc<Prepared>> {
        let Some(prepared) = self.statements.get(name).cloned() else {
            return Err(no_statement(name));
        };
        if prepared.environment == self.environment() && !self.has_old_overlay() {
            return Ok(prepared);
        }
        let (analyzed, environment) = self.analyze(&prepared.text, &prepared.types).await?;
        let server_name = match prepared.server_name.is_empty() {
            true => String::new(),
            false => statement_name(b'c', &environment, &prepared.text, &prepared.types),
        };
        let (text, types) = (prepared.text.clone(), prepared.types.clone());
        let prepared = Arc::new(Prepared {
            literals: self.literals_of(&text),
            text,
            types,
            server_name,
            analyzed,
            environment,
            on_workers: WorkerStatements::default(),
        });
        self.statements.insert(Bytes::copy_from_slice(name), prepared.clone());
        Ok(prepared)
    }

    /// Sends Parse in front, unless the connection of the flight has the statement.
    pub(super) fn ensure_prepared(
        &mut self,
        prepared: &Arc<Prepared>,
        name: &str,
        text: &[u8],
        types: &[TypeOid],
    ) -> Result<()> {
        if name.is_empty() && self.pipeline.has_unnamed(prepared) {
            return Ok(());
        }
        let connection = self.on_flight()?;
        if name.is_empty() {
            frontend::put_parse(connection.buffer(), b"", text, types);
            self.pipeline.note_unnamed(prepared);
        } else {
            match connection.queue_parse(name, text, types) {
                Parsing::Known => return Ok(()),
                Parsing::New => {}
                Parsing::Replaces => self.pipeline.expect(Reply::Swallow(b'3')),
            }
            self.pipeline.note_parsing(name);
        }
        self.pipeline.expect(Reply::Swallow(b'1'));
        Ok(())
    }
}

pub(super) fn no_statement(name: &[u8]) -> Error {
    let message = match name {
        b"" => "unnamed prepared statement does not exist".to_owned(),
        name => format!("prepared statement \"{}\" does not exist", String::from_utf8_lossy(name)),
    };
    ErrorFields::error(SqlState::INVALID_SQL_STATEMENT_NAME, message).into()
}

/// A name that two statements share only if they are the same: they are met on connections that other sessions
/// prepared them on.
pub(super) fn statement_name(kind: u8, environment: &Environment, text: &[u8], types: &[TypeOid]) -> String {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    context.update(environment);
    types.iter().for_each(|it| context.update(&it.0.to_be_bytes()));
    context.update(&[0]);
    context.update(text);
    let digest = context.finish();
    let mut name = String::with_capacity(34);
    name.push(char::from(kind));
    for byte in &digest.as_ref()[..16] {
        let hex = |it: u8| char::from(b"0123456789abcdef"[usize::from(it)]);
        name.push(hex(byte >> 4));
        name.push(hex(byte & 15));
    }
    name
}
