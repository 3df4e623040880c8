//! Writes that come through the loopback: what they have in common, rows of our own INSERT into a live child, TRUNCATE. UPDATE and
//! DELETE are in `change.rs`.

use std::collections::BTreeMap;

use howdah_catalog::{GroupId, ShardInterval, Table, TableOid};
use howdah_pg::TypeOid;
use howdah_pg::hash::hash_text_value;
use howdah_sql::{quote_identifier, quote_literal};

use super::change::{count, returned};
use super::fetch::{key, run, text_array};
use super::flight::{Flight, Outcome};
use super::host::Host;
use super::insert::{Insert, Item};
use super::keepers::declare_keeper;
use super::live::{Caller, Live, rows_of};
use super::request::{Answer, Parameters, Rows};
use super::snapshots::KeeperId;
use super::worker_query::shard_reference;
use crate::error::{Error, Result};
use crate::server::text_row;
use crate::write_lock::write_lock;

/// Flights that write, and the keepers that they open before.
#[derive(Default)]
pub(super) struct Writes {
    /// The only table of which rows may change, if that is known.
    table: Option<TableOid>,
    flights: BTreeMap<GroupId, Flight>,
    keepers: Vec<(KeeperId, GroupId)>,
}

impl Writes {
    pub(super) fn to(table: &Table) -> Self {
        Self { table: (!table.cascades).then_some(table.oid), ..Self::default() }
    }
}

impl Live {
    /// A flight that writes to shards of this owner.
    pub(super) async fn write_flight<'a, H: Host>(
        &mut self,
        host: &mut H,
        writes: &'a mut Writes,
        group: GroupId,
        owner: &str,
    ) -> Result<&'a mut Flight> {
        let flight = self.begin_flight(host, group, owner).await?;
        self.add_write(host, writes, group, flight).await
    }

    /// A flight that writes with our own rights.
    pub(super) async fn own_flight<'a, H: Host>(
        &mut self,
        host: &mut H,
        writes: &'a mut Writes,
        group: GroupId,
    ) -> Result<&'a mut Flight> {
        let mut flight = Flight::default();
        self.push_closings(&mut flight, group);
        self.add_write(host, writes, group, flight).await
    }

    /// What began before the write must not see it: its keepers are opened first, in the same flight.
    async fn add_write<'a, H: Host>(
        &mut self,
        host: &mut H,
        writes: &'a mut Writes,
        group: GroupId,
        mut flight: Flight,
    ) -> Result<&'a mut Flight> {
        let key = key(host, group).await?;
        for keeper in self.snapshots.unopened(group) {
            declare_keeper(&mut flight, keeper, &key);
            writes.keepers.push((keeper, group));
        }
        Ok(writes.flights.entry(group).or_insert(flight))
    }

    pub(super) async fn run_writes<H: Host>(
        &mut self,
        host: &mut H,
        caller: &Caller,
        writes: Writes,
    ) -> Result<BTreeMap<GroupId, Vec<Outcome>>> {
        for group in writes.flights.keys() {
            host.worker(*group).await?;
            host.writes(*group);
        }
        let outcomes = run(host, caller, writes.flights).await?;
        for (keeper, group) in writes.keepers {
            self.snapshots.opened(keeper, group, self.depth);
        }
        let retired = self.snapshots.wrote(writes.table);
        self.retire(retired);
        Ok(outcomes)
    }

    /// Writes to many shards of a table, and scans that lock rows of many, take turns.
    pub(super) async fn take_turn<H: Host>(
        &mut self,
        host: &mut H,
        caller: &Caller,
        table: &Table,
    ) -> Result<()> {
        let Some((group, lock)) = write_lock(table) else { return Ok(()) };
        let mut flight = Flight::default();
        flight.command(&lock, &[]);
        run(host, caller, BTreeMap::from([(group, flight)])).await.map(drop)
    }

    /// Each row to the shard of its hash.
    pub(super) async fn insert<H: Host>(
        &mut self,
        host: &mut H,
        caller: &Caller,
        insert: &Insert,
        parameters: &Parameters,
    ) -> Result<Answer> {
        host.check_writable()?;
        let catalog = host.catalog();
        let table = distributed(catalog.table(insert.table).map(|it| &**it), insert.table)?;
        let columns = names(&insert.columns);
        let mut tail = if insert.skips_conflicts { " ON CONFLICT DO NOTHING" } else { "" }.to_owned();
        let function = match insert.returning.is_empty() {
            true => "SELECT howdah.write($1, $2::text[], $3)",
            false => {
                tail.push_str(&format!(" RETURNING {}", names(&insert.returning)));
                "SELECT howdah.write_returning($1, $2::text[], $3)"
            }
        };
        let mut writes = Writes::to(table);
        for (group, shards) in by_group(table, insert, parameters)? {
            let mut statements = Vec::new();
            let mut first = None;
            for (shard, rows) in shards {
                let name = shard_reference(table, shard);
                let rows = rows.join(", ");
                statements.push(Some(format!("INSERT INTO {name} ({columns}) VALUES {rows}{tail}")));
                first.get_or_insert(name);
            }
            let key = key(host, group).await?;
            let statements = text_array(&statements);
            let flight = self.write_flight(host, &mut writes, group, &table.owner).await?;
            flight.query(function, &[Some(&key), Some(&statements), first.as_deref()]);
        }
        let outcomes = self.run_writes(host, caller, writes).await?;
        match insert.returning.is_empty() {
            true => Ok(Answer::Inserted(count(outcomes)?)),
            false => Ok(Answer::Returned("INSERT 0", returned(&insert.returning, outcomes))),
        }
    }

    /// Empties all shards of these tables at once, so that their foreign keys among each other do not matter. It runs nothing of
    /// the user's, so superuser rights do no harm.
    pub(super) async fn truncate<H: Host>(
        &mut self,
        host: &mut H,
        caller: &Caller,
        tables: &[TableOid],
    ) -> Result<()> {
        host.check_writable()?;
        let catalog = host.catalog();
        let mut shards: BTreeMap<GroupId, Vec<String>> = BTreeMap::new();
        for oid in tables {
            let table = distributed(catalog.table(*oid).map(|it| &**it), *oid)?;
            for shard in table.shards() {
                shards.entry(shard.group).or_default().push(shard_reference(table, shard));
            }
        }
        let mut writes = Writes::default();
        for (group, names) in shards {
            let sql = format!("TRUNCATE {} CASCADE", names.join(", "));
            let key = key(host, group).await?;
            let flight = self.own_flight(host, &mut writes, group).await?;
            flight.command("SELECT howdah.exec($1, $2)", &[Some(&key), Some(&sql)]);
        }
        self.run_writes(host, caller, writes).await?;
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

pub(super) fn distributed(table: Option<&Table>, oid: TableOid) -> Result<&Table> {
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

fn names(columns: &[String]) -> String {
    columns.iter().map(|it| quote_identifier(it)).collect::<Vec<_>>().join(", ")
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
            format!("cannot find the shard of a row by a column of type {} here", column.type_name),
            "Insert the rows by a statement of their own.",
        )
    })?;
    Ok(table.shard_index_for_hash(hash))
}
