//! Runs plans that concern more than one shard.

use howdah_sql::Statement;

use crate::error::{Error, Result};
use crate::execution::Execution;
use crate::session::Session;

pub(crate) async fn execute(_session: &mut Session, _execution: &Execution<'_>) -> Result<()> {
    Err(Error::not_supported("cannot run this statement yet", "Compare the distribution column with a constant."))
}

pub(crate) async fn explain(_session: &mut Session, _explain: &Statement, _execution: &Execution<'_>) -> Result<()> {
    Err(Error::not_supported("cannot explain this statement yet", "Run it instead."))
}

pub(crate) async fn copy(_session: &mut Session, _statement: &Statement) -> Result<()> {
    Err(Error::not_supported("cannot copy a distributed table yet", "Use INSERT or SELECT instead."))
}
