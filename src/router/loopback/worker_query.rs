//! The query of one worker for a scan: the scan's own text over the union of that worker's shards.

use howdah_catalog::{Column, Database, GroupId, ShardInterval, Table};
use howdah_pg::TypeOid;
use howdah_pg::hash::hash_text_value;
use howdah_sql::quote_identifier;

use super::order::SortOrder;
use super::request::Parameters;
use super::select::{Equality, OrderKey, Select, Value};
use crate::error::{Error, Result};

/// What one worker is asked.
#[derive(Debug)]
pub(crate) struct WorkerQuery {
    pub(crate) group: GroupId,
    /// One of its shards, whose owner is the one in whose name it is read.
    pub(crate) shard: String,
    /// That shard's place among the table's.
    pub(crate) index: usize,
    pub(crate) sql: String,
}

/// All that is asked for one scan.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) queries: Vec<WorkerQuery>,
    /// How the rows of several workers are merged; `None` if any order will do.
    pub(crate) order: Option<SortOrder>,
    /// Columns behind those of the scan, which are there to merge by.
    pub(crate) hidden: usize,
}

impl Scan {
    pub(crate) fn new(
        table: &Table,
        database: &Database,
        select: &Select,
        parameters: &Parameters,
    ) -> Result<Self> {
        if table.is_reference() {
            return Err(Error::Internal(format!("table {} has no live child", table.oid)));
        }
        let groups = placements(table, select, parameters);
        let merged = 1 < groups.len() && !select.order.is_empty();
        let order = match merged {
            true => Some(SortOrder::new(&select.order, table, database)?),
            false => None,
        };
        let queries = groups.into_iter().map(|it| WorkerQuery {
            group: it.group,
            shard: it.shards[0].clone(),
            index: it.index,
            sql: worker_query(table, &it.shards, select, parameters, order.as_ref()),
        });
        Ok(Self { queries: queries.collect(), hidden: order.as_ref().map_or(0, SortOrder::len), order })
    }
}

/// Shards of one worker.
struct Placements {
    group: GroupId,
    /// As qualified names.
    shards: Vec<String>,
    /// The place of the first one among the table's.
    index: usize,
}

/// The shards that may hold rows of the scan.
fn placements(table: &Table, select: &Select, parameters: &Parameters) -> Vec<Placements> {
    let mut groups: Vec<Placements> = Vec::new();
    for (index, shard) in pruned(table, &select.equalities, parameters) {
        let name = shard_reference(table, shard);
        // Rows of a UNION cannot be locked: each shard is then read by itself.
        let same = |it: &&mut Placements| it.group == shard.group && select.locking.is_none();
        match groups.iter_mut().find(same) {
            Some(it) => it.shards.push(name),
            None => groups.push(Placements { group: shard.group, shards: vec![name], index }),
        }
    }
    groups
}

pub(crate) fn shard_reference(table: &Table, shard: &ShardInterval) -> String {
    format!("{}.{}", quote_identifier(&table.schema), quote_identifier(&table.shard_name(shard.id)))
}

/// The shards that may hold rows for which these equalities are true, with their places among the table's.
pub(super) fn pruned<'a>(
    table: &'a Table,
    equalities: &[Equality],
    parameters: &Parameters,
) -> Vec<(usize, &'a ShardInterval)> {
    let all = || table.shards().iter().enumerate().collect();
    let Some(column) = table.distribution_column() else { return all() };
    let hash = equalities
        .iter()
        .filter(|it| it.column == column.name)
        .find_map(|it| equality_hash(column, it, parameters));
    match hash {
        Some(hash) => {
            let index = table.shard_index_for_hash(hash);
            vec![(index, &table.shards()[index])]
        }
        None => all(),
    }
}

/// The hash of the value that the distribution column equals. Only for types whose equality is equality of the same type or
/// of its family, so that the value read as the column's type has the hash of the rows that match.
fn equality_hash(column: &Column, equality: &Equality, parameters: &Parameters) -> Option<i32> {
    let value = match &equality.value {
        Value::Constant(text) => text.as_str(),
        Value::Parameter(index) => parameters.get(*index)?.as_deref()?,
    };
    let prunes = match column.type_oid {
        TypeOid::INT2 | TypeOid::INT4 | TypeOid::INT8 | TypeOid::UUID => true,
        TypeOid::TEXT => column.collation.as_ref().is_some_and(|it| it.deterministic),
        _ => false,
    };
    if !prunes {
        return None;
    }
    hash_text_value(column.type_oid, value)
}

fn worker_query(
    table: &Table,
    shards: &[String],
    select: &Select,
    parameters: &Parameters,
    merge: Option<&SortOrder>,
) -> String {
    let mut targets: Vec<String> = select.columns.iter().map(|it| quote_identifier(it)).collect();
    if targets.is_empty() {
        targets.push("NULL".to_owned());
    }
    if let Some(merge) = merge {
        let expressions = select.order.iter().map(|it| it.expression.render(parameters));
        targets.extend(merge.hidden_columns(expressions));
    }
    let mut sql = format!("SELECT {} FROM ", targets.join(", "));
    match shards {
        // Also what row locks and system columns need.
        [shard] => {
            sql.push_str(shard);
            push_sample(&mut sql, select, parameters);
        }
        shards => {
            let mut columns: Vec<String> =
                table.columns.iter().map(|it| quote_identifier(&it.name)).collect();
            // Asked for where rows of another table are written or locked; of live rows nobody looks at it.
            if select.columns.iter().any(|it| it == "ctid") {
                columns.push("ctid".to_owned());
            }
            let columns = columns.join(", ");
            let arms = shards.iter().map(|shard| {
                let mut arm = format!("SELECT {columns} FROM {shard}");
                push_sample(&mut arm, select, parameters);
                arm
            });
            let arms: Vec<String> = arms.collect();
            sql.push_str(&format!("({}) AS shards", arms.join(" UNION ALL ")));
        }
    }
    if let Some(condition) = &select.condition {
        sql.push_str(" WHERE ");
        sql.push_str(&condition.render(parameters));
    }
    push_order(&mut sql, &select.order, parameters);
    if let Some(locking) = &select.locking {
        sql.push(' ');
        sql.push_str(locking);
    }
    sql
}

fn push_sample(sql: &mut String, select: &Select, parameters: &Parameters) {
    if let Some(sample) = &select.sample {
        sql.push(' ');
        sql.push_str(&sample.render(parameters));
    }
}

fn push_order(sql: &mut String, order: &[OrderKey], parameters: &Parameters) {
    for (index, key) in order.iter().enumerate() {
        sql.push_str(if index == 0 { " ORDER BY " } else { ", " });
        sql.push_str(&key.expression.render(parameters));
        sql.push_str(&key.direction);
    }
}

#[cfg(test)]
mod tests;
