//! The ladder itself.

use howdah_sql::{Kind, NodeEnum, ast, shape};

use crate::splice::Slots;
use crate::statement::Facts;
use crate::{
    Error, MultiShard, Plan, PlanScope, Planned, Request, Rung, insert, modify, pushdown, router_query, time,
};

pub(crate) type Reasons = Vec<(Rung, String)>;

/// Plans a statement. Never an error for a SELECT that the last rung answers right.
pub fn plan(request: &Request<'_>) -> Result<Planned, Error> {
    if !request.statement.kind().is_plannable() {
        return Ok(coordinator(true, Rung::Local, Vec::new()));
    }
    let facts = Facts::of(request);
    if !facts.reads_distributed {
        let writes = facts.writes() || facts.calls_user_code;
        return Ok(coordinator(writes, Rung::Local, Vec::new()));
    }
    if let Some(reason) = unusual_settings(request).or_else(|| facts.only_on_coordinator.clone()) {
        return last_rung(&facts, vec![(Rung::Router, reason)]);
    }
    match request.statement.node() {
        NodeEnum::InsertStmt(it) if target_is_distributed(&facts) => insert::plan(it, &facts),
        NodeEnum::UpdateStmt(_) | NodeEnum::DeleteStmt(_) if target_is_distributed(&facts) => {
            modify::plan(&facts)
        }
        NodeEnum::SelectStmt(_) => select(&facts),
        NodeEnum::MergeStmt(_) if target_is_distributed(&facts) => modify::plan_merge(&facts),
        _ => last_rung(&facts, Vec::new()),
    }
}

/// The top-level write's target: the first that the walk met outside of WITH is not told apart, so the statement's own node says.
fn target_is_distributed(facts: &Facts<'_>) -> bool {
    let range = match facts.context.request.statement.node() {
        NodeEnum::InsertStmt(it) => it.relation.as_ref(),
        NodeEnum::UpdateStmt(it) => it.relation.as_ref(),
        NodeEnum::DeleteStmt(it) => it.relation.as_ref(),
        NodeEnum::MergeStmt(it) => it.relation.as_ref(),
        _ => None,
    };
    facts.is_distributed(range)
}

fn unusual_settings(request: &Request<'_>) -> Option<String> {
    let settings = request.settings;
    let reason = match () {
        () if !settings.standard_conforming_strings => "standard_conforming_strings is off",
        () if settings.transform_null_equals => "transform_null_equals is on",
        () if !settings.system_names_first => "search_path names pg_catalog after other schemas",
        () => return None,
    };
    Some(reason.to_owned())
}

fn select(facts: &Facts<'_>) -> Result<Planned, Error> {
    let mut reasons = match router_query::plan(facts, &slots(facts)) {
        Ok((plan, scope)) => {
            return Ok(Planned { plan, rung: Rung::Router, reasons: Vec::new(), scope });
        }
        Err(reason) => vec![(Rung::Router, reason)],
    };
    if facts.writes() {
        return last_rung(facts, reasons);
    }
    match pushed_down(facts) {
        Ok((rung, plan, more)) => {
            reasons.extend(more);
            Ok(Planned { plan: Plan::MultiShard(plan), rung, reasons, scope: PlanScope::Text })
        }
        Err(more) => {
            reasons.extend(more);
            last_rung(facts, reasons)
        }
    }
}

fn pushed_down(facts: &Facts<'_>) -> Result<(Rung, MultiShard, Reasons), Reasons> {
    let refused = |reason: String| vec![(Rung::Pushdown, reason.clone()), (Rung::Combine, reason)];
    let needs = facts.worker_safe.clone().map_err(refused)?;
    if needs.volatile {
        return Err(refused("a volatile function is evaluated once per row of the result".into()));
    }
    time::check(facts.context.request.statement.node().to_ref()).map_err(refused)?;
    if let Some(construct @ ("SKIP LOCKED" | "NOWAIT")) = facts.lost_on_live {
        return Err(refused(format!("{construct} of rows of several shards is not what one server does")));
    }
    let NodeEnum::SelectStmt(select) = facts.context.request.statement.node() else {
        return Err(refused("the statement is no SELECT".into()));
    };
    let context = facts.context;
    let tables = |range: &ast::RangeVar| context.table(range).map(|it| it.oid);
    let (rung, mut plan, reasons) = pushdown::plan_select(select, context.request.catalog, &tables)?;
    plan.live = facts.lost_on_live.is_none();
    Ok((rung, plan, reasons))
}

/// PostgreSQL itself over live tables; unless it would not do what is meant.
pub(crate) fn last_rung(facts: &Facts<'_>, reasons: Reasons) -> Result<Planned, Error> {
    let reason =
        || reasons.first().map_or_else(|| "no plan on the workers is known".to_owned(), |it| it.1.clone());
    if facts.writes_distributed() && (facts.refused_on_live || facts.lost_on_live.is_some()) {
        let command = match facts.context.request.statement.kind() {
            Kind::Insert => "INSERT",
            Kind::Update => "UPDATE",
            Kind::Delete => "DELETE",
            Kind::Merge => "MERGE",
            _ => "query with a data-modifying WITH",
        };
        return Err(Error::UnsupportedWrite { command, reason: reason() });
    }
    if let Some(construct) = facts.lost_on_live {
        return Err(Error::UnsupportedRead { construct, reason: reason() });
    }
    Ok(coordinator(facts.writes() || facts.calls_user_code, Rung::Live, reasons))
}

fn coordinator(writes: bool, rung: Rung, reasons: Reasons) -> Planned {
    Planned { plan: Plan::Coordinator { writes }, rung, reasons, scope: PlanScope::Shape }
}

/// The literals that the plan's templates take from each execution.
pub(crate) fn slots(facts: &Facts<'_>) -> Slots {
    let text = facts.context.request.statement.text();
    let shape = shape(text);
    Slots::new(
        text,
        shape.map(|it| it.literals.iter().map(|it| it.start..it.end).collect()).unwrap_or_default(),
    )
}
