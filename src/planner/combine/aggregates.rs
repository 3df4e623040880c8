//! Aggregates in two steps: what the workers compute, and what is computed from that.

use howdah_catalog::TypeOid;
use howdah_sql::ast::{CoercionForm, FuncCall};
use howdah_sql::{Node, NodeEnum};

use super::grouped::{Role, Split};
use crate::pushdown::{
    Block, Element, IntoNode, Refused, aggregate_of_column, call_node, cast_node, ignores_order, infer,
    integer_node, intermediate_column, operator_node, type_of,
};

/// Aggregates for which duplicates do not matter.
const IDEMPOTENT: &[&str] = &["min", "max", "bool_and", "bool_or", "every", "bit_and", "bit_or"];

/// Whether the distinct values themselves must reach the combine query.
pub(super) fn collects_values(call: &FuncCall, name: &str, block: &Block<'_>) -> bool {
    call.agg_distinct && !IDEMPOTENT.contains(&name) && !distinct_by_key(call, name, block)
}

/// Whether the workers' distinct values are different ones, because the distribution column is among them. Grouping
/// sets need the values themselves: one value may be in several of the finest groups.
fn distinct_by_key(call: &FuncCall, name: &str, block: &Block<'_>) -> bool {
    let is_key = |it: &Node| {
        block.element_var(Element::Expression(it)).is_some_and(|it| block.relation.keys.contains(&it))
    };
    !block.has_grouping_sets() && matches!(name, "count" | "sum") && call.args.iter().any(is_key)
}

pub(super) fn count_star() -> Node {
    let mut node = call_node("count", Vec::new());
    if let Some(NodeEnum::FuncCall(it)) = node.node.as_mut() {
        it.agg_star = true;
    }
    node
}

impl Split<'_, '_> {
    pub(super) fn aggregate(&mut self, call: &FuncCall, name: &str) -> Result<Node, Refused> {
        if call.func_variadic || call.agg_within_group {
            return Err(Refused::new(format!("{name} needs all rows of a group at once")));
        }
        if call.agg_distinct && !IDEMPOTENT.contains(&name) && (self.collects || !ignores_order(name)) {
            return self.collected(call);
        }
        if !ignores_order(name) {
            return Err(Refused::new(format!("{name} needs all rows of a group at once")));
        }
        match name {
            "count" => {
                let count = self.partial(call, "count");
                let sum = aggregate_of_column("sum", count);
                Ok(cast_node(coalesce(vec![sum, integer_node(0)]), "int8"))
            }
            "sum" => Ok(self.sum(call)),
            "avg" => self.average(call),
            _ => {
                let column = self.partial(call, name);
                Ok(aggregate_of_column(name, column))
            }
        }
    }

    /// The same aggregate on the worker, without an order that its result does not depend on.
    fn partial(&mut self, call: &FuncCall, name: &str) -> usize {
        let mut partial = call.clone();
        partial.agg_order.clear();
        partial.agg_distinct &= !IDEMPOTENT.contains(&name);
        partial.funcname = match call_node(name, Vec::new()).node {
            Some(NodeEnum::FuncCall(it)) => it.funcname,
            _ => partial.funcname,
        };
        self.column(NodeEnum::FuncCall(Box::new(partial)).into_node(), Role::Partial)
    }

    /// sum(bigint) is numeric, so sums of sums of int must be led back to their type.
    fn sum(&mut self, call: &FuncCall) -> Node {
        let type_oid = self.argument_type(call);
        let column = self.partial(call, "sum");
        let sum = aggregate_of_column("sum", column);
        match type_oid {
            Some(TypeOid::INT2 | TypeOid::INT4) => cast_node(sum, "int8"),
            Some(_) => sum,
            None => type_of(sum, column),
        }
    }

    /// The sum of all through the count of all, as PostgreSQL's own final function divides.
    fn average(&mut self, call: &FuncCall) -> Result<Node, Refused> {
        let mut call = call.clone();
        match self.argument_type(&call) {
            Some(
                TypeOid::INT2
                | TypeOid::INT4
                | TypeOid::INT8
                | TypeOid::NUMERIC
                | TypeOid::FLOAT8
                | TypeOid::INTERVAL,
            ) => {}
            // avg(real) sums in double precision, sum(real) does not.
            Some(TypeOid::FLOAT4) => {
                call.args = call.args.into_iter().map(|it| cast_node(it, "float8")).collect();
            }
            _ => return Err(Refused::new("the type of the argument of avg is not known")),
        }
        let sum = aggregate_of_column("sum", self.partial(&call, "sum"));
        let count = aggregate_of_column("sum", self.partial(&call, "count"));
        Ok(operator_node(sum, "/", call_node_nullif(count)))
    }

    fn argument_type(&self, call: &FuncCall) -> Option<TypeOid> {
        infer(call.args.first()?, &self.block.scope, &self.analysis.columns)
    }

    /// A DISTINCT aggregate over the values themselves, of which the workers send each at most once.
    fn collected(&mut self, call: &FuncCall) -> Result<Node, Refused> {
        let mut above = call.clone();
        // The first argument always: without any value the workers would not even say whether there are rows.
        for (index, arg) in above.args.iter_mut().enumerate() {
            *arg = if index == 0 { self.row_value(arg) } else { self.value(arg) };
        }
        for sort in &mut above.agg_order {
            if let Some(NodeEnum::SortBy(it)) = sort.node.as_mut()
                && let Some(node) = it.node.as_deref_mut()
            {
                *node = self.sorted_argument(call, &above.args, node)?;
            }
        }
        if let Some(filter) = above.agg_filter.as_deref_mut() {
            *filter = self.row_value(filter);
        }
        Ok(NodeEnum::FuncCall(Box::new(above)).into_node())
    }

    /// DISTINCT allows to sort by arguments only.
    fn sorted_argument(&self, call: &FuncCall, above: &[Node], node: &Node) -> Result<Node, Refused> {
        let canonical = |it: &Node| self.analysis.canonical(it, &self.block.scope);
        let wanted = canonical(node);
        let index = call.args.iter().position(|it| wanted.is_some() && canonical(it) == wanted);
        index
            .map(|it| above[it].clone())
            .ok_or_else(|| Refused::new("the order within an aggregate is not understood"))
    }

    /// A value of each row, or a constant.
    fn value(&mut self, node: &Node) -> Node {
        match node.node.as_ref() {
            Some(NodeEnum::AConst(_) | NodeEnum::ParamRef(_)) => node.clone(),
            _ => self.row_value(node),
        }
    }

    /// A value of each row. Rows are taken apart, since records cannot travel.
    fn row_value(&mut self, node: &Node) -> Node {
        match node.node.as_ref() {
            Some(NodeEnum::RowExpr(row)) => {
                let mut row = row.clone();
                row.args = row.args.iter().map(|it| self.row_value(it)).collect();
                row.set_row_format(CoercionForm::CoerceExplicitCall);
                NodeEnum::RowExpr(row).into_node()
            }
            _ => intermediate_column(self.column(node.clone(), Role::Value)),
        }
    }
}

fn coalesce(args: Vec<Node>) -> Node {
    let call = howdah_sql::ast::CoalesceExpr { args, ..Default::default() };
    NodeEnum::CoalesceExpr(Box::new(call)).into_node()
}

/// `NULLIF(count, 0)`: no input gives NULL, as avg does.
fn call_node_nullif(count: Node) -> Node {
    let mut node = operator_node(count, "=", integer_node(0));
    if let Some(NodeEnum::AExpr(it)) = node.node.as_mut() {
        it.set_kind(howdah_sql::ast::AExprKind::AexprNullif);
    }
    node
}
