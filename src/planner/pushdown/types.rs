//! Types of expressions, for the few decisions that need them. `None` is always a right answer.

use howdah_catalog::TypeOid;
use howdah_sql::ast::{self, AExprKind, a_const::Val};
use howdah_sql::{Node, NodeEnum};

use super::columns::Columns;
use super::expression::{builtin_name, is_null_constant, operator};
use super::scope::Scope;

/// Whether values of a built-in type compare under a collation.
pub(crate) fn is_collatable(oid: TypeOid) -> bool {
    const COLLATABLE: &[TypeOid] =
        &[TypeOid::TEXT, TypeOid::VARCHAR, TypeOid::BPCHAR, TypeOid::NAME, TypeOid::TEXT_ARRAY];
    // Arrays and ranges of text have OIDs without a name here; their columns say themselves what they are.
    COLLATABLE.contains(&oid)
}

pub(crate) fn infer(node: &Node, scope: &Scope<'_>, columns: &Columns) -> Option<TypeOid> {
    let of = |it: &Node| infer(it, scope, columns);
    match node.node.as_ref()? {
        NodeEnum::ColumnRef(_) => columns.facts(scope.resolve(node).ok()?.var).type_oid,
        NodeEnum::AConst(it) => constant(it),
        NodeEnum::TypeCast(it) => named(it.type_name.as_ref()?),
        NodeEnum::AExpr(it) => operation(it, &of),
        NodeEnum::BoolExpr(_) | NodeEnum::NullTest(_) | NodeEnum::BooleanTest(_) => Some(TypeOid::BOOL),
        NodeEnum::CoalesceExpr(it) => common(it.args.iter(), &of),
        NodeEnum::MinMaxExpr(it) => common(it.args.iter(), &of),
        NodeEnum::CaseExpr(it) => {
            let results = it.args.iter().map(|it| match it.node.as_ref() {
                Some(NodeEnum::CaseWhen(it)) => it.result.as_deref(),
                _ => None,
            });
            let results: Vec<&Node> = results.collect::<Option<_>>()?;
            common(results.into_iter().chain(it.defresult.as_deref()), &of)
        }
        NodeEnum::FuncCall(it) => function(it, &of),
        _ => None,
    }
}

fn constant(node: &ast::AConst) -> Option<TypeOid> {
    match node.val.as_ref()? {
        Val::Ival(_) => Some(TypeOid::INT4),
        Val::Fval(it) if it.fval.parse::<i64>().is_ok() => Some(TypeOid::INT8),
        Val::Fval(_) => Some(TypeOid::NUMERIC),
        Val::Boolval(_) => Some(TypeOid::BOOL),
        Val::Sval(_) | Val::Bsval(_) => None,
    }
}

fn named(name: &ast::TypeName) -> Option<TypeOid> {
    if !name.array_bounds.is_empty() || name.setof || name.pct_type {
        return None;
    }
    match builtin_name(&name.names)? {
        "bool" => Some(TypeOid::BOOL),
        "int2" => Some(TypeOid::INT2),
        "int4" | "int" => Some(TypeOid::INT4),
        "int8" => Some(TypeOid::INT8),
        "float4" => Some(TypeOid::FLOAT4),
        "float8" => Some(TypeOid::FLOAT8),
        "numeric" => Some(TypeOid::NUMERIC),
        "text" => Some(TypeOid::TEXT),
        "varchar" => Some(TypeOid::VARCHAR),
        "date" => Some(TypeOid::DATE),
        "timestamp" => Some(TypeOid::TIMESTAMP),
        "timestamptz" => Some(TypeOid::TIMESTAMPTZ),
        "interval" => Some(TypeOid::INTERVAL),
        "uuid" => Some(TypeOid::UUID),
        _ => None,
    }
}

fn operation(node: &ast::AExpr, of: &dyn Fn(&Node) -> Option<TypeOid>) -> Option<TypeOid> {
    match node.kind() {
        AExprKind::AexprOp => {}
        AExprKind::AexprNullif => return of(node.lexpr.as_ref()?),
        _ => return Some(TypeOid::BOOL),
    }
    match operator(&node.name)? {
        "=" | "<>" | "<" | "<=" | ">" | ">=" => Some(TypeOid::BOOL),
        "->>" | "#>>" => Some(TypeOid::TEXT),
        "+" | "-" if node.lexpr.is_none() => of(node.rexpr.as_ref()?).filter(|it| rank(*it).is_some()),
        "+" | "-" | "*" | "/" | "%" => arithmetic(of(node.lexpr.as_ref()?)?, of(node.rexpr.as_ref()?)?),
        _ => None,
    }
}

/// The result of an arithmetic operator, and the common type of a CASE.
fn arithmetic(a: TypeOid, b: TypeOid) -> Option<TypeOid> {
    match (rank(a)?, rank(b)?) {
        (x, y) if x == y => Some(a),
        // real with any other number becomes double precision.
        _ if a == TypeOid::FLOAT4 || b == TypeOid::FLOAT4 => Some(TypeOid::FLOAT8),
        (x, y) => Some(if x < y { b } else { a }),
    }
}

fn rank(oid: TypeOid) -> Option<usize> {
    let numbers =
        [TypeOid::INT2, TypeOid::INT4, TypeOid::INT8, TypeOid::NUMERIC, TypeOid::FLOAT4, TypeOid::FLOAT8];
    numbers.iter().position(|it| *it == oid)
}

/// Only where all results are of one type, NULL aside.
fn common<'n>(
    nodes: impl Iterator<Item = &'n Node>,
    of: &dyn Fn(&Node) -> Option<TypeOid>,
) -> Option<TypeOid> {
    let mut types = nodes.filter(|it| !is_null_constant(it)).map(of);
    let first = types.next()??;
    types.all(|it| it == Some(first)).then_some(first)
}

fn function(call: &ast::FuncCall, of: &dyn Fn(&Node) -> Option<TypeOid>) -> Option<TypeOid> {
    let argument = || of(call.args.first()?);
    match builtin_name(&call.funcname)? {
        "count" | "row_number" | "rank" | "dense_rank" => Some(TypeOid::INT8),
        "length" | "char_length" | "character_length" | "octet_length" => Some(TypeOid::INT4),
        "lower" | "upper" => Some(TypeOid::TEXT),
        "extract" => Some(TypeOid::NUMERIC),
        "date_part" => Some(TypeOid::FLOAT8),
        "abs" => argument().filter(|it| rank(*it).is_some()),
        "min" | "max" => argument().filter(|it| rank(*it).is_some()),
        "sum" => match argument()? {
            TypeOid::INT2 | TypeOid::INT4 => Some(TypeOid::INT8),
            TypeOid::INT8 | TypeOid::NUMERIC => Some(TypeOid::NUMERIC),
            other => Some(other).filter(|it| rank(*it).is_some()),
        },
        "avg" => match argument()? {
            TypeOid::FLOAT4 | TypeOid::FLOAT8 => Some(TypeOid::FLOAT8),
            other => rank(other).map(|_| TypeOid::NUMERIC),
        },
        "round" | "floor" | "ceil" | "ceiling" | "trunc" => match argument()? {
            TypeOid::NUMERIC => Some(TypeOid::NUMERIC),
            TypeOid::FLOAT8 => Some(TypeOid::FLOAT8),
            _ => None,
        },
        _ => None,
    }
}
