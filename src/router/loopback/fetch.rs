//! FETCH: opens a cursor on all its workers at once, refills what ran dry, and merges.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use howdah_catalog::GroupId;

use super::cursor::{Cursor, Open, Row, Source, State};
use super::flight::{Flight, Outcome, Sent};
use super::host::Host;
use super::keepers::declare_keeper;
use super::live::{Caller, Live, forgotten, no_cursor};
use super::order::{RankedKey, SortOrder};
use super::request::Rows;
use super::row_id::RowIds;
use super::select::Relation;
use super::snapshots::KeeperId;
use super::worker_query::Scan;
use crate::error::{Error, Result};
use crate::server::text_row;
use crate::settings::Settings;

impl Live {
    pub(super) async fn fetch<H: Host>(
        &mut self,
        host: &mut H,
        caller: &Caller,
        number: u32,
        count: usize,
    ) -> Result<Rows> {
        let id = (caller.connection, number);
        let mut cursor = self.cursors.remove(&id).ok_or_else(|| no_cursor(number))?;
        let result = self.fetch_from(host, caller, &mut cursor, number, count).await;
        self.cursors.insert(id, cursor);
        result
    }

    async fn fetch_from<H: Host>(
        &mut self,
        host: &mut H,
        caller: &Caller,
        cursor: &mut Cursor,
        number: u32,
        count: usize,
    ) -> Result<Rows> {
        match &cursor.state {
            State::Declared(keeper) => {
                let keeper = *keeper;
                if let (Some(_), Relation::Table(table)) = (&cursor.select.locking, &cursor.select.relation)
                    && !self.snapshots.is_newer_than_writes(number, *table)
                {
                    return Err(forgotten());
                }
                let open = self.open(host, caller, cursor, keeper, count).await?;
                cursor.state = State::Open(Box::new(open));
            }
            State::Call(request) => {
                let rows = self.call(host, caller, &request.clone()).await?;
                cursor.state = State::rows(rows);
            }
            State::Open(_) => {}
        }
        let State::Open(open) = &mut cursor.state else { unreachable!("it was just opened") };
        let mut rows = Vec::new();
        loop {
            open.take(&mut rows, count)?;
            let dry = open.dry();
            if rows.len() == count || dry.is_empty() {
                break;
            }
            self.refill(host, caller, open, &dry, count).await?;
        }
        Ok(Rows { description: open.description.clone(), rows })
    }

    /// Opens the scan on all its workers, in one flight each, and fetches the first rows.
    async fn open<H: Host>(
        &mut self,
        host: &mut H,
        caller: &Caller,
        cursor: &Cursor,
        keeper: KeeperId,
        count: usize,
    ) -> Result<Open> {
        let catalog = host.catalog();
        let Relation::Table(oid) = cursor.select.relation else {
            return Err(Error::Internal("only tables are scanned".to_owned()));
        };
        let table = catalog.table(oid).ok_or_else(|| Error::Internal(format!("table {oid} is gone")))?;
        let scan = Scan::new(table, catalog.database(), &cursor.select, &cursor.parameters)?;
        let locking = cursor.select.locking.is_some();
        let row_ids = RowIds::of(&cursor.select, table.shards().len());
        if row_ids.is_some() && 1 < scan.queries.len() {
            self.take_turn(host, caller, table).await?;
        }
        if !locking {
            let needed: BTreeSet<GroupId> = scan.queries.iter().map(|it| it.group).collect();
            self.take_snapshots(host, caller, keeper, &needed).await?;
        }
        let mut flights = BTreeMap::new();
        let mut sources = Vec::new();
        let mut opened = BTreeSet::new();
        for query in scan.queries {
            let mut flight = match flights.remove(&query.group) {
                Some(flight) => flight,
                None => self.begin_flight(host, query.group, &table.owner).await?,
            };
            let portal = self.portal_name();
            let key = key(host, query.group).await?;
            if locking {
                let values = [Some(&*key), Some(&*portal), Some(&*query.sql), Some(&*query.shard)];
                flight.command("SELECT howdah.open_locking($1, $2, $3, $4)", &values);
            } else {
                if !self.snapshots.is_open(keeper, query.group) && opened.insert(query.group) {
                    declare_keeper(&mut flight, keeper, &key);
                }
                let values = [Some(&*portal), Some(&*query.sql), Some(&*query.shard)];
                flight.command(
                    "SELECT pg_catalog.set_config('howdah.cursor', $1, true), \
                     pg_catalog.set_config('howdah.query', $2, true), pg_catalog.set_config('howdah.shard', $3, true)",
                    &values,
                );
                flight.command(&format!("FETCH 1 FROM {}", keeper.cursor_name()), &[]);
            }
            flight.query(&format!("FETCH {count} FROM {portal}"), &[]);
            flights.insert(query.group, flight);
            let (group, depth) = (query.group, self.depth);
            let shard = query.index;
            sources.push(Source { group, portal, depth, shard, rows: Default::default(), exhausted: false });
        }
        let mut outcomes = run(host, caller, flights).await?;
        for group in opened {
            self.snapshots.opened(keeper, group, self.depth);
        }
        let mut description = Vec::new();
        for source in &mut sources {
            let outcome = next_outcome(&mut outcomes, source.group)?;
            description.clone_from(&outcome.description);
            source.add(outcome.rows, count, row_ids)?;
        }
        let (order, hidden) = (scan.order, scan.hidden);
        let mut open = Open { keeper: Some(keeper), description, sources, order, hidden, row_ids };
        self.rank(host, caller, &mut open).await?;
        let visible = open.description.len().saturating_sub(open.hidden);
        open.description.truncate(visible);
        Ok(open)
    }

    async fn refill<H: Host>(
        &mut self,
        host: &mut H,
        caller: &Caller,
        open: &mut Open,
        dry: &[usize],
        count: usize,
    ) -> Result<()> {
        let mut flights = BTreeMap::new();
        for index in dry {
            let source = &open.sources[*index];
            let mut flight = flights.remove(&source.group).unwrap_or_default();
            self.push_closings(&mut flight, source.group);
            flight.query(&format!("FETCH {count} FROM {}", source.portal), &[]);
            flights.insert(source.group, flight);
        }
        let mut outcomes = run(host, caller, flights).await?;
        for index in dry {
            let source = &mut open.sources[*index];
            source.add(next_outcome(&mut outcomes, source.group)?.rows, count, open.row_ids)?;
        }
        self.rank(host, caller, open).await
    }

    /// A flight to a worker whose shards of this owner are to be used.
    pub(super) async fn begin_flight<H: Host>(
        &mut self,
        host: &mut H,
        group: GroupId,
        owner: &str,
    ) -> Result<Flight> {
        let router = host.router();
        let superuser = &router.config.superuser;
        let owned = router.live.own(&router.pools, superuser, group, owner).await?;
        let mut flight = Flight::default();
        self.push_closings(&mut flight, group);
        if !owned {
            // The role was made in this transaction.
            let key = key(host, group).await?;
            flight.command("SELECT howdah.own($1, $2)", &[Some(&key), Some(owner)]);
        }
        Ok(flight)
    }

    pub(super) fn push_closings(&mut self, flight: &mut Flight, group: GroupId) {
        self.closing.retain(|it| {
            if it.group == group {
                flight.command(&format!("CLOSE {}", it.name), &[]);
            }
            it.group != group
        });
    }

    /// Has a worker rank the rows that wait, where only PostgreSQL knows their order.
    async fn rank<H: Host>(&mut self, host: &mut H, caller: &Caller, open: &mut Open) -> Result<()> {
        let Some(SortOrder::Ranked(keys)) = &open.order else { return Ok(()) };
        let Some(group) = open.sources.first().map(|it| it.group) else { return Ok(()) };
        let values = key_columns(open, keys.len());
        let hidden = open.description.iter().rev().take(keys.len()).rev();
        // After the first time the hidden columns are no longer in the description: their types are in the order.
        let types: Vec<(u32, i32)> = hidden.map(|it| (it.type_oid.0, it.typmod)).collect();
        let keys = keys.clone();
        let names = match keys.first().and_then(|it| it.type_name.clone()) {
            Some(_) => keys.iter().filter_map(|it| it.type_name.clone()).collect(),
            None => self.type_names(host, caller, group, &types).await?,
        };
        let order = self.ranked_order(host, caller, group, &keys, &names, &values).await?;
        let mut ranks = vec![0; order.len()];
        for (rank, row) in order.into_iter().enumerate() {
            if let Some(it) = ranks.get_mut(row) {
                *it = rank as u64;
            }
        }
        let rows = open.sources.iter_mut().flat_map(|it| it.rows.iter_mut());
        rows.zip(ranks).for_each(|(row, rank)| row.rank = rank);
        if let Some(SortOrder::Ranked(keys)) = &mut open.order {
            keys.iter_mut().zip(names).for_each(|(key, name)| key.type_name = Some(name));
        }
        Ok(())
    }

    async fn type_names<H: Host>(
        &mut self,
        host: &mut H,
        caller: &Caller,
        group: GroupId,
        types: &[(u32, i32)],
    ) -> Result<Vec<String>> {
        let mut flight = Flight::default();
        for (oid, typmod) in types {
            let (oid, typmod) = (oid.to_string(), typmod.to_string());
            flight.query("SELECT pg_catalog.format_type($1, $2)", &[Some(&oid), Some(&typmod)]);
        }
        let outcomes = run(host, caller, BTreeMap::from([(group, flight)])).await?;
        let names = outcomes.into_values().flatten().flat_map(|it| it.rows);
        names
            .map(|it| text_row(&it).into_iter().next().flatten())
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| Error::Internal("a sort key has no type".to_owned()))
    }

    /// The numbers of the rows in their order.
    async fn ranked_order<H: Host>(
        &mut self,
        host: &mut H,
        caller: &Caller,
        group: GroupId,
        keys: &[RankedKey],
        types: &[String],
        values: &[Vec<Option<Bytes>>],
    ) -> Result<Vec<usize>> {
        let columns: Vec<_> = (0..keys.len()).map(|it| format!("k{it}")).collect();
        let parameters: Vec<_> = (1..=keys.len()).map(|it| format!("${it}::text[]")).collect();
        let order = keys.iter().zip(types).zip(&columns).map(|((key, name), column)| {
            let collation = key.collation.as_ref().map(|it| format!(" COLLATE {it}")).unwrap_or_default();
            format!("({column}::{name}){collation} {}", key.direction)
        });
        let order: Vec<_> = order.collect();
        let sql = format!(
            "SELECT n - 1 FROM unnest({}) WITH ORDINALITY AS u({}, n) ORDER BY {}, n",
            parameters.join(", "),
            columns.join(", "),
            order.join(", ")
        );
        let arrays: Vec<String> = values.iter().map(|it| text_array(it)).collect();
        let arrays: Vec<Option<&str>> = arrays.iter().map(|it| Some(it.as_str())).collect();
        let mut flight = Flight::default();
        flight.query(&sql, &arrays);
        let outcomes = run(host, caller, BTreeMap::from([(group, flight)])).await?;
        let rows = outcomes.into_values().flatten().flat_map(|it| it.rows);
        rows.map(|it| text_row(&it).into_iter().next().flatten().and_then(|it| it.parse().ok()))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| Error::Internal("a worker did not rank the rows".to_owned()))
    }
}

impl Source {
    fn add(&mut self, rows: Vec<Bytes>, asked: usize, row_ids: Option<RowIds>) -> Result<()> {
        self.exhausted = rows.len() < asked;
        for body in rows {
            let body = match row_ids {
                Some(it) => it.put(&body, self.shard)?,
                None => body,
            };
            self.rows.push_back(Row { body, rank: 0 });
        }
        Ok(())
    }
}

/// For each key, the values of all rows that wait, in the order of the sources.
fn key_columns(open: &Open, keys: usize) -> Vec<Vec<Option<Bytes>>> {
    let mut columns = vec![Vec::new(); keys];
    for row in open.sources.iter().flat_map(|it| &it.rows) {
        let values = howdah_pg::wire::backend::parse(b'D', &row.body);
        let Ok(howdah_pg::wire::backend::Message::DataRow(values)) = values else { continue };
        let first = values.len().saturating_sub(keys);
        for (column, value) in columns.iter_mut().zip(values.iter().skip(first)) {
            column.push(value.map(Bytes::copy_from_slice));
        }
    }
    columns
}

/// The text form of a text[].
pub(crate) fn text_array<T: AsRef<[u8]>>(values: &[Option<T>]) -> String {
    let mut text = String::from("{");
    for (index, value) in values.iter().enumerate() {
        if 0 < index {
            text.push(',');
        }
        match value {
            None => text.push_str("NULL"),
            Some(value) => {
                let value = String::from_utf8_lossy(value.as_ref());
                text.push('"');
                text.push_str(&value.replace('\\', "\\\\").replace('"', "\\\""));
                text.push('"');
            }
        }
    }
    text.push('}');
    text
}

pub(super) async fn key<H: Host>(host: &H, group: GroupId) -> Result<std::sync::Arc<str>> {
    let router = host.router();
    router.live.key(&router.pools, &router.config.superuser, group).await
}

/// Runs the flights on all their workers at once.
pub(super) async fn run<H: Host>(
    host: &mut H,
    caller: &Caller,
    flights: BTreeMap<GroupId, Flight>,
) -> Result<BTreeMap<GroupId, Vec<Outcome>>> {
    let router = host.router();
    let settings = host.settings();
    let mut sent: Vec<(GroupId, Sent)> = Vec::new();
    let mut failed = None;
    for (group, flight) in flights {
        match send(host, &settings, group, flight).await {
            Ok(it) => sent.push((group, it)),
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    let mut outcomes = BTreeMap::new();
    for (group, it) in sent {
        let received = match host.opened(group) {
            Ok(connection) => it.receive(connection, &router, &caller.cancel).await,
            Err(error) => Err(error),
        };
        match received {
            Ok(it) => {
                outcomes.insert(group, it);
            }
            Err(error) => {
                if error.sqlstate().as_str() == "42501" || error.sqlstate().as_str() == "40001" {
                    router.live.forget(group);
                }
                failed.get_or_insert(error);
            }
        }
    }
    failed.map_or(Ok(outcomes), Err)
}

async fn send<H: Host>(host: &mut H, settings: &Settings, group: GroupId, flight: Flight) -> Result<Sent> {
    let connection = host.worker(group).await?;
    if let Some(wanted) = plain_output(settings, connection.parameters()) {
        connection.queue_settings(&wanted);
    }
    flight.send(connection).await
}

/// The session's settings with those under which `postgres_fdw` reads and writes values, if they differ. The session's own come back
/// before its next statement there.
fn plain_output(settings: &Settings, reported: &BTreeMap<String, String>) -> Option<Settings> {
    let value = |name: &str, reported_as: &str| {
        let session = settings.iter().find(|it| it.0.eq_ignore_ascii_case(name)).map(|it| it.1);
        session.or_else(|| reported.get(reported_as).map(String::as_str)).unwrap_or_default().to_owned()
    };
    let digits = settings.get("extra_float_digits").and_then(|it| it.parse::<i32>().ok()).unwrap_or(1);
    let plain = value("DateStyle", "DateStyle").starts_with("ISO")
        && value("IntervalStyle", "IntervalStyle") == "postgres"
        && value("client_encoding", "client_encoding") == "UTF8"
        && 1 <= digits;
    if plain {
        return None;
    }
    let wanted = [
        ("DateStyle", "ISO"),
        ("IntervalStyle", "postgres"),
        ("extra_float_digits", "3"),
        ("client_encoding", "UTF8"),
    ];
    let mut values: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in settings.iter() {
        if !wanted.iter().any(|it| it.0.eq_ignore_ascii_case(name)) {
            values.insert(name.to_owned(), value.to_owned());
        }
    }
    values.extend(wanted.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    Some(Settings::new(values))
}

fn next_outcome(outcomes: &mut BTreeMap<GroupId, Vec<Outcome>>, group: GroupId) -> Result<Outcome> {
    let list = outcomes.get_mut(&group).filter(|it| !it.is_empty());
    list.map(|it| it.remove(0)).ok_or_else(|| Error::Internal("a worker sent too few results".to_owned()))
}
