//! Rows of several workers in one order, and LIMIT and OFFSET above them.

use std::cmp::Ordering;

use bytes::Bytes;
use howdah_pg::datum::{is_ordered_here, ordinal};
use howdah_pg::wire::backend::ColumnDescription;
use howdah_pg::wire::{ErrorFields, Format};
use howdah_pg::{SqlState, TypeOid};
use howdah_planner::{Bound, Combine, SortKey};

use super::combine::{self, Collector};
use super::intermediate::splits_letters;
use super::lanes::{Access, Lanes};
use super::multi_shard;
use super::rows::{ClientRows, push_prefix, values};
use super::summary::Sink;
use super::task::{Form, RowFormats, Task};
use crate::error::{Error, Result};
use crate::execution::Execution;
use crate::session::Session;

/// Which of the rows the client gets.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window {
    pub(super) offset: u64,
    pub(super) limit: Option<u64>,
}

impl Window {
    /// How many rows of a task, or of all, may be needed.
    pub(super) fn wanted(self) -> Option<u64> {
        self.limit.and_then(|it| it.checked_add(self.offset))
    }

    pub(super) fn of(limit: Option<Bound>, offset: Option<Bound>, execution: &Execution<'_>) -> Result<Self> {
        let limit = value_of(limit, execution, SqlState::INVALID_ROW_COUNT_IN_LIMIT_CLAUSE, "LIMIT")?;
        let offset =
            value_of(offset, execution, SqlState::INVALID_ROW_COUNT_IN_RESULT_OFFSET_CLAUSE, "OFFSET")?;
        Ok(Self { offset: offset.unwrap_or(0), limit })
    }
}

fn value_of(
    bound: Option<Bound>,
    execution: &Execution<'_>,
    code: SqlState,
    clause: &str,
) -> Result<Option<u64>> {
    let number = match bound {
        None => return Ok(None),
        Some(Bound::Constant(number)) => return Ok(Some(number)),
        Some(Bound::Parameter(number)) => number,
    };
    let Some(bind) = execution.bind else { return Ok(None) };
    let Some(Some(value)) = bind.parameters.get(number - 1) else { return Ok(None) };
    let value = integer(value, bind.parameter_formats.of(number - 1))
        .ok_or_else(|| Error::Internal(format!("the parameter of {clause} cannot be read")))?;
    match u64::try_from(value) {
        Ok(value) => Ok(Some(value)),
        Err(_) => Err(ErrorFields::error(code, format!("{clause} must not be negative")).into()),
    }
}

/// An integer parameter of any width.
fn integer(value: &[u8], format: Format) -> Option<i64> {
    match format {
        Format::Text => str::from_utf8(value).ok()?.trim().parse().ok(),
        Format::Binary => match value.len() {
            2 => Some(i16::from_be_bytes(value.try_into().ok()?).into()),
            4 => Some(i32::from_be_bytes(value.try_into().ok()?).into()),
            _ => Some(i64::from_be_bytes(value.try_into().ok()?)),
        },
    }
}

/// How the rows of a task are sorted.
pub(super) struct Order<'a> {
    pub(super) keys: &'a [SortKey],
    pub(super) output_columns: usize,
}

/// One sorted stream per worker, merged. If the keys turn out to be of other types than are compared here, the
/// coordinator sorts.
pub(super) async fn ordered(
    session: &mut Session,
    execution: &Execution<'_>,
    tasks: Vec<Task>,
    order: &Order<'_>,
    window: Window,
    fallback: &Combine,
) -> Result<()> {
    let access = window.wanted().map_or(Access::Read, Access::ReadSome);
    let form = Form::Statement { execution, formats: row_formats(execution, order, fallback) };
    let mut lanes = Lanes::start(session, form, per_worker(&tasks, order, window), access).await?;
    let mut heads = Vec::new();
    for lane in 0..lanes.count() {
        heads.push(lanes.next_row(session, lane).await?);
    }
    let iso = iso_dates(session);
    let columns = lanes.summary().columns.clone().unwrap_or_default();
    let Some(keys) = Keys::of(order.keys, &columns, iso) else {
        let is_binary = lanes.summary().columns.iter().flatten().any(|it| it.format == Format::Binary);
        if is_binary || splits_letters(&session.settings) {
            // Asked for in the client's format, or nothing to be combined: run again.
            lanes.finish(session).await?;
            return multi_shard::combine(session, execution, tasks, fallback).await;
        }
        let mut collector = Collector::new(&RowFormats::Text, false);
        heads.iter().flatten().for_each(|it| collector.push(it));
        return combine::run(session, execution, lanes, tasks[0].group, fallback, collector).await;
    };
    let mut rows = ClientRows::new(window);
    let merged = pass_on(session, &mut lanes, &keys, heads, order.output_columns, &mut rows).await;
    merged.unwrap_or_else(|error| lanes.fail(error));
    lanes.finish(session).await?;
    session.client.push_command_complete(&format!("SELECT {}", rows.passed()));
    Ok(())
}

/// Merges the lanes' rows, of which the first are there.
async fn pass_on(
    session: &mut Session,
    lanes: &mut Lanes<'_>,
    keys: &Keys,
    heads: Vec<Option<Bytes>>,
    output_columns: usize,
    rows: &mut ClientRows,
) -> Result<()> {
    let mut heads: Vec<Option<Head>> =
        heads.into_iter().map(|row| row.map(|row| keys.head(row)).transpose()).collect::<Result<_>>()?;
    while let Some(first) = keys.first(&heads) {
        let head = heads[first].take().expect("it was chosen among those that are there");
        if rows.is_full() {
            break;
        }
        if rows.admit() {
            push_prefix(&mut session.client, &head.row, output_columns);
            session.client.flush_if_full().await?;
        }
        let next = lanes.next_row(session, first).await?;
        heads[first] = next.map(|row| keys.head(row)).transpose()?;
    }
    Ok(())
}

/// Dates are compared by what their text says; only ISO is read here.
pub(super) fn iso_dates(session: &Session) -> bool {
    session.settings.get("DateStyle").is_none_or(|it| it.starts_with("ISO"))
}

/// Hidden columns come behind the client's, so a list of formats would not fit.
pub(super) fn row_formats(execution: &Execution<'_>, order: &Order<'_>, fallback: &Combine) -> RowFormats {
    match execution.bind {
        Some(bind) if bind.result_formats.count() > 1 => {
            RowFormats::Extended { hidden: fallback.columns.saturating_sub(order.output_columns) }
        }
        _ => RowFormats::Client,
    }
}

/// The tasks of one worker as one query, sorted.
pub(super) fn per_worker(tasks: &[Task], order: &Order<'_>, window: Window) -> Vec<Task> {
    let keys: Vec<String> = order.keys.iter().map(sort_clause).collect();
    let limit = window.wanted().map_or(String::new(), |it| format!(" LIMIT {it}"));
    let end = format!(" ORDER BY {}{limit}", keys.join(", "));
    Task::joined_per_worker(tasks.iter().cloned(), &end)
}

fn sort_clause(key: &SortKey) -> String {
    let direction = if key.descending { "DESC" } else { "ASC" };
    let nulls = if key.nulls_first { "FIRST" } else { "LAST" };
    format!("{} {direction} NULLS {nulls}", key.column + 1)
}

pub(super) struct Head {
    pub(super) row: Bytes,
    /// One per key; `None` is NULL.
    ordinals: Vec<Option<i128>>,
}

/// The sort keys with what is needed to read them.
pub(super) struct Keys {
    keys: Vec<SortKey>,
    columns: Vec<(TypeOid, Format)>,
}

impl Keys {
    /// `None` if any is of a type that is not compared here.
    pub(super) fn of(keys: &[SortKey], columns: &[ColumnDescription], iso: bool) -> Option<Self> {
        let column = |key: &SortKey| {
            let column = columns.get(key.column)?;
            let readable = iso || column.format == Format::Binary || !is_date(column.type_oid);
            (readable && is_ordered_here(column.type_oid)).then_some((column.type_oid, column.format))
        };
        Some(Self { keys: keys.to_vec(), columns: keys.iter().map(column).collect::<Option<_>>()? })
    }

    pub(super) fn head(&self, row: Bytes) -> Result<Head> {
        let fields: Vec<Option<&[u8]>> = values(&row).collect();
        let read = |(key, (type_oid, format)): (&SortKey, &(TypeOid, Format))| match fields
            .get(key.column)
            .copied()
            .flatten()
        {
            None => Ok(None),
            Some(value) => match ordinal(*type_oid, *format, value) {
                Some(ordinal) => Ok(Some(ordinal)),
                None => Err(Error::Internal("a sort key cannot be read".to_owned())),
            },
        };
        let ordinals = self.keys.iter().zip(&self.columns).map(read).collect::<Result<_>>()?;
        Ok(Head { row, ordinals })
    }

    /// The stream whose head comes first.
    fn first(&self, heads: &[Option<Head>]) -> Option<usize> {
        self.first_of(&heads.iter().map(Option::as_ref).collect::<Vec<_>>())
    }

    pub(super) fn first_of(&self, heads: &[Option<&Head>]) -> Option<usize> {
        let there = heads.iter().enumerate().filter_map(|(index, it)| it.map(|it| (index, it)));
        there.min_by(|a, b| self.compare(&a.1.ordinals, &b.1.ordinals)).map(|it| it.0)
    }

    fn compare(&self, a: &[Option<i128>], b: &[Option<i128>]) -> Ordering {
        let each = self.keys.iter().zip(a.iter().zip(b)).map(|(key, (a, b))| compare_one(key, *a, *b));
        each.fold(Ordering::Equal, Ordering::then)
    }
}

/// Types whose text depends on DateStyle.
fn is_date(type_oid: TypeOid) -> bool {
    matches!(type_oid, TypeOid::DATE | TypeOid::TIMESTAMP | TypeOid::TIMESTAMPTZ)
}

fn compare_one(key: &SortKey, a: Option<i128>, b: Option<i128>) -> Ordering {
    match (a, b) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) if key.nulls_first => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) if key.nulls_first => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(a), Some(b)) if key.descending => b.cmp(&a),
        (Some(a), Some(b)) => a.cmp(&b),
    }
}
