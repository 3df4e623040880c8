//! Equalities among the conditions that are combined by AND.

use howdah_sql::ast::{AExprKind, BoolExprType, SubLinkType};
use howdah_sql::{NodeEnum, ast, names};

use super::super::block::{Subquery, same_family};
use super::super::{Cond, Term, key_of};
use super::Binder;

impl<'a> Binder<'a> {
    /// Binds a condition that rows must satisfy.
    pub(super) fn condition(
        &mut self,
        node: &'a NodeEnum,
        conds: &mut Vec<Cond>,
        found: &mut Vec<Subquery>,
    ) -> Result<(), String> {
        match node {
            NodeEnum::BoolExpr(it) if it.boolop() == BoolExprType::AndExpr => {
                let parts = it.args.iter().filter_map(|it| it.node.as_ref());
                parts.into_iter().try_for_each(|it| self.condition(it, conds, found))
            }
            NodeEnum::SubLink(it)
                if it.sub_link_type() == SubLinkType::AnySublink && it.oper_name.is_empty() =>
            {
                self.in_subquery(it, found)
            }
            NodeEnum::AExpr(it) => {
                self.equality(it, conds)?;
                self.expression(node.to_ref(), found)
            }
            _ => self.expression(node.to_ref(), found),
        }
    }

    fn equality(&mut self, it: &'a ast::AExpr, conds: &mut Vec<Cond>) -> Result<(), String> {
        if !matches!(names(&it.name)[..], ["="] | ["pg_catalog", "="]) {
            return Ok(());
        }
        let (Some(left), Some(right)) = (operand(&it.lexpr), operand(&it.rexpr)) else { return Ok(()) };
        match (it.kind(), left, right) {
            (AExprKind::AexprOp, NodeEnum::RowExpr(left), NodeEnum::RowExpr(right))
                if left.args.len() == right.args.len() =>
            {
                let pairs = left.args.iter().zip(&right.args);
                let pairs = pairs.filter_map(|(a, b)| Some((a.node.as_ref()?, b.node.as_ref()?)));
                pairs.into_iter().try_for_each(|(a, b)| self.equal(a, b, conds))
            }
            (AExprKind::AexprOp, left, right) => self.equal(left, right, conds),
            (AExprKind::AexprIn, left, NodeEnum::List(list)) => match list.items.as_slice() {
                [only] => only.node.as_ref().map_or(Ok(()), |it| self.equal(left, it, conds)),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn equal(
        &mut self,
        left: &'a NodeEnum,
        right: &'a NodeEnum,
        conds: &mut Vec<Cond>,
    ) -> Result<(), String> {
        match (self.column_term(left)?, self.column_term(right)?) {
            (Some(a), Some(b)) if same_family(self.type_of(a), self.type_of(b)) => {
                conds.push(Cond::Equal(a, b))
            }
            (Some(term), None) => conds.extend(self.key(term, right)),
            (None, Some(term)) => conds.extend(self.key(term, left)),
            _ => {}
        }
        Ok(())
    }

    fn key(&self, term: Term, constant: &'a NodeEnum) -> Option<Cond> {
        key_of(constant, self.type_of(term), &self.context, self.slots).map(|it| Cond::Key(term, it))
    }

    pub(super) fn column_term(&self, node: &'a NodeEnum) -> Result<Option<Term>, String> {
        match node {
            NodeEnum::ColumnRef(it) => self.column(it),
            _ => Ok(None),
        }
    }

    /// `x IN (SELECT …)`: rows pass only where they match, so of the subquery only matching rows matter.
    fn in_subquery(&mut self, it: &'a ast::SubLink, found: &mut Vec<Subquery>) -> Result<(), String> {
        self.node(it.testexpr.as_deref(), found)?;
        let block = self.sublink(it)?;
        let tested = it.testexpr.as_deref().and_then(|it| it.node.as_ref());
        let tested = tested.map_or(Ok(None), |it| self.column_term(it))?;
        let output = block.outputs.first().and_then(|it| it.term);
        let conds = match (tested, output) {
            (Some(a), Some(b)) if same_family(self.type_of(a), self.type_of(b)) => vec![Cond::Equal(a, b)],
            _ => Vec::new(),
        };
        found.push(Subquery { block, conds, matched: true, detached: false });
        Ok(())
    }
}

fn operand(node: &Option<Box<howdah_sql::Node>>) -> Option<&NodeEnum> {
    node.as_deref().and_then(|it| it.node.as_ref())
}
