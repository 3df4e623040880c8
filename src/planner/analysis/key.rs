//! Constants that a distribution column is compared with.

use howdah_catalog::TypeOid;
use howdah_sql::ast::{self, a_const::Val};
use howdah_sql::{NodeEnum, names};

use super::block::same_family;
use crate::KeySource;
use crate::context::Context;
use crate::splice::Slots;

/// The value of a constant expression that is compared by `=` with a column of a type, if that `=` is the equality of
/// the type's hash operators. A value that the type cannot hold is found out when it is hashed.
pub(crate) fn key_of(
    node: &NodeEnum,
    column: TypeOid,
    context: &Context<'_>,
    slots: &Slots,
) -> Option<KeySource> {
    match node {
        NodeEnum::ParamRef(it) => {
            let fits = same_family(context.parameter_type(it.number)?, column);
            fits.then_some(KeySource::Parameter(usize::try_from(it.number).ok()?))
        }
        NodeEnum::AConst(it) => constant(it, column, slots),
        NodeEnum::TypeCast(it) => {
            let named = type_named(it.type_name.as_ref()?)?;
            match it.arg.as_deref()?.node.as_ref()? {
                // A number that is converted to another kind of number may change its value.
                NodeEnum::AConst(inner)
                    if same_family(named, column) && (is_string(inner) || is_integer_type(named)) =>
                {
                    constant(inner, named, slots)
                }
                parameter @ NodeEnum::ParamRef(inner) if same_family(named, column) => {
                    (context.parameter_type(inner.number)? == named)
                        .then(|| key_of(parameter, column, context, slots))?
                }
                _ => None,
            }
        }
        _ => None,
    }
}

fn constant(it: &ast::AConst, column: TypeOid, slots: &Slots) -> Option<KeySource> {
    let start = usize::try_from(it.location).ok()?;
    match it.val.as_ref()? {
        // Of the type "unknown", which becomes the column's.
        Val::Sval(text) if !column.is_user_defined() => slots.key(start, &text.sval, false),
        Val::Ival(number) if is_integer_type(column) || column == TypeOid::NUMERIC => {
            slots.key(start, &number.ival.to_string(), true)
        }
        Val::Fval(number) if is_integer_type(column) && number.fval.parse::<i64>().is_ok() => {
            slots.key(start, &number.fval, true)
        }
        Val::Fval(number) if column == TypeOid::NUMERIC => slots.key(start, &number.fval, true),
        _ => None,
    }
}

fn is_string(it: &ast::AConst) -> bool {
    matches!(it.val, Some(Val::Sval(_)))
}

fn is_integer_type(it: TypeOid) -> bool {
    same_family(it, TypeOid::INT8)
}

/// The type of a cast without modifier, if it is a common one.
fn type_named(name: &ast::TypeName) -> Option<TypeOid> {
    if !name.typmods.is_empty() || !name.array_bounds.is_empty() {
        return None;
    }
    let name = match names(&name.names)[..] {
        [name] | ["pg_catalog", name] => name,
        _ => return None,
    };
    Some(match name {
        "int2" => TypeOid::INT2,
        "int4" => TypeOid::INT4,
        "int8" => TypeOid::INT8,
        "text" => TypeOid::TEXT,
        "varchar" => TypeOid::VARCHAR,
        "uuid" => TypeOid::UUID,
        "date" => TypeOid::DATE,
        "timestamp" => TypeOid::TIMESTAMP,
        "timestamptz" => TypeOid::TIMESTAMPTZ,
        "numeric" => TypeOid::NUMERIC,
        "bool" => TypeOid::BOOL,
        _ => return None,
    })
}
