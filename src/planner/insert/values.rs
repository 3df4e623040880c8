//! INSERT … VALUES: one template per row, and what is to be computed before.

use std::ops::Range;

use howdah_catalog::{Column, Identity, Table};
use howdah_sql::ast::OverridingKind;
use howdah_sql::{NodeEnum, NodeRef, Token, ast, walk};

use super::clauses::{Layout, layout, prefix, suffix};
use super::defaults::{Default, computed, computed_default, default_of};
use super::{Refusal, source, target};
use crate::analysis::{insert_columns, key_of};
use crate::planning::slots;
use crate::router_query::single_shard;
use crate::splice::{Slots, Splice};
use crate::statement::Facts;
use crate::{
    ComputedValue, Error, InsertRow, InsertValues, KeySource, Piece, Plan, ShardKey, Template, time,
    whitelist,
};

pub(super) fn plan(insert: &ast::InsertStmt, facts: &Facts<'_>) -> Result<InsertValues, Refusal> {
    if insert.with_clause.is_some() || source(insert).is_some_and(|it| it.with_clause.is_some()) {
        return Err("the rows come with WITH".into());
    }
    let table = target(insert, facts)?;
    let given = insert_columns(insert, table)?;
    let slots = slots(facts);
    let layout = layout(insert, facts)?;
    check_clauses_worker_safe(insert, facts)?;
    let key = table.distribution_column().ok_or("the target is not distributed")?;
    let missing = missing_columns(table, &given, key);
    let mut builder =
        Builder { insert, facts, table, key, slots: &slots, layout: &layout, values: Vec::new() };
    let rows = builder.rows(&given, &missing)?;
    let values = builder.values;
    let prefix = {
        let mut prefix = prefix(insert, table, given.iter().chain(&missing).copied());
        prefix.push_text("VALUES ");
        prefix
    };
    let suffix = suffix(insert, facts, &layout, &slots)?;
    let uses_time = suffix.uses_time() || rows.iter().any(|it| it.template.uses_time());
    let returning = insert.returning_clause.is_some();
    Ok(InsertValues { table: table.oid, prefix, rows, suffix, values, uses_time, returning })
}

/// One row of which nothing has to be computed is a statement of one shard group. A key of a type with a modifier is another
/// when it is stored, which the executor knows.
pub(super) fn as_single_shard(mut plan: InsertValues, facts: &Facts<'_>) -> Plan {
    let table = facts.context.request.catalog.table(plan.table);
    let key = table.and_then(|it| it.distribution_column());
    let is_single = facts.context.request.single_shard_allowed
        && plan.rows.len() == 1
        && plan.values.is_empty()
        && key.is_some_and(|it| it.typmod < 0);
    match plan.rows.pop() {
        Some(row) if is_single => {
            let mut template = plan.prefix;
            template.append(row.template);
            template.append(plan.suffix);
            Plan::SingleShard(single_shard(facts, plan.table, vec![row.key], template, true))
        }
        last => {
            plan.rows.extend(last);
            Plan::InsertValues(plan)
        }
    }
}

/// Columns that are not given, but that a shard would not fill as the table does; the key in any case.
fn missing_columns<'t>(table: &'t Table, given: &[&Column], key: &Column) -> Vec<&'t Column> {
    let missing = table.columns.iter().filter(|column| !given.iter().any(|it| it.number == column.number));
    missing
        .filter(|it| !it.generated)
        .filter(|it| it.number == key.number || !crate::analysis::default_is_on_shards(it))
        .collect()
}

fn check_clauses_worker_safe(insert: &ast::InsertStmt, facts: &Facts<'_>) -> Result<(), String> {
    let objects = facts.context.request.catalog.objects();
    if let Some(conflict) = insert.on_conflict_clause.as_deref() {
        whitelist::check(NodeRef::OnConflictClause(conflict), objects)?;
    }
    if let Some(returning) = &insert.returning_clause {
        whitelist::check(NodeRef::ReturningClause(returning), objects)?;
    }
    Ok(())
}

struct Builder<'b, 'a> {
    insert: &'a ast::InsertStmt,
    facts: &'b Facts<'a>,
    table: &'a Table,
    key: &'a Column,
    slots: &'b Slots,
    layout: &'b Layout,
    values: Vec<ComputedValue>,
}

impl<'a> Builder<'_, 'a> {
    fn rows(&mut self, given: &[&'a Column], missing: &[&'a Column]) -> Result<Vec<InsertRow>, Refusal> {
        let Some(select) = source(self.insert) else { return Ok(vec![self.row(&[], &[], missing)?]) };
        let ranges = self.row_ranges(select.values_lists.len())?;
        let mut rows = Vec::new();
        for (row, items) in select.values_lists.iter().zip(ranges) {
            let Some(NodeEnum::List(list)) = row.node.as_ref() else { return Err("a row is no list".into()) };
            let values: Vec<_> =
                list.items.iter().filter_map(|it| it.node.as_ref()).zip(items.iter().cloned()).collect();
            if values.len() != list.items.len() || items.len() != values.len() || given.len() < values.len() {
                return Err("the values of a row were not found in the text".into());
            }
            rows.push(self.row(given, &values, missing)?);
        }
        Ok(rows)
    }

    /// The bytes of each value of each row.
    fn row_ranges(&self, count: usize) -> Result<Vec<Vec<Range<usize>>>, Refusal> {
        let tokens = &self.layout.tokens;
        let mut at = tokens.from(self.layout.source.start);
        // (VALUES …) in brackets has no advantage that would be worth following them.
        if tokens.token(at) != Some(Token::Values) {
            return Err("VALUES stands in brackets".into());
        }
        let mut rows = Vec::new();
        for _ in 0..count {
            at += 1;
            let close = tokens.closing(at).ok_or("a row has no end")?;
            rows.push(tokens.parts(at, close));
            at = close + 1;
        }
        match tokens.range(at) {
            Some(next) if next.start < self.layout.source.end => Err("VALUES has more clauses".into()),
            _ => Ok(rows),
        }
    }

    fn row(
        &mut self,
        given: &[&'a Column],
        values: &[(&'a NodeEnum, Range<usize>)],
        missing: &[&'a Column],
    ) -> Result<InsertRow, Refusal> {
        let mut template = Template::text("(");
        let mut key = None;
        let items = given.iter().zip(values.iter().map(Some));
        for (index, (column, value)) in items.chain(missing.iter().map(|it| (it, None))).enumerate() {
            if 0 < index {
                template.push_text(", ");
            }
            let is_key = column.number == self.key.number;
            let source = match value {
                Some((node, range)) if !self.takes_default(column, node) => {
                    self.value(column, node, range.clone(), &mut template)?
                }
                _ if is_key => self.key_default(column, &mut template)?,
                _ => self.default(column, &mut template),
            };
            if is_key {
                key = source;
            }
        }
        template.push_text(")");
        let source = key.ok_or("the distribution column has no value")?;
        Ok(InsertRow { key: ShardKey { source, type_oid: self.key.type_oid }, template })
    }

    fn takes_default(&self, column: &Column, node: &NodeEnum) -> bool {
        let overridden = self.insert.r#override() == OverridingKind::OverridingUserValue;
        matches!(node, NodeEnum::SetToDefault(_)) || (overridden && column.identity != Identity::None)
    }

    /// A value as it is written, or computed on the coordinator. For the distribution column: its key.
    fn value(
        &mut self,
        column: &Column,
        node: &'a NodeEnum,
        range: Range<usize>,
        template: &mut Template,
    ) -> Result<Option<KeySource>, Refusal> {
        let is_key = column.number == self.key.number;
        if is_key && is_null(node) {
            return Err(self.null_key());
        }
        let key = is_key.then(|| key_of(node, column.type_oid, &self.facts.context, self.slots)).flatten();
        match self.on_worker(node, range.clone()) {
            Ok(written) if !is_key || key.is_some() => {
                template.append(written);
                Ok(key)
            }
            _ => {
                check_computable(node)?;
                let text = self.facts.context.request.statement.text();
                let expression = Splice::default().template(text, range, self.slots);
                let value = self.compute(computed(column, expression));
                template.push(Piece::Value(value));
                Ok(Some(KeySource::Value(value)))
            }
        }
    }

    fn on_worker(&self, node: &'a NodeEnum, range: Range<usize>) -> Result<Template, String> {
        whitelist::check(node.to_ref(), self.facts.context.request.catalog.objects())?;
        no_subquery(node)?;
        let mut splice = Splice::default();
        time::replace(node.to_ref(), &self.layout.tokens, &mut splice)?;
        Ok(splice.template(self.facts.context.request.statement.text(), range, self.slots))
    }

    fn default(&mut self, column: &Column, template: &mut Template) -> Option<KeySource> {
        match default_of(column, self.table, self.facts) {
            Default::OnShard => template.push_text("DEFAULT"),
            Default::Expression(expression) => template.append(expression),
            Default::Computed(value) => {
                let value = self.compute(value);
                template.push(Piece::Value(value));
            }
        }
        None
    }

    /// The key's default is computed before, whatever it is: it says where the row goes.
    fn key_default(
        &mut self,
        column: &Column,
        template: &mut Template,
    ) -> Result<Option<KeySource>, Refusal> {
        let value = computed_default(column, self.table).ok_or_else(|| self.null_key())?;
        let value = self.compute(value);
        template.push(Piece::Value(value));
        Ok(Some(KeySource::Value(value)))
    }

    fn compute(&mut self, value: ComputedValue) -> usize {
        self.values.push(value);
        self.values.len() - 1
    }

    fn null_key(&self) -> Refusal {
        let (table, column) = (self.table.name.clone(), self.key.name.clone());
        Refusal::Error(Error::NullDistributionColumn { table, column })
    }
}

fn is_null(node: &NodeEnum) -> bool {
    match node {
        NodeEnum::AConst(it) => it.isnull,
        NodeEnum::TypeCast(it) => it.arg.as_deref().and_then(|it| it.node.as_ref()).is_some_and(is_null),
        _ => false,
    }
}

fn no_subquery(node: &NodeEnum) -> Result<(), String> {
    let mut any = false;
    walk(node.to_ref(), &mut |it| any |= matches!(it, NodeRef::SubLink(_))).map_err(|it| it.to_string())?;
    if any { Err("a value is computed by a query".into()) } else { Ok(()) }
}

/// What is computed before the row is sent must not depend on what the statement has done so far: it has done nothing.
fn check_computable(node: &NodeEnum) -> Result<(), String> {
    walk(node.to_ref(), &mut |_| {}).map_err(|it| it.to_string())
}
