//! UPDATE, DELETE and MERGE of distributed tables.

use std::sync::Arc;

use howdah_catalog::Table;
use howdah_sql::{NodeEnum, ast, names};

use crate::analysis::{self, Bound, Leaf, Term, Tree};
use crate::planning::{last_rung, slots};
use crate::router_query::{self, name_shards};
use crate::splice::{Slots, Splice};
use crate::statement::Facts;
use crate::{Error, Merge, MultiShard, Plan, PlanScope, Planned, Rung, defaults_in_place, time};

pub(crate) fn plan(facts: &Facts<'_>) -> Result<Planned, Error> {
    let moved = moved_key(facts);
    // Whether the new key is the old one can be seen from the text, not from the shape.
    let slots = if moved.is_some() { Slots::default() } else { slots(facts) };
    let mut reasons = match router_query::plan(facts, &slots) {
        Ok((plan, scope)) => {
            check_key_stays(moved.as_ref(), facts, Some(&plan))?;
            let scope = if moved.is_some() { PlanScope::Text } else { scope };
            return Ok(Planned { plan, rung: Rung::Router, reasons: Vec::new(), scope });
        }
        Err(reason) => vec![(Rung::Router, reason)],
    };
    check_key_stays(moved.as_ref(), facts, None)?;
    match multi_shard(facts) {
        Ok(plan) => Ok(Planned {
            plan: Plan::MultiShard(plan),
            rung: Rung::Pushdown,
            reasons,
            scope: PlanScope::Text,
        }),
        Err(reason) => {
            reasons.insert(0, (Rung::Pushdown, reason));
            last_rung(facts, reasons)
        }
    }
}

/// MERGE concerns one shard group, or each shard group for itself, or is refused.
pub(crate) fn plan_merge(facts: &Facts<'_>) -> Result<Planned, Error> {
    let router = match router_query::plan(facts, &slots(facts)) {
        Ok((plan, scope)) => {
            return Ok(Planned { plan, rung: Rung::Router, reasons: Vec::new(), scope });
        }
        Err(reason) => (Rung::Router, reason),
    };
    match multi_shard(facts) {
        Ok(plan) => Ok(Planned {
            plan: Plan::MultiShard(plan),
            rung: Rung::Pushdown,
            reasons: vec![router],
            scope: PlanScope::Text,
        }),
        Err(reason) => last_rung(facts, vec![(Rung::Pushdown, reason), router]),
    }
}

/// The rows by which a MERGE is divided over the shards. Each row of the source must be looked at once: those of a distributed table are
/// on one shard each, together with all that they can meet. Others are seen by every shard, which does no harm as long as only
/// rows that they meet are changed.
fn merge_anchor(
    it: &ast::MergeStmt,
    bound: &Bound<'_>,
    target: (Arc<Table>, Term),
) -> Result<(Arc<Table>, Term), String> {
    if it.with_clause.is_some() {
        return Err("MERGE over several shards has a WITH".into());
    }
    // Behind what it inserts.
    let Some(Tree::Join(join)) = bound.block.trees.last() else { return Err("MERGE has no join".into()) };
    let inserts = 1 < bound.block.trees.len();
    match &join.right {
        Tree::Leaf(Leaf::Distributed { table, key, .. }) => Ok((Arc::clone(table), *key)),
        Tree::Leaf(Leaf::Reference { .. } | Leaf::Other) if !inserts => Ok(target),
        _ => {
            Err("the source of MERGE is not a distributed table that is joined by its distribution column"
                .into())
        }
    }
}

/// A write that every shard group does for itself.
fn multi_shard(facts: &Facts<'_>) -> Result<MultiShard, String> {
    let needs = facts.worker_safe.clone()?;
    if let Some(construct) = facts.lost_on_live {
        return Err(format!("{construct} concerns one shard"));
    }
    let statement = facts.context.request.statement;
    let slots = Slots::default();
    let bound = analysis::bind(statement.node(), facts.context, &slots)?;
    if bound.writes_reference {
        return Err("a reference table is written on the coordinator".into());
    }
    let (table, key) = bound.target.clone().ok_or("the target is not distributed")?;
    let (anchor, key) = match statement.node() {
        NodeEnum::MergeStmt(_) if needs.volatile => return Err("MERGE calls a volatile function".into()),
        NodeEnum::MergeStmt(it) => merge_anchor(it, &bound, (Arc::clone(&table), key))?,
        _ => (Arc::clone(&table), key),
    };
    analysis::check_colocated(&bound.block, &anchor, key)?;
    let tokens = facts.tokens()?;
    let mut splice = Splice::default();
    name_shards(&bound, &tokens, &mut splice)?;
    time::replace(statement.node().to_ref(), &tokens, &mut splice)?;
    if !defaults_in_place::write(&bound.missing, facts, &tokens, &mut splice)?.is_empty() {
        return Err("values are computed for one shard".into());
    }
    let template = splice.template(statement.text(), 0..statement.text().len(), &slots);
    let uses_time = template.uses_time();
    let shards = (0..table.shards().len()).collect();
    Ok(MultiShard {
        anchor: table.oid,
        shards,
        template,
        merge: Merge::Modified,
        writes: true,
        uses_time,
        live: false,
    })
}

/// A SET of the distribution column to something else than the column itself.
struct MovedKey<'a> {
    table: String,
    column: String,
    value: Option<&'a NodeEnum>,
    type_oid: howdah_catalog::TypeOid,
}

fn moved_key<'a>(facts: &Facts<'a>) -> Option<MovedKey<'a>> {
    let NodeEnum::UpdateStmt(update) = facts.context.request.statement.node() else { return None };
    let range = update.relation.as_ref()?;
    let table = facts.context.table(range)?;
    let column = table.distribution_column()?;
    let target = set_of(&update.target_list, &column.name)?;
    let value = target.val.as_deref().and_then(|it| it.node.as_ref());
    let alias = range.alias.as_ref().map_or(&range.relname, |it| &it.aliasname);
    if let Some(NodeEnum::ColumnRef(it)) = value {
        let own = names(&it.fields);
        // Unqualified, it may only be a joined table's if it is ambiguous, which is an error.
        if own == [column.name.as_str()] || own == [alias.as_str(), column.name.as_str()] {
            return None;
        }
    }
    Some(MovedKey {
        table: table.name.clone(),
        column: column.name.clone(),
        value,
        type_oid: column.type_oid,
    })
}

/// The element of a SET list that sets a column.
pub(crate) fn set_of<'a>(targets: &'a [howdah_sql::Node], column: &str) -> Option<&'a ast::ResTarget> {
    targets.iter().find_map(|it| match it.node.as_ref() {
        Some(NodeEnum::ResTarget(target)) if target.name == column => Some(&**target),
        _ => None,
    })
}

/// A row must stay where its key belongs: the new key is the one that the rows are found by.
fn check_key_stays(
    moved: Option<&MovedKey<'_>>,
    facts: &Facts<'_>,
    plan: Option<&Plan>,
) -> Result<(), Error> {
    let Some(moved) = moved else { return Ok(()) };
    let new =
        moved.value.and_then(|it| analysis::key_of(it, moved.type_oid, &facts.context, &Slots::default()));
    let keys = match plan {
        Some(Plan::SingleShard(plan)) => plan.keys.as_slice(),
        _ => &[],
    };
    let stays = matches!(keys, [key] if Some(&key.source) == new.as_ref());
    match stays {
        true => Ok(()),
        false => {
            Err(Error::DistributionColumnChanged { table: moved.table.clone(), column: moved.column.clone() })
        }
    }
}
