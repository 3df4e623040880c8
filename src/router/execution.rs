//! One execution of a planned statement: the plan, and the values it is executed with.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use howdah_catalog::Catalog;
use howdah_pg::TypeOid;
use howdah_pg::wire::{Formats, backend, frontend};
use howdah_planner::Planned;
use howdah_sql::{Literal, Statement};

use crate::error::{Error, Result};
use crate::executor::Pace;

/// All that the executor needs to know of one execution.
#[derive(Clone, Copy)]
pub(crate) struct Execution<'a> {
    pub(crate) planned: &'a Planned,
    /// The catalog that it was planned with.
    pub(crate) catalog: &'a Arc<Catalog>,
    /// The statement as parsed when it was planned. Of the same shape as `text`, but its literals may be others.
    pub(crate) statement: &'a Arc<Statement>,
    /// The client's text of this execution.
    pub(crate) text: &'a [u8],
    /// The slots of the text's shape.
    pub(crate) literals: &'a [Literal],
    /// The client's parameters; `None` in the simple protocol, where the result begins with a RowDescription.
    pub(crate) bind: Option<&'a frontend::Bind<'a>>,
    /// How long tasks of this plan take.
    pub(crate) pace: &'a Pace,
    /// What the coordinator said of the statement.
    pub(crate) description: &'a Description,
    /// Whether the client's bytes are UTF-8.
    pub(crate) utf8: bool,
}

/// The coordinator's answer to Describe: what clients are told of a statement, wherever it runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Description {
    pub(crate) parameters: Vec<TypeOid>,
    /// `None` for a statement without rows.
    pub(crate) columns: Option<Columns>,
}

/// A RowDescription.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    /// The body as the coordinator sent it, all formats text.
    body: Bytes,
    /// Where in the body the format code of each column is.
    formats: Vec<usize>,
}

impl Execution<'_> {
    /// Writes the RowDescription, if one is due with the rows: only in the simple protocol.
    pub(crate) fn put_description(&self, to: &mut BytesMut) {
        if let (None, Some(columns)) = (self.bind, &self.description.columns) {
            columns.put(to, None);
        }
    }
}

impl Columns {
    /// Reads the body of a RowDescription.
    pub(crate) fn parse(body: &Bytes) -> Result<Self> {
        let Ok(backend::Message::RowDescription(columns)) = backend::parse(b'T', body) else {
            return Err(Error::Internal("a server's row description cannot be read".to_owned()));
        };
        let mut at = 2;
        let formats = columns.iter().map(|it| {
            at += it.name.len() + 1 + FIXED;
            at - 2
        });
        Ok(Self { body: body.clone(), formats: formats.collect() })
    }

    /// The type of each column.
    pub(crate) fn types(&self) -> impl Iterator<Item = TypeOid> {
        self.formats.iter().map(|format| {
            // In front of the format are the type, its size and its modifier.
            let at = format - 10;
            let bytes = self.body[at..at + 4].try_into().expect("four bytes were taken");
            TypeOid(u32::from_be_bytes(bytes))
        })
    }

    /// Appends the message, with the formats of a Bind.
    pub(crate) fn put(&self, to: &mut BytesMut, formats: Option<&Formats<'_>>) {
        to.put_u8(b'T');
        to.put_u32(u32::try_from(self.body.len() + 4).expect("a description is short"));
        let start = to.len();
        to.extend_from_slice(&self.body);
        let Some(formats) = formats.filter(|it| !it.all_text()) else { return };
        for (column, at) in self.formats.iter().enumerate() {
            let code = formats.of(column).code().to_be_bytes();
            to[start + at..start + at + 2].copy_from_slice(&code);
        }
    }
}

/// Bytes of a column in a RowDescription behind its name.
const FIXED: usize = 18;

impl Description {
    /// ParameterDescription, then RowDescription or NoData.
    pub(crate) fn put_for_statement(&self, to: &mut BytesMut) {
        backend::put_parameter_description(to, &self.parameters);
        self.put_columns(to, None);
    }

    pub(crate) fn put_columns(&self, to: &mut BytesMut, formats: Option<&Formats<'_>>) {
        match &self.columns {
            Some(columns) => columns.put(to, formats),
            None => backend::put_no_data(to),
        }
    }
}

#[cfg(test)]
mod tests {
    use howdah_pg::wire::Format;
    use howdah_pg::wire::backend::ColumnDescription;

    use super::*;

    #[test]
    fn formats_are_put_where_they_belong() {
        let column = |name: &str| ColumnDescription {
            name: name.as_bytes().into(),
            table_oid: 0,
            column: 0,
            type_oid: TypeOid(23),
            type_size: 4,
            typmod: -1,
            format: Format::Text,
        };
        let mut message = BytesMut::new();
        backend::put_row_description(&mut message, &[column("a"), column("long name")]);
        let types = Columns::parse(&Bytes::copy_from_slice(&message[5..])).unwrap();
        assert_eq!(types.types().collect::<Vec<_>>(), [TypeOid(23), TypeOid(23)]);
        let columns = Columns::parse(&message.clone().freeze().slice(5..)).unwrap();
        let mut same = BytesMut::new();
        columns.put(&mut same, None);
        assert_eq!(same, message);

        let mut bind = BytesMut::new();
        frontend::put_bind(&mut bind, b"", b"", &[], [], &[Format::Text, Format::Binary]);
        let frontend::Message::Bind(bind) = frontend::parse(b'B', &bind[5..]).unwrap() else { panic!() };
        let mut binary = BytesMut::new();
        columns.put(&mut binary, Some(&bind.result_formats));
        let Ok(backend::Message::RowDescription(described)) = backend::parse(b'T', &binary[5..]) else {
            panic!()
        };
        assert_eq!(described.iter().map(|it| it.format).collect::<Vec<_>>(), [Format::Text, Format::Binary]);
    }
}
