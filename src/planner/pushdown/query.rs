//! Queries: which of them give on each shard group a part of the whole result.

use howdah_sql::ast::{self, SelectStmt, SetOperation, SubLinkType};
use howdah_sql::{Node, NodeEnum};

use super::analysis::{Analysis, uses_own_columns};
use super::block::{Block, Element, Target};
use super::columns::{Facts, Var};
use super::expression::{any, children, column_node, column_ref, is_null_constant, operator};
use super::functions::is_aggregate;
use super::names::output_name;
use super::refused::Refused;
use super::relation::{Conditions, Key, Output, OutputColumn, Shards, Spread};
use super::scope::{Scope, star};
use super::types;

impl Analysis<'_> {
    /// Understands a query anywhere below the statement's top, and requires that it can run per shard group.
    pub(crate) fn query(&mut self, select: &SelectStmt, outer: &Scope<'_>) -> Result<Output, Refused> {
        let mut with = Scope::inside(outer);
        self.with_list(select, &mut with)?;
        reject_common(select)?;
        if !select.locking_clause.is_empty() {
            return Err(Refused::new("a subquery locks rows"));
        }
        let output = match (select.op(), select.values_lists.is_empty()) {
            (SetOperation::SetopNone | SetOperation::Undefined, true) => {
                let block = self.block(select, &with)?;
                self.block_output(&block)?
            }
            (SetOperation::SetopNone | SetOperation::Undefined, false) => self.values(select, &with)?,
            _ => self.set_operation(select, &with)?,
        };
        if output.spread == Spread::Sharded && is_limited(select) {
            return Err(Refused::new("a subquery has a LIMIT that concerns several shards"));
        }
        if output.spread == Spread::Everywhere && is_limited(select) {
            return Err(Refused::new("a LIMIT may choose other rows on each node"));
        }
        Ok(output)
    }

    pub(crate) fn with_list(&mut self, select: &SelectStmt, with: &mut Scope<'_>) -> Result<(), Refused> {
        let Some(clause) = &select.with_clause else { return Ok(()) };
        if clause.recursive {
            return Err(Refused::new("WITH RECURSIVE is used"));
        }
        for cte in &clause.ctes {
            let Some(NodeEnum::CommonTableExpr(cte)) = cte.node.as_ref() else {
                return Err(Refused::new("WITH is not understood"));
            };
            let Some(NodeEnum::SelectStmt(query)) = cte.ctequery.as_ref().and_then(|it| it.node.as_ref())
            else {
                return Err(Refused::new("WITH holds a statement that writes"));
            };
            let mut output = self.query(query, with)?;
            let names = cte.aliascolnames.iter().filter_map(super::expression::string);
            for (column, name) in output.columns.iter_mut().zip(names) {
                name.clone_into(&mut column.name);
            }
            with.ctes.push((cte.ctename.clone(), output));
        }
        Ok(())
    }

    /// Resolves one SELECT and checks every expression in it. Whether it can run per shard is not decided yet.
    pub(crate) fn block<'s>(
        &mut self,
        select: &'s SelectStmt,
        with: &'s Scope<'s>,
    ) -> Result<Block<'s>, Refused> {
        let local_before = self.local_subqueries;
        let mut scope = Scope::inside(with);
        let tree = self.read_list(&select.from_clause, with, &mut scope)?;
        let holds = match &select.where_clause {
            Some(it) => self.conditions(it, &scope)?,
            None => Conditions::default(),
        };
        let mut relation = tree.relation(&holds, &scope.outer_keys())?;
        scope.keys = &tree.leaf_keys() | &relation.all_keys();
        scope.certain_keys = relation.keys.clone();
        let targets = self.targets(select, &scope)?;
        let where_clause = select.where_clause.as_deref();
        let expressions =
            targets.iter().map(|it| &it.value).chain(where_clause).chain(select.having_clause.as_deref());
        expressions.into_iter().try_for_each(|it| self.check_expression(it, &scope))?;
        let mut block = Block { select, scope, relation: relation.clone(), targets };
        self.check_clauses(&block)?;
        if relation.spread == Spread::Everywhere && local_before != self.local_subqueries {
            relation.spread = Spread::Local;
        }
        block.relation = relation;
        Ok(block)
    }

    fn check_clauses(&mut self, block: &Block<'_>) -> Result<(), Refused> {
        let select = block.select;
        let distinct = select.distinct_clause.iter().filter(|it| it.node.is_some());
        let mut elements: Vec<Element<'_>> = distinct.map(|it| block.element(it, false)).collect();
        elements.extend(block.group_elements());
        elements.extend(sort_nodes(select)?.into_iter().map(|it| block.element(it, false)));
        for element in elements {
            if let Element::Expression(node) = element {
                self.check_expression(node, &block.scope)?;
            }
        }
        for window in &select.window_clause {
            let Some(NodeEnum::WindowDef(it)) = window.node.as_ref() else {
                return Err(Refused::new("a window is not understood"));
            };
            let parts = it.partition_clause.iter().chain(&it.order_clause).chain(it.start_offset.as_deref());
            parts
                .chain(it.end_offset.as_deref())
                .try_for_each(|it| self.check_expression(it, &block.scope))?;
        }
        Ok(())
    }

    fn targets(&self, select: &SelectStmt, scope: &Scope<'_>) -> Result<Vec<Target>, Refused> {
        let mut targets = Vec::new();
        for node in &select.target_list {
            let Some(NodeEnum::ResTarget(target)) = node.node.as_ref() else {
                return Err(Refused::new("the select list is not understood"));
            };
            let Some(value) = target.val.as_deref() else {
                return Err(Refused::new("the select list is not understood"));
            };
            match star(value) {
                Some(relation) => targets.extend(self.expand_star(relation, scope)?),
                None => {
                    let name = if target.name.is_empty() { output_name(value) } else { target.name.clone() };
                    let resolved = column_ref(value).map(|_| scope.resolve(value)).transpose()?;
                    let var = resolved.filter(|it| !it.outer).map(|it| it.var);
                    targets.push(Target { name, value: value.clone(), var });
                }
            }
        }
        Ok(targets)
    }

    fn expand_star(&self, relation: Option<&str>, scope: &Scope<'_>) -> Result<Vec<Target>, Refused> {
        let columns: Vec<(Option<&str>, &(String, Var))> = match relation {
            None => scope.star().map(|(item, column)| (item.name.as_deref(), column)).collect(),
            Some(relation) => {
                let item = scope.item(relation).ok_or_else(|| Refused::new("a star is not understood"))?;
                item.columns.iter().map(|column| (item.name.as_deref(), column)).collect()
            }
        };
        let target = |(item, (name, var)): (Option<&str>, &(String, Var))| {
            let path: Vec<&str> = item.into_iter().chain([name.as_str()]).collect();
            let written = column_node(&path);
            // Two columns of a subquery or join may share a name; as a part of `*` they are still good.
            let unique = scope.resolve(&written).is_ok_and(|it| it.var == *var);
            let value = if unique { written } else { column_node(&[&var.canonical_name()]) };
            Target { value, name: name.clone(), var: Some(*var) }
        };
        Ok(columns.into_iter().map(target).collect())
    }

    fn block_output(&mut self, block: &Block<'_>) -> Result<Output, Refused> {
        match block.relation.spread {
            Spread::Sharded => block.per_shard()?,
            Spread::Everywhere => block.same_everywhere()?,
            Spread::Local => {}
        }
        let column = |target: &Target| OutputColumn {
            name: target.name.clone(),
            facts: self.facts_of(target, &block.scope),
            key: match target.var.map_or(Key::No, |it| block.relation.key(it)) {
                Key::Certain if block.has_grouping_sets() => Key::Nullable,
                key => key,
            },
        };
        let columns = block.targets.iter().map(column).collect();
        Ok(Output { spread: block.relation.spread, columns, shards: block.relation.shards.clone() })
    }

    fn facts_of(&self, target: &Target, scope: &Scope<'_>) -> Facts {
        match target.var {
            Some(var) => self.columns.facts(var).clone(),
            None => Facts {
                type_oid: types::infer(&target.value, scope, &self.columns),
                portable: self.is_portable(&target.value, scope),
            },
        }
    }

    fn values(&mut self, select: &SelectStmt, with: &Scope<'_>) -> Result<Output, Refused> {
        let mut count = 0;
        for row in &select.values_lists {
            let Some(NodeEnum::List(row)) = row.node.as_ref() else {
                return Err(Refused::new("VALUES is not understood"));
            };
            count = row.items.len();
            row.items.iter().try_for_each(|it| self.check_expression(it, with))?;
        }
        let column = |number: usize| OutputColumn {
            name: format!("column{number}"),
            facts: Facts::unknown(),
            key: Key::No,
        };
        let columns = (1..=count).map(column).collect();
        Ok(Output { spread: Spread::Everywhere, columns, shards: Shards::All })
    }

    /// Checks names, subqueries and syntax of an expression.
    pub(crate) fn check_expression(&mut self, node: &Node, scope: &Scope<'_>) -> Result<(), Refused> {
        match node.node.as_ref() {
            Some(NodeEnum::ColumnRef(_)) => drop(self.var(node, scope)?),
            Some(NodeEnum::SubLink(it)) => self.check_sublink(it, scope)?,
            Some(it) if is_aggregate(it) => check_aggregate_level(node, scope)?,
            _ => {}
        }
        let below = children(node).ok_or_else(|| Refused::new("an expression is not understood"))?;
        below.into_iter().try_for_each(|it| self.check_expression(it, scope))
    }

    fn check_sublink(&mut self, link: &ast::SubLink, scope: &Scope<'_>) -> Result<(), Refused> {
        let Some(NodeEnum::SelectStmt(select)) = link.subselect.as_ref().and_then(|it| it.node.as_ref())
        else {
            return Err(Refused::new("a subquery in an expression is not understood"));
        };
        let output = self.query(select, scope)?;
        if output.columns.iter().all(|it| it.facts.portable) {
            self.portable_subqueries.insert(link.location);
        }
        match output.spread {
            Spread::Everywhere if link.sub_link_type() == SubLinkType::ArraySublink => Err(Refused::new(
                "an array is built of rows of reference tables, whose order may differ between nodes",
            )),
            Spread::Everywhere => Ok(()),
            Spread::Local => {
                self.local_subqueries += 1;
                Ok(())
            }
            Spread::Sharded if self.compares_keys(link, &output, scope)? => {
                self.local_subqueries += 1;
                Ok(())
            }
            Spread::Sharded => Err(Refused::new(
                "a subquery in an expression is not restricted to the distribution column of its row",
            )),
        }
    }

    /// Whether `(…) IN (subquery)` compares a distribution column with one: then only rows of the same shard
    /// group can match, and those of others make it false, never NULL.
    fn compares_keys(
        &mut self,
        link: &ast::SubLink,
        output: &Output,
        scope: &Scope<'_>,
    ) -> Result<bool, Refused> {
        let compares = match link.sub_link_type() {
            SubLinkType::AnySublink => matches!(operator(&link.oper_name), None | Some("=")),
            SubLinkType::AllSublink => operator(&link.oper_name) == Some("<>"),
            _ => false,
        };
        let Some(tested) = link.testexpr.as_deref().filter(|_| compares) else { return Ok(false) };
        let tested: Vec<&Node> = match tested.node.as_ref() {
            Some(NodeEnum::RowExpr(it)) => it.args.iter().collect(),
            _ => vec![tested],
        };
        for (node, column) in tested.into_iter().zip(&output.columns) {
            if column_ref(node).is_none() || column.key != Key::Certain {
                continue;
            }
            let var = self.var(node, scope)?;
            let other = self.columns.add(column.facts.clone());
            if scope.is_certain_key(var) && self.columns.comparable(var, other) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// An aggregate belongs to the query of the nearest columns in it; only those of the query itself are understood.
fn check_aggregate_level(node: &Node, scope: &Scope<'_>) -> Result<(), Refused> {
    let has_columns = any(node, &|it| matches!(it, NodeEnum::ColumnRef(_)));
    match has_columns && !uses_own_columns(node, scope) {
        true => Err(Refused::new("an aggregate belongs to an outer query")),
        false => Ok(()),
    }
}

pub(crate) fn reject_common(select: &SelectStmt) -> Result<(), Refused> {
    if select.into_clause.is_some() {
        return Err(Refused::new("SELECT INTO makes a table"));
    }
    let limits = select.limit_count.iter().chain(&select.limit_offset);
    match limits.into_iter().any(|it| any(it, &|it| matches!(it, NodeEnum::SubLink(_)))) {
        true => Err(Refused::new("LIMIT holds a subquery")),
        false => Ok(()),
    }
}

/// Whether LIMIT or OFFSET can leave out rows.
pub(crate) fn is_limited(select: &SelectStmt) -> bool {
    let limits = |it: &Option<Box<Node>>| it.as_ref().is_some_and(|it| !is_null_constant(it));
    limits(&select.limit_count) || limits(&select.limit_offset)
}

/// The expressions of ORDER BY.
pub(crate) fn sort_nodes(select: &SelectStmt) -> Result<Vec<&Node>, Refused> {
    let sort = |it: &'_ Node| match it.node.as_ref() {
        Some(NodeEnum::SortBy(_)) => Ok(()),
        _ => Err(Refused::new("ORDER BY is not understood")),
    };
    select.sort_clause.iter().try_for_each(sort)?;
    Ok(select.sort_clause.iter().flat_map(|it| children(it).unwrap_or_default()).collect())
}
