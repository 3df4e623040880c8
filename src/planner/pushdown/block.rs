//! One SELECT … FROM …, and what of it is computed per shard.

use howdah_sql::ast::{self, SelectStmt};
use howdah_sql::{Node, NodeEnum};

use super::columns::Var;
use super::expression::{any, bare_name, children, column_ref, integer};
use super::functions::{aggregate, ignores_order, is_aggregate, is_window};
use super::query::is_limited;
use super::refused::Refused;
use super::relation::Relation;
use super::scope::Scope;

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
    pub(crate) fn same_everywhere(&self) -> Result<(), Refused> {
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
