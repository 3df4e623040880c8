//! What the tasks of one statement answer: their rows, and everything beside them.

use std::collections::BTreeSet;

use bytes::Bytes;
use howdah_catalog::GroupId;
use howdah_pg::wire::backend::{self, ColumnDescription};

use crate::client::Client;
use crate::error::{Error, Result};
use crate::server::Message;

/// Takes the rows of all tasks.
pub(crate) trait Sink: Send {
    /// One row. What is put into the client's buffer is sent now and then.
    fn row(&mut self, row: &Bytes, client: &mut Client) -> Result<()>;

    /// Whether no further row is wanted, for now or for good.
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
    /// The workers whose portals have more rows.
    pub(crate) suspended: BTreeSet<GroupId>,
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

    pub(crate) fn has_failed(&self) -> bool {
        self.error.is_some()
    }

    /// Notes a command tag or a RowDescription.
    pub(crate) fn note(&mut self, message: &Message) {
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
            _ => {}
        }
    }

    /// Of several errors the first is told.
    pub(crate) fn fail(&mut self, error: Error) {
        self.error.get_or_insert(error);
    }
}

fn command(tag: &[u8]) -> String {
    let tag = String::from_utf8_lossy(tag);
    tag.split(' ').next().unwrap_or_default().trim_end_matches('\0').to_owned()
}
