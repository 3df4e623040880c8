//! Statements that are refused: with a SQLSTATE, and a hint that says what to do instead.

/// Why a statement has no plan. Everything else that is wrong with a statement is found by PostgreSQL.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    /// A write that no rung takes.
    #[error("cannot run this {command} on distributed tables")]
    UnsupportedWrite { command: &'static str, reason: String },
    /// A read whose meaning would be lost on the last rung.
    #[error("{construct} of distributed tables is not supported here")]
    UnsupportedRead { construct: &'static str, reason: String },
    #[error("modifying the partition value of rows is not allowed")]
    DistributionColumnChanged { table: String, column: String },
    #[error("null value in column \"{column}\" of relation \"{table}\" violates not-null constraint")]
    NullDistributionColumn { table: String, column: String },
    #[error("{0}")]
    Unsupported(String),
}

impl Error {
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Self::UnsupportedWrite { .. }
            | Self::UnsupportedRead { .. }
            | Self::DistributionColumnChanged { .. }
            | Self::Unsupported(_) => "0A000",
            Self::NullDistributionColumn { .. } => "23502",
        }
    }

    /// Full sentences, or nothing.
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::UnsupportedWrite { reason, .. } | Self::UnsupportedRead { reason, .. } => {
                Some(sentence(reason))
            }
            Self::NullDistributionColumn { .. } => {
                Some("Rows need a value of the distribution column to have a shard.".into())
            }
            Self::DistributionColumnChanged { .. } | Self::Unsupported(_) => None,
        }
    }

    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnsupportedWrite { .. } => Some(
                "Compare the distribution columns of all distributed tables with each other or with one constant, or run a \
                 SELECT first and write its rows in a second statement."
                    .into(),
            ),
            Self::UnsupportedRead { .. } => {
                Some("Compare the distribution column with a constant, so that the query concerns one shard.".into())
            }
            Self::DistributionColumnChanged { column, .. } => {
                Some(format!("Delete the row and insert it again with the new value of \"{column}\"."))
            }
            Self::NullDistributionColumn { .. } | Self::Unsupported(_) => None,
        }
    }
}

fn sentence(reason: &str) -> String {
    let mut letters = reason.chars();
    let first = letters.next().map(|it| it.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}
