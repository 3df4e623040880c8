//! The combine query: what the workers computed in parts is put together by the coordinator's PostgreSQL.
//!
//! The workers' rows travel as array parameters, one array per column, so that nothing is created in
//! the catalog and nothing has to be cleaned up. They are held in memory here until the last one has come;
//! [`MAX_BYTES`] bounds that.

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};
use howdah_catalog::GroupId;
use howdah_pg::TypeOid;
use howdah_pg::wire::backend::ColumnDescription;
use howdah_pg::wire::{Format, frontend};
use howdah_planner::{Combine, CombinePiece};

use super::gather::Sink;
use super::rows::values;
use super::task::{ColumnFormat, RowFormats};
use crate::client::Client;
use crate::error::{Error, Result};
use crate::execution::Execution;
use crate::server::error_fields;
use crate::session::Session;

/// Of intermediate rows of one statement.
pub(super) const MAX_BYTES: usize = 512 << 20;

/// Gathers rows as array literals, one per column.
pub(super) struct Collector {
    arrays: Vec<BytesMut>,
    /// Of the columns that do not come as text.
    formats: Vec<ColumnFormat>,
    rows: u64,
    bytes: usize,
}

impl Collector {
    pub(super) fn new(columns: usize) -> Self {
        Self { arrays: vec![BytesMut::from(&b"{"[..]); columns], formats: vec![], rows: 0, bytes: 0 }
    }

    pub(super) fn with_formats(mut self, formats: &RowFormats) -> Self {
        if let RowFormats::Columns(formats) = formats {
            self.formats.clone_from(formats);
        }
        self
    }

    /// A row as the workers sent it.
    fn push_row(&mut self, row: &[u8]) -> Result<()> {
        if self.formats.is_empty() {
            return self.push(values(row));
        }
        let texts: Vec<Option<Cow<'_, [u8]>>> = values(row)
            .zip(&self.formats)
            .map(|(value, format)| value.map(|it| as_text(it, *format)))
            .collect();
        self.push(texts.iter().map(Option::as_deref))
    }

    /// Appends the values of one row.
    pub(super) fn push<'v>(&mut self, row: impl Iterator<Item = Option<&'v [u8]>>) -> Result<()> {
        for (array, value) in self.arrays.iter_mut().zip(row) {
            if self.rows > 0 {
                array.put_u8(b',');
            }
            self.bytes += value.map_or(0, <[u8]>::len);
            put_element(array, value);
        }
        if self.bytes > MAX_BYTES {
            return Err(too_large());
        }
        self.rows += 1;
        Ok(())
    }
}

impl Collector {
    /// The finished literals.
    pub(super) fn arrays(mut self) -> Vec<Bytes> {
        self.arrays.iter_mut().for_each(|it| it.put_u8(b'}'));
        self.arrays.into_iter().map(BytesMut::freeze).collect()
    }
}

pub(super) fn too_large() -> Error {
    let megabytes = MAX_BYTES >> 20;
    Error::LimitExceeded(format!("the intermediate result of the statement is larger than {megabytes} MB"))
}

impl Sink for Collector {
    fn row(&mut self, _source: usize, row: &Bytes, _client: &mut Client) -> Result<()> {
        self.push_row(row)
    }
}

/// Rust writes a float with as many digits as tell it from all others, as PostgreSQL does by default.
fn as_text(value: &[u8], format: ColumnFormat) -> Cow<'_, [u8]> {
    let text = match format {
        ColumnFormat::Text => None,
        ColumnFormat::Float4 => value.try_into().ok().map(|it| format!("{:?}", f32::from_be_bytes(it))),
        ColumnFormat::Float8 => value.try_into().ok().map(|it| format!("{:?}", f64::from_be_bytes(it))),
    };
    text.map_or(Cow::Borrowed(value), |it| Cow::Owned(it.into_bytes()))
}

fn put_element(array: &mut BytesMut, value: Option<&[u8]>) {
    let Some(value) = value else { return array.put_slice(b"NULL") };
    // Numbers, dates and the like need no quotes; a word could be NULL.
    let plain = |it: &u8| it.is_ascii_digit() || matches!(it, b'-' | b'.' | b':' | b'+');
    if !value.is_empty() && value.iter().all(plain) {
        return array.put_slice(value);
    }
    array.put_u8(b'"');
    for byte in value {
        if matches!(byte, b'"' | b'\\') {
            array.put_u8(b'\\');
        }
        array.put_u8(*byte);
    }
    array.put_u8(b'"');
}

/// Runs the combine query over what was collected, and relays its rows to the client.
pub(super) async fn finish(
    session: &mut Session,
    execution: &Execution<'_>,
    combine: &Combine,
    collector: Collector,
    columns: Vec<ColumnDescription>,
    worker: GroupId,
) -> Result<()> {
    let types = type_names(session, &columns, worker).await?;
    let text = query(combine, &types, collector.rows)?;
    let client = client_parameters(execution, combine);
    let arrays = collector.arrays();
    let arrays = arrays.iter().map(|it| (TypeOid(0), Format::Text, Some(&it[..])));
    let parameters: Vec<_> = client.into_iter().chain(arrays).collect();
    let coordinator = session.participant(GroupId::COORDINATOR).await?;
    let types: Vec<TypeOid> = parameters.iter().map(|it| it.0).collect();
    let formats: Vec<Format> = parameters.iter().map(|it| it.1).collect();
    let row_formats: Vec<Format> = execution.bind.map_or(vec![], |it| it.result_formats.iter().collect());
    let buffer = coordinator.buffer();
    frontend::put_parse(buffer, b"", text.as_bytes(), &types);
    frontend::put_bind(buffer, b"", b"", &formats, parameters.iter().map(|it| it.2), &row_formats);
    frontend::put_execute(buffer, b"", 0);
    coordinator.queue_sync();
    coordinator.flush().await?;
    relay(session).await
}

async fn relay(session: &mut Session) -> Result<()> {
    let mut result = Ok(());
    while session.transaction.opened(GroupId::COORDINATOR).is_some_and(|it| it.is_busy()) {
        let message = session.next_coordinator_message().await?;
        match message.tag {
            b'D' | b'C' | b'N' if result.is_ok() => session.client.push(message.tag, &message.body),
            b'E' if result.is_ok() => result = Err(Error::from(error_fields(&message.body))),
            _ => {}
        }
        session.client.flush_if_full().await?;
    }
    result
}

/// The combine query with the relation that it reads in front.
fn query(combine: &Combine, types: &[String], rows: u64) -> Result<String> {
    let mut text = relation(combine, types, rows)?;
    for piece in &combine.query {
        match piece {
            CombinePiece::Text(fixed) => text.push_str(fixed),
            CombinePiece::TypeOf(column) => text.push_str(type_at(types, *column)?),
        }
    }
    Ok(text)
}

fn relation(combine: &Combine, types: &[String], rows: u64) -> Result<String> {
    if combine.columns == 0 {
        return Ok(format!(
            "WITH howdah_intermediate AS (SELECT FROM pg_catalog.generate_series(1, {rows})) "
        ));
    }
    let first = combine.parameters.len() + 1;
    let columns =
        (0..combine.columns).map(|column| Ok(column_source(column, type_at(types, column)?, first + column)));
    let columns: Vec<(String, String)> = columns.collect::<Result<_>>()?;
    let names: Vec<String> = (0..combine.columns).map(|it| format!("c{it}")).collect();
    let (values, arrays): (Vec<String>, Vec<String>) = columns.into_iter().unzip();
    Ok(format!(
        "WITH howdah_intermediate({names}) AS (SELECT {values} FROM ROWS FROM ({arrays}) AS u({names})) ",
        names = names.join(", "),
        values = values.join(", "),
        arrays = arrays.join(", "),
    ))
}

/// A column of type `name` from an array parameter: the expression, and what it is taken from.
pub(super) fn column_source(column: usize, name: &str, parameter: usize) -> (String, String) {
    // An array of arrays is one array with more dimensions: such values travel as text.
    match name.ends_with("[]") {
        true => {
            (format!("u.c{column}::{name}"), format!("pg_catalog.unnest(${parameter}::pg_catalog.text[])"))
        }
        false => (format!("u.c{column}"), format!("pg_catalog.unnest(${parameter}::{name}[])")),
    }
}

fn type_at(types: &[String], column: usize) -> Result<&str> {
    let name = types.get(column).map(String::as_str);
    name.ok_or_else(|| Error::Internal("the workers' rows have fewer columns than the plan".to_owned()))
}

/// Those of the client's parameters that the query uses, in its own order.
fn client_parameters<'a>(
    execution: &Execution<'a>,
    combine: &Combine,
) -> Vec<(TypeOid, Format, Option<&'a [u8]>)> {
    let Some(bind) = execution.bind else { return vec![] };
    let parameter = |number: &usize| {
        let index = number - 1;
        let type_oid = execution.description.parameters.get(index).copied().unwrap_or(TypeOid(0));
        let value = bind.parameters.get(index).flatten();
        (type_oid, bind.parameter_formats.of(index), value)
    };
    combine.parameters.iter().map(parameter).collect()
}

/// The names of the types of a worker's columns, which the coordinator may know by other OIDs.
async fn type_names(
    session: &mut Session,
    columns: &[ColumnDescription],
    worker: GroupId,
) -> Result<Vec<String>> {
    let unknown: Vec<String> = columns
        .iter()
        .filter(|it| builtin_name(it.type_oid).is_none())
        .map(|it| it.type_oid.0.to_string())
        .collect();
    let mut asked = Vec::new();
    if !unknown.is_empty() {
        let query = format!(
            "SELECT pg_catalog.format_type(o::pg_catalog.oid, NULL) \
             FROM pg_catalog.unnest('{{{}}}'::pg_catalog.int8[]) WITH ORDINALITY AS u(o, n) ORDER BY n",
            unknown.join(",")
        );
        let rows = session.participant(worker).await?.rows(&query).await?;
        asked = rows.into_iter().filter_map(|it| it.into_iter().next().flatten()).collect();
    }
    let mut asked = asked.into_iter();
    let name = |column: &ColumnDescription| match builtin_name(column.type_oid) {
        Some(name) => Ok(name.to_owned()),
        None => asked.next().ok_or_else(|| Error::Internal("a type of a worker has no name".to_owned())),
    };
    columns.iter().map(name).collect()
}

/// Types that need no question; those whose bare SQL name means a length of one are among them.
pub(super) fn builtin_name(type_oid: TypeOid) -> Option<&'static str> {
    Some(match type_oid.0 {
        16 => "pg_catalog.bool",
        17 => "pg_catalog.bytea",
        20 => "pg_catalog.int8",
        21 => "pg_catalog.int2",
        23 => "pg_catalog.int4",
        25 | 705 => "pg_catalog.text",
        26 => "pg_catalog.oid",
        114 => "pg_catalog.json",
        700 => "pg_catalog.float4",
        701 => "pg_catalog.float8",
        1014 => "pg_catalog.bpchar[]",
        1042 => "pg_catalog.bpchar",
        1043 => "pg_catalog.varchar",
        1082 => "pg_catalog.date",
        1083 => "pg_catalog.time",
        1114 => "pg_catalog.timestamp",
        1184 => "pg_catalog.timestamptz",
        1186 => "pg_catalog.interval",
        1266 => "pg_catalog.timetz",
        1560 => "pg_catalog.bit",
        1561 => "pg_catalog.bit[]",
        1562 => "pg_catalog.varbit",
        1700 => "pg_catalog.numeric",
        2950 => "pg_catalog.uuid",
        3802 => "pg_catalog.jsonb",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_quoted_where_they_must() {
        let mut array = BytesMut::new();
        for value in [Some(&b"-1.5"[..]), None, Some(b""), Some(b"null"), Some(b"a\"b\\c"), Some(b"{1}")] {
            put_element(&mut array, value);
            array.put_u8(b',');
        }
        assert_eq!(&array[..], br#"-1.5,NULL,"","null","a\"b\\c","{1}","#);
    }

    #[test]
    fn arrays_travel_as_text() {
        let combine = Combine {
            query: vec![
                CombinePiece::Text("SELECT sum(c0)::".to_owned()),
                CombinePiece::TypeOf(0),
                CombinePiece::Text(" FROM howdah_intermediate".to_owned()),
            ],
            parameters: vec![2],
            columns: 2,
        };
        let types = ["bigint".to_owned(), "integer[]".to_owned()];
        assert_eq!(
            query(&combine, &types, 3).unwrap(),
            "WITH howdah_intermediate(c0, c1) AS (SELECT u.c0, u.c1::integer[] FROM ROWS FROM \
             (pg_catalog.unnest($2::bigint[]), pg_catalog.unnest($3::pg_catalog.text[])) AS u(c0, c1)) \
             SELECT sum(c0)::bigint FROM howdah_intermediate"
        );
    }
}
