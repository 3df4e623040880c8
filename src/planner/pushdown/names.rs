//! The names that PostgreSQL gives to output columns (`FigureColname`).

use howdah_sql::ast::{AExprKind, MinMaxOp, SqlValueFunctionOp, SubLinkType};
use howdah_sql::{Node, NodeEnum};

use super::expression::string;

/// The name of an output column without AS.
pub(crate) fn output_name(node: &Node) -> String {
    figure(node).map_or_else(|| "?column?".into(), |it| it.0)
}

/// The name and whether it is a good one; a cast's type and CASE give way to better ones.
fn figure(node: &Node) -> Option<(String, bool)> {
    let good = |it: &str| Some((it.to_owned(), true));
    match node.node.as_ref()? {
        NodeEnum::ColumnRef(it) => it.fields.iter().rev().find_map(string).and_then(good),
        NodeEnum::AIndirection(it) => {
            it.indirection.iter().rev().find_map(string).and_then(good).or_else(|| figure(it.arg.as_ref()?))
        }
        NodeEnum::FuncCall(it) => it.funcname.last().and_then(string).and_then(good),
        NodeEnum::AExpr(it) if it.kind() == AExprKind::AexprNullif => good("nullif"),
        NodeEnum::TypeCast(it) => {
            let inner = it.arg.as_deref().and_then(figure).filter(|it| it.1);
            inner.or_else(|| {
                it.type_name.as_ref()?.names.last().and_then(string).map(|it| (it.to_owned(), false))
            })
        }
        NodeEnum::CollateClause(it) => figure(it.arg.as_ref()?),
        NodeEnum::GroupingFunc(_) => good("grouping"),
        NodeEnum::SubLink(it) => match it.sub_link_type() {
            SubLinkType::ExistsSublink => good("exists"),
            SubLinkType::ArraySublink => good("array"),
            SubLinkType::ExprSublink => of_subquery(it.subselect.as_ref()?),
            _ => None,
        },
        NodeEnum::CaseExpr(it) => {
            let inner = it.defresult.as_deref().and_then(figure).filter(|it| it.1);
            inner.or_else(|| Some(("case".into(), false)))
        }
        NodeEnum::AArrayExpr(_) => good("array"),
        NodeEnum::RowExpr(_) => good("row"),
        NodeEnum::CoalesceExpr(_) => good("coalesce"),
        NodeEnum::MinMaxExpr(it) => good(if it.op() == MinMaxOp::IsGreatest { "greatest" } else { "least" }),
        NodeEnum::SqlvalueFunction(it) => good(value_function(it.op())),
        _ => None,
    }
}

fn of_subquery(node: &Node) -> Option<(String, bool)> {
    let Some(NodeEnum::SelectStmt(select)) = node.node.as_ref() else { return None };
    let mut select = &**select;
    while let Some(left) = &select.larg {
        select = left;
    }
    let Some(NodeEnum::ResTarget(target)) = select.target_list.first()?.node.as_ref() else { return None };
    match target.name.is_empty() {
        true => figure(target.val.as_ref()?),
        false => Some((target.name.clone(), true)),
    }
}

fn value_function(op: SqlValueFunctionOp) -> &'static str {
    match op {
        SqlValueFunctionOp::SqlvalueFunctionOpUndefined => "?column?",
        SqlValueFunctionOp::SvfopCurrentDate => "current_date",
        SqlValueFunctionOp::SvfopCurrentTime | SqlValueFunctionOp::SvfopCurrentTimeN => "current_time",
        SqlValueFunctionOp::SvfopCurrentTimestamp | SqlValueFunctionOp::SvfopCurrentTimestampN => {
            "current_timestamp"
        }
        SqlValueFunctionOp::SvfopLocaltime | SqlValueFunctionOp::SvfopLocaltimeN => "localtime",
        SqlValueFunctionOp::SvfopLocaltimestamp | SqlValueFunctionOp::SvfopLocaltimestampN => {
            "localtimestamp"
        }
        SqlValueFunctionOp::SvfopCurrentRole => "current_role",
        SqlValueFunctionOp::SvfopCurrentUser => "current_user",
        SqlValueFunctionOp::SvfopUser => "user",
        SqlValueFunctionOp::SvfopSessionUser => "session_user",
        SqlValueFunctionOp::SvfopCurrentCatalog => "current_catalog",
        SqlValueFunctionOp::SvfopCurrentSchema => "current_schema",
    }
}
