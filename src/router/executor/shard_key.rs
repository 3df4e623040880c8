//! From the value of a distribution column to its shard.

use std::borrow::Cow;

use howdah_catalog::{Column, GroupId, Table};
use howdah_pg::hash::{hash_binary_value, hash_column_text, hash_text_value};
use howdah_pg::wire::frontend::{self};
use howdah_pg::wire::{ErrorFields, Field, Format};
use howdah_pg::{SqlState, TypeOid};
use howdah_planner::{KeySource, ShardKey};

use crate::error::{Error, Result};
use crate::execution::Execution;
use crate::session::Session;

/// A value that will be stored in the distribution column.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct KeyValue<'a> {
    pub(crate) value: Cow<'a, [u8]>,
    pub(crate) format: Format,
    /// As what it is sent; zero if it is a bare literal.
    pub(crate) type_oid: TypeOid,
}

/// The value of a key in one execution; `None` is NULL.
pub(super) fn value_of<'a>(
    key: &ShardKey,
    execution: &Execution<'a>,
    computed: &[Option<String>],
) -> Result<Option<KeyValue<'a>>> {
    let text = |text: String| KeyValue {
        value: Cow::Owned(text.into_bytes()),
        format: Format::Text,
        type_oid: TypeOid(0),
    };
    match &key.source {
        KeySource::Parameter(number) => Ok(parameter(execution, number - 1)),
        KeySource::Literal { slot, negated } => {
            let literal = execution.literals.get(*slot).ok_or_else(mismatch)?.value(execution.text);
            let sign = if *negated { "-" } else { "" };
            Ok(Some(text(format!("{sign}{}", String::from_utf8_lossy(&literal)))))
        }
        KeySource::Constant(constant) => Ok(Some(text(constant.clone()))),
        KeySource::Value(number) => Ok(computed.get(*number).ok_or_else(mismatch)?.clone().map(text)),
    }
}

fn parameter<'a>(execution: &Execution<'a>, index: usize) -> Option<KeyValue<'a>> {
    let bind = execution.bind?;
    let value = bind.parameters.get(index)??;
    let type_oid = execution.description.parameters.get(index).copied().unwrap_or(TypeOid(0));
    Some(KeyValue { value: Cow::Borrowed(value), format: bind.parameter_formats.of(index), type_oid })
}

/// The hash of a value as the column would store it; `None` if only PostgreSQL knows.
pub(crate) fn hash(column: &Column, key: &KeyValue<'_>) -> Option<i32> {
    if key.format == Format::Binary {
        let sent = if key.type_oid == TypeOid(0) { column.type_oid } else { key.type_oid };
        let is_text = matches!(sent, TypeOid::TEXT | TypeOid::VARCHAR | TypeOid::BPCHAR);
        return match column.typmod < 0 {
            true => hash_binary_value(sent, &key.value),
            false if is_text => {
                hash_column_text(column.type_oid, column.typmod, str::from_utf8(&key.value).ok()?)
            }
            false => None,
        };
    }
    let text = str::from_utf8(&key.value).ok()?;
    match key.type_oid {
        // A wider integer than the column's hashes alike, and the shard says what is wrong with it.
        TypeOid::INT2 | TypeOid::INT4 | TypeOid::INT8 => hash_text_value(key.type_oid, text),
        _ => hash_column_text(column.type_oid, column.typmod, text),
    }
}

/// The index of the shard that a value belongs to. Asks PostgreSQL where the router cannot hash it.
pub(crate) async fn shard_of(session: &mut Session, table: &Table, key: &KeyValue<'_>) -> Result<usize> {
    let column = table.distribution_column().ok_or_else(mismatch)?;
    match hash(column, key) {
        Some(hash) => Ok(table.shard_index_for_hash(hash)),
        None => ask_shard(session, table, key).await,
    }
}

/// The same by PostgreSQL's own hash function.
pub(super) async fn ask_shard(session: &mut Session, table: &Table, key: &KeyValue<'_>) -> Result<usize> {
    let column = table.distribution_column().ok_or_else(mismatch)?;
    let text = format!(
        "SELECT pg_catalog.get_shard_id_for_distribution_column({}::pg_catalog.oid::pg_catalog.regclass, $1::{})",
        table.oid.0, column.type_name
    );
    let coordinator = session.participant(GroupId::COORDINATOR).await?;
    let buffer = coordinator.buffer();
    frontend::put_parse(buffer, b"", text.as_bytes(), &[key.type_oid]);
    frontend::put_bind(buffer, b"", b"", &[key.format], [Some(&key.value[..])], &[]);
    frontend::put_execute(buffer, b"", 0);
    coordinator.queue_sync();
    coordinator.flush().await?;
    let rows = session.coordinator_rows().await?;
    let id: Option<i64> = rows.into_iter().flatten().flatten().next().and_then(|it| it.parse().ok());
    table.shards().iter().position(|it| Some(it.id.0) == id).ok_or_else(mismatch)
}

/// A NULL cannot be placed on any shard.
pub(crate) fn null_key(table: &Table, column: &Column) -> Error {
    let message = format!(
        "null value in column \"{}\" of relation \"{}\" violates not-null constraint",
        column.name, table.name
    );
    ErrorFields::error(SqlState::NOT_NULL_VIOLATION, message)
        .with(Field::Detail, "A row without a value of the distribution column has no shard.")
        .with(Field::Schema, &*table.schema)
        .with(Field::Table, &*table.name)
        .with(Field::Column, &*column.name)
        .into()
}

fn mismatch() -> Error {
    Error::Internal("the key does not fit the statement or the table".to_owned())
}
