//! Rows of a source that have to be read before anything is written.

use bytes::{BufMut, Bytes, BytesMut};
use howdah_catalog::GroupId;
use howdah_pg::wire::ErrorFields;

use super::Wanted;
use crate::error::{Error, Result};
use crate::executor::intermediate::{Encoding, IN_MEMORY, PORTION, Rows, Table};
use crate::session::Session;

/// Keeps rows in memory, or beyond [`IN_MEMORY`] on the coordinator.
pub(super) struct Spool {
    rows: Rows,
    table: Option<Table>,
    types: Vec<String>,
    /// Rows so far, if they are to come back in their order.
    numbers: Option<i64>,
}

impl Spool {
    pub(super) fn new(wanted: &Wanted) -> Self {
        let rows = Rows::new(wanted.encoding.clone());
        Self { rows, table: None, types: wanted.types.clone(), numbers: wanted.ordered.then_some(0) }
    }

    pub(super) async fn push(&mut self, session: &mut Session, row: &Bytes) -> Result<()> {
        match &mut self.numbers {
            None => self.rows.push(row),
            Some(number) => {
                *number += 1;
                self.rows.push_joined(row, &number_row(*number, self.rows.encoding()));
            }
        }
        let limit = if self.table.is_some() { PORTION } else { IN_MEMORY };
        if self.rows.size() < limit { Ok(()) } else { self.store(session).await }
    }

    async fn store(&mut self, session: &mut Session) -> Result<()> {
        let mut table = match self.table.take() {
            Some(table) => table,
            None => self.create(session).await?,
        };
        let result = table.push(session, &mut self.rows).await;
        self.table = Some(table);
        result
    }

    async fn create(&mut self, session: &mut Session) -> Result<Table> {
        let mut types = self.types.clone();
        if self.numbers.is_some() {
            types.push("pg_catalog.int8".to_owned());
        }
        let encoding = self.rows.encoding().clone();
        let table = Table::create(session, GroupId::COORDINATOR, &types, &encoding).await?;
        table.ok_or_else(read_only)
    }

    /// What is in memory, or the query that gives the rows back and the table that it reads.
    pub(super) async fn finish(mut self, session: &mut Session) -> Result<Spooled> {
        if self.table.is_some() && !self.rows.is_empty() {
            self.store(session).await?;
        }
        let Some(mut table) = self.table else {
            return Ok(Spooled::Rows(self.rows, self.types.len()));
        };
        table.finish(session).await?;
        let columns: Vec<String> = (0..self.types.len()).map(|it| format!("c{it}")).collect();
        let order = match self.numbers {
            Some(_) => format!(" ORDER BY c{}", self.types.len()),
            None => String::new(),
        };
        let query = format!("SELECT {} FROM {}{order}", columns.join(", "), table.relation());
        Ok(Spooled::Table(table, query))
    }
}

pub(super) enum Spooled {
    /// With so many columns that are wanted.
    Rows(Rows, usize),
    Table(Table, String),
}

/// A row of one column: its number.
fn number_row(number: i64, encoding: &Encoding) -> BytesMut {
    let value = match encoding {
        Encoding::Binary => number.to_be_bytes().to_vec(),
        Encoding::Text(_) => number.to_string().into_bytes(),
    };
    let mut row = BytesMut::with_capacity(value.len() + 6);
    row.put_u16(1);
    row.put_u32(u32::try_from(value.len()).expect("a number is short"));
    row.extend_from_slice(&value);
    row
}

/// What PostgreSQL says of an INSERT there.
pub(in crate::executor) fn read_only() -> Error {
    let message = "cannot execute INSERT in a read-only transaction";
    ErrorFields::error(howdah_pg::SqlState::READ_ONLY_SQL_TRANSACTION, message).into()
}
