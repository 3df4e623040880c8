//! Why a rung is not taken.

/// One sentence for EXPLAIN, without a full stop: "the window function w is not partitioned by …".
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refused(String);

impl Refused {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}
