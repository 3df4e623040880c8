//! The combine query: what the workers computed in parts is put together by the coordinator's PostgreSQL, as an
//! intermediate result there.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, RandomState};

use bytes::Bytes;
use howdah_catalog::GroupId;
use howdah_pg::TypeOid;
use howdah_pg::wire::{Format, frontend};
use howdah_planner::{Combine, CombinePiece};

use super::for_client;
use super::intermediate::{Encoding, IN_MEMORY, PORTION, Rows, Table, arrays_of, from_arrays, type_names};
use super::lanes::Lanes;
use super::live::{self, Obstacle};
use super::summary::Sink;
use super::task::{Parameters, RowFormats};
use crate::client::Client;
use crate::error::{Error, Result};
use crate::execution::Execution;
use crate::server::error_fields;
use crate::session::Session;

/// Gathers the workers' rows.
pub(super) struct Collector {
    rows: Rows,
    /// More is not held.
    capacity: usize,
    /// Where rows are that need not come twice, by the hash of what they say.
    seen: Option<HashMap<u64, usize>>,
    hasher: RandomState,
}

impl Collector {
    pub(super) fn new(formats: &RowFormats, of_distinct: bool) -> Self {
        let columns = match formats {
            RowFormats::Columns(columns) => columns.clone(),
            RowFormats::Text | RowFormats::Client | RowFormats::Extended { .. } => vec![],
        };
        Self {
            rows: Rows::new(Encoding::Text(columns)),
            capacity: IN_MEMORY,
            seen: of_distinct.then(HashMap::new),
            hasher: RandomState::new(),
        }
    }

    pub(super) fn push(&mut self, row: &[u8]) {
        if let Some(seen) = &mut self.seen {
            match seen.entry(self.hasher.hash_one(row)) {
                Entry::Occupied(at) if self.rows.at(*at.get()) == Some(row) => return,
                // Two rows of one hash: the later one is kept as often as it comes.
                Entry::Occupied(_) => {}
                Entry::Vacant(free) => drop(free.insert(self.rows.size())),
            }
        }
        self.rows.push(row);
    }

    /// Moves what is held to a table.
    async fn store(&mut self, session: &mut Session, table: &mut Table) -> Result<()> {
        self.seen.iter_mut().for_each(HashMap::clear);
        table.push(session, &mut self.rows).await
    }
}

impl Sink for Collector {
    fn row(&mut self, row: &Bytes, _client: &mut Client) -> Result<()> {
        self.push(row);
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.capacity <= self.rows.size()
    }
}

/// What a combine query reads: the workers' rows.
pub(super) struct Input {
    types: Vec<String>,
    relation: Relation,
}

enum Relation {
    Arrays(Rows),
    Table(Table),
}

impl Input {
    /// Nobody reads it any more.
    pub(super) async fn drop(self, session: &mut Session) -> Result<()> {
        match self.relation {
            Relation::Table(table) => table.drop(session).await,
            Relation::Arrays(_) => Ok(()),
        }
    }
}

/// Reads the lanes, runs the combine query over their rows, and relays its own to the client. `worker` is the one whose
/// columns are known.
pub(super) async fn run(
    session: &mut Session,
    execution: &Execution<'_>,
    lanes: Lanes<'_>,
    worker: GroupId,
    combine: &Combine,
    collector: Collector,
) -> Result<()> {
    let Some(input) = collect(session, lanes, worker, combine, collector).await? else {
        return live::run(session, execution, Obstacle::ReadOnly).await;
    };
    let query = query(execution, combine, &input)?;
    let parameters = query.parameters();
    let row_formats: Vec<Format> = execution.bind.map_or(vec![], |it| it.result_formats.iter().collect());
    let coordinator = session.participant(GroupId::COORDINATOR).await?;
    let buffer = coordinator.buffer();
    frontend::put_parse(buffer, b"", query.text.as_bytes(), &parameters.types);
    let values = parameters.values.iter().copied();
    frontend::put_bind(buffer, b"", b"", &parameters.formats, values, &row_formats);
    frontend::put_execute(buffer, b"", 0);
    coordinator.queue_sync();
    coordinator.flush().await?;
    // Its text is not the client's.
    relay(session).await.map_err(|error| for_client(error, "", execution))?;
    input.drop(session).await
}

/// Reads the lanes. None if they cannot be stored, because the transaction may only read.
pub(super) async fn collect(
    session: &mut Session,
    mut lanes: Lanes<'_>,
    worker: GroupId,
    combine: &Combine,
    mut collector: Collector,
) -> Result<Option<Input>> {
    // Without columns there is nothing to be stored but a number.
    if combine.columns == 0 {
        collector.capacity = usize::MAX;
    }
    lanes.read(session, &mut collector).await?;
    if lanes.is_done() {
        let columns = lanes.finish(session).await?.columns.unwrap_or_default();
        let types = type_names(session, &columns, worker).await?;
        return Ok(Some(Input { types, relation: Relation::Arrays(collector.rows) }));
    }
    let stored = store(session, &mut lanes, &mut collector).await;
    // If they are not all stored, the workers have more to say, which nobody needs.
    let finished = lanes.finish(session).await;
    let Some((types, table)) = stored? else { return Ok(None) };
    finished?;
    Ok(Some(Input { types, relation: Relation::Table(table) }))
}

/// Stores what was collected and all that follows; none if the transaction may only read.
async fn store(
    session: &mut Session,
    lanes: &mut Lanes<'_>,
    collector: &mut Collector,
) -> Result<Option<(Vec<String>, Table)>> {
    session.transaction.open_statement();
    let columns = lanes.summary().columns.clone().unwrap_or_default();
    if columns.iter().any(|it| it.type_oid.is_user_defined()) {
        // Only the workers know these by their numbers, and they are busy.
        return Ok(None);
    }
    let types = type_names(session, &columns, GroupId::COORDINATOR).await?;
    let encoding = collector.rows.encoding().clone();
    let Some(mut table) = Table::create(session, GroupId::COORDINATOR, &types, &encoding).await? else {
        return Ok(None);
    };
    collector.capacity = PORTION;
    let filled = fill(session, lanes, collector, &mut table).await;
    filled.and(table.finish(session).await)?;
    Ok(Some((types, table)))
}

async fn fill(
    session: &mut Session,
    lanes: &mut Lanes<'_>,
    collector: &mut Collector,
    table: &mut Table,
) -> Result<()> {
    while !lanes.is_done() {
        collector.store(session, table).await?;
        lanes.read(session, collector).await?;
    }
    if collector.rows.is_empty() { Ok(()) } else { collector.store(session, table).await }
}

/// A combine query as it is sent.
pub(super) struct Query<'a> {
    pub(super) text: String,
    client: Vec<(TypeOid, Format, Option<&'a [u8]>)>,
    arrays: Vec<Bytes>,
}

impl Query<'_> {
    pub(super) fn parameters(&self) -> Parameters<'_> {
        let arrays = self.arrays.iter().map(|it| (TypeOid(0), Format::Text, Some(&it[..])));
        let mut parameters = Parameters::default();
        for (type_oid, format, value) in self.client.iter().copied().chain(arrays) {
            parameters.types.push(type_oid);
            parameters.formats.push(format);
            parameters.values.push(value);
        }
        parameters
    }
}

pub(super) fn query<'a>(execution: &Execution<'a>, combine: &Combine, input: &Input) -> Result<Query<'a>> {
    let arrays = match &input.relation {
        Relation::Arrays(rows) => arrays_of(rows, combine.columns),
        Relation::Table(_) => vec![],
    };
    let text = text(combine, &input.types, &input.relation)?;
    Ok(Query { text, client: client_parameters(execution, combine), arrays })
}

/// Passes the rows of the coordinator on to the client.
pub(super) async fn relay(session: &mut Session) -> Result<()> {
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
fn text(combine: &Combine, types: &[String], relation: &Relation) -> Result<String> {
    let mut text = with(combine, types, relation)?;
    for piece in &combine.query {
        match piece {
            CombinePiece::Text(fixed) => text.push_str(fixed),
            CombinePiece::TypeOf(column) => text.push_str(type_at(types, *column)?),
        }
    }
    Ok(text)
}

fn with(combine: &Combine, types: &[String], relation: &Relation) -> Result<String> {
    let names: Vec<String> = (0..combine.columns).map(|it| format!("c{it}")).collect();
    let names = names.join(", ");
    Ok(match relation {
        Relation::Arrays(rows) if combine.columns == 0 => {
            let rows = rows.count();
            format!("WITH howdah_intermediate AS (SELECT FROM pg_catalog.generate_series(1, {rows})) ")
        }
        Relation::Arrays(_) => {
            let types = (0..combine.columns).map(|it| type_at(types, it)).collect::<Result<Vec<_>>>()?;
            let rows = from_arrays(types, combine.parameters.len() + 1);
            format!("WITH howdah_intermediate({names}) AS ({rows}) ")
        }
        Relation::Table(table) => {
            format!("WITH howdah_intermediate AS (SELECT {names} FROM {}) ", table.relation())
        }
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_collected_once_where_that_is_enough() {
        let rows = |of_distinct| {
            let mut collector = Collector::new(&RowFormats::Text, of_distinct);
            [&b"\0\x01a"[..], b"\0\x01b", b"\0\x01a"].iter().for_each(|it| collector.push(it));
            collector.rows.count()
        };
        assert_eq!((rows(true), rows(false)), (2, 3));
    }

    #[test]
    fn the_relation_stands_in_front() {
        let combine = Combine {
            query: vec![
                CombinePiece::Text("SELECT sum(c0)::".to_owned()),
                CombinePiece::TypeOf(0),
                CombinePiece::Text(" FROM howdah_intermediate".to_owned()),
            ],
            parameters: vec![2],
            columns: 2,
            of_distinct: false,
        };
        let types = ["bigint".to_owned(), "date".to_owned()];
        let rows = Relation::Arrays(Rows::new(Encoding::Text(vec![])));
        assert_eq!(
            text(&combine, &types, &rows).unwrap(),
            "WITH howdah_intermediate(c0, c1) AS (SELECT u.c0, u.c1 FROM ROWS FROM \
             (pg_catalog.unnest($2::bigint[]), pg_catalog.unnest($3::date[])) AS u(c0, c1)) \
             SELECT sum(c0)::bigint FROM howdah_intermediate"
        );
    }
}
