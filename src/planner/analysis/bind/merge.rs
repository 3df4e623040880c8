//! MERGE as a block: the source's rows, each with the target's rows that it meets, and the rows that it may make.

use std::sync::Arc;

use howdah_catalog::Table;
use howdah_sql::ast::{CmdType, MergeMatchKind, OverridingKind};
use howdah_sql::{NodeEnum, ast};

use super::super::block::{Join, Subquery, same_family};
use super::super::{Block, Cond, JoinKind, Leaf, Tree, key_of};
use super::Binder;
use super::columns::Scope;
use super::write::default_is_on_shards;

impl<'a> Binder<'a> {
    /// The target is the optional side of an outer join: a row that meets no row of the source is left alone. All rows of the
    /// source matter, as those that meet none may be inserted.
    pub(super) fn merge_statement(&mut self, it: &'a ast::MergeStmt) -> Result<Block, String> {
        let before = self.enter_with(it.with_clause.as_ref())?;
        let mut block = Block::default();
        let (table, mut item) = self.write_target(it.relation.as_ref(), &mut block)?;
        let target = block.trees.pop().ok_or("a write has no target")?;
        let source =
            it.source_relation.as_deref().and_then(|it| it.node.as_ref()).ok_or("MERGE has no source")?;
        let (source, source_item) = self.table_expression(source)?;
        item.add(&source_item);
        let mut join = Join {
            kind: JoinKind::Right,
            left: target,
            right: source,
            conds: Vec::new(),
            subqueries: Vec::new(),
        };
        self.scopes.push(Scope { item });
        let bound = self.merge_clauses(it, &table, &mut join, &mut block);
        self.scopes.pop();
        bound?;
        block.trees.push(Tree::Join(Box::new(join)));
        self.leave_with(before, &mut block)?;
        Ok(block)
    }

    fn merge_clauses(
        &mut self,
        it: &'a ast::MergeStmt,
        table: &Arc<Table>,
        join: &mut Join,
        block: &mut Block,
    ) -> Result<(), String> {
        if let Some(condition) = it.join_condition.as_deref().and_then(|it| it.node.as_ref()) {
            self.condition(condition, &mut join.conds, &mut join.subqueries)?;
            // Whether a row meets another decides what is done with it, not whether it matters.
            join.subqueries.iter_mut().for_each(|it| {
                it.matched = false;
                it.conds.clear();
            });
        }
        for node in &it.merge_when_clauses {
            let Some(NodeEnum::MergeWhenClause(clause)) = node.node.as_ref() else { continue };
            if clause.match_kind() == MergeMatchKind::MergeWhenNotMatchedBySource {
                return Err("MERGE changes rows that no row of the source meets".into());
            }
            self.node(clause.condition.as_deref(), &mut block.subqueries)?;
            match clause.command_type() {
                CmdType::CmdUpdate => self.merge_update(clause, table, &mut block.subqueries)?,
                CmdType::CmdInsert => self.merge_insert(clause, table, block)?,
                CmdType::CmdDelete | CmdType::CmdNothing => {}
                _ => return Err("a kind of MERGE is not known here".into()),
            }
        }
        self.returning(it.returning_clause.as_ref(), &mut block.subqueries)
    }

    fn merge_update(
        &mut self,
        clause: &'a ast::MergeWhenClause,
        table: &Arc<Table>,
        found: &mut Vec<Subquery>,
    ) -> Result<(), String> {
        let key = table.distribution_column().map(|it| it.name.as_str()).unwrap_or_default();
        if crate::modify::set_of(&clause.target_list, key).is_some() {
            return Err("MERGE sets the distribution column".into());
        }
        self.set(&clause.target_list, table, found)
    }

    /// The row made is one of the target, with the key that is given.
    fn merge_insert(
        &mut self,
        clause: &'a ast::MergeWhenClause,
        table: &Arc<Table>,
        block: &mut Block,
    ) -> Result<(), String> {
        if clause.r#override() == OverridingKind::OverridingUserValue {
            return Err("values of identity columns are overridden".into());
        }
        let given: Vec<_> = match clause.target_list.as_slice() {
            [] => table.columns.iter().take(clause.values.len()).collect(),
            targets => targets.iter().filter_map(|it| named_column(it, table)).collect(),
        };
        if given.len() != clause.values.len() {
            return Err("MERGE inserts a part of a column or only defaults".into());
        }
        let is_given = |number| given.iter().any(|it| it.number == number);
        let missing = table.columns.iter().any(|it| !is_given(it.number) && !default_is_on_shards(it));
        let default = clause.values.iter().any(|it| matches!(it.node, Some(NodeEnum::SetToDefault(_))));
        if missing || default {
            return Err("MERGE inserts a default that is computed on the coordinator".into());
        }
        self.nodes(&clause.values, &mut block.subqueries)?;
        let Some(key) = table.distribution_column() else { return Ok(()) };
        if key.typmod != -1 {
            return Err("the type of the distribution column may change its values".into());
        }
        let value = given
            .iter()
            .position(|it| it.number == key.number)
            .and_then(|it| clause.values[it].node.as_ref());
        let value = value.ok_or("the distribution column is not given")?;
        let made = self.term(key.type_oid);
        match (self.column_term(value)?, key_of(value, key.type_oid, &self.context, self.slots)) {
            (Some(term), _) if same_family(self.type_of(term), key.type_oid) => {
                block.conds.push(Cond::Same(made, term))
            }
            (_, Some(constant)) => block.conds.push(Cond::Key(made, constant)),
            _ => return Err("the distribution column's value is computed".into()),
        }
        let leaf = Leaf::Distributed { table: Arc::clone(table), terms: vec![made], key: made };
        block.trees.push(Tree::Leaf(leaf));
        Ok(())
    }
}

fn named_column<'t>(target: &howdah_sql::Node, table: &'t Table) -> Option<&'t howdah_catalog::Column> {
    match target.node.as_ref()? {
        NodeEnum::ResTarget(it) if it.indirection.is_empty() => table.column_named(&it.name),
        _ => None,
    }
}
