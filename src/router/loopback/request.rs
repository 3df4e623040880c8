//! What a loopback connection asks of the session that owns its backend.

use std::sync::Arc;

use bytes::Bytes;
use howdah_catalog::TableOid;
use howdah_pg::wire::backend::ColumnDescription;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::insert::Insert;
use super::modify::Modify;
use super::select::Select;
use crate::error::Result;

/// A loopback connection. A session has one for its backend and one for each parallel worker of it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct ConnectionId(pub(crate) u64);

#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) connection: ConnectionId,
    /// The connection is a parallel worker's: its transaction is a part of the leader's statement, and its end is no vote.
    pub(crate) parallel: bool,
    pub(crate) work: Work,
    /// Set off when the coordinator's backend no longer wants the answer.
    pub(crate) cancel: CancellationToken,
    pub(crate) reply: oneshot::Sender<Result<Answer>>,
}

/// Values of parameters, as text; `None` is NULL.
pub(crate) type Parameters = Vec<Option<String>>;

#[derive(Debug)]
pub(crate) enum Work {
    /// START TRANSACTION.
    Begin,
    /// SAVEPOINT s<depth>; the fdw names them by depth.
    Savepoint(u32),
    Release(u32),
    /// ROLLBACK TO SAVEPOINT and RELEASE of it.
    RollbackTo(u32),
    Declare {
        cursor: u32,
        select: Arc<Select>,
        parameters: Parameters,
    },
    Fetch {
        cursor: u32,
        count: usize,
    },
    /// MOVE BACKWARD ALL.
    Rewind {
        cursor: u32,
    },
    Close {
        cursor: u32,
    },
    Insert {
        insert: Arc<Insert>,
        parameters: Parameters,
    },
    Modify {
        modify: Arc<Modify>,
        parameters: Parameters,
    },
    Truncate(Vec<TableOid>),
    /// ANALYZE asks for the size, in blocks.
    Pages(TableOid),
    /// ANALYZE asks for pg_class.reltuples and relkind.
    Tuples(TableOid),
    /// COMMIT TRANSACTION, sent by the coordinator just before its own commit: the vote.
    Commit,
    Abort,
}

#[derive(Debug)]
pub(crate) enum Answer {
    /// The command's tag.
    Done(&'static str),
    /// Rows that were inserted.
    Inserted(u64),
    /// The command's name, and rows that were updated or deleted.
    Modified(&'static str, u64),
    /// The same with the rows of RETURNING.
    Returned(&'static str, Rows),
    Rows(Rows),
}

/// Rows as they go out.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) description: Vec<ColumnDescription>,
    /// Bodies of the DataRows.
    pub(crate) rows: Vec<Bytes>,
}
