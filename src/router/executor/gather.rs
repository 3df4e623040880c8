//! Reads the answers of several workers at once.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;
use howdah_pg::wire::backend::{self, ColumnDescription};

use crate::client::Client;
use crate::error::{Error, Result};
use crate::server::{Message, ServerConnection, error_fields};

/// Takes the rows of all tasks.
pub(crate) trait Sink: Send {
    /// One row of the connection at `source`. What is put into the client's buffer is sent now and then.
    fn row(&mut self, source: usize, row: &Bytes, client: &mut Client) -> Result<()>;

    /// Whether it wants to be emptied before it takes more.
    fn is_full(&self) -> bool {
        false
    }
}

/// What the tasks said beside their rows.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    /// The sum of the counts in the command tags.
    pub(crate) affected: u64,
    /// The words of a command tag, before its count.
    pub(crate) command: Option<String>,
    /// The first RowDescription.
    pub(crate) columns: Option<Vec<ColumnDescription>>,
    error: Option<Error>,
}

impl Summary {
    /// The first error, or what was gathered.
    pub(crate) fn finish(self) -> Result<Self> {
        match self.error {
            Some(error) => Err(error),
            None => Ok(self),
        }
    }

    pub(crate) fn tag(&self) -> String {
        let command = self.command.as_deref().unwrap_or("SELECT");
        if command == "INSERT" {
            format!("INSERT 0 {}", self.affected)
        } else {
            format!("{command} {}", self.affected)
        }
    }

    /// Notes everything but rows.
    pub(crate) fn note(&mut self, message: &Message, client: &mut Client) {
        match message.tag {
            b'C' => {
                let tag = message.body.strip_suffix(b"\0").unwrap_or(&message.body);
                self.affected += backend::affected_rows(tag).unwrap_or(0);
                self.command.get_or_insert_with(|| command(&message.body));
            }
            b'T' if self.columns.is_none() => {
                if let Ok(backend::Message::RowDescription(columns)) = backend::parse(b'T', &message.body) {
                    self.columns = Some(columns);
                }
            }
            b'E' => self.fail(error_fields(&message.body).into()),
            b'N' => client.push(b'N', &message.body),
            _ => {}
        }
    }

    pub(crate) fn fail(&mut self, error: Error) {
        self.error.get_or_insert(error);
    }
}

fn command(tag: &[u8]) -> String {
    let tag = String::from_utf8_lossy(tag);
    tag.split(' ').next().unwrap_or_default().trim_end_matches('\0').to_owned()
}

/// Reads until no connection has anything under way. Rows after the first error are dropped.
pub(crate) async fn gather(
    connections: &mut [&mut ServerConnection],
    client: &mut Client,
    sink: &mut dyn Sink,
) -> Result<Summary> {
    let mut summary = Summary::default();
    while !gather_some(connections, client, sink, &mut summary).await? {}
    Ok(summary)
}

/// Reads until the sink is full; true if nothing is left to be read.
pub(crate) async fn gather_some(
    connections: &mut [&mut ServerConnection],
    client: &mut Client,
    sink: &mut dyn Sink,
    summary: &mut Summary,
) -> Result<bool> {
    while connections.iter().any(|it| it.is_busy()) {
        if sink.is_full() && summary.error.is_none() {
            return Ok(false);
        }
        let (source, message) = next_of_any(connections).await;
        match message {
            // A row, or a piece of COPY output.
            Ok(message) if matches!(message.tag, b'D' | b'd') => {
                if summary.error.is_none() {
                    sink.row(source, &message.body, client).unwrap_or_else(|error| summary.fail(error));
                    client.flush_if_full().await?;
                }
            }
            Ok(message) => summary.note(&message, client),
            Err(error) => summary.fail(error),
        }
        if connections[source].is_broken() {
            // Nothing more will come of it; the pool does not get it back.
            connections[source].give_up();
        }
    }
    Ok(true)
}

/// The next message of any busy connection.
async fn next_of_any(connections: &mut [&mut ServerConnection]) -> (usize, Result<Message>) {
    std::future::poll_fn(|cx| {
        for (index, connection) in connections.iter_mut().enumerate().filter(|it| it.1.is_busy()) {
            if let Poll::Ready(message) = pin!(connection.next_message()).poll(cx) {
                return Poll::Ready((index, message));
            }
        }
        Poll::Pending
    })
    .await
}
