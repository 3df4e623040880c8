//! The state of live tables in one session: the cursors that the coordinator has open through it, and what they read with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use howdah_catalog::{Catalog, GroupId, TableOid};
use howdah_pg::TypeOid;
use howdah_pg::wire::Format;
use howdah_pg::wire::backend::{ColumnDescription, put_data_row};
use tokio_util::sync::CancellationToken;

use super::cursor::{Cursor, State};
use super::host::Host;
use super::keepers::readable;
use super::readers::{Running, unclear};
use super::request::{Answer, ConnectionId, Parameters, Request, Rows, Work};
use super::select::{Relation, Select, Value};
use super::snapshots::{KeeperId, Retired, Snapshots};
use crate::error::{Error, Result};

#[derive(Default)]
pub(crate) struct Live {
    pub(super) snapshots: Snapshots,
    /// Workers that could not be reached when a keeper was opened on the others.
    pub(super) left_out: BTreeSet<(KeeperId, GroupId)>,
    pub(super) cursors: BTreeMap<(ConnectionId, u32), Cursor>,
    /// Cursors on workers that are no longer needed; closed with the next flight there.
    pub(super) closing: Vec<Closing>,
    /// Number of the fdw's innermost savepoint; the transaction itself is its level 1.
    pub(super) depth: u32,
    next_portal: u64,
    /// What the client has running.
    running: Running,
    /// Whether the coordinator has opened a loopback transaction since the last end of one.
    begun: bool,
}

/// A cursor to close on a worker.
#[derive(Debug)]
pub(super) struct Closing {
    pub(super) group: GroupId,
    pub(super) name: String,
    /// Savepoint depth at which it was opened.
    pub(super) depth: u32,
}

/// Serves one request of the session's backend.
pub(crate) async fn serve<H: Host>(host: &mut H, live: &mut Live, request: Request) {
    let Request { connection, parallel, work, cancel, reply } = request;
    let caller = Caller { connection, parallel, cancel };
    let result = live.work(host, &caller, work).await;
    let result = result.map_err(|error| for_functions(error, &host.catalog()));
    // The connection may be gone; then nobody waits for the answer.
    let _ = reply.send(result);
}

/// Functions may catch an error and look at it: its names are without shards. By a shard that is missing the session knows
/// that it has moved; so that one stays as it is.
fn for_functions(error: Error, catalog: &Catalog) -> Error {
    match error {
        Error::Postgres(fields) if !crate::shard_error::misses_shard(&fields, catalog) => {
            crate::executor::without_shards(Error::Postgres(fields), catalog)
        }
        other => other,
    }
}

/// Who asks.
pub(super) struct Caller {
    pub(super) connection: ConnectionId,
    pub(super) parallel: bool,
    /// Set off when the coordinator's backend no longer wants the answer.
    pub(super) cancel: CancellationToken,
}

impl Live {
    /// A new top-level statement goes to the coordinator.
    pub(crate) fn statement(&mut self, text: &[u8]) {
        self.running.begin(text);
        let retired = self.snapshots.statement();
        self.retire(retired);
    }

    /// The transaction has ended, on the workers too.
    pub(crate) fn finished(&mut self) {
        *self = Self { next_portal: self.next_portal, ..Self::default() };
    }

    /// Whether a portal that the coordinator keeps may read live tables later: then the session must run
    /// `SELECT howdah.probe()` there before anything is written or another statement runs.
    pub(crate) fn is_begun(&self) -> bool {
        self.begun
    }

    async fn work<H: Host>(&mut self, host: &mut H, caller: &Caller, work: Work) -> Result<Answer> {
        let works = !matches!(
            work,
            Work::Begin
                | Work::Commit
                | Work::Abort
                | Work::Close { .. }
                | Work::Release(_)
                | Work::RollbackTo(_)
        );
        if host.is_closed() && works {
            return Err(Error::not_supported(
                "cannot use a distributed table while the transaction commits",
                "Use SET CONSTRAINTS ALL IMMEDIATE before COMMIT, so that deferred triggers run earlier.",
            ));
        }
        match work {
            Work::Begin => {
                host.begin().await?;
                self.begun = true;
                Ok(Answer::Done("START TRANSACTION"))
            }
            Work::Savepoint(_) | Work::Release(_) | Work::RollbackTo(_) => {
                self.nested(host, caller, &work).await
            }
            Work::Declare { cursor, select, parameters } => {
                self.declare(host, caller, cursor, select, parameters).await?;
                Ok(Answer::Done("DECLARE CURSOR"))
            }
            Work::Fetch { cursor, count } => self.fetch(host, caller, cursor, count).await.map(Answer::Rows),
            Work::Rewind { cursor } => {
                self.rewind((caller.connection, cursor))?;
                Ok(Answer::Done("MOVE"))
            }
            Work::Close { cursor } => {
                self.close((caller.connection, cursor));
                Ok(Answer::Done("CLOSE CURSOR"))
            }
            Work::Insert { insert, parameters } => self.insert(host, caller, &insert, &parameters).await,
            Work::Modify { modify, parameters } => self.modify(host, caller, &modify, &parameters).await,
            Work::Truncate(tables) => {
                self.truncate(host, caller, &tables).await?;
                Ok(Answer::Done("TRUNCATE TABLE"))
            }
            Work::Pages(table) => self.pages(host, caller, table).await.map(Answer::Rows),
            Work::Tuples(table) => self.tuples(host, caller, table).await.map(Answer::Rows),
            Work::Commit | Work::Abort => self.end(host, caller, &work).await,
        }
    }

    /// A cursor by that name now stands for this query. Nothing is asked of the workers before the first FETCH.
    async fn declare<H: Host>(
        &mut self,
        host: &mut H,
        caller: &Caller,
        number: u32,
        select: Arc<Select>,
        parameters: Parameters,
    ) -> Result<()> {
        let id = (caller.connection, number);
        if self.cursors.contains_key(&id) {
            return Err(Error::Internal(format!("cursor c{number} exists already")));
        }
        let state = match select.relation {
            Relation::Table(table) => {
                self.check_table(host, table)?;
                if self.snapshots.follows_write(number) || caller.parallel && self.snapshots.has_written() {
                    let router = host.router();
                    let readers = router.readers.get(&router).await?;
                    if self.running.may_call(&readers) {
                        return Err(unclear());
                    }
                }
                let open = self.open_cursors();
                let (keeper, retired) = match caller.parallel {
                    true => self.snapshots.current(open),
                    false => self.snapshots.keeper_for(number, open).map_err(|_| forgotten())?,
                };
                self.retire(retired);
                State::Declared(keeper)
            }
            Relation::Probe => State::rows(self.probe(host, caller, number).await?),
            Relation::Boundary => State::rows(self.boundary(host, caller, number).await?),
            Relation::Call => {
                let request = call_request(&select, &parameters)?;
                if !caller.parallel {
                    let retired = self.snapshots.passed(number);
                    self.retire(retired);
                }
                State::Call(request)
            }
        };
        self.cursors
            .insert(id, Cursor { select, parameters, state, depth: self.depth, parallel: caller.parallel });
        Ok(())
    }

    fn check_table<H: Host>(&self, host: &H, table: TableOid) -> Result<()> {
        match host.catalog().table(table) {
            Some(table) if !table.is_reference() => Ok(()),
            _ => Err(Error::Internal(format!("no distributed table has the number {table}"))),
        }
    }

    /// Cursors over tables that are declared, of whatever connection.
    pub(super) fn open_cursors(&self) -> usize {
        self.cursors.values().filter(|it| matches!(it.select.relation, Relation::Table(_))).count()
    }

    pub(super) fn any_reading(&self) -> bool {
        0 < self.open_cursors() || self.snapshots.any_held()
    }

    /// What was declared before the probe keeps its moment: the keepers are opened on every worker, now.
    async fn probe<H: Host>(&mut self, host: &mut H, caller: &Caller, number: u32) -> Result<Rows> {
        if !caller.parallel {
            self.running.hold();
            let (keepers, retired) = self.snapshots.hold(number);
            self.retire(retired);
            let groups = readable(host);
            for keeper in keepers {
                self.take_snapshots(host, caller, keeper, &groups).await?;
                self.open_keeper(host, caller, keeper, &groups).await?;
            }
        }
        Ok(text_rows("gid", vec![None]))
    }

    /// A statement is about to write. What began before it and has read nothing has its snapshots taken now; where there is no
    /// fence, with the write itself ([`Self::write_flight`]).
    async fn boundary<H: Host>(&mut self, host: &mut H, caller: &Caller, number: u32) -> Result<Rows> {
        host.check_writable()?;
        if caller.parallel {
            return Err(Error::Internal("a parallel worker writes".to_owned()));
        }
        let retired = self.snapshots.boundary(number);
        self.retire(retired);
        for keeper in self.snapshots.past_keepers() {
            self.take_snapshots(host, caller, keeper, &BTreeSet::new()).await?;
        }
        Ok(text_rows("gid", vec![host.record_gid()]))
    }

    async fn nested<H: Host>(&mut self, host: &mut H, caller: &Caller, work: &Work) -> Result<Answer> {
        // A parallel worker cannot have subtransactions of its own: these are its leader's, which has sent them too. And COMMIT
        // ends those that are open, when the workers are prepared already.
        let own = !caller.parallel && !host.is_closed();
        match *work {
            Work::Savepoint(depth) => {
                if own {
                    host.savepoint(&savepoint_name(depth)).await?;
                    self.depth = depth;
                }
                Ok(Answer::Done("SAVEPOINT"))
            }
            Work::Release(depth) => {
                if own {
                    host.release(&savepoint_name(depth)).await?;
                    self.snapshots.released(depth);
                    self.each_depth(|it| *it = (*it).min(depth - 1));
                    self.depth = depth - 1;
                }
                Ok(Answer::Done("RELEASE"))
            }
            Work::RollbackTo(depth) => {
                if own {
                    host.rollback_to(&savepoint_name(depth)).await?;
                    host.release(&savepoint_name(depth)).await?;
                    self.snapshots.rolled_back(depth);
                    self.closing.retain(|it| it.depth < depth);
                    self.forget_cursors(depth);
                    self.depth = depth - 1;
                }
                Ok(Answer::Done("ROLLBACK"))
            }
            _ => unreachable!("only savepoints come here"),
        }
    }

    /// After a rollback to a savepoint: nobody will close what was opened inside.
    fn forget_cursors(&mut self, depth: u32) {
        let gone = self.cursors.iter().filter(|(_, it)| !it.survives(depth)).map(|(id, _)| *id);
        for id in gone.collect::<Vec<_>>() {
            if self.cursors.remove(&id).is_some_and(|it| !it.parallel) {
                self.snapshots.closed(id.1);
            }
        }
    }

    fn each_depth(&mut self, change: impl Fn(&mut u32)) {
        self.closing.iter_mut().for_each(|it| change(&mut it.depth));
        self.cursors.values_mut().for_each(|it| it.each_depth(&change));
    }

    fn rewind(&mut self, id: (ConnectionId, u32)) -> Result<()> {
        let cursor = self.cursors.get_mut(&id).ok_or_else(|| no_cursor(id.1))?;
        self.closing.extend(cursor.rewind());
        Ok(())
    }

    fn close(&mut self, id: (ConnectionId, u32)) {
        if let Some(mut cursor) = self.cursors.remove(&id) {
            self.closing.extend(cursor.rewind());
            if !cursor.parallel {
                self.snapshots.closed(id.1);
            }
        }
    }

    pub(super) fn retire(&mut self, retired: Vec<Retired>) {
        let closing =
            |it: Retired| Closing { group: it.group, name: it.keeper.cursor_name(), depth: it.depth };
        self.closing.extend(retired.into_iter().map(closing));
    }

    async fn end<H: Host>(&mut self, host: &mut H, caller: &Caller, work: &Work) -> Result<Answer> {
        let mine: Vec<_> = self.cursors.keys().filter(|it| it.0 == caller.connection).copied().collect();
        for id in mine {
            self.close(id);
        }
        if caller.parallel {
            return Ok(Answer::Done(if matches!(work, Work::Commit) { "COMMIT" } else { "ROLLBACK" }));
        }
        self.begun = false;
        self.depth = 0;
        // The fdw counts its cursors from 1 again.
        let retired = self.snapshots.retire_all();
        self.snapshots = self.snapshots.next_transaction();
        self.retire(retired);
        let tag = match work {
            Work::Commit => {
                host.vote().await?;
                "COMMIT"
            }
            _ => {
                host.abort().await?;
                "ROLLBACK"
            }
        };
        if host.is_closed() || tag == "ROLLBACK" {
            // What was open on the workers went with their transactions.
            self.closing.clear();
        }
        Ok(Answer::Done(tag))
    }

    pub(super) fn portal_name(&mut self) -> String {
        self.next_portal += 1;
        format!("howdah_live_{}", self.next_portal)
    }
}

/// A cursor that was taken to be over is opened again, and what it was to see is no longer kept.
pub(super) fn forgotten() -> Error {
    Error::not_supported(
        "cannot read a distributed table any more in a statement that began before others wrote",
        "Read what is needed first, for instance into an array or a temporary table, and write then.",
    )
}

pub(super) fn no_cursor(number: u32) -> Error {
    Error::UndefinedPortal(format!("c{number}"))
}

/// Users may have savepoints of the fdw's own names.
fn savepoint_name(depth: u32) -> String {
    format!("howdah_live_{depth}")
}

fn call_request(select: &Select, parameters: &Parameters) -> Result<String> {
    let value = select.equalities.iter().find(|it| it.column == "request").map(|it| &it.value);
    let request = match value {
        Some(Value::Constant(text)) => Some(text.clone()),
        Some(Value::Parameter(index)) => parameters.get(*index).cloned().flatten(),
        None => None,
    };
    request.ok_or_else(|| {
        Error::not_supported("howdah_live.call needs a request", "Use the functions of the interface.")
    })
}

/// A result of one text column.
pub(super) fn text_rows(column: &str, values: Vec<Option<String>>) -> Rows {
    rows_of(&[(column, TypeOid::TEXT, -1)], values.into_iter().map(|it| vec![it]))
}

/// A result that is made here: columns with their types and sizes.
pub(super) fn rows_of(
    columns: &[(&str, TypeOid, i16)],
    values: impl IntoIterator<Item = Vec<Option<String>>>,
) -> Rows {
    let description = columns.iter().map(|(name, type_oid, size)| ColumnDescription {
        name: name.as_bytes().into(),
        table_oid: 0,
        column: 0,
        type_oid: *type_oid,
        type_size: *size,
        typmod: -1,
        format: Format::Text,
    });
    let row = |values: Vec<Option<String>>| -> Bytes {
        let mut buffer = bytes::BytesMut::new();
        put_data_row(&mut buffer, values.iter().map(|it| it.as_deref().map(str::as_bytes)));
        // Without tag and length.
        buffer.freeze().slice(5..)
    };
    Rows { description: description.collect(), rows: values.into_iter().map(row).collect() }
}
