//! Binds a statement: which relation a name means, which column, and which equalities are written where.

mod columns;
mod conditions;
mod from;
mod merge;
mod select;
mod write;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use howdah_catalog::{Table, TypeOid};
use howdah_sql::{NodeEnum, NodeRef, ast, children};

use self::columns::{Item, Scope};
pub(crate) use self::write::{default_is_on_shards, insert_columns};
use super::block::Subquery;
use super::{Block, Cond, Term};
use crate::context::Context;
use crate::defaults_in_place::Missing;
use crate::splice::Slots;

/// A statement whose names are all known.
#[derive(Clone, Debug)]
pub(crate) struct Bound<'a> {
    pub(crate) block: Block,
    /// Every place in the text that names a distributed or reference table, by position.
    pub(crate) tables: BTreeMap<usize, Named>,
    /// Target of the top-level UPDATE, DELETE or INSERT, with the term of its distribution column.
    pub(crate) target: Option<(Arc<Table>, Term)>,
    /// Whether some part of it writes.
    pub(crate) writes: bool,
    pub(crate) writes_reference: bool,
    /// Whether the value of a literal, not only its place, decided something.
    pub(crate) depends_on_text: bool,
    /// Defaults that the shards do not have.
    pub(crate) missing: Vec<Missing<'a>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) table: Arc<Table>,
    /// The name that the columns are qualified by, if the text does not give one itself.
    pub(crate) needs_alias: Option<String>,
}

/// Binds a plannable statement. The error says what stands against a plan on workers.
pub(crate) fn bind<'a>(
    statement: &'a NodeEnum,
    context: Context<'a>,
    slots: &'a Slots,
) -> Result<Bound<'a>, String> {
    let mut binder = Binder::new(context, slots);
    let block = binder.statement(statement.to_ref())?;
    Ok(binder.bound(block))
}

/// Binds ON CONFLICT and RETURNING of an INSERT, whatever its rows.
pub(crate) fn bind_insert_clauses<'a>(
    insert: &'a ast::InsertStmt,
    context: Context<'a>,
    slots: &'a Slots,
) -> Result<Bound<'a>, String> {
    let mut binder = Binder::new(context, slots);
    let block = binder.insert_clauses(insert)?;
    Ok(binder.bound(block))
}
/// A CTE is bound anew wherever it is read, so that each reading has its own terms; this many queries in all.
const MAX_BLOCKS: usize = 100;

struct Binder<'a> {
    context: Context<'a>,
    slots: &'a Slots,
    /// Type of each term.
    types: Vec<TypeOid>,
    /// Enclosing queries, innermost last.
    scopes: Vec<Scope>,
    /// Items of the FROM being bound that stand to the left: what LATERAL may refer to.
    pending: Vec<Item>,
    ctes: Vec<Cte<'a>>,
    /// Positions of the CTEs whose queries are being bound.
    binding: Vec<i32>,
    referenced: BTreeSet<i32>,
    blocks: usize,
    tables: BTreeMap<usize, Named>,
    target: Option<(Arc<Table>, Term)>,
    writes: bool,
    writes_reference: bool,
    depends_on_text: Cell<bool>,
    missing: Vec<Missing<'a>>,
}

#[derive(Clone, Copy)]
struct Cte<'a> {
    definition: &'a ast::CommonTableExpr,
    /// How many CTEs and scopes its query sees.
    ctes: usize,
    scopes: usize,
}

impl<'a> Binder<'a> {
    fn new(context: Context<'a>, slots: &'a Slots) -> Self {
        Self {
            context,
            slots,
            types: Vec::new(),
            scopes: Vec::new(),
            pending: Vec::new(),
            ctes: Vec::new(),
            binding: Vec::new(),
            referenced: BTreeSet::new(),
            blocks: 0,
            tables: BTreeMap::new(),
            target: None,
            writes: false,
            writes_reference: false,
            depends_on_text: Cell::new(false),
            missing: Vec::new(),
        }
    }

    fn bound(self, block: Block) -> Bound<'a> {
        Bound {
            block,
            tables: self.tables,
            target: self.target,
            writes: self.writes,
            writes_reference: self.writes_reference,
            depends_on_text: self.depends_on_text.get(),
            missing: self.missing,
        }
    }

    fn statement(&mut self, node: NodeRef<'a>) -> Result<Block, String> {
        self.blocks += 1;
        if MAX_BLOCKS < self.blocks {
            return Err("the statement has too many queries".into());
        }
        match node {
            NodeRef::SelectStmt(it) => self.select(it),
            NodeRef::InsertStmt(it) => self.insert(it),
            NodeRef::UpdateStmt(it) => self.update(it),
            NodeRef::DeleteStmt(it) => self.delete(it),
            NodeRef::MergeStmt(it) => self.merge_statement(it),
            _ => Err("the statement is not a query".into()),
        }
    }

    fn term(&mut self, type_oid: TypeOid) -> Term {
        self.types.push(type_oid);
        Term(self.types.len() - 1)
    }

    fn type_of(&self, term: Term) -> TypeOid {
        self.types[term.0]
    }

    /// Makes the CTEs of WITH known until [`Binder::leave_with`].
    fn enter_with(&mut self, with: Option<&'a ast::WithClause>) -> Result<usize, String> {
        let before = self.ctes.len();
        for node in with.into_iter().flat_map(|it| &it.ctes) {
            let Some(NodeEnum::CommonTableExpr(definition)) = node.node.as_ref() else { continue };
            self.ctes.push(Cte { definition, ctes: self.ctes.len(), scopes: self.scopes.len() });
        }
        if with.is_some_and(|it| it.recursive) {
            // Each sees all of them, itself as well.
            let all = self.ctes.len();
            self.ctes[before..].iter_mut().for_each(|it| it.ctes = all);
        }
        Ok(before)
    }

    /// Binds the CTEs that nobody read or that write: they run by themselves.
    fn leave_with(&mut self, before: usize, block: &mut Block) -> Result<(), String> {
        for index in before..self.ctes.len() {
            let cte = self.ctes[index];
            if !self.referenced.contains(&cte.definition.location) || writes(cte.definition) {
                let body = self.cte_body(cte)?;
                block.subqueries.push(Subquery {
                    block: body,
                    conds: Vec::new(),
                    matched: false,
                    detached: true,
                });
            }
        }
        self.ctes.truncate(before);
        Ok(())
    }

    /// Binds the query of a CTE as it would stand where it was written.
    fn cte_body(&mut self, cte: Cte<'a>) -> Result<Block, String> {
        let query = cte.definition.ctequery.as_deref().and_then(|it| it.node.as_ref());
        let query = query.ok_or("a CTE has no query")?;
        let ctes = self.ctes.split_off(cte.ctes.min(self.ctes.len()));
        let scopes = self.scopes.split_off(cte.scopes.min(self.scopes.len()));
        let pending = std::mem::take(&mut self.pending);
        self.binding.push(cte.definition.location);
        let block = self.statement(query.to_ref());
        self.binding.pop();
        self.pending = pending;
        self.scopes.truncate(cte.scopes);
        self.scopes.extend(scopes);
        self.ctes.truncate(cte.ctes);
        self.ctes.extend(ctes);
        block
    }

    /// Visits an expression: every column must be known or harmless, every subquery is bound.
    fn expression(&mut self, node: NodeRef<'a>, found: &mut Vec<Subquery>) -> Result<(), String> {
        match node {
            NodeRef::ColumnRef(it) => self.column(it).map(drop),
            NodeRef::SubLink(it) => {
                self.node(it.testexpr.as_deref(), found)?;
                let block = self.sublink(it)?;
                found.push(Subquery { block, conds: Vec::new(), matched: false, detached: false });
                Ok(())
            }
            _ => {
                let mut below = Vec::new();
                children(node, &mut |it| below.push(it)).map_err(|it| it.to_string())?;
                below.into_iter().try_for_each(|it| self.expression(it, found))
            }
        }
    }

    fn sublink(&mut self, it: &'a ast::SubLink) -> Result<Block, String> {
        let query = it.subselect.as_deref().and_then(|it| it.node.as_ref()).ok_or("a subquery is missing")?;
        // Siblings of an unfinished FROM are seen only through a scope made of them.
        let pending = std::mem::take(&mut self.pending);
        let block = self.statement(query.to_ref());
        self.pending = pending;
        block
    }

    fn node(&mut self, node: Option<&'a howdah_sql::Node>, found: &mut Vec<Subquery>) -> Result<(), String> {
        match node.and_then(|it| it.node.as_ref()) {
            Some(node) => self.expression(node.to_ref(), found),
            None => Ok(()),
        }
    }

    fn nodes(&mut self, nodes: &'a [howdah_sql::Node], found: &mut Vec<Subquery>) -> Result<(), String> {
        nodes.iter().try_for_each(|it| self.node(Some(it), found))
    }
}

fn writes(cte: &ast::CommonTableExpr) -> bool {
    let query = cte.ctequery.as_deref().and_then(|it| it.node.as_ref());
    !matches!(query, Some(NodeEnum::SelectStmt(_)) | None)
}

/// The column names of an alias (`t (a, b)`).
fn alias_columns(alias: Option<&ast::Alias>) -> Vec<&str> {
    alias.map(|it| howdah_sql::names(&it.colnames)).unwrap_or_default()
}

fn extend_conds(block: &mut Block, conds: Vec<Cond>, subqueries: Vec<Subquery>) {
    block.conds.extend(conds);
    block.subqueries.extend(subqueries);
}
