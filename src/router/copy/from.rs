//! COPY FROM STDIN.
//!
//! Rows are gathered per shard and sent in bursts: each is one COPY command on the one connection that
//! this transaction has to the shard's worker, all workers at the same time. At most [`UNDER_WAY`] bursts per
//! worker are not yet answered; then the client waits.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use futures::FutureExt;
use howdah_catalog::{Catalog, Column, DefaultClass, GroupId, Identity, Table};
use howdah_pg::SqlState;
use howdah_pg::wire::{ErrorFields, Field as ErrorField, Format as WireFormat, backend, frontend};
use howdah_sql::ast::CopyStmt;

use super::check::copied;
use super::format::{Format, Layout};
use super::options::{Options, columns_of};
use super::rows::{Field, RowError, Rows};
use super::shard_rows::{Burst, ShardRows};
use crate::error::{Error, Result};
use crate::executor::{KeyValue, hash, null_key, shard_of};
use crate::server::{Draws, error_fields};
use crate::session::Session;
use crate::settings::{literal, quote_identifier};

const UNDER_WAY: usize = 2;
/// Input is looked at in pieces of at least this size.
const PIECE: usize = 64 << 10;

pub(super) struct CopyFrom {
    pub(super) table: Arc<Table>,
    pub(super) options: Options,
    pub(super) columns: Vec<String>,
    /// WHERE, for the shards to check.
    pub(super) condition: Option<String>,
    /// Columns that the rows lack and only the coordinator can fill: name and expression.
    computed: Vec<(Column, String)>,
    /// Which of `columns`, or behind them of `computed`, is the distribution column.
    key: usize,
    shards: Vec<ShardRows>,
    pub(super) header_checked: bool,
    /// Without a distribution value, which WHERE may leave out.
    pub(super) unplaced: ShardRows,
    /// Per worker the bursts that it has not answered: shard and client's lines.
    under_way: BTreeMap<GroupId, VecDeque<Vec<u64>>>,
    copied: u64,
}

/// A row that was cut, not yet sent.
struct CutRow {
    range: std::ops::Range<usize>,
    line: u64,
    place: Place,
}

/// Where a row goes, as far as it can be told while rows are cut.
enum Place {
    Shard(usize),
    /// To be asked, or computed first: nothing that every row should pay for.
    Key(Option<Vec<u8>>),
}

pub(super) async fn run(session: &mut Session, statement: &CopyStmt, table: &Arc<Table>) -> Result<()> {
    if !session.utf8 {
        return Err(Error::not_supported(
            "COPY into a distributed table needs client_encoding UTF8",
            "SET client_encoding = 'UTF8' and send UTF-8.",
        ));
    }
    let mut copy = CopyFrom::of(statement, table, &session.catalog())?;
    session.transaction.open_statement();
    copy.check_options(session).await?;
    copy.invite(session).await?;
    let result = copy.read(session).await;
    match result {
        Ok(()) => copy.finish(session).await?,
        Err(error) => {
            // What the workers still answer concerns nobody, but it must be read.
            let _ = copy.wait_for_all(session).await;
            return Err(error);
        }
    }
    session.end_statement().await?;
    session.client.push_command_complete(&format!("COPY {}", copy.copied));
    Ok(())
}

impl CopyFrom {
    fn of(statement: &CopyStmt, table: &Arc<Table>, catalog: &Catalog) -> Result<Self> {
        let options = Options::of(statement)?;
        let columns = columns_of(statement, table)?;
        let distribution = table.distribution_column().ok_or_else(mismatch)?;
        let computed: Vec<(Column, String)> = table
            .columns
            .iter()
            .filter(|it| !it.generated && !columns.contains(&it.name))
            .filter_map(|it| Some((it.clone(), computed_default(table, it)?)))
            .collect();
        let names = columns.iter().chain(computed.iter().map(|it| &it.0.name));
        let key = names.into_iter().position(|it| *it == distribution.name);
        let Some(key) = key else { return Err(null_key(table, distribution)) };
        if options.format == Format::Binary && !computed.is_empty() {
            return Err(Error::not_supported(
                "binary COPY must have all columns whose default is computed by the coordinator",
                "Name these columns, or use text or CSV.",
            ));
        }
        let condition = statement.where_clause.as_ref();
        let condition = condition.map(|it| howdah_planner::copy_condition(it, table, catalog)).transpose();
        let condition = condition.map_err(|reason| Error::NotSupported {
            message: "cannot check the WHERE of this COPY on the workers".to_owned(),
            detail: Some(format!("Reason: {reason}.")),
            hint: Some("Copy into another table and use INSERT … SELECT.".to_owned()),
        })?;
        Ok(Self {
            table: table.clone(),
            options,
            columns,
            condition,
            computed,
            key,
            shards: std::iter::repeat_with(ShardRows::default).take(table.shards().len()).collect(),
            header_checked: false,
            unplaced: ShardRows::default(),
            under_way: BTreeMap::new(),
            copied: 0,
        })
    }

    fn layout(&self) -> Layout {
        let mut format = self.options.format.clone();
        if let (Format::Csv { distribution_null, .. }, Some(column)) =
            (&mut format, self.columns.get(self.key))
        {
            *distribution_null = self.options.csv_null(column);
        }
        Layout {
            format,
            header: self.options.header,
            keeps_header: self.options.matches_header,
            columns: self.columns.clone(),
            distribution: self.key.min(self.columns.len().saturating_sub(1)),
        }
    }

    async fn invite(&self, session: &mut Session) -> Result<()> {
        let format = match self.options.format {
            Format::Binary => WireFormat::Binary,
            Format::Text { .. } | Format::Csv { .. } => WireFormat::Text,
        };
        backend::put_copy_in_response(session.client.buffer(), format, &vec![format; self.columns.len()]);
        session.client.flush().await
    }

    /// Reads what the client sends, to its end.
    async fn read(&mut self, session: &mut Session) -> Result<()> {
        let mut rows = Rows::new(self.layout());
        let mut input = BytesMut::new();
        loop {
            session.client.take_copy_data(&mut input)?;
            if input.len() >= PIECE {
                self.take(session, &mut rows, &mut input, false).await?;
            }
            let frame = session.client.next_message().await?;
            match frame.tag {
                b'd' => input.extend_from_slice(&frame.body),
                b'c' => return self.take(session, &mut rows, &mut input, true).await,
                b'f' => {
                    let reason = String::from_utf8_lossy(&frame.body);
                    let message = format!("COPY from stdin failed: {}", reason.trim_end_matches('\0'));
                    let fields = ErrorFields::error(SqlState::QUERY_CANCELED, message);
                    return Err(self.at_line(fields.into(), rows.line()));
                }
                // Sync and Flush are ignored during COPY ("COPY Operations" in protocol-flow).
                b'S' | b'H' => {}
                other => {
                    let text = format!("unexpected message type 0x{other:02X} during COPY from stdin");
                    return Err(Error::ProtocolViolation(text));
                }
            }
        }
    }

    /// Cuts the input into rows and sends them on.
    async fn take(
        &mut self,
        session: &mut Session,
        rows: &mut Rows,
        input: &mut BytesMut,
        at_end: bool,
    ) -> Result<()> {
        let mut cut = Vec::new();
        let mut at = 0;
        loop {
            let (used, row) = match rows.next(&input[at..], at_end) {
                Ok(next) => next,
                Err(error) => return Err(self.at_line(malformed(&error), rows.line())),
            };
            let found = row.map(|row| {
                let start = row.bytes.as_ptr().addr() - input.as_ptr().addr();
                let place = self.place(row.distribution);
                CutRow { range: start..start + row.bytes.len(), line: row.line, place }
            });
            at += used;
            match found {
                Some(row) => cut.push(row),
                None => break,
            }
        }
        let header = rows.take_header();
        if header.is_some() || at_end && self.options.matches_header && !self.header_checked {
            self.check_header(session, &header.unwrap_or_default()).await?;
        }
        let computed = self.compute(session, cut.len()).await?;
        for (number, row) in cut.into_iter().enumerate() {
            let width = self.computed.len();
            let computed = &computed[number * width..][..width];
            let shard = match row.place {
                Place::Shard(shard) => Some(shard),
                Place::Key(key) => self.shard_of(session, key, row.line, computed).await?,
            };
            let rows = match shard {
                Some(shard) => &mut self.shards[shard],
                None => &mut self.unplaced,
            };
            rows.push(&self.options.format, &input[row.range], computed, row.line);
            if let Some(shard) = shard.filter(|it| self.shards[*it].is_full()) {
                self.send(session, shard).await?;
            }
        }
        input.advance(at);
        Ok(())
    }

    /// Values for the columns that the rows lack, row by row.
    async fn compute(&self, session: &mut Session, rows: usize) -> Result<Vec<Option<String>>> {
        if self.computed.is_empty() || rows == 0 {
            return Ok(vec![]);
        }
        let list: Vec<&str> = self.computed.iter().map(|it| it.1.as_str()).collect();
        let query = format!("SELECT {} FROM pg_catalog.generate_series(1, {rows})", list.join(", "));
        let coordinator = session.coordinator_for(Draws::Likely).await?;
        coordinator.queue_query(&query);
        coordinator.flush().await?;
        Ok(session.coordinator_rows().await?.into_iter().flatten().collect())
    }

    /// The shard of a row, if its own bytes and the router's hash functions tell.
    fn place(&self, value: Field<'_>) -> Place {
        let Field::Value(value) = value else { return Place::Key(None) };
        let is_given = self.key < self.columns.len();
        let column = self.table.distribution_column().filter(|_| is_given);
        let Some(column) = column else { return Place::Key(None) };
        let key = self.key_value(value, column);
        match hash(column, &key) {
            Some(hash) => Place::Shard(self.table.shard_index_for_hash(hash)),
            None => Place::Key(Some(key.value.into_owned())),
        }
    }

    /// The same with all that is known; `None` for a row that WHERE may leave out, having no key.
    async fn shard_of(
        &self,
        session: &mut Session,
        key: Option<Vec<u8>>,
        line: u64,
        computed: &[Option<String>],
    ) -> Result<Option<usize>> {
        let key = match self.key.checked_sub(self.columns.len()) {
            Some(index) => computed[index].clone().map(String::into_bytes),
            None => key,
        };
        let Some(key) = key else {
            return if self.condition.is_some() {
                Ok(None)
            } else {
                Err(self.at_line(self.null_key(), line))
            };
        };
        let column = self.table.distribution_column().ok_or_else(mismatch)?;
        let shard = shard_of(session, &self.table, &self.key_value(Cow::Owned(key), column)).await;
        shard.map(Some).map_err(|error| self.at_line(error, line))
    }

    fn key_value<'k>(&self, value: Cow<'k, [u8]>, column: &Column) -> KeyValue<'k> {
        let binary = self.options.format == Format::Binary && self.key < self.columns.len();
        let format = if binary { WireFormat::Binary } else { WireFormat::Text };
        KeyValue { value, format, type_oid: key_type(binary, column) }
    }

    /// Sends what has gathered for a shard, once its worker has answered enough of what it was sent before.
    async fn send(&mut self, session: &mut Session, shard: usize) -> Result<()> {
        let rows = &mut self.shards[shard];
        let Burst { data, lines } = rows.take(&self.options.format);
        let command = self.command_with(shard, &self.options.for_shard())?;
        let group = self.table.shards()[shard].group;
        while self.under_way.get(&group).is_some_and(|it| it.len() >= UNDER_WAY) {
            self.answer(session, group).await?;
        }
        let connection = session.participant(group).await?;
        connection.queue_query(&command);
        frontend::put_copy_data(connection.buffer(), &data);
        frontend::put_copy_done(connection.buffer());
        session.transaction.mark_writer(group);
        self.under_way.entry(group).or_default().push_back(lines);
        // What the worker does not take now goes out while its answers are waited for.
        for (_, connection) in session.transaction.connections() {
            if let Some(result) = connection.flush().now_or_never() {
                result?;
            }
        }
        Ok(())
    }

    pub(super) fn null_key(&self) -> Error {
        self.table.distribution_column().map_or_else(mismatch, |it| null_key(&self.table, it))
    }

    /// With all columns that a shard is sent.
    pub(super) fn command_with(&self, shard: usize, options: &str) -> Result<String> {
        let names = self.columns.iter().chain(self.computed.iter().map(|it| &it.0.name));
        self.command_of(shard, names, options)
    }

    pub(super) fn command_of<'a>(
        &self,
        shard: usize,
        columns: impl IntoIterator<Item = &'a String>,
        options: &str,
    ) -> Result<String> {
        let id = self.table.shards().get(shard).ok_or_else(mismatch)?.id;
        let names: Vec<String> = columns.into_iter().map(|it| quote_identifier(it)).collect();
        let condition = self.condition.iter().map(|it| format!(" WHERE {it}")).collect::<String>();
        Ok(format!(
            "COPY {}.{} ({}) FROM STDIN {options}{condition}",
            quote_identifier(&self.table.schema),
            quote_identifier(&self.table.shard_name(id)),
            names.join(", "),
        ))
    }

    /// Reads the answer to the oldest burst of a worker.
    async fn answer(&mut self, session: &mut Session, group: GroupId) -> Result<()> {
        let Some(lines) = self.under_way.get_mut(&group).and_then(VecDeque::pop_front) else {
            return Ok(());
        };
        let Some(connection) = session.transaction.opened(group) else { return Err(mismatch()) };
        connection.flush().await?;
        let mut error = None;
        loop {
            let message = connection.next_message().await?;
            match message.tag {
                b'E' if error.is_none() => error = Some(error_fields(&message.body)),
                b'C' => self.copied += copied(&message.body),
                b'Z' => break,
                _ => {}
            }
        }
        match error {
            Some(fields) => Err(self.in_client_terms(session, fields, &lines)),
            None => Ok(()),
        }
    }

    async fn wait_for_all(&mut self, session: &mut Session) -> Result<()> {
        let groups: Vec<GroupId> = self.under_way.keys().copied().collect();
        let mut result = Ok(());
        for group in groups {
            while self.under_way.get(&group).is_some_and(|it| !it.is_empty()) {
                let answered = self.answer(session, group).await;
                let lost = matches!(answered, Err(Error::ConnectionLost { .. }));
                result = result.and(answered);
                if lost {
                    break;
                }
            }
        }
        result
    }

    async fn finish(&mut self, session: &mut Session) -> Result<()> {
        for shard in 0..self.shards.len() {
            if self.shards[shard].is_empty() {
                continue;
            }
            if let Err(error) = self.send(session, shard).await {
                let _ = self.wait_for_all(session).await;
                return Err(error);
            }
        }
        self.wait_for_all(session).await?;
        self.check_unplaced(session).await
    }

    /// A worker's error with the table's name and the line of the client's input.
    pub(super) fn in_client_terms(&self, session: &Session, mut fields: ErrorFields, lines: &[u64]) -> Error {
        if let Some(context) = fields.get(ErrorField::Where).map(|it| with_line(&it, lines)) {
            fields.set(ErrorField::Where, context);
        }
        crate::executor::without_shards(fields.into(), &session.catalog())
    }

    /// An error found here, with the context that PostgreSQL gives.
    fn at_line(&self, error: Error, line: u64) -> Error {
        let Error::Postgres(mut fields) = error else { return error };
        if line > 0 {
            fields.set(ErrorField::Where, format!("COPY {}, line {line}", self.table.name));
        }
        Error::Postgres(fields)
    }
}

/// The type of a binary key is the column's; text is read by the column's input function.
fn key_type(binary: bool, column: &Column) -> howdah_pg::TypeOid {
    if binary { column.type_oid } else { howdah_pg::TypeOid(0) }
}

/// `COPY t, line 3, …` with the worker's line replaced by the client's.
fn with_line(context: &str, lines: &[u64]) -> String {
    let Some((before, rest)) = context.split_once(", line ") else { return context.to_owned() };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let line = rest[..digits].parse::<usize>().ok().and_then(|it| lines.get(it.checked_sub(1)?));
    match line {
        Some(line) => format!("{before}, line {line}{}", &rest[digits..]),
        None => context.to_owned(),
    }
}

fn malformed(error: &RowError) -> Error {
    ErrorFields::error(SqlState::BAD_COPY_FILE_FORMAT, error.to_string()).into()
}

/// The expression of a default that shards do not have: sequences, and whatever is not immutable.
fn computed_default(table: &Table, column: &Column) -> Option<String> {
    if column.identity != Identity::None {
        let name = format!("{}.{}", quote_identifier(&table.schema), quote_identifier(&table.name));
        return Some(format!(
            "pg_catalog.nextval(pg_catalog.pg_get_serial_sequence({}, {}))",
            literal(&name),
            literal(&column.name)
        ));
    }
    let default = column.default.as_ref()?;
    (default.class != DefaultClass::Immutable).then(|| format!("({})", default.expression))
}

pub(super) fn mismatch() -> Error {
    Error::Internal("COPY does not fit the catalog".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_clients() {
        let context = "COPY events_102008, line 2, column v: \"x\"";
        assert_eq!(with_line(context, &[4, 9]), "COPY events_102008, line 9, column v: \"x\"");
        assert_eq!(with_line("something else", &[1]), "something else");
    }
}
