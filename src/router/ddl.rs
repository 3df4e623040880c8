//! What DDL on the coordinator asks of the workers.

use howdah_sql::{Kind, Statement};

use crate::error::Result;
use crate::session::Session;

/// Whether a statement that names no distributed table is for all nodes all the same.
pub(crate) fn concerns_all_nodes(_statement: &Statement) -> bool {
    false
}

/// Whether PostgreSQL refuses the statement inside of a transaction block.
pub(crate) fn runs_alone(statement: &Statement) -> bool {
    matches!(statement.kind(), Kind::Vacuum)
}

/// Before the coordinator runs it: refusals.
pub(crate) async fn before(_session: &mut Session, _statement: &Statement) -> Result<()> {
    Ok(())
}

/// After the coordinator ran it, in the same transaction.
pub(crate) async fn after(_session: &mut Session, _statement: &Statement) -> Result<()> {
    Ok(())
}
