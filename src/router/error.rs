//! Everything that can go wrong in the router, and what a client is told of it.
//!
//! What a server said stays as it was said: [`Error::Postgres`] keeps all its fields.

use std::io;

use howdah_catalog::GroupId;
use howdah_pg::SqlState;
use howdah_pg::wire::{ErrorFields, Field, Severity};

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A server's ErrorResponse, or one that is made in the same form.
    #[error("{}", .0.message())]
    Postgres(Box<ErrorFields>),
    /// A worker misses a shard: moved, unless the catalog still says the same.
    #[error("{}", .0.fields.message())]
    MissingShard(MissingShard),
    /// A server's ErrorResponse, and the session ends with it.
    #[error("{}", .0.message())]
    Fatal(Box<ErrorFields>),
    /// Something PostgreSQL would do and the router does not, or not yet.
    #[error("{message}")]
    NotSupported { message: String, detail: Option<String>, hint: Option<String> },
    /// A statement after an error in a transaction block.
    #[error("current transaction is aborted, commands ignored until end of transaction block")]
    InFailedTransaction,
    /// A statement that has no plan.
    #[error("{0}")]
    Planner(#[from] howdah_planner::Error),
    #[error("{0}")]
    ProtocolViolation(String),
    #[error("invalid statement name \"{0}\"")]
    UndefinedStatement(String),
    #[error("portal \"{0}\" does not exist")]
    UndefinedPortal(String),
    #[error("{0}")]
    LimitExceeded(String),
    #[error("the statement is {bytes} bytes long, and at most {most} are possible here")]
    StatementTooLong { bytes: usize, most: usize },
    #[error("there is no room to plan a statement of {0} bytes")]
    NoRoomForStatement(usize),
    #[error("could not connect to node group {group}: {reason}")]
    Connect { group: GroupId, reason: String },
    #[error("lost the connection to node group {group}: {reason}")]
    ConnectionLost { group: GroupId, reason: String },
    #[error("no connection to node group {0} became free in time")]
    PoolTimeout(GroupId),
    #[error("too many sessions wait for a connection to node group {0}")]
    PoolOverrun(GroupId),
    /// The catalog has no such node: it was removed, or never was.
    #[error("node group {0} does not exist")]
    UnknownGroup(GroupId),
    /// The router cannot begin to serve: nobody but its log hears of it.
    #[error("could not start: {0}")]
    Start(String),
    /// The client went away; nobody is left to be told.
    #[error("the client closed the connection")]
    ClientGone(#[source] io::Error),
    #[error("terminating connection because the router is shutting down")]
    ShuttingDown,
    /// A plan, a catalog or a reply that contradicts itself: a defect of ours.
    #[error("{0}")]
    Internal(String),
}

/// That a worker misses a shard.
#[derive(Debug)]
pub struct MissingShard {
    pub(crate) fields: Box<ErrorFields>,
    /// No other node can have done a part of a write for this statement.
    pub(crate) alone: bool,
}

impl Error {
    /// The SQLSTATE, by which a client decides whether to try again.
    pub fn sqlstate(&self) -> SqlState {
        match self {
            Self::Postgres(fields) | Self::Fatal(fields) => fields.code(),
            Self::MissingShard(it) => it.fields.code(),
            Self::NotSupported { .. } => SqlState::FEATURE_NOT_SUPPORTED,
            Self::Planner(error) => {
                SqlState::parse(error.sqlstate().as_bytes()).unwrap_or(SqlState::INTERNAL_ERROR)
            }
            Self::NoRoomForStatement(_) => SqlState::OUT_OF_MEMORY,
            Self::InFailedTransaction => SqlState::IN_FAILED_SQL_TRANSACTION,
            Self::ProtocolViolation(_) => SqlState::PROTOCOL_VIOLATION,
            Self::UndefinedStatement(_) => SqlState::INVALID_SQL_STATEMENT_NAME,
            Self::UndefinedPortal(_) => SqlState::INVALID_CURSOR_NAME,
            Self::LimitExceeded(_) | Self::StatementTooLong { .. } => SqlState::PROGRAM_LIMIT_EXCEEDED,
            Self::Connect { .. } => SqlState::SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION,
            Self::ConnectionLost { .. } | Self::ClientGone(_) => SqlState::CONNECTION_FAILURE,
            Self::PoolTimeout(_) | Self::PoolOverrun(_) => SqlState::TOO_MANY_CONNECTIONS,
            Self::UnknownGroup(_) => SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
            Self::ShuttingDown => SqlState::ADMIN_SHUTDOWN,
            Self::Start(_) | Self::Internal(_) => SqlState::INTERNAL_ERROR,
        }
    }

    /// Shorthand for 0A000 with the sentence that says what to do instead.
    pub fn not_supported(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::NotSupported { message: message.into(), detail: None, hint: Some(hint.into()) }
    }

    /// What is sent to the client.
    pub fn fields(&self) -> ErrorFields {
        let mut fields = match self {
            Self::Postgres(fields) | Self::Fatal(fields) => ErrorFields::clone(fields),
            Self::MissingShard(it) => ErrorFields::clone(&it.fields),
            other => ErrorFields::error(other.sqlstate(), other.to_string()),
        };
        if let Self::NotSupported { detail, hint, .. } = self {
            detail.iter().for_each(|it| fields.set(Field::Detail, it.as_str()));
            hint.iter().for_each(|it| fields.set(Field::Hint, it.as_str()));
        }
        if let Self::StatementTooLong { .. } | Self::NoRoomForStatement(_) = self {
            fields.set(Field::Hint, "Load many rows with COPY, or split the statement into several.");
        }
        if let Self::Planner(error) = self {
            error.detail().into_iter().for_each(|it| fields.set(Field::Detail, it));
            error.hint().into_iter().for_each(|it| fields.set(Field::Hint, it));
        }
        // A server's own FATAL ended one of our connections, not the client's session.
        fields.set_severity(if self.ends_session() { Severity::Fatal } else { Severity::Error });
        fields
    }

    /// Whether the session cannot go on after it.
    pub fn ends_session(&self) -> bool {
        matches!(self, Self::ClientGone(_) | Self::ShuttingDown | Self::Fatal(_))
    }
}

impl From<ErrorFields> for Error {
    fn from(fields: ErrorFields) -> Self {
        Self::Postgres(Box::new(fields))
    }
}

impl From<howdah_pg::wire::ProtocolError> for Error {
    fn from(error: howdah_pg::wire::ProtocolError) -> Self {
        let fields = Box::new(ErrorFields::from(error));
        if error.is_recoverable() { Self::Postgres(fields) } else { Self::Fatal(fields) }
    }
}
