//! The text of worker and combine queries: deparsed from the tree, with marks where pieces go.

use std::cell::Cell;
use std::collections::BTreeMap;

use howdah_catalog::TableOid;
use howdah_sql::ast::{self, SelectStmt, SqlValueFunctionOp};
use howdah_sql::{Node, NodeEnum};

use super::columns::CANONICAL;
use super::expression::{any, builtin_name, cast_node, children_mut, column_node};
use super::names::output_name;
use super::refused::Refused;
use crate::{CombinePiece, Piece, Template};

/// No statement that uses this character of the private use area is planned here.
const MARK: char = '\u{E0D5}';

/// The worker query of a changed statement. `tables`: where in the text which table is named.
pub(crate) fn worker_template(
    mut select: SelectStmt,
    tables: &BTreeMap<i32, TableOid>,
) -> Result<Template, Refused> {
    let marks = Cell::new(0);
    mark_select(
        &mut select,
        &mut |node| marks.set(marks.get() + usize::from(mark_time(node))),
        &mut |range| {
            if let Some(oid) = tables.get(&range.location) {
                mark_table(range, *oid);
                marks.set(marks.get() + 1);
            }
        },
    );
    let mut template = Template::default();
    let mut found = 0;
    for part in parts(&deparse(select)?) {
        match part {
            Part::Text(text) => template.push_text(text),
            Part::Mark('t', oid) => template.push(Piece::Shard(TableOid(oid))),
            Part::Mark(..) => template.push(Piece::TransactionTime),
        }
        found += usize::from(matches!(part, Part::Mark(..)));
    }
    match found == marks.get() {
        true => Ok(template),
        false => Err(Refused::new("the worker query could not be written")),
    }
}

/// The text of a combine query, with the types asked for by [`type_of`].
pub(crate) fn combine_pieces(select: SelectStmt) -> Result<Vec<CombinePiece>, Refused> {
    let text = deparse(select)?;
    let piece = |part: Part<'_>| match part {
        Part::Text(text) => CombinePiece::Text(text.to_owned()),
        Part::Mark(_, column) => CombinePiece::TypeOf(column as usize),
    };
    Ok(parts(&text).into_iter().map(piece).collect())
}

/// `value` in the type that the workers gave to a column of theirs.
pub(crate) fn type_of(value: Node, column: usize) -> Node {
    let mut node = cast_node(value, "");
    if let Some(NodeEnum::TypeCast(it)) = node.node.as_mut()
        && let Some(name) = it.type_name.as_mut()
    {
        name.names = vec![super::expression::name_node(&mark('y', column as u32))];
    }
    node
}

/// Whether the value is that of the transaction's clock.
pub(crate) fn is_time(node: &NodeEnum) -> bool {
    match node {
        NodeEnum::FuncCall(it) => {
            it.args.is_empty() && matches!(builtin_name(&it.funcname), Some("now" | "transaction_timestamp"))
        }
        NodeEnum::SqlvalueFunction(it) => time_type(it.op()).is_some(),
        _ => false,
    }
}

fn time_type(op: SqlValueFunctionOp) -> Option<&'static str> {
    match op {
        SqlValueFunctionOp::SvfopCurrentDate => Some("date"),
        SqlValueFunctionOp::SvfopCurrentTime | SqlValueFunctionOp::SvfopCurrentTimeN => Some("timetz"),
        SqlValueFunctionOp::SvfopCurrentTimestamp | SqlValueFunctionOp::SvfopCurrentTimestampN => {
            Some("timestamptz")
        }
        SqlValueFunctionOp::SvfopLocaltime | SqlValueFunctionOp::SvfopLocaltimeN => Some("time"),
        SqlValueFunctionOp::SvfopLocaltimestamp | SqlValueFunctionOp::SvfopLocaltimestampN => {
            Some("timestamp")
        }
        SqlValueFunctionOp::SqlvalueFunctionOpUndefined
        | SqlValueFunctionOp::SvfopCurrentRole
        | SqlValueFunctionOp::SvfopCurrentUser
        | SqlValueFunctionOp::SvfopUser
        | SqlValueFunctionOp::SvfopSessionUser
        | SqlValueFunctionOp::SvfopCurrentCatalog
        | SqlValueFunctionOp::SvfopCurrentSchema => None,
    }
}

fn mark_time(node: &mut Node) -> bool {
    let Some(inner) = node.node.as_ref().filter(|it| is_time(it)) else { return false };
    let (type_name, typmod) = match inner {
        NodeEnum::SqlvalueFunction(it) => (time_type(it.op()).unwrap_or("timestamptz"), it.typmod),
        _ => ("timestamptz", -1),
    };
    let mut cast = cast_node(column_node(&[&mark('n', 0)]), type_name);
    if let Some(NodeEnum::TypeCast(it)) = cast.node.as_mut()
        && let Some(name) = it.type_name.as_mut()
        && 0 <= typmod
    {
        name.typmods = vec![super::expression::integer_node(typmod)];
    }
    *node = cast;
    true
}

fn mark_table(range: &mut ast::RangeVar, oid: TableOid) {
    if range.alias.is_none() {
        range.alias = Some(ast::Alias { aliasname: range.relname.clone(), colnames: Vec::new() });
    }
    range.schemaname.clear();
    range.relname = mark('t', oid.0);
}

fn mark(kind: char, number: u32) -> String {
    format!("{MARK}{kind}{number}")
}

enum Part<'t> {
    Text(&'t str),
    Mark(char, u32),
}

/// Takes apart at the marks, which deparse to quoted identifiers.
fn parts(text: &str) -> Vec<Part<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(&format!("\"{MARK}")) {
        let body = &rest[at + 1 + MARK.len_utf8()..];
        let Some(end) = body.find('"') else { break };
        let kind = body.chars().next().unwrap_or(' ');
        let Ok(number) = body[kind.len_utf8()..end].parse() else { break };
        if at != 0 {
            found.push(Part::Text(&rest[..at]));
        }
        found.push(Part::Mark(kind, number));
        rest = &body[end + 1..];
    }
    if !rest.is_empty() {
        found.push(Part::Text(rest));
    }
    found
}

fn deparse(select: SelectStmt) -> Result<String, Refused> {
    let node = NodeEnum::SelectStmt(Box::new(select));
    let text = node.deparse(Default::default());
    let text = text.ok().filter(|it| !it.contains(CANONICAL));
    text.ok_or_else(|| Refused::new("the worker query could not be written"))
}

/// Calls back for every expression node of a query, subqueries included.
pub(crate) fn for_each_expression(select: &mut SelectStmt, each: &mut dyn FnMut(&mut Node)) {
    mark_select(select, each, &mut |_| {});
}

type Expressions<'f> = &'f mut dyn FnMut(&mut Node);
type Ranges<'f> = &'f mut dyn FnMut(&mut ast::RangeVar);

/// Calls back for every expression node and every relation of a query, subqueries included.
fn mark_select(select: &mut SelectStmt, each: Expressions<'_>, range: Ranges<'_>) {
    for cte in select.with_clause.iter_mut().flat_map(|it| &mut it.ctes) {
        if let Some(NodeEnum::CommonTableExpr(cte)) = cte.node.as_mut() {
            cte.ctequery.iter_mut().for_each(|it| mark_query(it, each, range));
        }
    }
    for side in [&mut select.larg, &mut select.rarg].into_iter().flatten() {
        mark_select(side, each, range);
    }
    select.from_clause.iter_mut().for_each(|it| mark_from(it, each, range));
    let lists = [
        &mut select.distinct_clause,
        &mut select.target_list,
        &mut select.group_clause,
        &mut select.values_lists,
        &mut select.sort_clause,
        &mut select.window_clause,
    ];
    lists.into_iter().flatten().for_each(|it| mark_expression(it, each, range));
    let singles = [
        &mut select.where_clause,
        &mut select.having_clause,
        &mut select.limit_count,
        &mut select.limit_offset,
    ];
    singles.into_iter().flatten().for_each(|it| mark_expression(it, each, range));
}

fn mark_query(node: &mut Node, each: Expressions<'_>, range: Ranges<'_>) {
    if let Some(NodeEnum::SelectStmt(it)) = node.node.as_mut() {
        mark_select(it, each, range);
    }
}

fn mark_from(node: &mut Node, each: Expressions<'_>, range: Ranges<'_>) {
    match node.node.as_mut() {
        Some(NodeEnum::RangeVar(it)) => range(it),
        Some(NodeEnum::RangeSubselect(it)) => {
            it.subquery.iter_mut().for_each(|it| mark_query(it, each, range))
        }
        Some(NodeEnum::RangeFunction(it)) => it.functions.iter_mut().for_each(|it| {
            // A list of the call and its column definitions, of which there are none.
            if let Some(NodeEnum::List(it)) = it.node.as_mut() {
                it.items
                    .iter_mut()
                    .filter(|it| it.node.is_some())
                    .for_each(|it| mark_expression(it, each, range));
            }
        }),
        Some(NodeEnum::JoinExpr(it)) => {
            it.larg.iter_mut().for_each(|it| mark_from(it, each, range));
            it.rarg.iter_mut().for_each(|it| mark_from(it, each, range));
            it.quals.iter_mut().for_each(|it| mark_expression(it, each, range));
        }
        _ => {}
    }
}

fn mark_expression(node: &mut Node, each: Expressions<'_>, range: Ranges<'_>) {
    each(node);
    match node.node.as_mut() {
        Some(NodeEnum::ResTarget(it)) => {
            // A constant in place of now() must not change the name that the column has for an outer query.
            if let Some(value) = it.val.as_deref().filter(|value| it.name.is_empty() && any(value, &is_time))
            {
                it.name = output_name(value);
            }
            it.val.iter_mut().for_each(|it| mark_expression(it, each, range));
        }
        Some(NodeEnum::GroupingSet(it)) => {
            it.content.iter_mut().for_each(|it| mark_expression(it, each, range))
        }
        Some(NodeEnum::WindowDef(it)) => {
            let lists = it.partition_clause.iter_mut().chain(&mut it.order_clause);
            let offsets = it.start_offset.as_deref_mut().into_iter().chain(it.end_offset.as_deref_mut());
            lists.chain(offsets).for_each(|it| mark_expression(it, each, range));
        }
        _ => {
            if let Some(NodeEnum::SubLink(it)) = node.node.as_mut() {
                it.subselect.iter_mut().for_each(|it| mark_query(it, each, range));
            }
            children_mut(node).into_iter().flatten().for_each(|it| mark_expression(it, each, range));
        }
    }
}
