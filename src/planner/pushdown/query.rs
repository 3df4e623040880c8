//! Queries: which of them give on each shard group a part of the whole result.

use howdah_sql::ast::{self, SelectStmt, SetOperation, SubLinkType};
use howdah_sql::{Node, NodeEnum};

use super::analysis::{Analysis, uses_own_columns};
use super::columns::{Facts, Var};
use super::expression::{
    any, bare_name, children, column_node, column_ref, integer, is_null_constant, operator,
};
use super::functions::{aggregate, ignores_order, is_aggregate, is_window};
use super::names::output_name;
use super::refused::Refused;
use super::relation::{Conditions, Key, Output, OutputColumn, Relation, Shards, Spread};
use super::scope::{Scope, star};
use super::types;

/// One SELECT … FROM … with its names resolved; not VALUES and not a set operation.
pub(crate) struct Block<'s> {
    pub(crate) select: &'s SelectStmt,
    pub(crate) scope: Scope<'s>,
    pub(crate) relation: Relation,
    /// The output columns, `*` expanded.
    pub(crate) targets: Vec<Target>,
}

pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) value: Node,
    /// The column that it is, if it is nothing else.
    pub(crate) var: Option<Var>,
}

/// What an entry of GROUP BY, ORDER BY or DISTINCT ON means.
#[derive(Clone, Copy)]
pub(crate) enum Element<'n> {
    /// An output column.
    Target(usize),
    Expression(&'n Node),
}

impl Block<'_> {
    /// An entry by the rules of SQL92, as PostgreSQL has them: the number or the name of an output column.
    /// GROUP BY looks among the input columns first.
    pub(crate) fn element<'n>(&self, node: &'n Node, input_first: bool) -> Element<'n> {
        if let Some(number) = integer(node) {
            return Element::Target(usize::try_from(number - 1).unwrap_or(usize::MAX));
        }
        let named = bare_name(node).filter(|it| !(input_first && self.scope.own_column(it).is_some()));
        match named.and_then(|name| self.targets.iter().position(|it| it.name == name)) {
            Some(index) => Element::Target(index),
            None => Element::Expression(node),
        }
    }

    pub(crate) fn value<'n>(&'n self, element: Element<'n>) -> Result<&'n Node, Refused> {
        match element {
            Element::Target(index) => {
                let target = self.targets.get(index);
                target.map(|it| &it.value).ok_or_else(|| Refused::new("a position is not in the select list"))
            }
            Element::Expression(node) => Ok(node),
        }
    }

    pub(crate) fn element_var(&self, element: Element<'_>) -> Option<Var> {
        match element {
            Element::Target(index) => self.targets.get(index)?.var,
            Element::Expression(node) => {
                column_ref(node)?;
                self.scope.resolve(node).ok().filter(|it| !it.outer).map(|it| it.var)
            }
        }
    }

    /// The expressions that rows are grouped by, grouping sets flattened.
    pub(crate) fn group_elements(&self) -> Vec<Element<'_>> {
        let mut found = Vec::new();
        self.select.group_clause.iter().for_each(|it| self.flatten_group(it, &mut found));
        found
    }

    fn flatten_group<'n>(&self, node: &'n Node, into: &mut Vec<Element<'n>>) {
        match node.node.as_ref() {
            Some(NodeEnum::GroupingSet(it)) => it.content.iter().for_each(|it| self.flatten_group(it, into)),
            Some(NodeEnum::RowExpr(it)) if it.row_format() == ast::CoercionForm::CoerceImplicitCast => {
                it.args.iter().for_each(|it| self.flatten_group(it, into));
            }
            _ => into.push(self.element(node, true)),
        }
    }

    pub(crate) fn has_grouping_sets(&self) -> bool {
        self.select.group_clause.iter().any(|it| matches!(it.node, Some(NodeEnum::GroupingSet(_))))
    }

    /// Whether rows become groups.
    pub(crate) fn is_grouped(&self) -> bool {
        !self.select.group_clause.is_empty() || self.select.having_clause.is_some() || self.has_aggregates()
    }

    pub(crate) fn has_aggregates(&self) -> bool {
        self.upper_expressions().any(|it| any(it, &is_aggregate))
    }

    pub(crate) fn has_windows(&self) -> bool {
        self.upper_expressions().any(|it| any(it, &is_window))
    }

    /// What is computed after grouping.
    fn upper_expressions(&self) -> impl Iterator<Item = &Node> {
        let targets = self.targets.iter().map(|it| &it.value);
        targets.chain(self.select.having_clause.as_deref()).chain(&self.select.sort_clause)
    }

    fn is_key(&self, element: Element<'_>) -> bool {
        self.element_var(element).is_some_and(|it| self.relation.keys.contains(&it))
    }

    /// Whether the result of the whole is all the results of the shard groups, LIMIT and ORDER BY aside.
    pub(crate) fn per_shard(&self) -> Result<(), Refused> {
        self.groups_and_windows_per_shard()?;
        match self.distinct_by_key() {
            true => Ok(()),
            false => Err(Refused::new("the distribution column is not among the DISTINCT columns")),
        }
    }

    /// The same with DISTINCT aside.
    pub(crate) fn groups_and_windows_per_shard(&self) -> Result<(), Refused> {
        if self.is_grouped() && !self.groups_by_key() {
            return Err(Refused::new(match self.select.group_clause.is_empty() {
                true => "aggregates are computed over all shards",
                false => "the distribution column is not in GROUP BY",
            }));
        }
        self.upper_expressions().try_for_each(|it| self.windows_by_key(it))
    }

    pub(crate) fn is_distinct(&self) -> bool {
        !self.select.distinct_clause.is_empty()
    }

    fn groups_by_key(&self) -> bool {
        let single = |it: &Node| !matches!(it.node, Some(NodeEnum::GroupingSet(_)));
        let plain = self.select.group_clause.iter().filter(|it| single(it));
        let mut elements = Vec::new();
        plain.for_each(|it| self.flatten_group(it, &mut elements));
        elements.into_iter().any(|it| self.is_key(it))
    }

    fn distinct_by_key(&self) -> bool {
        match self.select.distinct_clause.as_slice() {
            [] => true,
            [all] if all.node.is_none() => {
                self.targets.iter().any(|it| it.var.is_some_and(|it| self.relation.keys.contains(&it)))
            }
            on => on.iter().any(|it| self.is_key(self.element(it, false))),
        }
    }

    fn windows_by_key(&self, node: &Node) -> Result<(), Refused> {
        if let Some(NodeEnum::FuncCall(it)) = node.node.as_ref()
            && let Some(over) = it.over.as_deref()
        {
            let partition = self.partition(over)?;
            if !partition.iter().any(|it| self.is_key(Element::Expression(it))) {
                return Err(Refused::new("a window is not partitioned by the distribution column"));
            }
        }
        children(node).into_iter().flatten().try_for_each(|it| self.windows_by_key(it))
    }

    fn partition<'n>(&'n self, over: &'n ast::WindowDef) -> Result<&'n [Node], Refused> {
        let base = if over.name.is_empty() { &over.refname } else { &over.name };
        if base.is_empty() {
            return Ok(&over.partition_clause);
        }
        let named = self.select.window_clause.iter().find_map(|it| match it.node.as_ref() {
            Some(NodeEnum::WindowDef(it)) if it.name == *base => Some(it),
            _ => None,
        });
        let named = named.ok_or_else(|| Refused::new("a window is not understood"))?;
        match named.refname.is_empty() {
            true => Ok(&named.partition_clause),
            false => self.partition_of_base(&named.refname),
        }
    }

    fn partition_of_base(&self, base: &str) -> Result<&[Node], Refused> {
        let named = self.select.window_clause.iter().find_map(|it| match it.node.as_ref() {
            Some(NodeEnum::WindowDef(it)) if it.name == base && it.refname.is_empty() => Some(it),
            _ => None,
        });
        named
            .map(|it| it.partition_clause.as_slice())
            .ok_or_else(|| Refused::new("a window is not understood"))
    }

    /// Whether a query without distributed tables gives the same on every node, whatever the order of rows there.
    fn same_everywhere(&self) -> Result<(), Refused> {
        let select = self.select;
        let on = matches!(select.distinct_clause.as_slice(), [first, ..] if first.node.is_some());
        if on || self.has_windows() || is_limited(select) {
            return Err(Refused::new(
                "a subquery of reference tables depends on the order of rows, which may differ between nodes",
            ));
        }
        let ordered = |it: &NodeEnum| aggregate(it).is_some_and(|(_, name)| !ignores_order(name));
        match self.upper_expressions().any(|it| any(it, &ordered)) {
            true => Err(Refused::new("an aggregate of reference tables depends on the order of rows")),
            false => Ok(()),
        }
    }
}

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

    pub(crate) fn set_operation(&mut self, select: &SelectStmt, with: &Scope<'_>) -> Result<Output, Refused> {
        let (Some(left), Some(right)) = (&select.larg, &select.rarg) else {
            return Err(Refused::new("a set operation is not understood"));
        };
        let (left, right) = (self.query(left, with)?, self.query(right, with)?);
        combine_outputs(select.op(), select.all, left, right)
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

/// Whether UNION, INTERSECT or EXCEPT of per-shard results is the per-shard result.
fn combine_outputs(op: SetOperation, all: bool, left: Output, right: Output) -> Result<Output, Refused> {
    let union = op == SetOperation::SetopUnion;
    let spread = match (left.spread, right.spread) {
        (Spread::Everywhere, Spread::Everywhere) => Spread::Everywhere,
        (Spread::Everywhere | Spread::Local, Spread::Everywhere | Spread::Local) => Spread::Local,
        (Spread::Sharded, Spread::Sharded) => {
            let needs_key = !(union && all);
            if needs_key && !same_key_column(&left, &right) {
                return Err(Refused::new(
                    "the distribution column is not in the same place on both sides of a set operation",
                ));
            }
            Spread::Sharded
        }
        (Spread::Sharded, Spread::Everywhere) if !union && has_key(&left) => Spread::Sharded,
        (Spread::Everywhere, Spread::Sharded) if op == SetOperation::SetopIntersect && has_key(&right) => {
            Spread::Sharded
        }
        _ => return Err(Refused::new("a set operation mixes rows of shards with rows that every shard has")),
    };
    let shards = match op {
        _ if spread != Spread::Sharded => Shards::All,
        SetOperation::SetopUnion => left.shards.or(right.shards),
        SetOperation::SetopIntersect => left.shards.and(right.shards),
        _ => left.shards,
    };
    let both = union || (left.spread, right.spread) == (Spread::Sharded, Spread::Sharded);
    let merge = |(a, b): (OutputColumn, OutputColumn)| OutputColumn {
        name: a.name,
        facts: Facts {
            type_oid: a.facts.type_oid.filter(|it| b.facts.type_oid == Some(*it)),
            portable: a.facts.portable && b.facts.portable,
        },
        key: if both { a.key.min(b.key) } else { a.key.max(b.key) },
    };
    let columns = left.columns.into_iter().zip(right.columns).map(merge).collect();
    Ok(Output { spread, columns, shards })
}

fn has_key(output: &Output) -> bool {
    output.columns.iter().any(|it| it.key == Key::Certain)
}

fn same_key_column(left: &Output, right: &Output) -> bool {
    let both = |(a, b): (&OutputColumn, &OutputColumn)| {
        let certain = a.key == Key::Certain && b.key == Key::Certain;
        certain && a.facts.type_oid.is_some() && a.facts.type_oid == b.facts.type_oid
    };
    left.columns.iter().zip(&right.columns).any(both)
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
