//! FROM: tables, subqueries, CTEs and joins.

use std::sync::Arc;

use howdah_catalog::Table;
use howdah_sql::ast::JoinType;
use howdah_sql::{NodeEnum, ast, names};

use super::super::block::{Join, Subquery, same_family};
use super::super::{Block, Cond, JoinKind, Leaf, Tree};
use super::columns::{Column, Item, Relation, Scope};
use super::{Binder, Cte, Named, alias_columns};

impl<'a> Binder<'a> {
    pub(super) fn table_expression(&mut self, node: &'a NodeEnum) -> Result<(Tree, Item), String> {
        match node {
            NodeEnum::RangeVar(it) => self.range(it),
            NodeEnum::RangeSubselect(it) => self.subselect(it),
            NodeEnum::JoinExpr(it) => self.join(it),
            NodeEnum::RangeTableSample(it) => match it.relation.as_deref().and_then(|it| it.node.as_ref()) {
                Some(relation) => self.table_expression(relation),
                None => Err("a sample of nothing".into()),
            },
            NodeEnum::RangeFunction(it) => self.function(node, it.alias.as_ref()),
            NodeEnum::RangeTableFunc(it) => self.function(node, it.alias.as_ref()),
            NodeEnum::JsonTable(it) => self.function(node, it.alias.as_ref()),
            _ => Err("an item of FROM is not known here".into()),
        }
    }

    fn range(&mut self, range: &'a ast::RangeVar) -> Result<(Tree, Item), String> {
        let cte = self.ctes.iter().rposition(|it| it.definition.ctename == range.relname);
        match cte.filter(|_| range.schemaname.is_empty()) {
            Some(index) => self.cte(self.ctes[index], range),
            None => self.table(range),
        }
    }

    /// Binds a distributed or reference table, and remembers where the text names it.
    pub(super) fn table(&mut self, range: &'a ast::RangeVar) -> Result<(Tree, Item), String> {
        let Some(table) = self.context.table(range) else {
            return Err(format!("\"{}\" is neither a distributed nor a reference table", range.relname));
        };
        let position = usize::try_from(range.location).map_err(|_| "a table has no position in the text")?;
        let name = match &range.alias {
            Some(alias) => alias.aliasname.clone(),
            None => range.relname.clone(),
        };
        let needs_alias = range.alias.is_none().then(|| name.clone());
        self.tables.insert(position, Named { table: Arc::clone(table), needs_alias });
        Ok(self.leaf(table, name, &alias_columns(range.alias.as_ref())))
    }

    fn leaf(&mut self, table: &Arc<Table>, name: String, renamed: &[&str]) -> (Tree, Item) {
        let terms: Vec<_> = table.columns.iter().map(|it| self.term(it.type_oid)).collect();
        let columns = table.columns.iter().enumerate().map(|(index, column)| Column {
            name: renamed.get(index).map_or_else(|| column.name.clone(), |it| (*it).to_owned()),
            term: Some(terms[index]),
        });
        let relation = Relation { name, columns: columns.collect(), open: false, table: true };
        let key = table
            .distribution_column()
            .and_then(|key| table.columns.iter().position(|it| it.number == key.number));
        let leaf = match key {
            Some(key) => Leaf::Distributed { table: Arc::clone(table), key: terms[key], terms },
            None => Leaf::Reference { terms },
        };
        (Tree::Leaf(leaf), Item::of(relation))
    }

    fn cte(&mut self, cte: Cte<'a>, range: &'a ast::RangeVar) -> Result<(Tree, Item), String> {
        let name = range.alias.as_ref().map_or(&range.relname, |it| &it.aliasname).clone();
        self.referenced.insert(cte.definition.location);
        if super::writes(cte.definition) || self.binding.contains(&cte.definition.location) {
            return Ok(other(name));
        }
        let mut block = self.cte_body(cte)?;
        if !block.branches.is_empty() && self.is_recursive(cte) {
            block.outputs.iter_mut().for_each(|it| it.term = None);
        }
        let mut renamed = alias_columns(range.alias.as_ref());
        let declared = names(&cte.definition.aliascolnames);
        renamed.extend(declared.into_iter().skip(renamed.len()));
        let has_more = cte.definition.search_clause.is_some() || cte.definition.cycle_clause.is_some();
        Ok(self.query_leaf(block, name, &renamed, has_more))
    }

    /// Every CTE of WITH RECURSIVE sees itself.
    fn is_recursive(&self, cte: Cte<'a>) -> bool {
        self.ctes.iter().take(cte.ctes).any(|it| it.definition.location == cte.definition.location)
    }

    fn subselect(&mut self, it: &'a ast::RangeSubselect) -> Result<(Tree, Item), String> {
        let query = it.subquery.as_deref().and_then(|it| it.node.as_ref()).ok_or("a subquery is missing")?;
        let pending = std::mem::take(&mut self.pending);
        if it.lateral {
            self.scopes.push(scope_of(&pending));
        }
        let block = self.statement(query.to_ref());
        if it.lateral {
            self.scopes.pop();
        }
        self.pending = pending;
        let name = it.alias.as_ref().map(|it| it.aliasname.clone()).unwrap_or_default();
        Ok(self.query_leaf(block?, name, &alias_columns(it.alias.as_ref()), false))
    }

    fn query_leaf(&mut self, block: Block, name: String, renamed: &[&str], open: bool) -> (Tree, Item) {
        let mut columns = Vec::new();
        let mut unnamed = open;
        for (index, output) in block.outputs.iter().enumerate() {
            match renamed.get(index).map(|it| (*it).to_owned()).or_else(|| output.name.clone()) {
                Some(name) => columns.push(Column { name, term: output.term }),
                None => unnamed = true,
            }
        }
        let open = unnamed || block.outputs.is_empty();
        let relation = Relation { name, columns, open, table: false };
        (Tree::Leaf(Leaf::Query(Box::new(block))), Item::of(relation))
    }

    /// Functions and the like see their left siblings, and no equality is known of their columns.
    fn function(
        &mut self,
        node: &'a NodeEnum,
        alias: Option<&'a ast::Alias>,
    ) -> Result<(Tree, Item), String> {
        let mut found = Vec::new();
        self.scopes.push(scope_of(&self.pending));
        let visited = self.expression(node.to_ref(), &mut found);
        self.scopes.pop();
        visited?;
        let (tree, item) = other(alias.map(|it| it.aliasname.clone()).unwrap_or_default());
        if found.is_empty() {
            return Ok((tree, item));
        }
        // For which rows its subqueries are evaluated is not said: nothing is known there.
        found.iter_mut().for_each(|it| it.detached = true);
        let block = Block { subqueries: found, ..Block::default() };
        Ok((Tree::Leaf(Leaf::Query(Box::new(block))), item))
    }

    fn join(&mut self, it: &'a ast::JoinExpr) -> Result<(Tree, Item), String> {
        let side = |node: &'a Option<Box<howdah_sql::Node>>| {
            node.as_deref().and_then(|it| it.node.as_ref()).ok_or("a join lacks a side")
        };
        let (left, left_item) = self.table_expression(side(&it.larg)?)?;
        self.pending.push(left_item.clone());
        let right = self.table_expression(side(&it.rarg)?);
        self.pending.pop();
        let (right, right_item) = right?;
        let kind = match it.jointype() {
            JoinType::JoinInner => JoinKind::Inner,
            JoinType::JoinLeft => JoinKind::Left,
            JoinType::JoinRight => JoinKind::Right,
            JoinType::JoinFull => JoinKind::Full,
            _ => return Err("a kind of join is not known here".into()),
        };
        let using = self.using(it, &left_item, &right_item)?;
        let mut join = Join { kind, left, right, conds: Vec::new(), subqueries: Vec::new() };
        let mut item = self.merge(kind, &using, &left_item, &right_item, &mut join.conds);
        self.join_condition(it, &item, &mut join)?;
        if let Some(alias) = &it.join_using_alias {
            let columns = item.columns.iter().take(using.len()).cloned().collect();
            item.relations.push(Relation {
                name: alias.aliasname.clone(),
                columns,
                open: false,
                table: false,
            });
        }
        if let Some(alias) = &it.alias {
            item = aliased(item, alias);
        }
        Ok((Tree::Join(Box::new(join)), item))
    }

    fn using(&self, it: &'a ast::JoinExpr, left: &Item, right: &Item) -> Result<Vec<String>, String> {
        if !it.is_natural {
            return Ok(names(&it.using_clause).into_iter().map(str::to_owned).collect());
        }
        if left.open || right.open {
            return Err("the columns of a natural join are not known".into());
        }
        let common = left.columns.iter().filter(|it| right.column(&it.name).is_some());
        Ok(common.map(|it| it.name.clone()).collect())
    }

    /// The columns of a join: merged ones first, then the rest of both sides.
    fn merge(
        &self,
        kind: JoinKind,
        using: &[String],
        left: &Item,
        right: &Item,
        conds: &mut Vec<Cond>,
    ) -> Item {
        let mut item = Item { open: left.open || right.open, ..Item::default() };
        for name in using {
            let sides = [left, right].map(|it| it.column(name).and_then(|it| it.term));
            if let [Some(a), Some(b)] = sides
                && same_family(self.type_of(a), self.type_of(b))
            {
                conds.push(Cond::Equal(a, b));
            }
            let same_type =
                matches!(sides, [Some(a), Some(b)] if same_family(self.type_of(a), self.type_of(b)));
            let term = match kind {
                JoinKind::Inner | JoinKind::Left => sides[0],
                JoinKind::Right => sides[1],
                JoinKind::Full => None,
            };
            item.columns.push(Column { name: name.clone(), term: term.filter(|_| same_type) });
        }
        let rest = left.columns.iter().chain(&right.columns).filter(|it| !using.contains(&it.name));
        item.columns.extend(rest.cloned());
        item.relations = left.relations.iter().chain(&right.relations).cloned().collect();
        item
    }

    fn join_condition(&mut self, it: &'a ast::JoinExpr, item: &Item, join: &mut Join) -> Result<(), String> {
        let Some(quals) = it.quals.as_deref().and_then(|it| it.node.as_ref()) else { return Ok(()) };
        let pending = std::mem::take(&mut self.pending);
        self.scopes.push(Scope { item: item.clone() });
        let bound = self.condition(quals, &mut join.conds, &mut join.subqueries);
        self.scopes.pop();
        self.pending = pending;
        // Of an outer join's condition it is not certain that it filters: IN must not be taken as a match.
        if join.kind != JoinKind::Inner {
            join.subqueries.iter_mut().for_each(not_matched);
        }
        bound
    }
}

fn not_matched(subquery: &mut Subquery) {
    subquery.matched = false;
    subquery.conds.clear();
}

fn other(name: String) -> (Tree, Item) {
    let relation = Relation { name, columns: Vec::new(), open: true, table: false };
    (Tree::Leaf(Leaf::Other), Item::of(relation))
}

fn scope_of(items: &[Item]) -> Scope {
    let mut scope = Scope::default();
    items.iter().for_each(|it| scope.item.add(it));
    scope
}

/// `(a JOIN b …) AS j (x, y)` hides the names inside.
fn aliased(item: Item, alias: &ast::Alias) -> Item {
    let renamed = alias_columns(Some(alias));
    let columns = item.columns.into_iter().enumerate().map(|(index, column)| Column {
        name: renamed.get(index).map_or(column.name, |it| (*it).to_owned()),
        term: column.term,
    });
    Item::of(Relation {
        name: alias.aliasname.clone(),
        columns: columns.collect(),
        open: item.open,
        table: false,
    })
}
