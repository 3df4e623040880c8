//! What can be wrong with the bytes of a peer.

use crate::SqlState;

/// A violation of the protocol, in PostgreSQL's own words. Most leave the stream in an unknown place, so
/// the connection ends after it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ProtocolError {
    #[error("invalid message length")]
    InvalidLength,
    #[error("invalid length of startup packet")]
    InvalidStartupLength,
    #[error("invalid startup packet layout: expected terminator as last byte")]
    InvalidStartupLayout,
    #[error("invalid frontend message type {0}")]
    UnknownFrontendMessage(u8),
    #[error("invalid backend message type {0}")]
    UnknownBackendMessage(u8),
    #[error("insufficient data left in message")]
    InsufficientData,
    #[error("invalid string in message")]
    UnterminatedString,
    #[error("invalid message format")]
    TrailingData,
    #[error("invalid DESCRIBE message subtype {0}")]
    InvalidDescribe(u8),
    #[error("invalid CLOSE message subtype {0}")]
    InvalidClose(u8),
    #[error("unsupported format code: {0}")]
    InvalidFormat(i16),
    #[error("bind message has {formats} parameter formats but {parameters} parameters")]
    FormatCount { formats: usize, parameters: usize },
    #[error("invalid byte sequence for encoding \"UTF8\" in startup packet")]
    NotUtf8,
    #[error("invalid transaction status {0}")]
    InvalidTransactionStatus(u8),
    #[error("invalid SQLSTATE in error message")]
    InvalidSqlState,
}

impl ProtocolError {
    pub fn sqlstate(&self) -> SqlState {
        match self {
            Self::InvalidLength
            | Self::InvalidStartupLength
            | Self::InvalidStartupLayout
            | Self::UnknownFrontendMessage(_)
            | Self::UnknownBackendMessage(_)
            | Self::InsufficientData
            | Self::UnterminatedString
            | Self::TrailingData
            | Self::InvalidDescribe(_)
            | Self::InvalidClose(_)
            | Self::FormatCount { .. }
            | Self::InvalidTransactionStatus(_)
            | Self::InvalidSqlState => SqlState::PROTOCOL_VIOLATION,
            Self::InvalidFormat(_) => SqlState::INVALID_PARAMETER_VALUE,
            Self::NotUtf8 => SqlState::CHARACTER_NOT_IN_REPERTOIRE,
        }
    }

    /// Whether the message could still be told from the next one: PostgreSQL then answers with ERROR and
    /// goes on, else with FATAL.
    pub fn is_recoverable(&self) -> bool {
        match self {
            Self::InsufficientData
            | Self::UnterminatedString
            | Self::TrailingData
            | Self::InvalidDescribe(_)
            | Self::InvalidClose(_)
            | Self::InvalidFormat(_)
            | Self::FormatCount { .. } => true,
            Self::InvalidLength
            | Self::InvalidStartupLength
            | Self::InvalidStartupLayout
            | Self::UnknownFrontendMessage(_)
            | Self::UnknownBackendMessage(_)
            | Self::NotUtf8
            | Self::InvalidTransactionStatus(_)
            | Self::InvalidSqlState => false,
        }
    }
}
