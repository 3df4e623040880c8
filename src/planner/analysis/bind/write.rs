//! UPDATE, DELETE and INSERT as blocks: the rows that they find or make.

use std::sync::Arc;

use howdah_catalog::{Column as TableColumn, DefaultClass, Identity, Table};
use howdah_sql::ast::OverridingKind;
use howdah_sql::{NodeEnum, NodeRef, ast, walk};

use super::super::block::{Subquery, same_family};
use super::super::{Block, Cond, Leaf, Term, Tree, key_of};
use super::columns::{Item, Relation, Scope};
use super::{Binder, extend_conds};
use crate::defaults_in_place::{Missing, computed_elsewhere, is_one_row};

impl<'a> Binder<'a> {
    pub(super) fn update(&mut self, it: &'a ast::UpdateStmt) -> Result<Block, String> {
        let before = self.enter_with(it.with_clause.as_ref())?;
        let mut block = Block::default();
        let (table, item) = self.write_target(it.relation.as_ref(), &mut block)?;
        let mut item = item;
        item.add(&self.from(&it.from_clause, &mut block)?);
        self.in_scope(item, |binder| {
            binder.set(&it.target_list, &table, &mut block.subqueries)?;
            binder.filter(it.where_clause.as_deref(), &mut block)?;
            binder.returning(it.returning_clause.as_ref(), &mut block.subqueries)
        })?;
        self.leave_with(before, &mut block)?;
        Ok(block)
    }

    pub(super) fn delete(&mut self, it: &'a ast::DeleteStmt) -> Result<Block, String> {
        let before = self.enter_with(it.with_clause.as_ref())?;
        let mut block = Block::default();
        let (_, mut item) = self.write_target(it.relation.as_ref(), &mut block)?;
        item.add(&self.from(&it.using_clause, &mut block)?);
        self.in_scope(item, |binder| {
            binder.filter(it.where_clause.as_deref(), &mut block)?;
            binder.returning(it.returning_clause.as_ref(), &mut block.subqueries)
        })?;
        self.leave_with(before, &mut block)?;
        Ok(block)
    }

    /// INSERT … SELECT, or INSERT … VALUES of one row: the row made is one of the target restricted by its own key.
    pub(super) fn insert(&mut self, it: &'a ast::InsertStmt) -> Result<Block, String> {
        let before = self.enter_with(it.with_clause.as_ref())?;
        let mut block = Block::default();
        let (table, item) = self.write_target(it.relation.as_ref(), &mut block)?;
        let columns = insert_columns(it, &table)?;
        if it.r#override() == OverridingKind::OverridingUserValue {
            return Err("values of identity columns are overridden".into());
        }
        self.missing_defaults(it, &table, &columns)?;
        self.source(it, &table, &columns, &mut block)?;
        self.in_scope(item, |binder| {
            binder.on_conflict(it.on_conflict_clause.as_deref(), &table, &mut block.subqueries)?;
            binder.returning(it.returning_clause.as_ref(), &mut block.subqueries)
        })?;
        self.leave_with(before, &mut block)?;
        Ok(block)
    }

    pub(super) fn insert_clauses(&mut self, it: &'a ast::InsertStmt) -> Result<Block, String> {
        let mut block = Block::default();
        let (table, item) = self.write_target(it.relation.as_ref(), &mut block)?;
        self.in_scope(item, |binder| {
            binder.on_conflict(it.on_conflict_clause.as_deref(), &table, &mut block.subqueries)?;
            binder.returning(it.returning_clause.as_ref(), &mut block.subqueries)
        })?;
        Ok(block)
    }

    pub(super) fn write_target(
        &mut self,
        range: Option<&'a ast::RangeVar>,
        block: &mut Block,
    ) -> Result<(Arc<Table>, Item), String> {
        let range = range.ok_or("a write has no target")?;
        let (tree, item) = self.table(range)?;
        let table = Arc::clone(self.context.table(range).ok_or("a write has no target")?);
        self.writes = true;
        self.writes_reference |= table.is_reference();
        if let Tree::Leaf(Leaf::Distributed { key, .. }) = &tree
            && self.binding.is_empty()
        {
            self.target = Some((Arc::clone(&table), *key));
        }
        block.trees.push(tree);
        Ok((table, item))
    }

    pub(super) fn in_scope(
        &mut self,
        item: Item,
        bind: impl FnOnce(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        self.scopes.push(Scope { item });
        let bound = bind(self);
        self.scopes.pop();
        bound
    }

    fn filter(&mut self, condition: Option<&'a howdah_sql::Node>, block: &mut Block) -> Result<(), String> {
        let (mut conds, mut found) = (Vec::new(), Vec::new());
        if let Some(condition) = condition.and_then(|it| it.node.as_ref()) {
            self.condition(condition, &mut conds, &mut found)?;
        }
        extend_conds(block, conds, found);
        Ok(())
    }

    pub(super) fn set(
        &mut self,
        targets: &'a [howdah_sql::Node],
        table: &Arc<Table>,
        found: &mut Vec<Subquery>,
    ) -> Result<(), String> {
        for node in targets {
            let Some(NodeEnum::ResTarget(target)) = node.node.as_ref() else { continue };
            let Some(column) = table.column_named(&target.name) else {
                return Err("an unknown column is set".into());
            };
            let value = target.val.as_deref().and_then(|it| it.node.as_ref());
            if let Some(NodeEnum::SetToDefault(default)) = value
                && !default_is_on_shards(column)
            {
                let (table, column) = (Arc::clone(table), column.number);
                self.missing.push(Missing::Set { position: default.location, table, column });
            } else if let Some(value) = value
                && !matches!(value, NodeEnum::SetToDefault(_))
            {
                no_default_inside(value)?;
            }
            self.nodes(&target.indirection, found)?;
            self.node(target.val.as_deref(), found)?;
        }
        Ok(())
    }

    pub(super) fn returning(
        &mut self,
        clause: Option<&'a ast::ReturningClause>,
        found: &mut Vec<Subquery>,
    ) -> Result<(), String> {
        let Some(clause) = clause else { return Ok(()) };
        if !clause.options.is_empty() {
            return Err("old and new are renamed in RETURNING".into());
        }
        self.targets(&clause.exprs, found).map(drop)
    }

    fn on_conflict(
        &mut self,
        clause: Option<&'a ast::OnConflictClause>,
        table: &Arc<Table>,
        found: &mut Vec<Subquery>,
    ) -> Result<(), String> {
        let Some(clause) = clause else { return Ok(()) };
        // Its elements name columns of the table, as those of an index.
        let excluded = Relation { name: "excluded".into(), columns: Vec::new(), open: true, table: false };
        let mut item = Item::of(excluded);
        item.open = false;
        self.in_scope(item, |binder| {
            if let Some(infer) = clause.infer.as_deref() {
                binder.nodes(&infer.index_elems, found)?;
                binder.node(infer.where_clause.as_deref(), found)?;
            }
            binder.set(&clause.target_list, table, found)?;
            binder.node(clause.where_clause.as_deref(), found)
        })
    }

    /// Defaults that shards do not have can be written into one row of VALUES.
    fn missing_defaults(
        &mut self,
        it: &'a ast::InsertStmt,
        table: &Arc<Table>,
        given: &[&TableColumn],
    ) -> Result<(), String> {
        let is_given = |column: &TableColumn| given.iter().any(|it| it.number == column.number);
        let missing = table.columns.iter().find(|it| !is_given(it) && !default_is_on_shards(it));
        match missing {
            _ if is_one_row(it) => {
                let given = given.iter().map(|it| it.number).collect();
                self.missing.push(Missing::Row { insert: it, table: Arc::clone(table), given });
                Ok(())
            }
            Some(column) => Err(computed_elsewhere(column)),
            None => Ok(()),
        }
    }

    fn source(
        &mut self,
        it: &'a ast::InsertStmt,
        table: &Arc<Table>,
        columns: &[&TableColumn],
        block: &mut Block,
    ) -> Result<(), String> {
        let Some(key) = table.distribution_column() else { return Ok(()) };
        if key.typmod != -1 {
            return Err("the type of the distribution column may change its values".into());
        }
        let target = match block.trees.first() {
            Some(Tree::Leaf(Leaf::Distributed { key, .. })) => *key,
            _ => return Err("the target is not distributed".into()),
        };
        let position = columns
            .iter()
            .position(|it| it.number == key.number)
            .ok_or("the distribution column is not given")?;
        let Some(NodeEnum::SelectStmt(select)) = it.select_stmt.as_deref().and_then(|it| it.node.as_ref())
        else {
            return Err("only defaults are inserted".into());
        };
        match select.values_lists.as_slice() {
            [] => self.source_query(select, target, position, (table, !it.cols.is_empty()), block),
            [row] if select.with_clause.is_none() => self.source_row(row, target, position, block),
            _ => Err("several rows are inserted".into()),
        }
    }

    fn source_query(
        &mut self,
        select: &'a ast::SelectStmt,
        target: Term,
        position: usize,
        (table, named): (&Table, bool),
        block: &mut Block,
    ) -> Result<(), String> {
        let query = self.statement(NodeRef::SelectStmt(select))?;
        if !named {
            all_given(&query, table)?;
        }
        let constant = self.constant_output(select, position, self.type_of(target));
        match (query.outputs.get(position).and_then(|it| it.term), constant) {
            (Some(term), _) if same_family(self.type_of(term), self.type_of(target)) => {
                block.conds.push(Cond::Equal(target, term));
            }
            (_, Some(key)) => block.conds.push(Cond::Key(target, key)),
            _ => return Err("the distribution column is computed by the query".into()),
        }
        block.trees.push(Tree::Leaf(Leaf::Query(Box::new(query))));
        Ok(())
    }

    fn source_row(
        &mut self,
        row: &'a howdah_sql::Node,
        target: Term,
        position: usize,
        block: &mut Block,
    ) -> Result<(), String> {
        let Some(NodeEnum::List(row)) = row.node.as_ref() else { return Err("a row is no list".into()) };
        self.nodes(&row.items, &mut block.subqueries)?;
        let key = row.items.get(position).and_then(|it| it.node.as_ref());
        let key = key.and_then(|it| key_of(it, self.type_of(target), &self.context, self.slots));
        block.conds.push(Cond::Key(target, key.ok_or("the distribution column's value is computed")?));
        Ok(())
    }
}

/// The columns that an INSERT gives values for, in its order.
pub(crate) fn insert_columns<'t>(
    it: &ast::InsertStmt,
    table: &'t Table,
) -> Result<Vec<&'t TableColumn>, String> {
    if !it.cols.is_empty() {
        let named = it.cols.iter().map(|it| match it.node.as_ref() {
            Some(NodeEnum::ResTarget(target)) if target.indirection.is_empty() => {
                table.column_named(&target.name)
            }
            _ => None,
        });
        return named.collect::<Option<Vec<_>>>().ok_or_else(|| "a part of a column is inserted".into());
    }
    let given = match it.select_stmt.as_deref().and_then(|it| it.node.as_ref()) {
        Some(NodeEnum::SelectStmt(select)) => {
            match select.values_lists.first().and_then(|it| it.node.as_ref()) {
                Some(NodeEnum::List(row)) => row.items.len(),
                _ => return Ok(table.columns.iter().collect()),
            }
        }
        _ => 0,
    };
    Ok(table.columns.iter().take(given).collect())
}

/// Whether a shard gives the same default as the table would.
pub(crate) fn default_is_on_shards(column: &TableColumn) -> bool {
    let default = column.default.as_ref().is_none_or(|it| it.class == DefaultClass::Immutable);
    column.identity == Identity::None && default
}

/// `(a, b) = (1, DEFAULT)`.
fn no_default_inside(value: &NodeEnum) -> Result<(), String> {
    let mut any = false;
    walk(value.to_ref(), &mut |it| any |= matches!(it, NodeRef::SetToDefault(_)))
        .map_err(|it| it.to_string())?;
    if any { Err("DEFAULT stands in a row of values".into()) } else { Ok(()) }
}

/// Without a list of columns, those that the query has no output for take their defaults.
fn all_given(query: &Block, table: &Table) -> Result<(), String> {
    if query.outputs.is_empty() {
        return Err("how many columns the query has is not known".into());
    }
    let missing = table.columns.iter().skip(query.outputs.len()).find(|it| !default_is_on_shards(it));
    missing.map_or(Ok(()), |it| Err(computed_elsewhere(it)))
}
