//! What only a server can say of a COPY: one shard is asked, by a COPY of its own.

use howdah_pg::wire::{Field as ErrorField, backend, frontend};

use super::from::{CopyFrom, mismatch};
use crate::error::{Error, Result};
use crate::server::error_fields;
use crate::session::Session;

impl CopyFrom {
    /// Options that the router has no opinion of, and WHERE: an empty COPY has all errors that they can have.
    pub(super) async fn check_options(&self, session: &mut Session) -> Result<()> {
        if self.condition.is_none() && !self.options.wants_check() {
            return Ok(());
        }
        let command = self.command_with(0, &self.options.as_written())?;
        let result = self.ask(session, &command, &[]).await;
        result.map(drop).map_err(without_position)?;
        self.options.check_supported()
    }

    /// HEADER MATCH: PostgreSQL compares the line with the columns.
    pub(super) async fn check_header(&mut self, session: &mut Session, header: &[u8]) -> Result<()> {
        self.header_checked = true;
        let mut line = header.to_vec();
        line.push(b'\n');
        let command = self.command_of(0, &self.columns, &self.options.for_header())?;
        self.ask(session, &command, &line).await.map(drop)
    }

    /// Rows without a distribution value belong to no shard. WHERE may leave them out; whether it does, any shard can tell.
    pub(super) async fn check_unplaced(&mut self, session: &mut Session) -> Result<()> {
        if self.unplaced.is_empty() {
            return Ok(());
        }
        let rows = self.unplaced.take(&self.options.format);
        let command = self.command_with(0, &self.options.for_shard())?;
        match self.ask(session, &command, &rows.data).await? {
            0 => Ok(()),
            _ => Err(self.null_key()),
        }
    }

    /// Runs one COPY on the worker of the first shard, with nothing else under way there. Returns the count of rows.
    async fn ask(&self, session: &mut Session, command: &str, data: &[u8]) -> Result<u64> {
        let group = self.table.shards().first().ok_or_else(mismatch)?.group;
        let connection = session.participant(group).await?;
        connection.queue_query(command);
        if !data.is_empty() {
            frontend::put_copy_data(connection.buffer(), data);
        }
        frontend::put_copy_done(connection.buffer());
        // It may have stored a row, which the error that follows must undo.
        session.transaction.mark_writer(group);
        let Some(connection) = session.transaction.opened(group) else { return Err(mismatch()) };
        connection.flush().await?;
        let mut count = 0;
        let mut error = None;
        while connection.is_busy() {
            let message = connection.next_message().await?;
            match message.tag {
                b'E' if error.is_none() => error = Some(error_fields(&message.body)),
                b'C' => count = copied(&message.body),
                _ => {}
            }
        }
        match error {
            Some(fields) => Err(self.in_client_terms(session, fields, &[1])),
            None => Ok(count),
        }
    }
}

/// `COPY 7`, the tag of a CommandComplete.
pub(super) fn copied(tag: &[u8]) -> u64 {
    backend::affected_rows(tag.strip_suffix(b"\0").unwrap_or(tag)).unwrap_or(0)
}

/// Of the router's own command, not of the client's.
fn without_position(error: Error) -> Error {
    let Error::Postgres(mut fields) = error else { return error };
    fields.remove(ErrorField::Position);
    fields.remove(ErrorField::Where);
    Error::Postgres(fields)
}
