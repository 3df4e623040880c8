//! Which shards can hold rows, where the distribution column is compared with constants.

use std::collections::BTreeSet;

use howdah_catalog::{Table, TypeOid};
use howdah_pg::hash::hash_text_value;
use howdah_sql::ast::{AExprKind, BoolExprType, a_const::Val};
use howdah_sql::{Node, NodeEnum};

use super::expression::{column_ref, equality, operator};

/// A constant that a column is compared with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Value {
    Null,
    /// An integer as written.
    Number(String),
    /// A literal without a type.
    Text(String),
}

/// A column and the only values it may have where a condition holds.
pub(crate) fn allowed_values(node: &Node) -> Option<(&Node, Vec<Value>)> {
    if let Some((a, b)) = equality(node) {
        let (column, value) = if column_ref(a).is_some() { (a, b) } else { (b, a) };
        column_ref(column)?;
        return Some((column, vec![constant(value)?]));
    }
    match node.node.as_ref()? {
        NodeEnum::AExpr(it) if operator(&it.name) == Some("=") => {
            let column = it.lexpr.as_deref().filter(|it| column_ref(it).is_some())?;
            let list = match (it.kind(), it.rexpr.as_ref()?.node.as_ref()?) {
                (AExprKind::AexprIn, NodeEnum::List(list)) => &list.items,
                (AExprKind::AexprOpAny, NodeEnum::AArrayExpr(list)) => &list.elements,
                _ => return None,
            };
            Some((column, list.iter().map(constant).collect::<Option<_>>()?))
        }
        NodeEnum::BoolExpr(it) if it.boolop() == BoolExprType::OrExpr => {
            let mut parts = it.args.iter().map(allowed_values);
            let (column, mut values) = parts.next()??;
            for part in parts {
                let (other, more) = part?;
                if column_ref(other)?.fields != column_ref(column)?.fields {
                    return None;
                }
                values.extend(more);
            }
            Some((column, values))
        }
        _ => None,
    }
}

/// Indexes of the shards of `anchor` where its distribution column can have these values; `type_oid` is the type
/// of the column that they are compared with. `None`: not known.
pub(crate) fn shards(anchor: &Table, type_oid: TypeOid, values: &[Value]) -> Option<BTreeSet<usize>> {
    let key = anchor.distribution_column()?.type_oid;
    let values = values.iter().filter(|it| **it != Value::Null);
    values.map(|it| Some(anchor.shard_index_for_hash(hash(key, type_oid, it)?))).collect()
}

fn hash(key: TypeOid, compared: TypeOid, value: &Value) -> Option<i32> {
    const INTEGERS: &[TypeOid] = &[TypeOid::INT2, TypeOid::INT4, TypeOid::INT8];
    const STRINGS: &[TypeOid] = &[TypeOid::TEXT, TypeOid::VARCHAR];
    let text = match value {
        Value::Number(text) | Value::Text(text)
            if INTEGERS.contains(&key) && INTEGERS.contains(&compared) =>
        {
            text.trim()
        }
        Value::Text(text) if STRINGS.contains(&key) && STRINGS.contains(&compared) => text,
        Value::Text(text) if key == TypeOid::UUID && compared == key => text,
        _ => return None,
    };
    hash_text_value(key, text)
}

fn constant(node: &Node) -> Option<Value> {
    let Some(NodeEnum::AConst(it)) = node.node.as_ref() else { return None };
    if it.isnull {
        return Some(Value::Null);
    }
    match it.val.as_ref()? {
        Val::Ival(it) => Some(Value::Number(it.ival.to_string())),
        Val::Fval(it) => Some(Value::Number(it.fval.clone())),
        Val::Sval(it) => Some(Value::Text(it.sval.clone())),
        Val::Boolval(_) | Val::Bsval(_) => None,
    }
}
