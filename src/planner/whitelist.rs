//! What workers may evaluate: functions of a list made from `pg_proc`, operators and types of PostgreSQL itself, and
//! what users made only where the workers surely have the same.
//!
//! "Built in" is no criterion: `pg_advisory_lock`, `currval` or `to_regclass` mean something else on a worker.
//! A name is PostgreSQL's own only if no user's object has it.

use std::collections::HashMap;
use std::sync::OnceLock;

use howdah_catalog::{UserObjects, UserOperator, Volatility};
use howdah_sql::ast::{self, AExprKind, SqlValueFunctionOp, SubLinkType};
use howdah_sql::{NodeRef, names, walk};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum FunctionClass {
    Immutable,
    /// Depends on settings that the workers' sessions share.
    Settings,
    /// The transaction's time: replaced by a constant.
    Time,
    /// Harmless, but another value at each call.
    Volatile,
    /// Some (`rank`) are window functions as well: OVER decides.
    Aggregate,
    Window,
    /// Only the coordinator may evaluate it (it is about objects, settings, sessions), but it never writes.
    Stable,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Function {
    pub(crate) class: FunctionClass,
    pub(crate) returns_set: bool,
}

/// What an expression asks of the place that evaluates it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Needs {
    pub(crate) time: bool,
    pub(crate) volatile: bool,
}

/// The function of PostgreSQL with this bare name, if it is known not to write.
pub(crate) fn builtin(name: &str) -> Option<Function> {
    static FUNCTIONS: OnceLock<HashMap<&str, Function>> = OnceLock::new();
    FUNCTIONS
        .get_or_init(|| include_str!("whitelist/functions.txt").lines().filter_map(line).collect())
        .get(name)
        .copied()
}

fn line(line: &'static str) -> Option<(&'static str, Function)> {
    let mut words = line.split(' ');
    let class = match words.next()? {
        "immutable" => FunctionClass::Immutable,
        "settings" => FunctionClass::Settings,
        "time" => FunctionClass::Time,
        "volatile" => FunctionClass::Volatile,
        "aggregate" => FunctionClass::Aggregate,
        "window" => FunctionClass::Window,
        "stable" => FunctionClass::Stable,
        _ => return None,
    };
    Some((words.next()?, Function { class, returns_set: words.next() == Some("set") }))
}

/// Whether workers may evaluate everything below a node; the error says what they may not.
pub(crate) fn check(node: NodeRef<'_>, objects: &UserObjects) -> Result<Needs, String> {
    let mut needs = Needs::default();
    let mut refused = None;
    let known = walk(node, &mut |it| match check_node(it, objects) {
        Ok(more) => {
            needs = Needs { time: needs.time || more.time, volatile: needs.volatile || more.volatile }
        }
        Err(reason) => {
            refused.get_or_insert(reason);
        }
    });
    match (refused, known) {
        (Some(reason), _) => Err(reason),
        (None, Err(unknown)) => Err(unknown.to_string()),
        (None, Ok(())) => Ok(needs),
    }
}

/// The class of a called function, of PostgreSQL or of users.
pub(crate) fn class_of(call: &ast::FuncCall, objects: &UserObjects) -> Result<Function, String> {
    let immutable = Function { class: FunctionClass::Immutable, returns_set: false };
    let (schema, name) = match names(&call.funcname)[..] {
        [name] => (None, name),
        [schema, name] => (Some(schema), name),
        _ => return Err("a function is named by more than its schema".into()),
    };
    let users: Vec<_> = objects
        .functions_named(name)
        .iter()
        .filter(|it| schema.is_none_or(|schema| it.schema == schema))
        .collect();
    if !users.iter().all(|it| it.distributed && it.volatility == Volatility::Immutable) {
        return Err(format!("function {name}() may be a user's and has to run on the coordinator"));
    }
    let own = builtin(name).filter(|_| schema.is_none_or(|it| it == "pg_catalog"));
    match own {
        // Which of both is called depends on the search path and the types.
        Some(own) if !users.is_empty() && own.class != FunctionClass::Immutable => {
            Err(format!("function {name}() may be a user's and has to run on the coordinator"))
        }
        Some(own) => Ok(own),
        None if !users.is_empty() => Ok(immutable),
        None => Err(format!("function {name}() has to run on the coordinator")),
    }
}

fn check_node(node: NodeRef<'_>, objects: &UserObjects) -> Result<Needs, String> {
    match node {
        NodeRef::FuncCall(call) => return check_call(call, objects),
        NodeRef::SqlvalueFunction(it) => return check_value_function(it),
        NodeRef::AExpr(it) => check_operators(it, objects)?,
        NodeRef::SubLink(it) => check_sublink_operator(it, objects)?,
        NodeRef::SortBy(it) if !it.use_op.is_empty() => check_operator(&names(&it.use_op), objects)?,
        NodeRef::JoinExpr(it) if it.is_natural || !it.using_clause.is_empty() => {
            check_operator(&["="], objects)?
        }
        NodeRef::TypeName(it) => check_type(it, objects)?,
        NodeRef::CollateClause(it) => check_collation(&names(&it.collname))?,
        NodeRef::CurrentOfExpr(_) => return Err("a cursor is on the coordinator".into()),
        NodeRef::IntoClause(_) => return Err("a table is created on the coordinator".into()),
        // `(row).name` may be a call of the function `name`.
        NodeRef::AIndirection(it)
            if it.indirection.iter().any(|it| !names(std::slice::from_ref(it)).is_empty()) =>
        {
            return Err("a field of a composite value may be a function".into());
        }
        _ => {}
    }
    Ok(Needs::default())
}

fn check_call(call: &ast::FuncCall, objects: &UserObjects) -> Result<Needs, String> {
    let class = class_of(call, objects)?.class;
    let name = names(&call.funcname).last().copied().unwrap_or_default().to_owned();
    if class == FunctionClass::Stable {
        return Err(format!("function {name}() has to run on the coordinator"));
    }
    if name == "age" && call.args.len() == 1 {
        return Err("age() of one timestamp uses the current date of its server".into());
    }
    Ok(Needs { time: class == FunctionClass::Time, volatile: class == FunctionClass::Volatile })
}

fn check_value_function(it: &ast::SqlValueFunction) -> Result<Needs, String> {
    match it.op() {
        SqlValueFunctionOp::SvfopCurrentDate
        | SqlValueFunctionOp::SvfopCurrentTime
        | SqlValueFunctionOp::SvfopCurrentTimeN
        | SqlValueFunctionOp::SvfopCurrentTimestamp
        | SqlValueFunctionOp::SvfopCurrentTimestampN
        | SqlValueFunctionOp::SvfopLocaltime
        | SqlValueFunctionOp::SvfopLocaltimeN
        | SqlValueFunctionOp::SvfopLocaltimestamp
        | SqlValueFunctionOp::SvfopLocaltimestampN => Ok(Needs { time: true, volatile: false }),
        // The session's roles are set on the workers' connections.
        SqlValueFunctionOp::SvfopCurrentRole
        | SqlValueFunctionOp::SvfopCurrentUser
        | SqlValueFunctionOp::SvfopUser
        | SqlValueFunctionOp::SvfopSessionUser => Ok(Needs::default()),
        SqlValueFunctionOp::SvfopCurrentCatalog
        | SqlValueFunctionOp::SvfopCurrentSchema
        | SqlValueFunctionOp::SqlvalueFunctionOpUndefined => {
            Err("current_schema has to run on the coordinator".into())
        }
    }
}

fn check_operators(it: &ast::AExpr, objects: &UserObjects) -> Result<(), String> {
    match it.kind() {
        AExprKind::AexprBetween
        | AExprKind::AexprNotBetween
        | AExprKind::AexprBetweenSym
        | AExprKind::AexprNotBetweenSym => {
            [">=", "<=", ">", "<"].iter().try_for_each(|it| check_operator(&[it], objects))
        }
        _ => check_operator(&names(&it.name), objects),
    }
}

fn check_sublink_operator(it: &ast::SubLink, objects: &UserObjects) -> Result<(), String> {
    match (it.sub_link_type(), it.oper_name.is_empty()) {
        (SubLinkType::AnySublink, true) => check_operator(&["="], objects),
        (_, true) => Ok(()),
        (_, false) => check_operator(&names(&it.oper_name), objects),
    }
}

fn check_operator(name: &[&str], objects: &UserObjects) -> Result<(), String> {
    let name = match *name {
        [name] | ["pg_catalog", name] => name,
        _ => return Err("an operator is named with a schema".into()),
    };
    // One that takes a user's type came to the workers with the type, and is meant only where that type is.
    let shadows = |it: &UserOperator| !it.left.is_user_defined() && !it.right.is_user_defined();
    match objects.operators_named(name).any(shadows) {
        true => Err(format!("operator {name} may be a user's and has to run on the coordinator")),
        false => Ok(()),
    }
}

/// Types of PostgreSQL whose input and output are the same on every node; those about objects (`regclass`) are not among them.
const TYPES: &[&str] = &[
    "bit",
    "bool",
    "box",
    "bpchar",
    "bytea",
    "char",
    "cidr",
    "circle",
    "date",
    "datemultirange",
    "daterange",
    "float4",
    "float8",
    "inet",
    "int2",
    "int4",
    "int4multirange",
    "int4range",
    "int8",
    "int8multirange",
    "int8range",
    "interval",
    "json",
    "jsonb",
    "jsonpath",
    "line",
    "lseg",
    "macaddr",
    "macaddr8",
    "money",
    "name",
    "numeric",
    "nummultirange",
    "numrange",
    "oid",
    "path",
    "pg_lsn",
    "point",
    "polygon",
    "text",
    "time",
    "timestamp",
    "timestamptz",
    "timetz",
    "tsmultirange",
    "tsquery",
    "tsrange",
    "tstzmultirange",
    "tstzrange",
    "tsvector",
    "uuid",
    "varbit",
    "varchar",
    "xml",
];

fn check_type(it: &ast::TypeName, objects: &UserObjects) -> Result<(), String> {
    if it.pct_type || it.setof {
        return Err("a type is named by a column".into());
    }
    let (schema, name) = match names(&it.names)[..] {
        [name] => (None, name),
        [schema, name] => (Some(schema), name),
        _ => return Err("a type is named by more than its schema".into()),
    };
    let users = objects.has_type_named(name);
    match (schema, TYPES.contains(&name)) {
        (Some("pg_catalog"), true) => Ok(()),
        (None, true) if !users => Ok(()),
        // Types of users are created on every node, under the same name.
        (Some(schema), _) if schema != "pg_catalog" && users => Ok(()),
        (None, false) if users => Ok(()),
        _ => Err(format!("a value of type {name} may mean something else on a worker")),
    }
}

fn check_collation(name: &[&str]) -> Result<(), String> {
    match *name {
        ["C" | "POSIX" | "default" | "ucs_basic"] | ["pg_catalog", _] => Ok(()),
        _ => Err("a collation may differ between nodes".into()),
    }
}

#[cfg(test)]
mod tests;
