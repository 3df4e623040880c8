//! Merging the sorted rows of several workers.
//!
//! PostgreSQL trusts the order that it asked for (merge joins and MergeAppend build on it), so rows are merged here only by
//! types whose order is known exactly. Any other key is compared by PostgreSQL itself: a worker ranks the rows that wait
//! to be merged ([`SortOrder::Ranked`]).

use std::cmp::Ordering;

use bytes::Bytes;
use howdah_catalog::{Column, Database, Table};
use howdah_pg::TypeOid;
use howdah_pg::wire::backend;
use howdah_sql::quote_identifier;

use super::select::OrderKey;
use crate::error::{Error, Result};

#[derive(Clone, Debug)]
pub(crate) enum SortOrder {
    Exact(Vec<ExactKey>),
    Ranked(Vec<RankedKey>),
}

/// A key that is compared here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExactKey {
    kind: Kind,
    descending: bool,
    nulls_first: bool,
}

/// How the values of a key come, and compare.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// As decimal digits.
    Integer,
    /// As `t` or `f`.
    Boolean,
    /// As text whose bytes are ordered as the values are.
    Bytes,
    /// As the hexadecimal digits of the type's binary form, which is one big-endian signed integer.
    Binary(&'static str),
}

/// A key that a worker compares.
#[derive(Clone, Debug)]
pub(crate) struct RankedKey {
    /// As SQL; `None` for the default of the type.
    pub(crate) collation: Option<String>,
    /// `ASC NULLS LAST`, `USING …`
    pub(crate) direction: String,
    /// Set once a worker has told it.
    pub(crate) type_name: Option<String>,
}

/// The value of an exact key.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum KeyValue {
    Integer(i64),
    Bytes(Bytes),
}

impl SortOrder {
    pub(crate) fn new(order: &[OrderKey], table: &Table, database: &Database) -> Result<Self> {
        let exact: Option<Vec<ExactKey>> = order.iter().map(|it| exact_key(it, table, database)).collect();
        if let Some(keys) = exact {
            return Ok(Self::Exact(keys));
        }
        let ranked = order.iter().map(|it| {
            Ok(RankedKey {
                collation: ranked_collation(it, table)?,
                direction: it.direction.clone(),
                type_name: None,
            })
        });
        Ok(Self::Ranked(ranked.collect::<Result<_>>()?))
    }

    /// How many hidden columns it needs.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Exact(keys) => keys.len(),
            Self::Ranked(keys) => keys.len(),
        }
    }

    /// The hidden columns of a worker query, one for each key.
    pub(crate) fn hidden_columns(&self, expressions: impl Iterator<Item = String>) -> Vec<String> {
        let column = |(index, expression): (usize, String)| {
            let expression = match self {
                Self::Exact(keys) => keys[index].kind.column(&expression),
                Self::Ranked(_) => expression,
            };
            format!("{} AS howdah_key_{index}", expression.trim())
        };
        expressions.enumerate().map(column).collect()
    }

    /// Whether row `a` comes before row `b`, both with their hidden columns.
    pub(crate) fn compare(keys: &[ExactKey], a: &Bytes, b: &Bytes) -> Result<Ordering> {
        let (a, b) = (exact_values(keys, a)?, exact_values(keys, b)?);
        for (key, (a, b)) in keys.iter().zip(a.iter().zip(&b)) {
            let ordering = key.compare(a.as_ref(), b.as_ref());
            if ordering != Ordering::Equal {
                return Ok(ordering);
            }
        }
        Ok(Ordering::Equal)
    }
}

impl ExactKey {
    fn compare(self, a: Option<&KeyValue>, b: Option<&KeyValue>) -> Ordering {
        match (a, b) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) if self.nulls_first => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) if self.nulls_first => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(a), Some(b)) if self.descending => b.cmp(a),
            (Some(a), Some(b)) => a.cmp(b),
        }
    }
}

impl Kind {
    fn of(column: &Column, database: &Database) -> Option<Self> {
        match column.type_oid {
            TypeOid::INT2 | TypeOid::INT4 | TypeOid::INT8 | TypeOid::OID => Some(Self::Integer),
            TypeOid::BOOL => Some(Self::Boolean),
            TypeOid::UUID => Some(Self::Bytes),
            TypeOid::DATE => Some(Self::Binary("date_send")),
            TypeOid::TIMESTAMP => Some(Self::Binary("timestamp_send")),
            TypeOid::TIMESTAMPTZ => Some(Self::Binary("timestamptz_send")),
            TypeOid::TEXT | TypeOid::VARCHAR if is_bytewise(column, database) => Some(Self::Bytes),
            _ => None,
        }
    }

    fn column(self, expression: &str) -> String {
        match self {
            Self::Integer | Self::Boolean | Self::Bytes => expression.to_owned(),
            Self::Binary(send) => format!("pg_catalog.encode(pg_catalog.{send}({expression}), 'hex')"),
        }
    }

    fn value(self, text: &[u8]) -> Option<KeyValue> {
        let digits = || std::str::from_utf8(text).ok();
        match self {
            Self::Integer => digits()?.parse().ok().map(KeyValue::Integer),
            Self::Boolean => Some(KeyValue::Integer(i64::from(text == b"t"))),
            Self::Bytes => Some(KeyValue::Bytes(Bytes::copy_from_slice(text))),
            Self::Binary(_) if text.len() == 8 => {
                let value = u32::from_str_radix(digits()?, 16).ok()?.cast_signed();
                Some(KeyValue::Integer(i64::from(value)))
            }
            Self::Binary(_) => {
                Some(KeyValue::Integer(u64::from_str_radix(digits()?, 16).ok()?.cast_signed()))
            }
        }
    }
}

fn exact_key(key: &OrderKey, table: &Table, database: &Database) -> Option<ExactKey> {
    let column = table.column_named(key.column.as_deref()?)?;
    let kind = Kind::of(column, database)?;
    let (descending, nulls_first) = match key.direction.as_str() {
        "ASC NULLS LAST" => (false, false),
        "ASC NULLS FIRST" => (false, true),
        "DESC NULLS LAST" => (true, false),
        "DESC NULLS FIRST" => (true, true),
        _ => return None,
    };
    Some(ExactKey { kind, descending, nulls_first })
}

/// Whether the collation orders strings as bytes. In UTF-8 that is the order of code points, which `C.UTF-8` has too.
fn is_bytewise(column: &Column, database: &Database) -> bool {
    let Some(collation) = &column.collation else { return false };
    let name = match (collation.schema.as_str(), collation.name.as_str()) {
        ("pg_catalog", "default") => database.default_collation.as_str(),
        ("pg_catalog", name) => name,
        _ => return false,
    };
    let utf8 = database.encoding == "UTF8";
    matches!(name, "C" | "POSIX" | "ucs_basic")
        || (utf8 && matches!(name, "C.UTF-8" | "C.utf8" | "pg_c_utf8"))
}

/// The collation that the worker must rank by: the expression's own is not part of the value.
fn ranked_collation(key: &OrderKey, table: &Table) -> Result<Option<String>> {
    if key.collation.is_some() {
        return Ok(key.collation.clone());
    }
    let sql = |it: &Column| {
        let collation = it
            .collation
            .as_ref()
            .filter(|it| (it.schema.as_str(), it.name.as_str()) != ("pg_catalog", "default"));
        collation.map(|it| format!("{}.{}", quote_identifier(&it.schema), quote_identifier(&it.name)))
    };
    if let Some(column) = key.column.as_deref().and_then(|it| table.column_named(it)) {
        return Ok(sql(column));
    }
    let mut collations: Vec<_> = table.columns.iter().filter(|it| it.collation.is_some()).map(sql).collect();
    collations.dedup();
    match collations.as_slice() {
        [] | [None] => Ok(None),
        _ => Err(Error::not_supported(
            "cannot merge rows of several nodes by an expression over columns of different collations",
            "Sort by a column, or name the collation with COLLATE.",
        )),
    }
}

fn exact_values(keys: &[ExactKey], row: &Bytes) -> Result<Vec<Option<KeyValue>>> {
    let malformed = || Error::Internal("a worker sent a sort key that cannot be read".to_owned());
    let backend::Message::DataRow(values) = backend::parse(b'D', row).map_err(|_| malformed())? else {
        return Err(malformed());
    };
    let first = values.len().checked_sub(keys.len()).ok_or_else(malformed)?;
    values
        .iter()
        .skip(first)
        .zip(keys)
        .map(|(value, key)| match value {
            None => Ok(None),
            Some(text) => key.kind.value(text).map(Some).ok_or_else(malformed),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use howdah_pg::wire::backend::put_data_row;

    use super::*;

    fn row(values: &[Option<&str>]) -> Bytes {
        let mut buffer = bytes::BytesMut::new();
        put_data_row(&mut buffer, values.iter().map(|it| it.map(str::as_bytes)));
        buffer.freeze().slice(5..)
    }

    #[test]
    fn keys_compare_as_postgresql_does() {
        let key = |kind, descending, nulls_first| ExactKey { kind, descending, nulls_first };
        let keys = [key(Kind::Integer, false, false), key(Kind::Binary("timestamp_send"), true, true)];
        let before = |a: &[Option<&str>], b: &[Option<&str>]| {
            SortOrder::compare(&keys, &row(a), &row(b)).expect("keys") == Ordering::Less
        };
        assert!(before(&[Some("-2"), None], &[Some("1"), None]));
        assert!(before(&[Some("9"), None], &[None, None]));
        assert!(before(&[Some("1"), None], &[Some("1"), Some("7fffffffffffffff")]));
        assert!(before(&[Some("1"), Some("7fffffffffffffff")], &[Some("1"), Some("0000000000000001")]));
        assert!(before(&[Some("1"), Some("0000000000000001")], &[Some("1"), Some("ffffffffffffffff")]));
    }
}
