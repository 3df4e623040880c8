//! COPY TO STDOUT: the shards' own COPY TO, on all workers at the same time.

use bytes::{BufMut, Bytes, BytesMut};
use howdah_catalog::{ShardInterval, Table};
use howdah_pg::SqlState;
use howdah_pg::wire::{ErrorFields, Format as WireFormat, backend};
use howdah_sql::ast::CopyStmt;

use super::format::Format;
use super::options::{Options, columns_of};
use crate::client::Client;
use crate::error::Result;
use crate::executor::{Access, Form, Lanes, Sink, Task};
use crate::session::Session;
use crate::settings::quote_identifier;

/// Signature, flags and extension length of a binary COPY.
const BINARY_HEADER: usize = 19;

pub(super) async fn run(session: &mut Session, statement: &CopyStmt, table: &Table) -> Result<()> {
    let options = Options::of(statement)?;
    options.check_supported()?;
    if options.matches_header {
        let message = "cannot use \"match\" with HEADER in COPY TO";
        return Err(ErrorFields::error(SqlState::FEATURE_NOT_SUPPORTED, message).into());
    }
    let columns = columns_of(statement, table)?;
    let names: Vec<String> = columns.iter().map(|it| quote_identifier(it)).collect();
    let task = |shard: &ShardInterval| {
        let schema = quote_identifier(&table.schema);
        let name = quote_identifier(&table.shard_name(shard.id));
        Task::new(shard.group, format!("SELECT {} FROM {schema}.{name}", names.join(", ")))
    };
    let tasks = table.shards().iter().map(task).collect();
    let form = Form::Copy { options: options.for_shard(), catalog: session.catalog() };
    let mut lanes = Lanes::start(session, form, tasks, Access::Read).await?;
    begin_output(session, &options, &columns);
    lanes.read(session, &mut Output { format: options.format.clone() }).await?;
    let summary = lanes.finish(session).await?;
    if options.format == Format::Binary {
        backend::put_copy_data(session.client.buffer(), &(-1i16).to_be_bytes());
    }
    backend::put_copy_done(session.client.buffer());
    session.client.push_command_complete(&format!("COPY {}", summary.affected));
    Ok(())
}

fn begin_output(session: &mut Session, options: &Options, columns: &[String]) {
    let format = match options.format {
        Format::Binary => WireFormat::Binary,
        Format::Text { .. } | Format::Csv { .. } => WireFormat::Text,
    };
    let buffer = session.client.buffer();
    backend::put_copy_out_response(buffer, format, &vec![format; columns.len()]);
    match &options.format {
        Format::Binary => {
            backend::put_copy_data(buffer, b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0");
        }
        Format::Text { delimiter, .. } | Format::Csv { delimiter, .. } if options.header => {
            backend::put_copy_data(buffer, &header_line(&options.format, *delimiter, columns));
        }
        Format::Text { .. } | Format::Csv { .. } => {}
    }
}

/// The names as a row of the format.
fn header_line(format: &Format, delimiter: u8, columns: &[String]) -> Vec<u8> {
    let mut line = BytesMut::new();
    for (number, name) in columns.iter().enumerate() {
        if number > 0 {
            line.put_u8(delimiter);
        }
        match format {
            Format::Csv { quote, escape, .. } => {
                put_csv(&mut line, name.as_bytes(), delimiter, *quote, *escape)
            }
            Format::Text { .. } | Format::Binary => put_text(&mut line, name.as_bytes(), delimiter),
        }
    }
    line.put_u8(b'\n');
    line.to_vec()
}

fn put_text(line: &mut BytesMut, name: &[u8], delimiter: u8) {
    for &byte in name {
        if byte == b'\\' || byte == delimiter {
            line.put_u8(b'\\');
        }
        line.put_u8(byte);
    }
}

fn put_csv(line: &mut BytesMut, name: &[u8], delimiter: u8, quote: u8, escape: u8) {
    let plain = !name.iter().any(|it| [delimiter, quote, b'\n', b'\r'].contains(it));
    if plain {
        return line.extend_from_slice(name);
    }
    line.put_u8(quote);
    for &byte in name {
        if byte == quote || byte == escape {
            line.put_u8(escape);
        }
        line.put_u8(byte);
    }
    line.put_u8(quote);
}

/// Passes CopyData on; a binary shard's own header and trailer are left out.
struct Output {
    format: Format,
}

impl Sink for Output {
    fn row(&mut self, data: &Bytes, client: &mut Client) -> Result<()> {
        if self.format != Format::Binary {
            backend::put_copy_data(client.buffer(), data);
            return Ok(());
        }
        // The server sends the header together with the first row, and the trailer by itself.
        let rows = if data.starts_with(b"PGCOPY\n\xff\r\n\0") { &data[BINARY_HEADER..] } else { &data[..] };
        if !rows.is_empty() && rows != (-1i16).to_be_bytes() {
            backend::put_copy_data(client.buffer(), rows);
        }
        Ok(())
    }
}
