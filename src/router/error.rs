//! Everything that can go wrong in the router, and what a client is told of it.
//!
//! What a server said stays as it was said: [`Error::Postgres`] keeps all its fields.

use std::io;

use howdah_catalog::GroupId;

use crate::report::Report;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A server's ErrorResponse, or one that is made in the same form.
    #[error("{0}")]
    Postgres(Box<Report>),
    /// Something PostgreSQL would do and the router does not, or not yet.
    #[error("{message}")]
    NotSupported { message: String, detail: Option<String>, hint: Option<String> },
    /// A statement after an error in a transaction block.
    #[error("current transaction is aborted, commands ignored until end of transaction block")]
    InFailedTransaction,
    #[error("{0}")]
    ProtocolViolation(String),
    #[error("invalid statement name \"{0}\"")]
    UndefinedStatement(String),
    #[error("portal \"{0}\" does not exist")]
    UndefinedPortal(String),
    #[error("{0}")]
    LimitExceeded(String),
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
    /// The client went away; nobody is left to be told.
    #[error("the client closed the connection")]
    ClientGone(#[source] io::Error),
    #[error("terminating connection because the router is shutting down")]
    ShuttingDown,
    /// A plan, a catalog or a reply that contradicts itself: a defect of ours.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    /// The SQLSTATE that a client decides by whether to try again.
    pub fn sqlstate(&self) -> &str {
        match self {
            Self::Postgres(report) => report.code(),
            Self::NotSupported { .. } => "0A000",
            Self::InFailedTransaction => "25P02",
            Self::ProtocolViolation(_) => "08P01",
            Self::UndefinedStatement(_) => "26000",
            Self::UndefinedPortal(_) => "34000",
            Self::LimitExceeded(_) => "54000",
            Self::Connect { .. } => "08001",
            Self::ConnectionLost { .. } => "08006",
            Self::PoolTimeout(_) | Self::PoolOverrun(_) => "53300",
            Self::UnknownGroup(_) => "55000",
            Self::ClientGone(_) => "08006",
            Self::ShuttingDown => "57P01",
            Self::Internal(_) => "XX000",
        }
    }

    /// Shorthand for 0A000 with the sentence that says what to do instead.
    pub fn not_supported(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::NotSupported { message: message.into(), detail: None, hint: Some(hint.into()) }
    }

    /// What is sent to the client.
    pub fn report(&self) -> Report {
        let report = match self {
            Self::Postgres(report) => return Report::clone(report),
            Self::NotSupported { message, detail, hint } => {
                Report::error("0A000", message).with_detail(detail.as_deref()).with_hint(hint.as_deref())
            }
            other => Report::error(other.sqlstate(), &other.to_string()),
        };
        if self.ends_session() { report.fatal() } else { report }
    }

    /// Whether the session cannot go on after it.
    pub fn ends_session(&self) -> bool {
        match self {
            Self::ClientGone(_) | Self::ShuttingDown => true,
            Self::Postgres(report) => report.is_fatal_to_client(),
            _ => false,
        }
    }
}

impl From<Report> for Error {
    fn from(report: Report) -> Self {
        Self::Postgres(Box::new(report))
    }
}
