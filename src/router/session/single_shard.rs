//! Rung 1: a statement of one shard group runs on one worker, in the client's own words.

use std::borrow::Cow;
use std::fmt::Write;

use howdah_catalog::{Catalog, Distribution, GroupId, TableOid};
use howdah_pg::hash::{hash_binary_value, hash_text_value};
use howdah_pg::wire::{Format, frontend};
use howdah_planner::{KeySource, Piece, ShardKey, SingleShard, SlotParameter, Template};
use howdah_sql::{Literal, quote_identifier};

use crate::error::{Error, Result};

/// The values that one execution brings to a plan.
#[derive(Clone, Copy)]
pub(crate) struct Values<'a> {
    pub(crate) text: &'a [u8],
    /// The slots of the text's shape.
    pub(crate) literals: &'a [Literal],
    pub(crate) bind: Option<&'a frontend::Bind<'a>>,
    pub(crate) parameter_types: &'a [howdah_pg::TypeOid],
    /// Whether the client's bytes are UTF-8, as the servers' are.
    pub(crate) utf8: bool,
}

/// One shard group: the shards of the same index in all tables of a colocation group.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ShardGroup {
    pub(crate) index: usize,
    pub(crate) group: GroupId,
}

/// The shard group that all keys lead to; `None` if there is no such one, or it cannot be told here.
pub(crate) fn shard_group(
    single: &SingleShard,
    catalog: &Catalog,
    values: &Values<'_>,
) -> Option<ShardGroup> {
    let anchor = catalog.table(single.anchor)?;
    let mut found = None;
    for key in &single.keys {
        let index = anchor.shard_index_for_hash(hash(key, values)?);
        if found.is_some_and(|it| it != index) {
            return None;
        }
        found = Some(index);
    }
    let index = found?;
    Some(ShardGroup { index, group: anchor.shards().get(index)?.group })
}

fn hash(key: &ShardKey, values: &Values<'_>) -> Option<i32> {
    match &key.source {
        KeySource::Parameter(number) => hash_parameter(key, *number, values),
        KeySource::Literal { slot, negated } => {
            let literal = values.literals.get(*slot)?;
            let value = literal.value(values.text);
            let value = str::from_utf8(&value).ok().filter(|it| values.utf8 || it.is_ascii())?;
            let value = if *negated { Cow::Owned(format!("-{value}")) } else { Cow::Borrowed(value) };
            hash_text_value(key.type_oid, &value)
        }
        KeySource::Constant(text) => hash_text_value(key.type_oid, text),
        KeySource::Value(_) => None,
    }
}

fn hash_parameter(key: &ShardKey, number: usize, values: &Values<'_>) -> Option<i32> {
    let bind = values.bind?;
    let index = number.checked_sub(1)?;
    let value = bind.parameters.get(index)??;
    match bind.parameter_formats.of(index) {
        Format::Text => {
            let text = str::from_utf8(value).ok().filter(|it| values.utf8 || it.is_ascii())?;
            hash_text_value(key.type_oid, text)
        }
        // The value has the parameter's type, which is one of the same hash family.
        Format::Binary => {
            let type_oid = *values.parameter_types.get(index)?;
            let ascii = values.utf8 || value.is_ascii() || type_oid.0 != key.type_oid.0;
            ascii.then(|| hash_binary_value(type_oid, value)).flatten()
        }
    }
}

/// What a template needs to become the text of a worker query.
pub(crate) struct Rendering<'a> {
    pub(crate) catalog: &'a Catalog,
    /// Index of the shard group.
    pub(crate) shard: usize,
    pub(crate) text: &'a [u8],
    pub(crate) literals: &'a [Literal],
    /// Literals that become parameters, behind so many of the client's.
    pub(crate) parameters: &'a [SlotParameter],
    pub(crate) client_parameters: usize,
    /// `'…'::timestamptz`, where the plan uses time.
    pub(crate) time: Option<&'a str>,
    /// Computed values, as text; `None` is NULL.
    pub(crate) values: &'a [Option<String>],
}

impl Rendering<'_> {
    pub(crate) fn render(&self, template: &Template) -> Result<String> {
        let mut query = String::with_capacity(self.text.len() + 64);
        for piece in &template.0 {
            self.put(piece, &mut query)?;
        }
        Ok(query)
    }

    pub(crate) fn put(&self, piece: &Piece, to: &mut String) -> Result<()> {
        match piece {
            Piece::Text(text) => to.push_str(text),
            Piece::Literal(slot) if let Some(at) = self.parameters.iter().position(|it| it.slot == *slot) => {
                // What stands next to a literal need not be parted from it.
                let _ = write!(to, " ${} ", self.client_parameters + at + 1);
            }
            Piece::Literal(slot) => {
                let literal = self.literals.get(*slot).ok_or_else(|| misfit("literal", *slot))?;
                to.push_str(&String::from_utf8_lossy(literal.text(self.text)));
            }
            Piece::Shard(table) => put_shard(self.catalog, *table, self.shard, to)?,
            Piece::ShardObject { table, name } => {
                let id = shard_id(self.catalog, *table, self.shard)?;
                to.push_str(&quote_identifier(&howdah_pg::ident::shard_name(name, id.0)));
            }
            Piece::TransactionTime => match self.time {
                Some(time) => to.push_str(time),
                None => return Err(Error::Internal("a plan uses time and does not say so".to_owned())),
            },
            Piece::Value(index) => match self.values.get(*index) {
                Some(Some(value)) => to.push_str(&crate::settings::literal(value)),
                Some(None) => to.push_str("NULL"),
                None => return Err(misfit("value", *index)),
            },
        }
        Ok(())
    }
}

fn put_shard(catalog: &Catalog, oid: TableOid, index: usize, to: &mut String) -> Result<()> {
    let table = catalog.table(oid).ok_or_else(|| misfit("table", oid.0 as usize))?;
    let id = shard_id(catalog, oid, index)?;
    let (schema, name) = (quote_identifier(&table.schema), quote_identifier(&table.shard_name(id)));
    let _ = write!(to, "{schema}.{name}");
    Ok(())
}

fn shard_id(catalog: &Catalog, oid: TableOid, index: usize) -> Result<howdah_catalog::ShardId> {
    let table = catalog.table(oid).ok_or_else(|| misfit("table", oid.0 as usize))?;
    match &table.distribution {
        Distribution::Hash { shards, .. } => {
            shards.get(index).map(|it| it.id).ok_or_else(|| misfit("shard", index))
        }
        Distribution::Reference { shard, .. } => Ok(*shard),
    }
}

fn misfit(what: &str, index: usize) -> Error {
    Error::Internal(format!("a plan names {what} {index}, which does not exist"))
}
