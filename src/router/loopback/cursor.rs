//! One cursor of the coordinator: what it stands for, and the rows that wait to be fetched.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use howdah_catalog::GroupId;
use howdah_pg::wire::backend::ColumnDescription;

use super::live::Closing;
use super::order::SortOrder;
use super::request::{Parameters, Rows};
use super::row_id::RowIds;
use super::select::Select;
use super::snapshots::KeeperId;
use crate::error::Result;

#[derive(Debug)]
pub(super) struct Cursor {
    pub(super) select: Arc<Select>,
    pub(super) parameters: Parameters,
    pub(super) state: State,
    /// Savepoint depth at which it was declared.
    pub(super) depth: u32,
    /// It is a parallel worker's, and so is its number.
    pub(super) parallel: bool,
}

#[derive(Debug)]
pub(super) enum State {
    /// Nothing was fetched; it will read with this keeper.
    Declared(KeeperId),
    /// A request that runs at the first FETCH.
    Call(String),
    Open(Box<Open>),
}

/// A cursor that has been fetched from.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) keeper: Option<KeeperId>,
    pub(super) description: Vec<ColumnDescription>,
    pub(super) sources: Vec<Source>,
    pub(super) order: Option<SortOrder>,
    /// Columns behind those of the scan.
    pub(super) hidden: usize,
    /// Set if the rows are to be told apart over all shards.
    pub(super) row_ids: Option<RowIds>,
}

/// A cursor on a worker.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) group: GroupId,
    pub(super) portal: String,
    /// Place among the table's shards of the one that is read, if it is only one.
    pub(super) shard: usize,
    /// Savepoint depth at which it was opened.
    pub(super) depth: u32,
    pub(super) rows: VecDeque<Row>,
    /// The worker has no more.
    pub(super) exhausted: bool,
}

/// The body of a DataRow, and its place among the rows that wait, where a worker has ranked them.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) body: Bytes,
    pub(super) rank: u64,
}

impl State {
    /// Rows that are there already.
    pub(super) fn rows(rows: Rows) -> Self {
        let source = Source {
            group: GroupId::COORDINATOR,
            portal: String::new(),
            shard: 0,
            depth: 0,
            rows: rows.rows.into_iter().map(|body| Row { body, rank: 0 }).collect(),
            exhausted: true,
        };
        let description = rows.description;
        Self::Open(Box::new(Open {
            keeper: None,
            description,
            sources: vec![source],
            order: None,
            hidden: 0,
            row_ids: None,
        }))
    }
}

impl Cursor {
    /// As before the first FETCH; returns what is no longer needed on the workers.
    pub(super) fn rewind(&mut self) -> Vec<Closing> {
        let State::Open(open) = &mut self.state else { return Vec::new() };
        // Rows that were made here are read once only: the request must not run again.
        let Some(keeper) = open.keeper else { return Vec::new() };
        let sources = std::mem::take(&mut open.sources);
        self.state = State::Declared(keeper);
        sources.into_iter().map(|it| Closing { group: it.group, name: it.portal, depth: it.depth }).collect()
    }

    /// Whether all of it is still there after a rollback to a savepoint of this depth.
    pub(super) fn survives(&self, depth: u32) -> bool {
        let opened = match &self.state {
            State::Open(open) => open.sources.iter().all(|it| it.depth < depth),
            State::Declared(_) | State::Call(_) => true,
        };
        self.depth < depth && opened
    }

    pub(super) fn each_depth(&mut self, change: &impl Fn(&mut u32)) {
        change(&mut self.depth);
        if let State::Open(open) = &mut self.state {
            open.sources.iter_mut().for_each(|it| change(&mut it.depth));
        }
    }
}

impl Open {
    /// Sources from which rows must be fetched before the next row can be told.
    pub(super) fn dry(&self) -> Vec<usize> {
        let empty = |it: &usize| self.sources[*it].rows.is_empty() && !self.sources[*it].exhausted;
        (0..self.sources.len()).filter(empty).collect()
    }

    /// Moves rows to `rows` until there are `count`, or until a source must be refilled first.
    pub(super) fn take(&mut self, rows: &mut Vec<Bytes>, count: usize) -> Result<()> {
        while rows.len() < count {
            let Some(next) = self.next()? else { break };
            let Some(row) = self.sources[next].rows.pop_front() else { break };
            rows.push(without_hidden(row.body, self.hidden));
        }
        Ok(())
    }

    /// The source of the next row.
    fn next(&self) -> Result<Option<usize>> {
        let waiting = || (0..self.sources.len()).filter(|it| !self.sources[*it].rows.is_empty());
        match &self.order {
            None => Ok(waiting().next()),
            // The first row is known only when all sources have shown theirs.
            Some(_) if !self.dry().is_empty() => Ok(None),
            Some(SortOrder::Ranked(_)) => Ok(waiting().min_by_key(|it| self.sources[*it].rows[0].rank)),
            Some(SortOrder::Exact(keys)) => {
                let mut first: Option<usize> = None;
                for index in waiting() {
                    let row = |it: usize| &self.sources[it].rows[0].body;
                    first = match first {
                        Some(it) if SortOrder::compare(keys, row(index), row(it))?.is_ge() => Some(it),
                        _ => Some(index),
                    };
                }
                Ok(first)
            }
        }
    }
}

/// Cuts the last columns off the body of a DataRow.
fn without_hidden(body: Bytes, hidden: usize) -> Bytes {
    if hidden == 0 {
        return body;
    }
    let Some(count) = body.first_chunk::<2>().map(|it| u16::from_be_bytes(*it)) else { return body };
    let kept = usize::from(count).saturating_sub(hidden);
    let mut end = 2;
    for _ in 0..kept {
        let Some(length) = body.get(end..).and_then(|it| it.first_chunk::<4>()) else { return body };
        end += 4 + usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
    }
    let mut cut = BytesMut::with_capacity(end);
    cut.put_u16(u16::try_from(kept).unwrap_or(u16::MAX));
    cut.extend_from_slice(&body[2..end.min(body.len())]);
    cut.freeze()
}

#[cfg(test)]
mod tests {
    use howdah_pg::wire::backend::put_data_row;

    use super::*;

    fn body(values: &[Option<&str>]) -> Bytes {
        let mut buffer = BytesMut::new();
        put_data_row(&mut buffer, values.iter().map(|it| it.map(str::as_bytes)));
        buffer.freeze().slice(5..)
    }

    #[test]
    fn hidden_columns_are_cut_off() {
        let row = body(&[Some("a"), None, Some("key")]);
        assert_eq!(without_hidden(row, 1), body(&[Some("a"), None]));
        assert_eq!(without_hidden(body(&[None]), 0), body(&[None]));
    }
}
