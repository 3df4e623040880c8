//! The ladder itself.

use crate::{Error, Plan, PlanScope, Planned, Request, Rung};

/// Plans a statement whose names may mean distributed or reference tables.
pub fn plan(request: &Request<'_>) -> Result<Planned, Error> {
    let writes = !matches!(request.statement.kind(), howdah_sql::Kind::Select);
    Ok(Planned {
        plan: Plan::Coordinator { writes },
        rung: Rung::Live,
        reasons: Vec::new(),
        scope: PlanScope::Shape,
    })
}
