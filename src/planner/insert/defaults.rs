//! Defaults that a shard does not have: sequences, identity, the time, what the whitelist does not know.

use howdah_catalog::{Column, DefaultClass, Identity, Table};
use howdah_sql::{quote_identifier, quote_literal};

use crate::splice::{Slots, Splice};
use crate::statement::Facts;
use crate::{ComputedValue, Template, time, whitelist};

/// What stands for DEFAULT in a row of the shard's INSERT.
pub(crate) enum Default {
    /// The shard's own.
    OnShard,
    /// An expression that the worker may evaluate.
    Expression(Template),
    /// Only the coordinator can compute it.
    Computed(ComputedValue),
}

pub(crate) fn default_of(column: &Column, table: &Table, facts: &Facts<'_>) -> Default {
    let expression = match (&column.default, column.identity) {
        (_, Identity::Always | Identity::ByDefault) => next_of_identity(column, table),
        (None, Identity::None) => return Default::OnShard,
        (Some(default), Identity::None) => match default.class {
            DefaultClass::Immutable => return Default::OnShard,
            DefaultClass::Sequence => default.expression.clone(),
            DefaultClass::Stable | DefaultClass::Volatile => match on_worker(&default.expression, facts) {
                Some(template) => return Default::Expression(template),
                None => default.expression.clone(),
            },
        },
    };
    Default::Computed(computed(column, Template::text(expression)))
}

/// The default as an expression to be computed on the coordinator; `NULL` where there is none.
pub(super) fn computed_default(column: &Column, table: &Table) -> Option<ComputedValue> {
    let expression = match (&column.default, column.identity) {
        (_, Identity::Always | Identity::ByDefault) => next_of_identity(column, table),
        (Some(default), Identity::None) => default.expression.clone(),
        (None, Identity::None) => return None,
    };
    Some(computed(column, Template::text(expression)))
}

/// An expression as the coordinator computes it: converted to the column's type, but not cut to its modifier.
pub(super) fn computed(column: &Column, expression: Template) -> ComputedValue {
    let mut converted = Template::text("(");
    converted.append(expression);
    converted.push_text(&format!(")::{}", base_type(column)));
    ComputedValue { expression: converted, column: column.name.clone() }
}

fn next_of_identity(column: &Column, table: &Table) -> String {
    let name = format!("{}.{}", quote_identifier(&table.schema), quote_identifier(&table.name));
    format!(
        "pg_catalog.nextval(pg_catalog.pg_get_serial_sequence({}, {})::pg_catalog.regclass)",
        quote_literal(&name).trim_start(),
        quote_literal(&column.name).trim_start()
    )
}

fn on_worker(expression: &str, facts: &Facts<'_>) -> Option<Template> {
    let text = format!("SELECT {expression}");
    let statement = howdah_sql::parse(&text).ok()?.pop()?;
    whitelist::check(statement.node().to_ref(), facts.context.request.catalog.objects()).ok()?;
    let mut splice = Splice::default();
    time::replace(statement.node().to_ref(), &statement.tokens().ok()?, &mut splice).ok()?;
    Some(splice.template(&text, "SELECT ".len()..text.len(), &Slots::default()))
}

/// The column's type without its modifier: where a modifier cuts (`varchar(3)`), an explicit cast would do so silently.
pub(super) fn base_type(column: &Column) -> String {
    let name = &column.type_name;
    let (front, rest) = match (name.find('('), name.find(')')) {
        (Some(open), Some(close)) if open < close => (&name[..open], &name[close + 1..]),
        _ => (name.as_str(), ""),
    };
    match front {
        // Without a modifier these mean a length of one.
        "character" if column.typmod != -1 => format!("bpchar{rest}"),
        "bit" if column.typmod != -1 => format!("varbit{rest}"),
        _ => format!("{front}{rest}"),
    }
}
