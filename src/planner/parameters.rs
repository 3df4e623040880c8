//! Literals that may travel as parameters, so that a worker plans a statement once for all its values.
//!
//! PostgreSQL gives an integer constant and a parameter declared with the constant's type the same meaning, and infers the type
//! of an undeclared parameter where it would infer that of a string constant. The same plan is good for all values only where
//! one value is as selective as another: a literal counts if it is stored, or compared by `=`. One literal elsewhere, and the
//! statement stays as it is written.

use std::collections::BTreeMap;

use howdah_catalog::TypeOid;
use howdah_sql::ast::{self, AExprKind, a_const::Val};
use howdah_sql::{Literal, LiteralKind, Node, NodeEnum, names, shape};

use crate::{Piece, Request, SlotParameter, Template};

/// What the literals of a worker query are as parameters, in the order of the query; `None` if one of them cannot be.
pub(crate) fn slot_parameters(request: &Request<'_>, template: &Template) -> Option<Vec<SlotParameter>> {
    if !template.has_literals() {
        return Some(Vec::new());
    }
    let literals = shape(request.statement.text())?.literals;
    // A Bind has room for so many.
    if usize::from(u16::MAX) < literals.len() + request.parameter_types.len() {
        return None;
    }
    let mut found = Found { literals: &literals, types: BTreeMap::new() };
    found.statement(request.statement.node());
    let slots = template.0.iter().filter_map(|it| match it {
        Piece::Literal(slot) => Some(*slot),
        _ => None,
    });
    slots.map(|slot| Some(SlotParameter { slot, type_oid: *found.types.get(&slot)? })).collect()
}

/// The literals met where a parameter means the same.
struct Found<'t> {
    literals: &'t [Literal],
    types: BTreeMap<usize, TypeOid>,
}

impl Found<'_> {
    fn statement(&mut self, statement: &NodeEnum) {
        match statement {
            NodeEnum::SelectStmt(it) => {
                self.condition(it.where_clause.as_deref());
                it.from_clause.iter().for_each(|it| self.join(Some(it)));
            }
            NodeEnum::InsertStmt(it) => self.insert(it),
            NodeEnum::UpdateStmt(it) => {
                self.assignments(&it.target_list);
                self.condition(it.where_clause.as_deref());
                it.from_clause.iter().for_each(|it| self.join(Some(it)));
            }
            NodeEnum::DeleteStmt(it) => {
                self.condition(it.where_clause.as_deref());
                it.using_clause.iter().for_each(|it| self.join(Some(it)));
            }
            _ => {}
        }
    }

    fn insert(&mut self, insert: &ast::InsertStmt) {
        if let Some(NodeEnum::SelectStmt(it)) = inner(insert.select_stmt.as_deref()) {
            for row in &it.values_lists {
                if let Some(NodeEnum::List(row)) = &row.node {
                    row.items.iter().for_each(|it| self.value(Some(it)));
                }
            }
        }
        if let Some(it) = insert.on_conflict_clause.as_deref() {
            self.assignments(&it.target_list);
            self.condition(it.where_clause.as_deref());
        }
    }

    fn join(&mut self, item: Option<&Node>) {
        if let Some(NodeEnum::JoinExpr(it)) = inner(item) {
            self.join(it.larg.as_deref());
            self.join(it.rarg.as_deref());
            self.condition(it.quals.as_deref());
        }
    }

    fn condition(&mut self, node: Option<&Node>) {
        match inner(node) {
            Some(NodeEnum::BoolExpr(it)) => it.args.iter().for_each(|it| self.condition(Some(it))),
            Some(NodeEnum::AExpr(it)) if is_operator(it) && names(&it.name) == ["="] => {
                let (left, right) = (it.lexpr.as_deref(), it.rexpr.as_deref());
                match (inner(left), inner(right)) {
                    (Some(NodeEnum::ColumnRef(_)), value) | (value, Some(NodeEnum::ColumnRef(_))) => {
                        self.constant(value);
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn assignments(&mut self, targets: &[Node]) {
        for target in targets {
            if let Some(NodeEnum::ResTarget(it)) = &target.node
                && it.indirection.is_empty()
            {
                self.value(it.val.as_deref());
            }
        }
    }

    /// What is stored: a constant, or a sum of columns and numbers.
    fn value(&mut self, node: Option<&Node>) {
        match inner(node) {
            Some(NodeEnum::AExpr(it)) if is_operator(it) => {
                self.number(it.lexpr.as_deref());
                self.number(it.rexpr.as_deref());
            }
            value => self.constant(value),
        }
    }

    fn number(&mut self, node: Option<&Node>) {
        match inner(node) {
            Some(NodeEnum::AConst(it)) if matches!(it.val, Some(Val::Ival(_) | Val::Fval(_))) => {
                self.literal(it)
            }
            Some(NodeEnum::AExpr(it)) if is_operator(it) => {
                self.number(it.lexpr.as_deref());
                self.number(it.rexpr.as_deref());
            }
            _ => {}
        }
    }

    fn constant(&mut self, node: Option<&NodeEnum>) {
        match node {
            Some(NodeEnum::AConst(it)) => self.literal(it),
            Some(NodeEnum::TypeCast(cast)) => match inner(cast.arg.as_deref()) {
                // `date '…'` has no place for a parameter.
                Some(NodeEnum::AConst(it)) if it.location < cast.location => self.literal(it),
                _ => {}
            },
            _ => {}
        }
    }

    /// A constant whose place in the text is a literal's. That of a negative number is its sign, which stays outside of the
    /// parameter: an int4 without a sign has a negative of the same type.
    fn literal(&mut self, constant: &ast::AConst) {
        let Ok(start) = usize::try_from(constant.location) else { return };
        let find = |at| self.literals.binary_search_by_key(&at, |it| it.start).ok();
        let negated = || find(start + 1).filter(|it| self.literals[*it].kind == LiteralKind::Int4);
        if let Some(slot) = find(start).or_else(negated) {
            self.types.insert(slot, type_of(self.literals[slot].kind));
        }
    }
}

fn inner(node: Option<&Node>) -> Option<&NodeEnum> {
    node?.node.as_ref()
}

fn is_operator(it: &ast::AExpr) -> bool {
    it.kind() == AExprKind::AexprOp
}

/// The type to declare a parameter with; none for a string, which is of no type by itself.
fn type_of(kind: LiteralKind) -> TypeOid {
    match kind {
        LiteralKind::Int4 => TypeOid::INT4,
        LiteralKind::Int8 => TypeOid::INT8,
        LiteralKind::Numeric => TypeOid::NUMERIC,
        LiteralKind::String => TypeOid(0),
    }
}
