//! The one form of SELECT that `postgres_fdw` sends for a scan: columns of one table, with conditions, order and row locks.
//!
//! The text is cut at its clauses, and only the relation and the parameters are replaced: conditions reach the shards as
//! PostgreSQL wrote them. Whatever has another form (joins, aggregates, subqueries, LIMIT) cannot come from a scan of a live
//! child, and is refused.

use std::ops::Range;

use howdah_catalog::TableOid;
use howdah_sql::{NodeEnum, NodeRef, Statement, Token, Tokens, ast, quote_identifier, quote_literal, walk};

use super::clauses::{clauses, span};
use super::request::Parameters;
use crate::error::{Error, Result};

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Select {
    pub(crate) relation: Relation,
    /// Empty when no column is wanted: such a row has one NULL.
    pub(crate) columns: Vec<String>,
    /// `TABLESAMPLE …` of ANALYZE.
    pub(crate) sample: Option<Fragment>,
    pub(crate) condition: Option<Fragment>,
    pub(crate) order: Vec<OrderKey>,
    /// `FOR UPDATE` or `FOR SHARE`, with nothing behind it.
    pub(crate) locking: Option<String>,
    /// `column = value` conditions that every row of the result meets.
    pub(crate) equalities: Vec<Equality>,
}

/// What is read, all of it in the schema `howdah_live`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Relation {
    /// `t<oid>`: the table's number is its name.
    Table(TableOid),
    Call,
    Probe,
    /// The probe of a statement that is about to write.
    Boundary,
}

/// One key of ORDER BY: the expression, and `ASC NULLS LAST` or what it has of this kind.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct OrderKey {
    pub(crate) expression: Fragment,
    /// Set if the expression is a column by itself.
    pub(crate) column: Option<String>,
    /// Of `expression COLLATE name`, as SQL.
    pub(crate) collation: Option<String>,
    pub(crate) direction: String,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Equality {
    pub(crate) column: String,
    pub(crate) value: Value,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Value {
    Constant(String),
    /// From 0.
    Parameter(usize),
}

/// SQL text with places for parameters.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Fragment(Vec<Part>);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Part {
    Text(String),
    /// From 0.
    Parameter(usize),
}

impl Fragment {
    /// The text with each parameter as a literal: `postgres_fdw` always casts a parameter (`$1::integer`), so that a literal
    /// in its place is the same value.
    pub(crate) fn render(&self, parameters: &Parameters) -> String {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Parameter(index) => match parameters.get(*index) {
                    Some(Some(value)) => text.push_str(&quote_literal(value)),
                    _ => text.push_str("NULL"),
                },
            }
        }
        text
    }
}

impl Select {
    /// Understands a scan's statement.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let statements = howdah_sql::parse(text).map_err(|_| refused())?;
        let [statement] = statements.as_slice() else { return Err(refused()) };
        let NodeEnum::SelectStmt(tree) = statement.node() else { return Err(refused()) };
        check_shape(tree)?;
        check_expressions(statement, 1)?;
        let tokens = statement.tokens().map_err(|_| refused())?;
        let clauses = Clauses::cut(&tokens)?;
        let text = statement.text();
        let fragment = |range: &Range<usize>| Fragment::cut(text, &tokens, range.clone());
        let relation = relation(tree)?;
        let condition = tree.where_clause.as_deref().and_then(|it| it.node.as_ref());
        if condition.is_some_and(names_row) {
            return Err(ctid_refused());
        }
        if relation != Relation::Call && clauses.condition.is_none() != tree.where_clause.is_none() {
            return Err(refused());
        }
        let mut order = Vec::new();
        for (range, key) in clauses.order.iter().zip(&tree.sort_clause) {
            order.push(order_key(text, &tokens, range.clone(), key)?);
        }
        if order.len() != tree.sort_clause.len() {
            return Err(refused());
        }
        let mut equalities = Vec::new();
        if let Some(condition) = condition {
            collect_equalities(condition, &mut equalities);
        }
        Ok(Self {
            relation,
            columns: columns(tree)?,
            sample: clauses.sample.as_ref().map(fragment),
            condition: clauses.condition.as_ref().map(fragment),
            order,
            locking: locking(tree)?,
            equalities,
        })
    }
}

/// Whether an expression looks at `ctid`: what PostgreSQL knows of live rows is not what the shards call them.
pub(super) fn names_row(expression: &NodeEnum) -> bool {
    let mut found = false;
    let walked = walk(expression.to_ref(), &mut |it| {
        found |= matches!(it, NodeRef::ColumnRef(it) if column(it).as_deref() == Some("ctid"));
    });
    found || walked.is_err()
}

pub(super) fn ctid_refused() -> Error {
    Error::not_supported(
        "cannot compare the ctid of a distributed table",
        "Find the rows by their primary key.",
    )
}

pub(super) fn refused() -> Error {
    Error::not_supported(
        "this use of a distributed table inside PostgreSQL is not supported",
        "Write the query over the distributed table itself, without joining or aggregating its foreign child.",
    )
}

fn check_shape(tree: &ast::SelectStmt) -> Result<()> {
    let plain = tree.distinct_clause.is_empty()
        && tree.into_clause.is_none()
        && tree.group_clause.is_empty()
        && tree.having_clause.is_none()
        && tree.window_clause.is_empty()
        && tree.values_lists.is_empty()
        && tree.limit_count.is_none()
        && tree.limit_offset.is_none()
        && tree.with_clause.is_none()
        && tree.larg.is_none()
        && tree.from_clause.len() == 1;
    if plain { Ok(()) } else { Err(refused()) }
}

/// No subqueries, no windows, and no functions but PostgreSQL's own. `expected` is the number of SELECTs in it.
pub(super) fn check_expressions(statement: &Statement, expected: usize) -> Result<()> {
    let mut known = true;
    let mut selects = 0;
    walk(statement.node().to_ref(), &mut |it| match it {
        NodeRef::SelectStmt(_) => selects += 1,
        NodeRef::SubLink(_) | NodeRef::WindowDef(_) | NodeRef::GroupingFunc(_) => known = false,
        NodeRef::FuncCall(it) => {
            let names = howdah_sql::names(&it.funcname);
            known &= it.over.is_none() && !it.agg_star && matches!(names.as_slice(), [_] | ["pg_catalog", _]);
        }
        _ => {}
    })
    .map_err(|_| refused())?;
    if known && selects == expected { Ok(()) } else { Err(refused()) }
}

fn relation(tree: &ast::SelectStmt) -> Result<Relation> {
    let from = tree.from_clause.first().and_then(|it| it.node.as_ref());
    let range = match from {
        Some(NodeEnum::RangeVar(range)) => range,
        Some(NodeEnum::RangeTableSample(sample)) => {
            match sample.relation.as_deref().and_then(|it| it.node.as_ref()) {
                Some(NodeEnum::RangeVar(range)) => range,
                _ => return Err(refused()),
            }
        }
        _ => return Err(refused()),
    };
    if range.alias.is_some() || !range.catalogname.is_empty() {
        return Err(refused());
    }
    named_relation(&range.schemaname, &range.relname)
}

/// The relation behind a name of `howdah_live`.
pub(crate) fn named_relation(schema: &str, name: &str) -> Result<Relation> {
    if schema != "howdah_live" {
        return Err(refused());
    }
    match name {
        "call" => Ok(Relation::Call),
        "probe" => Ok(Relation::Probe),
        "boundary" => Ok(Relation::Boundary),
        _ => {
            let oid = name.strip_prefix('t').and_then(|it| it.parse().ok()).ok_or_else(refused)?;
            Ok(Relation::Table(TableOid(oid)))
        }
    }
}

fn columns(tree: &ast::SelectStmt) -> Result<Vec<String>> {
    let mut columns = Vec::new();
    for target in &tree.target_list {
        let Some(NodeEnum::ResTarget(target)) = target.node.as_ref() else { return Err(refused()) };
        match target.val.as_deref().and_then(|it| it.node.as_ref()) {
            Some(NodeEnum::ColumnRef(it)) => columns.push(column(it).ok_or_else(refused)?),
            Some(NodeEnum::AConst(it)) if it.isnull && tree.target_list.len() == 1 => {}
            _ => return Err(refused()),
        }
    }
    Ok(columns)
}

pub(super) fn column(it: &ast::ColumnRef) -> Option<String> {
    match howdah_sql::names(&it.fields).as_slice() {
        [name] if it.fields.len() == 1 => Some((*name).to_owned()),
        _ => None,
    }
}

fn locking(tree: &ast::SelectStmt) -> Result<Option<String>> {
    let [clause] = tree.locking_clause.as_slice() else {
        return if tree.locking_clause.is_empty() { Ok(None) } else { Err(refused()) };
    };
    let Some(NodeEnum::LockingClause(it)) = clause.node.as_ref() else { return Err(refused()) };
    if !it.locked_rels.is_empty() || it.wait_policy() != ast::LockWaitPolicy::LockWaitBlock {
        return Err(refused());
    }
    match it.strength() {
        ast::LockClauseStrength::LcsForupdate => Ok(Some("FOR UPDATE".to_owned())),
        ast::LockClauseStrength::LcsForshare => Ok(Some("FOR SHARE".to_owned())),
        _ => Err(refused()),
    }
}

fn order_key(text: &str, tokens: &Tokens, range: Range<usize>, key: &ast::Node) -> Result<OrderKey> {
    let Some(NodeEnum::SortBy(key)) = key.node.as_ref() else { return Err(refused()) };
    let (first, end) = (tokens.from(range.start), tokens.from(range.end));
    let direction = (first..end)
        .rev()
        .find(|it| matches!(tokens.token(*it), Some(Token::Asc | Token::Desc | Token::Using)))
        .and_then(|it| tokens.range(it))
        .map_or(range.end, |it| it.start);
    let (column, collation) = match key.node.as_deref().and_then(|it| it.node.as_ref()) {
        Some(NodeEnum::ColumnRef(it)) => (column(it), None),
        Some(NodeEnum::CollateClause(it)) => (None, Some(collation_name(it))),
        _ => (None, None),
    };
    Ok(OrderKey {
        collation,
        expression: Fragment::cut(text, tokens, range.start..direction),
        column,
        direction: text[direction..range.end].to_owned(),
    })
}

fn collation_name(it: &ast::CollateClause) -> String {
    let names: Vec<_> = howdah_sql::names(&it.collname).into_iter().map(quote_identifier).collect();
    names.join(".")
}

/// Equalities among the conditions that are all required.
pub(super) fn collect_equalities(node: &NodeEnum, found: &mut Vec<Equality>) {
    match node {
        NodeEnum::BoolExpr(it) if it.boolop() == ast::BoolExprType::AndExpr => {
            for part in it.args.iter().filter_map(|it| it.node.as_ref()) {
                collect_equalities(part, found);
            }
        }
        NodeEnum::AExpr(it)
            if it.kind() == ast::AExprKind::AexprOp && howdah_sql::names(&it.name).as_slice() == ["="] =>
        {
            let side = |it: &Option<Box<ast::Node>>| it.as_deref().and_then(|it| it.node.clone());
            if let (Some(left), Some(right)) = (side(&it.lexpr), side(&it.rexpr)) {
                found.extend(equality(&left, &right).or_else(|| equality(&right, &left)));
            }
        }
        _ => {}
    }
}

fn equality(left: &NodeEnum, right: &NodeEnum) -> Option<Equality> {
    let NodeEnum::ColumnRef(it) = left else { return None };
    Some(Equality { column: column(it)?, value: value(right)? })
}

pub(super) fn value(node: &NodeEnum) -> Option<Value> {
    match node {
        NodeEnum::ParamRef(it) => Some(Value::Parameter(usize::try_from(it.number).ok()?.checked_sub(1)?)),
        NodeEnum::TypeCast(it) => value(it.arg.as_deref()?.node.as_ref()?),
        NodeEnum::AConst(it) => match it.val.as_ref()? {
            ast::a_const::Val::Ival(it) => Some(Value::Constant(it.ival.to_string())),
            ast::a_const::Val::Fval(it) => Some(Value::Constant(it.fval.clone())),
            ast::a_const::Val::Sval(it) => Some(Value::Constant(it.sval.clone())),
            _ => None,
        },
        // A negative number comes as (-5).
        NodeEnum::AExpr(it) if it.lexpr.is_none() && howdah_sql::names(&it.name).as_slice() == ["-"] => {
            match value(it.rexpr.as_deref()?.node.as_ref()?)? {
                Value::Constant(number) => Some(Value::Constant(format!("-{number}"))),
                Value::Parameter(_) => None,
            }
        }
        _ => None,
    }
}

/// Where the clauses of the statement are.
#[derive(Default)]
struct Clauses {
    sample: Option<Range<usize>>,
    condition: Option<Range<usize>>,
    order: Vec<Range<usize>>,
}

impl Clauses {
    fn cut(tokens: &Tokens) -> Result<Self> {
        let mut cut = Self::default();
        for clause in clauses(tokens, &[Token::Tablesample, Token::Where, Token::Order, Token::For])? {
            match clause.keyword {
                Token::Tablesample => cut.sample = Some(span(tokens, clause.tokens.clone())?),
                Token::Where => cut.condition = Some(clause.behind(tokens)?),
                // ORDER BY is two words.
                Token::Order => {
                    cut.order = clause.items(2).map(|it| span(tokens, it)).collect::<Result<_>>()?
                }
                _ => {}
            }
        }
        Ok(cut)
    }
}

impl Fragment {
    pub(super) fn cut(text: &str, tokens: &Tokens, range: Range<usize>) -> Self {
        let mut parts = Vec::new();
        let mut start = range.start;
        for index in tokens.from(range.start)..tokens.from(range.end) {
            let (Some(Token::Param), Some(place)) = (tokens.token(index), tokens.range(index)) else {
                continue;
            };
            let number = text[place.start + 1..place.end].parse::<usize>().unwrap_or(0);
            parts.push(Part::Text(text[start..place.start].to_owned()));
            parts.push(Part::Parameter(number.wrapping_sub(1)));
            start = place.end;
        }
        parts.push(Part::Text(text[start..range.end].to_owned()));
        Self(parts)
    }
}

#[cfg(test)]
mod tests;
