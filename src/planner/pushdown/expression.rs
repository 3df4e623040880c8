//! Expressions of the raw parse tree, as far as rungs 2 and 3 understand them.
//!
//! The set of nodes is closed: an expression with any other node in it has no [`children`], and the statement
//! goes down the ladder.

use howdah_sql::ast::{self, a_const::Val};
use howdah_sql::{Node, NodeEnum};

macro_rules! define_children {
    ($(#[$doc:meta])* $name:ident, $ref:ty, $child:ty, $iter:ident, $one:ident, $node:ident) => {
        $(#[$doc])*
        pub(crate) fn $name(node: $ref) -> Option<Vec<$child>> {
            let mut found: Vec<$child> = Vec::new();
            match node.node.$node()? {
                NodeEnum::ColumnRef(_)
                | NodeEnum::ParamRef(_)
                | NodeEnum::AConst(_)
                | NodeEnum::SqlvalueFunction(_) => {}
                NodeEnum::AExpr(it) => {
                    found.extend(it.lexpr.$one());
                    found.extend(it.rexpr.$one());
                }
                NodeEnum::BoolExpr(it) => found.extend(it.args.$iter()),
                NodeEnum::TypeCast(it) => found.extend(it.arg.$one()),
                NodeEnum::CollateClause(it) => found.extend(it.arg.$one()),
                NodeEnum::NullTest(it) => found.extend(it.arg.$one()),
                NodeEnum::BooleanTest(it) => found.extend(it.arg.$one()),
                NodeEnum::CoalesceExpr(it) => found.extend(it.args.$iter()),
                NodeEnum::MinMaxExpr(it) => found.extend(it.args.$iter()),
                NodeEnum::RowExpr(it) => found.extend(it.args.$iter()),
                NodeEnum::AArrayExpr(it) => found.extend(it.elements.$iter()),
                NodeEnum::GroupingFunc(it) => found.extend(it.args.$iter()),
                NodeEnum::List(it) => found.extend(it.items.$iter()),
                NodeEnum::NamedArgExpr(it) => found.extend(it.arg.$one()),
                NodeEnum::SortBy(it) => found.extend(it.node.$one()),
                NodeEnum::CaseWhen(it) => {
                    found.extend(it.expr.$one());
                    found.extend(it.result.$one());
                }
                NodeEnum::CaseExpr(it) => {
                    found.extend(it.arg.$one());
                    found.extend(it.args.$iter());
                    found.extend(it.defresult.$one());
                }
                NodeEnum::AIndices(it) => {
                    found.extend(it.lidx.$one());
                    found.extend(it.uidx.$one());
                }
                NodeEnum::AIndirection(it) => {
                    found.extend(it.arg.$one());
                    found.extend(it.indirection.$iter());
                }
                // Only the tested expression: the query inside is another level of names.
                NodeEnum::SubLink(it) => found.extend(it.testexpr.$one()),
                NodeEnum::FuncCall(it) => {
                    found.extend(it.args.$iter());
                    found.extend(it.agg_order.$iter());
                    found.extend(it.agg_filter.$one());
                    if let Some(over) = it.over.$one() {
                        found.extend(over.partition_clause.$iter());
                        found.extend(over.order_clause.$iter());
                        found.extend(over.start_offset.$one());
                        found.extend(over.end_offset.$one());
                    }
                }
                _ => return None,
            }
            Some(found)
        }
    };
}

define_children! {
    /// The direct subexpressions; `None` for a node that is not understood.
    children, &Node, &Node, iter, as_deref, as_ref
}
define_children! {
    /// As [`children`], to be changed.
    children_mut, &mut Node, &mut Node, iter_mut, as_deref_mut, as_mut
}

/// Calls `visit` for an expression and all below it, not entering subqueries. `false`: some node is not understood.
pub(crate) fn visit<'a>(node: &'a Node, each: &mut dyn FnMut(&'a Node)) -> bool {
    each(node);
    let Some(below) = children(node) else { return false };
    let mut known = true;
    for node in below {
        known &= visit(node, each);
    }
    known
}

/// Whether any node of an expression, subqueries not entered, is as asked.
pub(crate) fn any(node: &Node, wanted: &dyn Fn(&NodeEnum) -> bool) -> bool {
    let mut found = false;
    visit(node, &mut |it| found |= it.node.as_ref().is_some_and(wanted));
    found
}

/// Forgets where in the text one node stood, so that equal expressions compare equal.
pub(crate) fn clear_location(node: &mut Node) {
    let Some(node) = node.node.as_mut() else { return };
    match node {
        NodeEnum::ColumnRef(it) => it.location = 0,
        NodeEnum::ParamRef(it) => it.location = 0,
        NodeEnum::AConst(it) => it.location = 0,
        NodeEnum::SqlvalueFunction(it) => it.location = 0,
        NodeEnum::AExpr(it) => {
            (it.location, it.rexpr_list_start, it.rexpr_list_end) = (0, 0, 0);
        }
        NodeEnum::BoolExpr(it) => it.location = 0,
        NodeEnum::TypeCast(it) => {
            it.location = 0;
            clear_type_location(it.type_name.as_mut());
        }
        NodeEnum::CollateClause(it) => it.location = 0,
        NodeEnum::NullTest(it) => it.location = 0,
        NodeEnum::BooleanTest(it) => it.location = 0,
        NodeEnum::CoalesceExpr(it) => it.location = 0,
        NodeEnum::MinMaxExpr(it) => it.location = 0,
        NodeEnum::RowExpr(it) => it.location = 0,
        NodeEnum::AArrayExpr(it) => (it.location, it.list_start, it.list_end) = (0, 0, 0),
        NodeEnum::GroupingFunc(it) => it.location = 0,
        NodeEnum::NamedArgExpr(it) => it.location = 0,
        NodeEnum::SortBy(it) => it.location = 0,
        NodeEnum::CaseWhen(it) => it.location = 0,
        NodeEnum::CaseExpr(it) => it.location = 0,
        NodeEnum::FuncCall(it) => {
            it.location = 0;
            if let Some(over) = it.over.as_deref_mut() {
                over.location = 0;
            }
        }
        // A subquery is the same as another one only if it is that one: it keeps its place.
        _ => {}
    }
}

fn clear_type_location(name: Option<&mut ast::TypeName>) {
    let Some(name) = name else { return };
    name.location = 0;
    name.typmods.iter_mut().for_each(clear_location);
}

/// The conditions that all hold where the whole holds.
pub(crate) fn conjuncts(node: &Node) -> Vec<&Node> {
    match node.node.as_ref() {
        Some(NodeEnum::BoolExpr(it)) if it.boolop() == ast::BoolExprType::AndExpr => {
            it.args.iter().flat_map(conjuncts).collect()
        }
        _ => vec![node],
    }
}

/// The two sides of `a = b` under the built-in operator.
pub(crate) fn equality(node: &Node) -> Option<(&Node, &Node)> {
    match node.node.as_ref()? {
        NodeEnum::AExpr(it) if it.kind() == ast::AExprKind::AexprOp && operator(&it.name) == Some("=") => {
            Some((it.lexpr.as_deref()?, it.rexpr.as_deref()?))
        }
        _ => None,
    }
}

/// The bare name of an operator without a schema, or with the one of the built-in operators.
pub(crate) fn operator(name: &[Node]) -> Option<&str> {
    builtin_name(name)
}

/// The bare name of a function or type that is written without a schema or with `pg_catalog`.
pub(crate) fn builtin_name(name: &[Node]) -> Option<&str> {
    match name {
        [only] => string(only),
        [schema, name] if string(schema) == Some("pg_catalog") => string(name),
        _ => None,
    }
}

pub(crate) fn string(node: &Node) -> Option<&str> {
    match node.node.as_ref()? {
        NodeEnum::String(it) => Some(&it.sval),
        _ => None,
    }
}

pub(crate) fn column_ref(node: &Node) -> Option<&ast::ColumnRef> {
    match node.node.as_ref()? {
        NodeEnum::ColumnRef(it) => Some(it),
        _ => None,
    }
}

/// The name of a column reference that is nothing but a name.
pub(crate) fn bare_name(node: &Node) -> Option<&str> {
    match column_ref(node)?.fields.as_slice() {
        [only] => string(only),
        _ => None,
    }
}

pub(crate) fn integer(node: &Node) -> Option<i32> {
    match node.node.as_ref()? {
        NodeEnum::AConst(it) if !it.isnull => match it.val.as_ref()? {
            Val::Ival(it) => Some(it.ival),
            _ => None,
        },
        _ => None,
    }
}

pub(crate) fn is_null_constant(node: &Node) -> bool {
    matches!(node.node.as_ref(), Some(NodeEnum::AConst(it)) if it.isnull)
}

pub(crate) fn name_node(name: &str) -> Node {
    NodeEnum::String(ast::String { sval: name.into() }).into_node()
}

/// A reference to a column by its names.
pub(crate) fn column_node(names: &[&str]) -> Node {
    let fields = names.iter().map(|it| name_node(it)).collect();
    NodeEnum::ColumnRef(ast::ColumnRef { fields, location: -1 }).into_node()
}

pub(crate) fn integer_node(value: i32) -> Node {
    let val = Some(Val::Ival(ast::Integer { ival: value }));
    NodeEnum::AConst(ast::AConst { isnull: false, location: -1, val }).into_node()
}

pub(crate) fn target_node(name: &str, value: Node) -> Node {
    let target = ast::ResTarget {
        name: name.into(),
        indirection: Vec::new(),
        val: Some(Box::new(value)),
        location: -1,
    };
    NodeEnum::ResTarget(Box::new(target)).into_node()
}

/// A call of a built-in function or aggregate.
pub(crate) fn call_node(name: &str, args: Vec<Node>) -> Node {
    let call = ast::FuncCall {
        funcname: vec![name_node("pg_catalog"), name_node(name)],
        args,
        funcformat: ast::CoercionForm::CoerceExplicitCall as i32,
        location: -1,
        ..ast::FuncCall::default()
    };
    NodeEnum::FuncCall(Box::new(call)).into_node()
}

pub(crate) fn operator_node(left: Node, name: &str, right: Node) -> Node {
    let expression = ast::AExpr {
        kind: ast::AExprKind::AexprOp as i32,
        name: vec![name_node(name)],
        lexpr: Some(Box::new(left)),
        rexpr: Some(Box::new(right)),
        ..ast::AExpr::default()
    };
    NodeEnum::AExpr(Box::new(expression)).into_node()
}

/// `value::type`, the type a built-in one by its name in `pg_type`.
pub(crate) fn cast_node(value: Node, type_name: &str) -> Node {
    let type_name = ast::TypeName {
        names: vec![name_node("pg_catalog"), name_node(type_name)],
        typemod: -1,
        location: -1,
        ..ast::TypeName::default()
    };
    let cast = ast::TypeCast { arg: Some(Box::new(value)), type_name: Some(type_name), location: -1 };
    NodeEnum::TypeCast(Box::new(cast)).into_node()
}

/// Wraps a tree node as the generated lists hold it.
pub(crate) trait IntoNode {
    fn into_node(self) -> Node;
}

impl IntoNode for NodeEnum {
    fn into_node(self) -> Node {
        Node { node: Some(self) }
    }
}
