//! Writes that come through the loopback: rows of our own INSERT into a live child.

use std::collections::BTreeMap;

use howdah_catalog::{GroupId, ShardInterval, Table, TableOid};
use howdah_pg::hash::hash_text_value;
use howdah_sql::{quote_identifier, quote_literal};

use super::fetch::{key, run, text_array};
use super::flight::Flight;
use super::host::Host;
use super::insert::{Insert, Item};
use super::live::{Caller, Live, rows_of};
use super::request::{Parameters, Rows};
use super::worker_query::shard_reference;
use crate::error::{Error, Result};
use crate::server::text_row;
use howdah_pg::TypeOid;

impl Live {
    /// Each row to the shard of its hash; returns how many there were.
    pub(super) async fn insert<H: Host>(
        &mut self,
        host: &mut H,
        caller: &Caller,
        insert: &Insert,
        parameters: &Parameters,
    ) -> Result<u64> {
        let catalog = host.catalog();
        let table = distributed(catalog.table(insert.table).map(|it| &**it), insert.table)?;
        let columns: Vec<_> = insert.columns.iter().map(|it| quote_identifier(it)).collect();
        let mut flights = BTreeMap::new();
        let mut inserted = 0;
        for (group, shards) in by_group(table, insert, parameters)? {
            let mut statements = Vec::new();
            let mut first = None;
            for (shard, rows) in shards {
                let name = shard_reference(table, shard);
                inserted += rows.len() as u64;
                let rows = rows.join(", ");
                statements.push(Some(format!("INSERT INTO {name} ({}) VALUES {rows}", columns.join(", "))));
                first.get_or_insert(name);
            }
            let mut flight = self.begin_flight(host, group, &table.owner).await?;
            let key = key(host, group).await?;
            let statements = text_array(&statements);
            flight.command(
                "SELECT howdah.write($1, $2::text[], $3)",
                &[Some(&key), Some(&statements), first.as_deref()],
            );
            flights.insert(group, flight);
        }
        for group in flights.keys().copied().collect::<Vec<_>>() {
            host.worker(group).await?;
            host.writes(group);
        }
        run(host, caller, flights).await?;
        Ok(inserted)
    }

    /// Empties all shards of these tables at once, so that their foreign keys among each other do not matter. It runs nothing of
    /// the user's, so superuser rights do no harm.
    pub(super) async fn truncate<H: Host>(
        &mut self,
        host: &mut H,
        caller: &Caller,
        tables: &[TableOid],
    ) -> Result<()> {
        let catalog = host.catalog();
        let mut shards: BTreeMap<GroupId, Vec<String>> = BTreeMap::new();
        for oid in tables {
            let table = distributed(catalog.table(*oid).map(|it| &**it), *oid)?;
            for shard in table.shards() {
                shards.entry(shard.group).or_default().push(shard_reference(table, shard));
            }
        }
        let mut flights = BTreeMap::new();
        for (group, names) in shards {
            let mut flight = Flight::default();
            self.push_closings(&mut flight, group);
            let sql = format!("TRUNCATE {} CASCADE", names.join(", "));
            flight.command("SELECT howdah.exec($1, $2)", &[Some(&key(host, group).await?), Some(&sql)]);
            host.worker(group).await?;
            host.writes(group);
            flights.insert(group, flight);
        }
        run(host, caller, flights).await?;
        Ok(())
    }

    /// `pg_relation_size` of all shards, in blocks of 8 kB.
    pub(super) async fn pages<H: Host>(
        &mut self,
        host: &mut H,
        caller: &Caller,
        table: TableOid,
    ) -> Result<Rows> {
        let pages =
            self.sum_over_shards(host, caller, table, "pg_catalog.pg_relation_size(c.oid) / 8192").await?;
        Ok(rows_of(&[("?column?", TypeOid::INT8, 8)], [vec![Some(pages.to_string())]]))
    }

    /// `reltuples` and `relkind` of all shards as of one table.
    pub(super) async fn tuples<H: Host>(
        &mut self,
        host: &mut H,
        caller: &Caller,
        table: TableOid,
    ) -> Result<Rows> {
        let tuples = self.sum_over_shards(host, caller, table, "GREATEST(c.reltuples, 0)::bigint").await?;
        let columns = [("reltuples", TypeOid::FLOAT4, 4), ("relkind", TypeOid::CHAR, 1)];
        Ok(rows_of(&columns, [vec![Some(tuples.to_string()), Some("r".to_owned())]]))
    }

    async fn sum_over_shards<H: Host>(
        &mut self,
        host: &mut H,
        caller: &Caller,
        table: TableOid,
        expression: &str,
    ) -> Result<i64> {
        let catalog = host.catalog();
        let table = distributed(catalog.table(table).map(|it| &**it), table)?;
        let mut shards: BTreeMap<GroupId, Vec<Option<String>>> = BTreeMap::new();
        for shard in table.shards() {
            shards.entry(shard.group).or_default().push(Some(shard_reference(table, shard)));
        }
        let mut flights = BTreeMap::new();
        for (group, names) in shards {
            let mut flight = self.begin_flight(host, group, &table.owner).await?;
            let sql = format!(
                "SELECT sum({expression}) FROM unnest($1::text[]) AS n, pg_catalog.pg_class AS c WHERE c.oid = n::regclass"
            );
            flight.query(&sql, &[Some(&text_array(&names))]);
            flights.insert(group, flight);
        }
        let outcomes = run(host, caller, flights).await?;
        let rows = outcomes.into_values().flatten().flat_map(|it| it.rows);
        Ok(rows.filter_map(|it| text_row(&it).into_iter().next().flatten()?.parse::<i64>().ok()).sum())
    }
}

fn distributed(table: Option<&Table>, oid: TableOid) -> Result<&Table> {
    table
        .filter(|it| !it.is_reference())
        .ok_or_else(|| Error::Internal(format!("no distributed table has the number {oid}")))
}

type ShardRows<'a> = (&'a ShardInterval, Vec<String>);

/// The rows as lists of literals, by worker and shard.
fn by_group<'a>(
    table: &'a Table,
    insert: &Insert,
    parameters: &Parameters,
) -> Result<BTreeMap<GroupId, Vec<ShardRows<'a>>>> {
    let mut shards: BTreeMap<usize, ShardRows<'a>> = BTreeMap::new();
    for row in &insert.rows {
        let index = shard_of(table, insert, row, parameters)?;
        let values: Vec<_> = row.iter().map(|it| item(*it, parameters)).collect();
        let entry = shards.entry(index).or_insert_with(|| (&table.shards()[index], Vec::new()));
        entry.1.push(format!("({})", values.join(", ")));
    }
    let mut groups: BTreeMap<GroupId, Vec<_>> = BTreeMap::new();
    for (shard, rows) in shards.into_values() {
        groups.entry(shard.group).or_default().push((shard, rows));
    }
    Ok(groups)
}

fn item(item: Item, parameters: &Parameters) -> String {
    match item {
        Item::Default => "DEFAULT".to_owned(),
        Item::Parameter(index) => match parameters.get(index) {
            Some(Some(value)) => quote_literal(value),
            _ => "NULL".to_owned(),
        },
    }
}

fn shard_of(table: &Table, insert: &Insert, row: &[Item], parameters: &Parameters) -> Result<usize> {
    let column = table
        .distribution_column()
        .ok_or_else(|| Error::Internal("a distributed table has a distribution column".to_owned()))?;
    let place = insert.columns.iter().position(|it| *it == column.name);
    let value = place.and_then(|it| row.get(it)).and_then(|it| match it {
        Item::Parameter(index) => parameters.get(*index).cloned().flatten(),
        Item::Default => None,
    });
    let Some(value) = value else {
        return Err(Error::from(howdah_pg::wire::ErrorFields::error(
            howdah_pg::SqlState::NOT_NULL_VIOLATION,
            format!("the distribution column \"{}\" of table \"{}\" cannot be null", column.name, table.name),
        )));
    };
    let hash = hash_text_value(column.type_oid, &value).ok_or_else(|| {
        Error::not_supported(
            format!("cannot distribute existing rows by a column of type {}", column.type_name),
            "Distribute the empty table, then insert the rows.",
        )
    })?;
    Ok(table.shard_index_for_hash(hash))
}
