//! Several commands on one worker connection in one write and one read, in the extended protocol: if one fails, the
//! server skips the rest.

use std::sync::atomic::Ordering;

use bytes::{Bytes, BytesMut};
use howdah_pg::wire::backend::{self, ColumnDescription};
use howdah_pg::wire::frontend;
use tokio_util::sync::CancellationToken;

use crate::cancel;
use crate::error::{Error, Result};
use crate::router::Router;
use crate::server::{ServerConnection, error_fields};

/// Commands to send together.
#[derive(Debug, Default)]
pub(crate) struct Flight {
    messages: BytesMut,
    /// For each command, whether its rows are wanted.
    wanted: Vec<bool>,
    hides_parameters: bool,
}

/// With this setting, which is everybody's to change, the context of an error has the parameters of its statement, and so
/// has what code running inside of it reads by GET DIAGNOSTICS. What counts is its value when the parameters arrive.
const HIDE_PARAMETERS: &str = "SET log_parameter_max_length_on_error = 0";

/// The rows of one command.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) description: Vec<ColumnDescription>,
    /// Bodies of the DataRows.
    pub(crate) rows: Vec<Bytes>,
    pub(crate) tag: Bytes,
}

impl Flight {
    /// A command of which nothing is wanted but that it succeeds.
    pub(crate) fn command(&mut self, sql: &str, parameters: &[Option<&str>]) {
        self.add(sql, parameters, false);
    }

    /// A command whose rows become an [`Outcome`], all columns as text.
    pub(crate) fn query(&mut self, sql: &str, parameters: &[Option<&str>]) {
        self.add(sql, parameters, true);
    }

    /// Parameters may be secret: they are a worker's key. Users must not see them anywhere.
    fn add(&mut self, sql: &str, parameters: &[Option<&str>], wanted: bool) {
        if !parameters.is_empty() && !self.hides_parameters {
            self.hides_parameters = true;
            self.put(HIDE_PARAMETERS, &[], false);
        }
        self.put(sql, parameters, wanted);
    }

    fn put(&mut self, sql: &str, parameters: &[Option<&str>], wanted: bool) {
        let buffer = &mut self.messages;
        frontend::put_parse(buffer, b"", sql.as_bytes(), &[]);
        let values = parameters.iter().map(|it| it.map(str::as_bytes));
        frontend::put_bind(buffer, b"", b"", &[], values, &[]);
        if wanted {
            frontend::put_describe(buffer, frontend::Target::Portal(b""));
        }
        frontend::put_execute(buffer, b"", 0);
        self.wanted.push(wanted);
    }

    /// Sends it. Whoever sends must also [`receive`](Sent::receive), or the connection is out of step.
    pub(crate) async fn send(self, connection: &mut ServerConnection) -> Result<Sent> {
        connection.queue(&self.messages);
        connection.queue_sync();
        connection.flush().await?;
        Ok(Sent { wanted: self.wanted })
    }
}

/// A flight whose answers have not come.
#[must_use]
#[derive(Debug)]
pub(crate) struct Sent {
    wanted: Vec<bool>,
}

impl Sent {
    /// The outcomes of the commands that wanted one; the first error instead, after everything has been read.
    pub(crate) async fn receive(
        self,
        connection: &mut ServerConnection,
        router: &Router,
        cancel: &CancellationToken,
    ) -> Result<Vec<Outcome>> {
        let mut outcomes = Vec::new();
        let mut current = Outcome::default();
        let mut commands = self.wanted.into_iter();
        let mut failed = None;
        let mut cancelled = false;
        while connection.is_busy() {
            let message = tokio::select! {
                message = connection.next_message() => message?,
                () = cancel.cancelled(), if !cancelled => {
                    cancelled = true;
                    cancel_statement(connection, router).await;
                    continue;
                }
            };
            match message.tag {
                b'T' => match backend::parse(b'T', &message.body) {
                    Ok(backend::Message::RowDescription(columns)) => current.description = columns,
                    _ => return Err(connection.lost(&std::io::ErrorKind::InvalidData.into())),
                },
                b'D' => current.rows.push(message.body),
                b'C' => {
                    current.tag = message.body;
                    let outcome = std::mem::take(&mut current);
                    if commands.next() == Some(true) {
                        outcomes.push(outcome);
                    }
                }
                b'E' if failed.is_none() => failed = Some(Error::from(error_fields(&message.body))),
                _ => {}
            }
        }
        failed.map_or(Ok(outcomes), Err)
    }
}

/// Has the server stop what it does for us. The connection is not lent again: a late cancel must not hit anybody else.
async fn cancel_statement(connection: &ServerConnection, router: &Router) {
    connection.target().cancelled.store(true, Ordering::Relaxed);
    let sent =
        cancel::send(router.pools.connector(), &connection.target().address, &connection.target().key).await;
    if let Err(error) = sent {
        tracing::warn!(%error, "could not cancel a worker's statement");
    }
}
