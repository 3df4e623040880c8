//! SELECT: its rows, and what its outputs are.

use howdah_sql::ast::{SetOperation, a_const::Val};
use howdah_sql::{NodeEnum, NodeRef, ast, children, names};

use super::super::block::{Subquery, same_family};
use super::super::{Block, Cond, Output, Term, key_of};
use super::columns::{Item, Scope};
use super::{Binder, extend_conds};
use crate::whitelist::{self, FunctionClass};

impl<'a> Binder<'a> {
    pub(super) fn select(&mut self, it: &'a ast::SelectStmt) -> Result<Block, String> {
        let before = self.enter_with(it.with_clause.as_ref())?;
        let mut block = match it.op() {
            SetOperation::SetopNone | SetOperation::Undefined if !it.values_lists.is_empty() => {
                self.values(it)
            }
            SetOperation::SetopNone | SetOperation::Undefined => self.simple_select(it),
            _ => self.set_operation(it),
        }?;
        self.leave_with(before, &mut block)?;
        Ok(block)
    }

    fn values(&mut self, it: &'a ast::SelectStmt) -> Result<Block, String> {
        let mut block = Block::default();
        self.nodes(&it.values_lists, &mut block.subqueries)?;
        let columns = match it.values_lists.first().and_then(|it| it.node.as_ref()) {
            Some(NodeEnum::List(row)) => row.items.len(),
            _ => 0,
        };
        block.outputs =
            (1..=columns).map(|it| Output { name: Some(format!("column{it}")), term: None }).collect();
        Ok(block)
    }

    fn set_operation(&mut self, it: &'a ast::SelectStmt) -> Result<Block, String> {
        let mut sides = Vec::new();
        for side in [it.larg.as_deref(), it.rarg.as_deref()] {
            sides.push(self.statement(NodeRef::SelectStmt(side.ok_or("a set operation lacks a side")?))?);
        }
        let mut conds = vec![Vec::new(); sides.len()];
        let mut block = Block::default();
        // A condition on the result holds for the rows of both sides, unless LIMIT counts them before.
        let transparent = it.limit_count.is_none() && it.limit_offset.is_none();
        for index in 0..sides[0].outputs.len() {
            let terms: Vec<_> = sides.iter().map(|it| it.outputs.get(index).and_then(|it| it.term)).collect();
            let name = sides[0].outputs[index].name.clone();
            let term = self.common_term(&terms).filter(|_| transparent);
            if let Some(term) = term {
                terms
                    .iter()
                    .zip(&mut conds)
                    .for_each(|(it, conds)| conds.extend(it.map(|it| Cond::Same(term, it))));
            }
            block.outputs.push(Output { name, term });
        }
        let branches = sides.into_iter().zip(conds);
        block.branches = branches
            .map(|(block, conds)| Subquery { block, conds, matched: false, detached: false })
            .collect();
        Ok(block)
    }

    /// A new term for a column of a set operation, if both sides' are of one family.
    fn common_term(&mut self, terms: &[Option<Term>]) -> Option<Term> {
        let [Some(a), Some(b)] = *terms else { return None };
        let (a, b) = (self.type_of(a), self.type_of(b));
        same_family(a, b).then(|| self.term(a))
    }

    fn simple_select(&mut self, it: &'a ast::SelectStmt) -> Result<Block, String> {
        let mut block = Block::default();
        let item = self.from(&it.from_clause, &mut block)?;
        self.scopes.push(Scope { item });
        let bound = self.select_in_scope(it, &mut block);
        self.scopes.pop();
        bound.map(|()| block)
    }

    /// Binds the items of a FROM list.
    pub(super) fn from(&mut self, list: &'a [howdah_sql::Node], block: &mut Block) -> Result<Item, String> {
        let outside = std::mem::take(&mut self.pending);
        let mut item = Item::default();
        let mut bound = Ok(());
        for node in list.iter().filter_map(|it| it.node.as_ref()) {
            match self.table_expression(node) {
                Ok((tree, more)) => {
                    block.trees.push(tree);
                    item.add(&more);
                    self.pending.push(more);
                }
                Err(reason) => {
                    bound = Err(reason);
                    break;
                }
            }
        }
        self.pending = outside;
        bound.map(|()| item)
    }

    fn select_in_scope(&mut self, it: &'a ast::SelectStmt, block: &mut Block) -> Result<(), String> {
        if let Some(condition) = it.where_clause.as_deref().and_then(|it| it.node.as_ref()) {
            let (mut conds, mut found) = (Vec::new(), Vec::new());
            self.condition(condition, &mut conds, &mut found)?;
            extend_conds(block, conds, found);
        }
        let mut outputs = self.targets(&it.target_list, &mut block.subqueries)?;
        self.other_clauses(it, &mut block.subqueries)?;
        let aggregated = self.has_aggregate(it)?;
        self.check_aggregate_levels(it)?;
        let grouped = self.group_terms(it, &outputs)?;
        block.always_a_row = (aggregated && it.group_clause.is_empty()) || grouped.is_none();
        if aggregated || !it.group_clause.is_empty() {
            let grouped = grouped.unwrap_or_default();
            outputs.iter_mut().for_each(|it| it.term = it.term.filter(|it| grouped.contains(it)));
        }
        if !self.is_transparent(it)? {
            self.hide(&mut outputs, block);
        }
        block.outputs = outputs;
        Ok(())
    }

    /// Gives the outputs terms of their own, so that a condition on them is none on the rows.
    fn hide(&mut self, outputs: &mut [Output], block: &mut Block) {
        for output in outputs {
            if let Some(term) = output.term {
                let own = self.term(self.type_of(term));
                block.hidden.push((own, term));
                output.term = Some(own);
            }
        }
    }

    pub(super) fn targets(
        &mut self,
        list: &'a [howdah_sql::Node],
        found: &mut Vec<Subquery>,
    ) -> Result<Vec<Output>, String> {
        let mut outputs = Vec::new();
        let mut open = false;
        for node in list {
            let Some(NodeEnum::ResTarget(target)) = node.node.as_ref() else { continue };
            let Some(value) = target.val.as_deref().and_then(|it| it.node.as_ref()) else { continue };
            match value {
                NodeEnum::ColumnRef(column) if is_star(column) => match self.star(column)? {
                    Some(columns) => outputs.extend(columns),
                    None => open = true,
                },
                _ => {
                    self.expression(value.to_ref(), found)?;
                    let name = match target.name.is_empty() {
                        true => implicit_name(value),
                        false => Some(target.name.clone()),
                    };
                    outputs.push(Output { name, term: self.column_term(value)? });
                }
            }
        }
        // Without knowing all columns, none is known by its number.
        Ok(if open { Vec::new() } else { outputs })
    }

    /// `*` or `t.*`; `None` if not all columns are known.
    fn star(&self, column: &ast::ColumnRef) -> Result<Option<Vec<Output>>, String> {
        let scope = self.scopes.last().ok_or("a star stands alone")?;
        let (columns, open) = match names(&column.fields)[..] {
            [] => (&scope.item.columns, scope.item.open),
            [relation] => {
                let relations = self.scopes.iter().rev().flat_map(|it| &it.item.relations);
                let relation =
                    relations.into_iter().find(|it| it.name == relation).ok_or("a relation is not known")?;
                (&relation.columns, relation.open)
            }
            _ => return Err("a column is qualified by a schema".into()),
        };
        let outputs = columns.iter().map(|it| Output { name: Some(it.name.clone()), term: it.term });
        Ok((!open).then(|| outputs.collect()))
    }

    fn other_clauses(&mut self, it: &'a ast::SelectStmt, found: &mut Vec<Subquery>) -> Result<(), String> {
        let named: Vec<_> = it.target_list.iter().filter_map(output_name).collect();
        for clause in [&it.group_clause, &it.sort_clause, &it.distinct_clause] {
            for node in clause.iter().filter_map(|it| it.node.as_ref()) {
                if !is_output(node, &named) {
                    self.expression(node.to_ref(), found)?;
                }
            }
        }
        self.nodes(&it.window_clause, found)?;
        self.node(it.having_clause.as_deref(), found)?;
        self.node(it.limit_count.as_deref(), found)?;
        self.node(it.limit_offset.as_deref(), found)
    }

    /// The terms that rows of one group share; `None` where a group may be empty.
    fn group_terms(&self, it: &'a ast::SelectStmt, outputs: &[Output]) -> Result<Option<Vec<Term>>, String> {
        let mut terms = Vec::new();
        for node in it.group_clause.iter().filter_map(|it| it.node.as_ref()) {
            match node {
                NodeEnum::GroupingSet(_) => return Ok(None),
                NodeEnum::AConst(number) => {
                    let Some(Val::Ival(number)) = &number.val else { continue };
                    self.depends_on_text.set(true);
                    let index = usize::try_from(number.ival).ok().and_then(|it| it.checked_sub(1));
                    terms.extend(index.and_then(|it| outputs.get(it)).and_then(|it| it.term));
                }
                NodeEnum::ColumnRef(column) => match self.column(column) {
                    Ok(term) => terms.extend(term),
                    Err(_) => {
                        let name = names(&column.fields).last().copied().map(str::to_owned);
                        terms.extend(outputs.iter().find(|it| it.name == name).and_then(|it| it.term));
                    }
                },
                _ => {}
            }
        }
        Ok(Some(terms))
    }

    /// Whether a condition on the outputs may be applied to the rows. LIMIT and DISTINCT ON choose among rows, windows look
    /// at others.
    fn is_transparent(&self, it: &'a ast::SelectStmt) -> Result<bool, String> {
        let limited = it.limit_count.is_some() || it.limit_offset.is_some();
        // Plain DISTINCT is a list of one empty node.
        let distinct_on = it.distinct_clause.iter().any(|it| it.node.is_some());
        let windows = self.any_call(it, &|call| call.over.is_some())?;
        Ok(!limited && !distinct_on && !windows)
    }

    fn has_aggregate(&self, it: &'a ast::SelectStmt) -> Result<bool, String> {
        let is_aggregate = |call: &ast::FuncCall| {
            let class = whitelist::class_of(call, self.context.request.catalog.objects());
            call.over.is_none() && class.is_ok_and(|it| it.class == FunctionClass::Aggregate)
        };
        Ok(it.having_clause.is_some() || self.any_call(it, &is_aggregate)?)
    }

    /// An aggregate of nothing but outer columns is the outer query's, which then has other rows than it seems.
    fn check_aggregate_levels(&self, it: &'a ast::SelectStmt) -> Result<(), String> {
        let Some(scope) = self.scopes.last() else { return Ok(()) };
        let objects = self.context.request.catalog.objects();
        let is_outer = |call: &ast::FuncCall| {
            let class = whitelist::class_of(call, objects);
            let aggregate = call.over.is_none() && class.is_ok_and(|it| it.class == FunctionClass::Aggregate);
            let columns = columns_below(call);
            aggregate && !columns.is_empty() && !columns.iter().any(|it| scope.item.has(it))
        };
        match self.any_call(it, &is_outer)? {
            true => Err("an aggregate belongs to an outer query".into()),
            false => Ok(()),
        }
    }

    /// Whether some call in the outputs, HAVING or ORDER BY, not in subqueries, is like that. The aggregates of SQL/JSON are like anything.
    fn any_call(
        &self,
        it: &'a ast::SelectStmt,
        like: &dyn Fn(&ast::FuncCall) -> bool,
    ) -> Result<bool, String> {
        let having = it.having_clause.as_deref().into_iter();
        let nodes = it.target_list.iter().chain(&it.sort_clause).chain(&it.distinct_clause).chain(having);
        let mut any = false;
        for node in nodes.filter_map(|it| it.node.as_ref()) {
            any |= any_call_below(node.to_ref(), like)?;
        }
        Ok(any)
    }

    /// The key that an output is, where it is a constant. For INSERT … SELECT.
    pub(super) fn constant_output(
        &self,
        it: &'a ast::SelectStmt,
        index: usize,
        column: howdah_catalog::TypeOid,
    ) -> Option<crate::KeySource> {
        let mut values = it.target_list.iter().filter_map(target_value);
        if values.any(|it| matches!(it, NodeEnum::ColumnRef(column) if is_star(column))) {
            return None;
        }
        let Some(NodeEnum::ResTarget(target)) = it.target_list.get(index)?.node.as_ref() else { return None };
        let value = target.val.as_deref()?.node.as_ref()?;
        key_of(value, column, &self.context, self.slots)
    }
}

/// The columns in a call, by the parts of their names.
fn columns_below(call: &ast::FuncCall) -> Vec<Vec<&str>> {
    let mut columns = Vec::new();
    // A node that is not known was met before.
    let _ = howdah_sql::walk(NodeRef::FuncCall(call), &mut |it| {
        if let NodeRef::ColumnRef(column) = it {
            columns.push(names(&column.fields));
        }
    });
    columns
}

fn any_call_below(node: NodeRef<'_>, like: &dyn Fn(&ast::FuncCall) -> bool) -> Result<bool, String> {
    match node {
        NodeRef::FuncCall(call) if like(call) => return Ok(true),
        NodeRef::JsonAggConstructor(_) | NodeRef::JsonObjectAgg(_) | NodeRef::JsonArrayAgg(_) => {
            return Ok(true);
        }
        NodeRef::SubLink(it) => {
            return it
                .testexpr
                .as_deref()
                .and_then(|it| it.node.as_ref())
                .map_or(Ok(false), |it| any_call_below(it.to_ref(), like));
        }
        _ => {}
    }
    let mut below = Vec::new();
    children(node, &mut |it| below.push(it)).map_err(|it| it.to_string())?;
    below.into_iter().try_fold(false, |any, it| Ok(any || any_call_below(it, like)?))
}

fn target_value(node: &howdah_sql::Node) -> Option<&NodeEnum> {
    match node.node.as_ref()? {
        NodeEnum::ResTarget(it) => it.val.as_deref()?.node.as_ref(),
        _ => None,
    }
}

fn is_star(column: &ast::ColumnRef) -> bool {
    matches!(column.fields.last().and_then(|it| it.node.as_ref()), Some(NodeEnum::AStar(_)))
}

/// The name of an unnamed output where it matters here (`FigureColname`): a column's own.
fn implicit_name(value: &NodeEnum) -> Option<String> {
    match value {
        NodeEnum::ColumnRef(it) => names(&it.fields).last().map(|it| (*it).to_owned()),
        NodeEnum::FuncCall(it) => names(&it.funcname).last().map(|it| (*it).to_owned()),
        _ => None,
    }
}

fn output_name(node: &howdah_sql::Node) -> Option<String> {
    match node.node.as_ref()? {
        NodeEnum::ResTarget(it) if !it.name.is_empty() => Some(it.name.clone()),
        NodeEnum::ResTarget(it) => it.val.as_deref()?.node.as_ref().and_then(implicit_name),
        _ => None,
    }
}

/// Whether an item of GROUP BY, ORDER BY or DISTINCT ON is just the name of an output.
fn is_output(node: &NodeEnum, outputs: &[String]) -> bool {
    match node {
        NodeEnum::SortBy(it) => {
            it.node.as_deref().and_then(|it| it.node.as_ref()).is_some_and(|it| is_output(it, outputs))
        }
        NodeEnum::ColumnRef(it) => {
            matches!(names(&it.fields)[..], [name] if outputs.iter().any(|it| it == name))
        }
        _ => false,
    }
}
