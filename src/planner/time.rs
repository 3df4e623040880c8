//! Functions of the transaction's time become constants, so that every node has the same `now()`.
//!
//! Known gap: the string 'now' (or 'today' and the like) as input of a date type is read by the worker, in the
//! time of the worker's own transaction, which began a moment later.

use howdah_sql::ast::SqlValueFunctionOp;
use howdah_sql::{NodeEnum, NodeRef, Token, Tokens, ast, children, walk};

use crate::Piece;
use crate::splice::Splice;
use crate::whitelist::{self, FunctionClass};

/// Whether functions of the transaction's time stand where constants may.
pub(crate) fn check(node: NodeRef<'_>) -> Result<(), String> {
    replaceable(node, 0)
}

/// Replaces every function of the transaction's time below a node.
pub(crate) fn replace(node: NodeRef<'_>, tokens: &Tokens, splice: &mut Splice) -> Result<(), String> {
    replaceable(node, 0)?;
    let mut failed = None;
    let walked = walk(node, &mut |it| {
        if let Some((position, suffix)) = time_function(it) {
            let range = match it {
                NodeRef::FuncCall(_) => call_range(position, tokens),
                // The digits of `localtime(2)` go on as those of the type.
                _ => usize::try_from(position).ok().and_then(|it| tokens.name_range(it)),
            };
            match range {
                Some(range) => {
                    splice.replace(range, vec![Piece::TransactionTime, Piece::Text(suffix.to_owned())])
                }
                None => failed = Some("a function of time has no position in the text".to_owned()),
            }
        }
    });
    walked.map_err(|it| it.to_string())?;
    failed.map_or(Ok(()), Err)
}

/// Position of a function of the transaction's time, and the cast that makes its value of a timestamptz.
fn time_function(node: NodeRef<'_>) -> Option<(i32, &'static str)> {
    match node {
        NodeRef::FuncCall(it) => {
            let name = howdah_sql::names(&it.funcname).last().copied()?;
            let class = whitelist::builtin(name)?.class;
            (class == FunctionClass::Time).then_some((it.location, ""))
        }
        NodeRef::SqlvalueFunction(it) => Some((it.location, value_function_cast(it)?)),
        _ => None,
    }
}

fn value_function_cast(it: &ast::SqlValueFunction) -> Option<&'static str> {
    Some(match it.op() {
        SqlValueFunctionOp::SvfopCurrentDate => "::date",
        SqlValueFunctionOp::SvfopCurrentTime | SqlValueFunctionOp::SvfopCurrentTimeN => "::timetz",
        SqlValueFunctionOp::SvfopCurrentTimestamp => "",
        SqlValueFunctionOp::SvfopCurrentTimestampN => "::timestamptz",
        SqlValueFunctionOp::SvfopLocaltime | SqlValueFunctionOp::SvfopLocaltimeN => "::time",
        SqlValueFunctionOp::SvfopLocaltimestamp | SqlValueFunctionOp::SvfopLocaltimestampN => "::timestamp",
        _ => return None,
    })
}

/// From the name to the bracket that closes its arguments, if it has some.
fn call_range(position: i32, tokens: &Tokens) -> Option<std::ops::Range<usize>> {
    let name = tokens.name_range(usize::try_from(position).ok()?)?;
    let next = tokens.from(name.end);
    match tokens.token(next) {
        Some(Token::Ascii40) => Some(name.start..tokens.range(tokens.closing(next)?)?.end),
        _ => Some(name),
    }
}

/// A constant cannot stand in FROM, and has another name as an output: of a subquery that matters.
fn replaceable(node: NodeRef<'_>, depth: usize) -> Result<(), String> {
    let mut below = Vec::new();
    match node {
        NodeRef::RangeFunction(it) => {
            let mut direct = false;
            for list in &it.functions {
                if let Some(NodeEnum::List(list)) = list.node.as_ref() {
                    direct |= list
                        .items
                        .iter()
                        .filter_map(|it| it.node.as_ref())
                        .any(|it| time_function(it.to_ref()).is_some());
                }
            }
            if direct {
                return Err("a function of time is used as a table".into());
            }
        }
        NodeRef::ResTarget(it) if it.name.is_empty() && 1 < depth && names_output(it.val.as_deref()) => {
            return Err("a function of time names a column of a subquery".into());
        }
        _ => {}
    }
    let depth = depth + usize::from(matches!(node, NodeRef::SelectStmt(_)));
    children(node, &mut |it| below.push(it)).map_err(|it| it.to_string())?;
    below.into_iter().try_for_each(|it| replaceable(it, depth))
}

/// Whether the output's name comes from a function of time (`FigureColname`).
fn names_output(value: Option<&howdah_sql::Node>) -> bool {
    match value.and_then(|it| it.node.as_ref()) {
        Some(NodeEnum::TypeCast(it)) => names_output(it.arg.as_deref()),
        Some(NodeEnum::CollateClause(it)) => names_output(it.arg.as_deref()),
        Some(NodeEnum::CaseExpr(it)) => names_output(it.defresult.as_deref()),
        Some(node) => time_function(node.to_ref()).is_some(),
        None => false,
    }
}
