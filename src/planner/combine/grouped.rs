//! Groups that span shards: partial groups on the workers, whole groups in the combine query.

use howdah_sql::ast::{CoercionForm, LimitOption, SelectStmt, a_const};
use howdah_sql::{Node, NodeEnum};

use super::Parts;
use super::aggregates::{collects_values, count_star};
use super::distinct::limit_like;
use crate::pushdown::{
    Analysis, Block, Element, Refused, aggregate, children, children_mut, integer_node, intermediate_column,
    intermediate_relation, limits, not_portable, returns_set, sort_by_value, sort_nodes, target_node, visit,
};

/// The statement, being taken apart.
pub(super) struct Split<'s, 'c> {
    pub(super) analysis: &'s Analysis<'c>,
    pub(super) block: &'s Block<'s>,
    columns: Vec<WorkerColumn>,
    /// Whether values of DISTINCT aggregates are collected: then the worker's groups are finer than the
    /// statement's, and DISTINCT cannot be computed on the worker, not even of the distribution column.
    pub(super) collects: bool,
}

struct WorkerColumn {
    value: Node,
    canonical: Option<Node>,
    role: Role,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Role {
    /// Grouped by on the workers and above.
    Group,
    /// Grouped by on the workers only: input of an aggregate above.
    Value,
    /// A partial aggregate.
    Partial,
}

pub(super) fn block(analysis: &Analysis<'_>, block: &Block<'_>) -> Result<Parts, Refused> {
    limits(block.select)?;
    let mut split = Split { analysis, block, columns: Vec::new(), collects: false };
    split.collects = split.must_collect();
    for element in block.group_elements() {
        let value = block.value(element)?;
        if matches!(value.node, Some(NodeEnum::RowExpr(_))) {
            return Err(Refused::new("rows are grouped by a row"));
        }
        let before = split.columns.len();
        split.column(value.clone(), Role::Group);
        // PostgreSQL releases differ in whether an expression that folds to a constant becomes NULL in a set
        // without it.
        let is_plain_column = matches!(value.node, Some(NodeEnum::ColumnRef(_)));
        if block.has_grouping_sets() && (!is_plain_column || split.columns.len() == before) {
            return Err(Refused::new("grouping sets hold an expression, or a column twice"));
        }
    }
    let combine = split.combine_select()?;
    if split.columns.is_empty() {
        split.column(count_star(), Role::Partial);
    }
    if !split.columns.iter().all(|it| analysis.is_portable(&it.value, &block.scope)) {
        return Err(not_portable());
    }
    if split.columns.iter().any(|it| it.role == Role::Value && is_untyped_literal(&it.value)) {
        return Err(Refused::new("a literal without a type is an input of an aggregate"));
    }
    let shards = block.relation.shards.clone();
    // Each worker has left out how often it had a row, so it cannot matter how many workers have it.
    let of_distinct = split.columns.iter().all(|it| it.role != Role::Partial);
    Ok(Parts { worker: split.worker_select(), combine, columns: split.columns.len(), of_distinct, shards })
}

/// As a column of an intermediate result it would have a type, and rows with it could be compared, which
/// PostgreSQL refuses.
fn is_untyped_literal(value: &Node) -> bool {
    match &value.node {
        Some(NodeEnum::AConst(constant)) => {
            constant.isnull || matches!(constant.val, Some(a_const::Val::Sval(_)))
        }
        _ => false,
    }
}

impl Split<'_, '_> {
    /// Whether some DISTINCT aggregate needs its values above the workers.
    fn must_collect(&self) -> bool {
        let mut found = false;
        let block = self.block;
        let targets = block.targets.iter().map(|it| &it.value);
        let others = block.select.having_clause.as_deref().into_iter().chain(&block.select.sort_clause);
        for node in targets.chain(others) {
            visit(node, &mut |it| {
                let call = it.node.as_ref().and_then(aggregate);
                found |= call.is_some_and(|(call, name)| collects_values(call, name, block));
            });
        }
        found
    }

    /// The place of a value in the workers' rows.
    pub(super) fn column(&mut self, value: Node, role: Role) -> usize {
        let canonical = self.analysis.canonical(&value, &self.block.scope);
        let same = |it: &WorkerColumn| it.role == role && canonical.is_some() && it.canonical == canonical;
        if let Some(index) = self.columns.iter().position(same) {
            return index;
        }
        self.columns.push(WorkerColumn { value, canonical, role });
        self.columns.len() - 1
    }

    fn group_column(&self, value: &Node) -> Option<usize> {
        let canonical = self.analysis.canonical(value, &self.block.scope)?;
        let same = |it: &WorkerColumn| it.role == Role::Group && it.canonical.as_ref() == Some(&canonical);
        self.columns.iter().position(same)
    }

    fn worker_select(&self) -> SelectStmt {
        let mut select = self.block.select.clone();
        let target =
            |(index, it): (usize, &WorkerColumn)| target_node(&format!("c{index}"), it.value.clone());
        select.target_list = self.columns.iter().enumerate().map(target).collect();
        let grouped = self.columns.iter().zip(1..).filter(|(it, _)| it.role != Role::Partial);
        select.group_clause = grouped.map(|(_, number)| integer_node(number)).collect();
        select.group_distinct = false;
        select.having_clause = None;
        select.distinct_clause.clear();
        select.window_clause.clear();
        select.sort_clause.clear();
        (select.limit_count, select.limit_offset) = (None, None);
        select.limit_option = LimitOption::Default as i32;
        select
    }

    fn combine_select(&mut self) -> Result<SelectStmt, Refused> {
        let block = self.block;
        let original = block.select;
        let mut select = SelectStmt {
            from_clause: vec![intermediate_relation()],
            group_distinct: original.group_distinct,
            op: original.op,
            ..SelectStmt::default()
        };
        for (index, target) in block.targets.iter().enumerate() {
            select.target_list.push(target_node(&format!("o{index}"), self.rewrite(&target.value)?));
        }
        if let Some(having) = &original.having_clause {
            select.having_clause = Some(Box::new(self.rewrite(having)?));
        }
        for window in &original.window_clause {
            select.window_clause.push(self.window(window)?);
        }
        for (node, sort) in sort_nodes(original)?.into_iter().zip(&original.sort_clause) {
            select.sort_clause.push(sort_by_value(sort, self.entry(node)?)?);
        }
        for on in &original.distinct_clause {
            let on = if on.node.is_none() { on.clone() } else { self.entry(on)? };
            select.distinct_clause.push(on);
        }
        // After all else: columns that depend on the group were added meanwhile.
        select.group_clause = self.group_clause()?;
        limit_like(&mut select, original);
        Ok(select)
    }

    /// An entry of ORDER BY or DISTINCT ON.
    fn entry(&mut self, node: &Node) -> Result<Node, Refused> {
        match self.block.element(node, false) {
            Element::Target(index) => Ok(integer_node(index as i32 + 1)),
            Element::Expression(node) => self.rewrite(node),
        }
    }

    fn group_clause(&mut self) -> Result<Vec<Node>, Refused> {
        if self.block.has_grouping_sets() {
            let block = self.block;
            return block.select.group_clause.iter().map(|it| self.grouping_set(it)).collect();
        }
        let groups = self.columns.iter().enumerate().filter(|(_, it)| it.role == Role::Group);
        Ok(groups.map(|(index, _)| intermediate_column(index)).collect())
    }

    fn grouping_set(&self, node: &Node) -> Result<Node, Refused> {
        let mut copy = node.clone();
        match copy.node.as_mut() {
            Some(NodeEnum::GroupingSet(it)) => replace_all(&mut it.content, |it| self.grouping_set(it))?,
            Some(NodeEnum::RowExpr(it)) if it.row_format() == CoercionForm::CoerceImplicitCast => {
                replace_all(&mut it.args, |it| self.grouping_set(it))?;
            }
            _ => {
                let value = self.block.value(self.block.element(node, true))?;
                let index = self.group_column(value).ok_or_else(not_understood)?;
                copy = intermediate_column(index);
            }
        }
        Ok(copy)
    }

    fn window(&mut self, node: &Node) -> Result<Node, Refused> {
        let mut copy = node.clone();
        let Some(NodeEnum::WindowDef(it)) = copy.node.as_mut() else { return Err(not_understood()) };
        replace_all(&mut it.partition_clause, |it| self.rewrite(it))?;
        replace_all(&mut it.order_clause, |it| self.rewrite(it))?;
        for offset in [&mut it.start_offset, &mut it.end_offset].into_iter().flatten() {
            **offset = self.rewrite(offset)?;
        }
        Ok(copy)
    }

    /// An expression above the groups, over the workers' rows.
    pub(super) fn rewrite(&mut self, node: &Node) -> Result<Node, Refused> {
        if let Some(index) = self.group_column(node) {
            return Ok(intermediate_column(index));
        }
        match node.node.as_ref() {
            Some(NodeEnum::ColumnRef(_)) => self.dependent_column(node),
            // As a group column it is computed below the groups, on the workers.
            Some(it) if returns_set(it) => {
                Err(Refused::new("a function that returns rows stands above aggregates"))
            }
            Some(NodeEnum::SubLink(_)) => Err(Refused::new("a subquery stands above the aggregates")),
            Some(it) => match aggregate(it) {
                Some((call, name)) => self.aggregate(call, name),
                None => self.rewrite_children(node),
            },
            None => Ok(node.clone()),
        }
    }

    fn rewrite_children(&mut self, node: &Node) -> Result<Node, Refused> {
        let below = children(node).ok_or_else(not_understood)?;
        let rewritten: Vec<Node> = below.into_iter().map(|it| self.rewrite(it)).collect::<Result<_, _>>()?;
        let mut copy = node.clone();
        let places = children_mut(&mut copy).ok_or_else(not_understood)?;
        places.into_iter().zip(rewritten).for_each(|(place, it)| *place = it);
        Ok(copy)
    }

    /// A column that is not grouped by. PostgreSQL has accepted it, so it depends on the group's primary key, and
    /// to group by it as well changes nothing.
    fn dependent_column(&mut self, node: &Node) -> Result<Node, Refused> {
        if self.block.select.group_clause.is_empty() || self.block.has_grouping_sets() {
            return Err(not_understood());
        }
        Ok(intermediate_column(self.column(node.clone(), Role::Group)))
    }
}

fn replace_all(
    nodes: &mut [Node],
    mut replace: impl FnMut(&Node) -> Result<Node, Refused>,
) -> Result<(), Refused> {
    for node in nodes {
        *node = replace(node)?;
    }
    Ok(())
}

fn not_understood() -> Refused {
    Refused::new("an expression above the aggregates is not understood")
}
