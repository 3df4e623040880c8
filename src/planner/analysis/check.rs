//! Carries equalities down to the distributed tables.
//!
//! `facts` always hold for every row that matters of the thing looked at. A row of a table matters if taking it away, alone or with
//! others like it, could change the statement's result.

use std::sync::Arc;

use howdah_catalog::Table;

use super::block::{Join, Subquery};
use super::{Block, Cond, Facts, JoinKind, Leaf, Term, Tree};
use crate::ShardKey;

/// The keys that the statement's distributed tables are restricted to, and the first of the tables.
#[derive(Clone, Debug, Default)]
pub(crate) struct Restriction {
    pub(crate) anchor: Option<Arc<Table>>,
    pub(crate) keys: Vec<ShardKey>,
}

/// All distributed tables restricted to keys of one colocation group; or which table is not.
pub(crate) fn check_single_shard(block: &Block) -> Result<Restriction, String> {
    let mut checker = Checker { goal: Goal::Keys(Restriction::default()) };
    checker.block(block, &Facts::default())?;
    match checker.goal {
        Goal::Keys(restriction) => Ok(restriction),
        Goal::SameAs(..) => Err("no table is restricted".into()),
    }
}

/// Whether of every distributed table only the rows matter that are in the shard group of the anchor's row at hand.
pub(crate) fn check_colocated(block: &Block, table: &Arc<Table>, key: Term) -> Result<(), String> {
    Checker { goal: Goal::SameAs(Arc::clone(table), key) }.block(block, &Facts::of_stored(key))
}

enum Goal {
    Keys(Restriction),
    SameAs(Arc<Table>, Term),
}

struct Checker {
    goal: Goal,
}

impl Checker {
    fn block(&mut self, block: &Block, outside: &Facts) -> Result<(), String> {
        let mut facts = outside.with(&block.conds);
        certain_of_trees(block).iter().for_each(|it| facts.add(it));
        for subquery in block.subqueries.iter().filter(|it| it.matched) {
            matches(subquery).iter().for_each(|it| facts.add(it));
        }
        block.trees.iter().try_for_each(|it| self.tree(it, &facts))?;
        // A branch is evaluated outside of the block's own rows: there are none.
        block.branches.iter().try_for_each(|it| self.block(&it.block, &facts.with(&it.conds)))?;
        self.subqueries(&block.subqueries, &facts)
    }

    fn subqueries(&mut self, subqueries: &[Subquery], facts: &Facts) -> Result<(), String> {
        subqueries.iter().try_for_each(|it| match it.detached {
            true => self.block(&it.block, &Facts::default()),
            false => self.block(&it.block, &facts.with(&it.conds)),
        })
    }

    fn tree(&mut self, tree: &Tree, facts: &Facts) -> Result<(), String> {
        match tree {
            Tree::Leaf(Leaf::Distributed { table, key, .. }) => self.table(table, *key, facts),
            Tree::Leaf(Leaf::Query(block)) => self.block(block, facts),
            Tree::Leaf(Leaf::Reference { .. } | Leaf::Other) => Ok(()),
            Tree::Join(join) => self.join(join, facts),
        }
    }

    fn join(&mut self, join: &Join, facts: &Facts) -> Result<(), String> {
        // What holds where both sides meet: also for the rows of a nullable side, because those that do not meet the condition are as if absent.
        let mut meeting = facts.with(&join.conds);
        let sides = [&join.left, &join.right].map(certain_of_tree);
        match reduced(join, facts) {
            JoinKind::Inner => {
                sides.iter().flatten().for_each(|it| meeting.add(it));
                self.tree(&join.left, &meeting)?;
                self.tree(&join.right, &meeting)?;
            }
            JoinKind::Left => {
                sides.iter().flatten().for_each(|it| meeting.add(it));
                self.tree(&join.left, &facts.with(&sides[0]))?;
                self.tree(&join.right, &meeting)?;
            }
            JoinKind::Right => {
                sides.iter().flatten().for_each(|it| meeting.add(it));
                self.tree(&join.right, &facts.with(&sides[1]))?;
                self.tree(&join.left, &meeting)?;
            }
            JoinKind::Full => {
                self.tree(&join.left, facts)?;
                self.tree(&join.right, facts)?;
                meeting = facts.clone();
            }
        }
        self.subqueries(&join.subqueries, &meeting)
    }

    fn table(&mut self, table: &Arc<Table>, key: Term, facts: &Facts) -> Result<(), String> {
        match &mut self.goal {
            Goal::Keys(restriction) => restrict(restriction, table, facts.key(key)),
            Goal::SameAs(anchor, anchor_key) => {
                let same = facts.equal(key, *anchor_key) && table.colocation() == anchor.colocation();
                same.then_some(()).ok_or_else(|| {
                    format!(
                        "rows of table \"{}\" are not matched by the distribution column of \"{}\"",
                        table.name, anchor.name
                    )
                })
            }
        }
    }
}

fn restrict(
    restriction: &mut Restriction,
    table: &Arc<Table>,
    key: Option<&crate::KeySource>,
) -> Result<(), String> {
    let Some(column) = table.distribution_column() else { return Ok(()) };
    let Some(key) = key else {
        return Err(format!(
            "table \"{}\" is not restricted to one value of \"{}\"",
            table.name, column.name
        ));
    };
    if column.collation.as_ref().is_some_and(|it| !it.deterministic) {
        return Err(format!("equal values of \"{}\" may have different hashes", column.name));
    }
    let anchor = restriction.anchor.get_or_insert_with(|| Arc::clone(table));
    if anchor.colocation() != table.colocation() {
        return Err(format!("tables \"{}\" and \"{}\" are not colocated", anchor.name, table.name));
    }
    let key = ShardKey { source: key.clone(), type_oid: column.type_oid };
    if !restriction.keys.contains(&key) {
        restriction.keys.push(key);
    }
    Ok(())
}

/// An outer join is an inner one if the conditions above drop the rows that it would extend with NULLs.
fn reduced(join: &Join, above: &Facts) -> JoinKind {
    let needs = |tree: &Tree| tree.terms().iter().any(|it| above.is_not_null(*it));
    match (join.kind, needs(&join.left), needs(&join.right)) {
        (JoinKind::Left, _, true) | (JoinKind::Right, true, _) | (JoinKind::Full, true, true) => {
            JoinKind::Inner
        }
        (JoinKind::Full, true, false) => JoinKind::Left,
        (JoinKind::Full, false, true) => JoinKind::Right,
        (kind, _, _) => kind,
    }
}

/// What holds for every row that a block returns, about its outputs and what is outside of it.
fn certain(block: &Block) -> Vec<Cond> {
    if block.always_a_row || !block.branches.is_empty() {
        return Vec::new();
    }
    let mut conds = certain_of_trees(block);
    conds.extend(block.conds.iter().cloned());
    conds.extend(hidden_as_outputs(block, &conds));
    conds
}

/// Of a block that hides its rows: the same about its outputs.
fn hidden_as_outputs(block: &Block, conds: &[Cond]) -> Vec<Cond> {
    let facts = Facts::default().with(conds);
    let mut more = Vec::new();
    for (index, (output, term)) in block.hidden.iter().enumerate() {
        more.extend(facts.key(*term).map(|key| Cond::Key(*output, key.clone())));
        let equal = block.hidden[..index].iter().find(|it| facts.equal(it.1, *term));
        more.extend(equal.map(|it| Cond::Same(it.0, *output)));
    }
    more
}

fn certain_of_trees(block: &Block) -> Vec<Cond> {
    block.trees.iter().flat_map(certain_of_tree).collect()
}

fn certain_of_tree(tree: &Tree) -> Vec<Cond> {
    match tree {
        Tree::Leaf(Leaf::Query(block)) => certain(block),
        Tree::Leaf(_) => Vec::new(),
        Tree::Join(join) => match join.kind {
            JoinKind::Inner => {
                let sides = [&join.left, &join.right].into_iter().flat_map(certain_of_tree);
                sides.chain(join.conds.iter().cloned()).collect()
            }
            JoinKind::Left => certain_of_tree(&join.left),
            JoinKind::Right => certain_of_tree(&join.right),
            JoinKind::Full => Vec::new(),
        },
    }
}

/// What `x IN (subquery)` makes certain of `x`.
fn matches(subquery: &Subquery) -> Vec<Cond> {
    certain(&subquery.block).into_iter().chain(subquery.conds.iter().cloned()).collect()
}
