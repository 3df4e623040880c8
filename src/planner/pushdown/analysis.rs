//! The state of understanding one statement, and its FROM lists.

use std::collections::{BTreeMap, BTreeSet};

use howdah_catalog::{Catalog, ColocationId, Distribution, Table, TableOid};
use howdah_sql::ast::{self, JoinType};
use howdah_sql::{Node, NodeEnum};

use super::columns::{Columns, Facts, Var};
use super::expression::{string, visit};
use super::refused::Refused;
use super::relation::{Conditions, Output, Relation, Shards, Spread, Tree};
use super::scope::{Item, Scope};

/// Finds the distributed or reference table that a relation of the statement is.
pub(crate) type Tables<'c> = &'c dyn Fn(&ast::RangeVar) -> Option<TableOid>;

pub(crate) struct Analysis<'c> {
    pub(crate) catalog: &'c Catalog,
    table_of: Tables<'c>,
    pub(crate) columns: Columns,
    /// Where in the text a table of the catalog is named; the same names elsewhere are those of CTEs.
    pub(crate) tables: BTreeMap<i32, TableOid>,
    /// The colocation group of all distributed tables, and the first of them.
    anchor: Option<(ColocationId, TableOid)>,
    /// Subqueries in expressions, by their place in the text, whose values are portable.
    pub(crate) portable_subqueries: BTreeSet<i32>,
    /// Subqueries in expressions that read the shard group of their row.
    pub(crate) local_subqueries: usize,
}

/// A FROM list, or a part of it: its names, and its structure.
struct From {
    items: Vec<Item>,
    tree: Tree,
}

impl<'c> Analysis<'c> {
    pub(crate) fn new(catalog: &'c Catalog, table_of: Tables<'c>) -> Self {
        let (columns, tables) = (Columns::default(), BTreeMap::new());
        Self {
            catalog,
            table_of,
            columns,
            tables,
            anchor: None,
            portable_subqueries: BTreeSet::new(),
            local_subqueries: 0,
        }
    }

    /// The first distributed table.
    pub(crate) fn anchor(&self) -> Option<&'c Table> {
        let (_, oid) = self.anchor?;
        self.catalog.table(oid).map(|it| &**it)
    }

    pub(crate) fn var(&self, node: &Node, scope: &Scope<'_>) -> Result<Var, Refused> {
        scope.resolve(node).map(|it| it.var)
    }

    /// Whether the values of an expression can be taken to another server: see [`Facts::portable`].
    pub(crate) fn is_portable(&self, node: &Node, scope: &Scope<'_>) -> bool {
        let known = super::types::infer(node, scope, &self.columns);
        if known.is_some_and(|it| !it.is_user_defined() && !super::types::is_collatable(it)) {
            return true;
        }
        let objects = self.catalog.objects();
        let itself = match node.node.as_ref() {
            Some(NodeEnum::ColumnRef(_)) => {
                return self.var(node, scope).is_ok_and(|it| self.columns.facts(it).portable);
            }
            Some(NodeEnum::CollateClause(_)) => false,
            Some(NodeEnum::TypeCast(it)) => {
                let name = it.type_name.as_ref().and_then(|it| super::expression::builtin_name(&it.names));
                name.is_some_and(|it| !objects.has_type_named(it))
            }
            Some(NodeEnum::FuncCall(it)) => {
                let name = super::expression::builtin_name(&it.funcname);
                name.is_some_and(|it| objects.functions_named(it).is_empty())
            }
            Some(NodeEnum::SubLink(it)) => match it.sub_link_type() {
                ast::SubLinkType::ExprSublink | ast::SubLinkType::ArraySublink => {
                    self.portable_subqueries.contains(&it.location)
                }
                _ => return true,
            },
            Some(NodeEnum::RowExpr(_)) => false,
            _ => true,
        };
        itself
            && super::expression::children(node)
                .is_some_and(|it| it.into_iter().all(|it| self.is_portable(it, scope)))
    }

    /// An expression with its columns told apart and its place forgotten: two that are equal so always have the
    /// same value in one row. `None` if a name in it is not known.
    pub(crate) fn canonical(&self, node: &Node, scope: &Scope<'_>) -> Option<Node> {
        let mut node = node.clone();
        canonicalize(&mut node, scope)?;
        Some(node)
    }

    /// Understands a FROM list and puts its names into `scope`. `with`: the scope of its WITH list.
    pub(crate) fn read_list(
        &mut self,
        from: &[Node],
        with: &Scope<'_>,
        scope: &mut Scope<'_>,
    ) -> Result<Tree, Refused> {
        let mut trees = Vec::with_capacity(from.len());
        for node in from {
            let from = self.read_item(node, with, scope)?;
            scope.keys.extend(from.tree.leaf_keys());
            scope.items.extend(from.items);
            trees.push(from.tree);
        }
        Ok(Tree::Inner { items: trees, on: Conditions::default() })
    }

    /// `before`: what LATERAL may refer to.
    fn read_item(&mut self, node: &Node, with: &Scope<'_>, before: &Scope<'_>) -> Result<From, Refused> {
        match node.node.as_ref() {
            Some(NodeEnum::RangeVar(it)) => self.relation(it, with),
            Some(NodeEnum::RangeSubselect(it)) => self.subselect(it, with, before),
            Some(NodeEnum::RangeFunction(it)) => self.function(it, before),
            Some(NodeEnum::JoinExpr(it)) => self.join(it, with, before),
            Some(NodeEnum::RangeTableSample(_)) => Err(Refused::new("TABLESAMPLE is used")),
            _ => Err(Refused::new("FROM holds something that is not understood")),
        }
    }

    fn relation(&mut self, range: &ast::RangeVar, with: &Scope<'_>) -> Result<From, Refused> {
        if !range.catalogname.is_empty() {
            return Err(Refused::new("a table is written with its database"));
        }
        let cte = with.cte(&range.relname).filter(|_| range.schemaname.is_empty());
        if let Some(output) = cte.cloned() {
            return self.output(&output, range.alias.as_ref(), &range.relname);
        }
        let Some(table) = (self.table_of)(range).and_then(|it| self.catalog.table(it)) else {
            return Err(Refused::new(format!(
                "\"{}\" is not a distributed or reference table",
                range.relname
            )));
        };
        self.tables.insert(range.location, table.oid);
        let (relation, columns) = self.base(table)?;
        let item = aliased(columns, range.alias.as_ref(), &range.relname);
        Ok(From { items: vec![item], tree: Tree::Leaf(relation) })
    }

    fn base(&mut self, table: &'c Table) -> Result<(Relation, Vec<(String, Var)>), Refused> {
        let mut relation = Relation::everywhere();
        let mut named = Vec::with_capacity(table.columns.len());
        for column in &table.columns {
            let var = self.columns.add(Facts::of(column));
            relation.own.insert(var);
            named.push((column.name.clone(), var));
            if table.distribution_column().is_some_and(|it| it.number == column.number) {
                relation.keys.insert(var);
            }
        }
        if let Distribution::Hash { colocation, .. } = table.distribution {
            relation.spread = Spread::Sharded;
            self.check_distribution(table, colocation)?;
        }
        Ok((relation, named))
    }

    fn check_distribution(&mut self, table: &Table, colocation: ColocationId) -> Result<(), Refused> {
        let column = table.distribution_column();
        let text = |it: &howdah_catalog::Collation| !it.deterministic;
        if column.is_none_or(|it| it.type_oid.is_user_defined() || it.collation.as_ref().is_some_and(text)) {
            return Err(Refused::new(format!(
                "equality of the distribution column of \"{}\" is not known",
                table.name
            )));
        }
        match self.anchor {
            None => self.anchor = Some((colocation, table.oid)),
            Some((other, _)) if other != colocation => {
                return Err(Refused::new("distributed tables that are not colocated are used together"));
            }
            Some(_) => {}
        }
        Ok(())
    }

    fn output(&mut self, output: &Output, alias: Option<&ast::Alias>, name: &str) -> Result<From, Refused> {
        let (relation, columns) = Relation::of_output(output, &mut self.columns);
        Ok(From { items: vec![aliased(columns, alias, name)], tree: Tree::Leaf(relation) })
    }

    fn subselect(
        &mut self,
        node: &ast::RangeSubselect,
        with: &Scope<'_>,
        before: &Scope<'_>,
    ) -> Result<From, Refused> {
        let select = match node.subquery.as_ref().and_then(|it| it.node.as_ref()) {
            Some(NodeEnum::SelectStmt(it)) => it,
            _ => return Err(Refused::new("FROM holds something that is not understood")),
        };
        let output = self.query(select, if node.lateral { before } else { with })?;
        let mut from = self.output(&output, node.alias.as_ref(), "")?;
        if node.alias.is_none() {
            from.items[0].name = None;
        }
        Ok(from)
    }

    fn function(&mut self, node: &ast::RangeFunction, before: &Scope<'_>) -> Result<From, Refused> {
        let mut names: Vec<String> = Vec::new();
        let mut first = None;
        for function in &node.functions {
            let Some(NodeEnum::List(it)) = function.node.as_ref() else {
                return Err(Refused::new("FROM holds something that is not understood"));
            };
            let call = it
                .items
                .first()
                .ok_or_else(|| Refused::new("FROM holds something that is not understood"))?;
            self.check_expression(call, before)?;
            let name =
                call_name(call).ok_or_else(|| Refused::new("a function in FROM has unknown columns"))?;
            names.push(name.clone());
            first.get_or_insert(name);
            if it.items.get(1).is_some_and(|it| it.node.is_some()) {
                return Err(Refused::new("a function in FROM has a column definition list"));
            }
        }
        if !node.coldeflist.is_empty() {
            return Err(Refused::new("a function in FROM has a column definition list"));
        }
        let first = first.ok_or_else(|| Refused::new("FROM holds something that is not understood"))?;
        let mut columns = function_columns(&names, node)?;
        // A function with one column is named like its alias, unless columns are named as well.
        if let (Some(alias), [_]) = (node.alias.as_ref(), names.as_slice())
            && columns.len() == 1
        {
            columns[0].clone_from(&alias.aliasname);
        }
        if node.ordinality {
            columns.push("ordinality".into());
        }
        let mut relation = Relation::everywhere();
        let columns: Vec<(String, Var)> =
            columns.into_iter().map(|name| (name, self.columns.add(Facts::unknown()))).collect();
        relation.own.extend(columns.iter().map(|it| it.1));
        let item = aliased(columns, node.alias.as_ref(), &first);
        Ok(From { items: vec![item], tree: Tree::Leaf(relation) })
    }

    fn join(&mut self, join: &ast::JoinExpr, with: &Scope<'_>, before: &Scope<'_>) -> Result<From, Refused> {
        let (Some(left), Some(right)) = (&join.larg, &join.rarg) else {
            return Err(Refused::new("a join is not understood"));
        };
        let left = self.read_item(left, with, before)?;
        let seen = Scope {
            outer: before.outer,
            ctes: before.ctes.clone(),
            items: before.items.iter().chain(&left.items).cloned().collect(),
            keys: &before.keys | &left.tree.leaf_keys(),
            certain_keys: before.certain_keys.clone(),
        };
        let right = self.read_item(right, with, &seen)?;
        let mut on = Conditions::default();
        let using = using_columns(join, &left, &right)?;
        let mut pairs = Vec::new();
        for name in &using {
            let pair = (bare_column(&left.items, name)?, bare_column(&right.items, name)?);
            if self.columns.comparable(pair.0, pair.1) {
                on.equal.push(pair);
            }
            pairs.push((name.clone(), pair));
        }
        if let Some(quals) = &join.quals {
            let scope = Scope {
                outer: before.outer,
                ctes: before.ctes.clone(),
                items: left.items.iter().chain(&right.items).cloned().collect(),
                keys: &left.tree.leaf_keys() | &right.tree.leaf_keys(),
                certain_keys: &left.tree.certain_leaf_keys() | &right.tree.certain_leaf_keys(),
            };
            self.check_expression(quals, &scope)?;
            on.extend(&self.conditions(quals, &scope)?);
        }
        let (tree, merged) = self.join_tree(join.jointype(), left.tree, right.tree, on, &pairs)?;
        Ok(From { items: joined_items(join, left.items, right.items, merged)?, tree })
    }

    fn join_tree(
        &mut self,
        kind: JoinType,
        left: Tree,
        right: Tree,
        on: Conditions,
        pairs: &[(String, (Var, Var))],
    ) -> Result<(Tree, Vec<(String, Var)>), Refused> {
        let named =
            |pick: fn(&(Var, Var)) -> Var| pairs.iter().map(|(name, it)| (name.clone(), pick(it))).collect();
        match kind {
            JoinType::JoinInner => Ok((Tree::Inner { items: vec![left, right], on }, named(|it| it.0))),
            JoinType::JoinLeft => {
                Ok((Tree::Left { kept: Box::new(left), optional: Box::new(right), on }, named(|it| it.0)))
            }
            JoinType::JoinRight => {
                Ok((Tree::Left { kept: Box::new(right), optional: Box::new(left), on }, named(|it| it.1)))
            }
            JoinType::JoinFull => {
                let mut merged = Vec::new();
                let mut names = Vec::new();
                for (name, (a, b)) in pairs {
                    let (left, right) = (self.columns.facts(*a).clone(), self.columns.facts(*b).clone());
                    let type_oid = left.type_oid.filter(|it| right.type_oid == Some(*it));
                    let portable = left.portable && right.portable;
                    let var = self.columns.add(Facts { type_oid, portable });
                    merged.push((*a, *b, var));
                    names.push((name.clone(), var));
                }
                Ok((Tree::Full { left: Box::new(left), right: Box::new(right), on, merged }, names))
            }
            _ => Err(Refused::new("a join is not understood")),
        }
    }

    /// What holds for the rows that satisfy an expression.
    pub(crate) fn conditions(&mut self, node: &Node, scope: &Scope<'_>) -> Result<Conditions, Refused> {
        let mut found = Conditions::default();
        for condition in super::expression::conjuncts(node) {
            let sides = super::expression::equality(condition);
            if let Some((a, b)) = sides.filter(|(a, b)| is_column(a) && is_column(b)) {
                let pair = (self.var(a, scope)?, self.var(b, scope)?);
                if self.columns.comparable(pair.0, pair.1) {
                    found.equal.push(pair);
                }
            }
            found.within.extend(self.within(condition, scope)?);
        }
        Ok(found)
    }

    fn within(&mut self, node: &Node, scope: &Scope<'_>) -> Result<Option<(Var, BTreeSet<usize>)>, Refused> {
        let Some((column, values)) = super::prune::allowed_values(node) else { return Ok(None) };
        let var = self.var(column, scope)?;
        let Some(anchor) = self.anchor() else { return Ok(None) };
        let Some(type_oid) = self.columns.facts(var).type_oid else { return Ok(None) };
        Ok(super::prune::shards(anchor, type_oid, &values).map(|it| (var, it)))
    }
}

impl Shards {
    /// As indexes in order; one where there is nothing to read, because a query has an answer even then.
    pub(crate) fn indexes(&self, count: usize) -> Vec<usize> {
        match self {
            Self::All => (0..count).collect(),
            Self::Some(some) if some.is_empty() => vec![0],
            Self::Some(some) => some.iter().copied().collect(),
        }
    }
}

fn canonicalize(node: &mut Node, scope: &Scope<'_>) -> Option<()> {
    if is_column(node) {
        let var = scope.resolve(node).ok()?.var;
        *node = super::expression::column_node(&[&var.canonical_name()]);
    }
    super::expression::clear_location(node);
    let below = super::expression::children_mut(node)?;
    below.into_iter().try_for_each(|it| canonicalize(it, scope))
}

fn is_column(node: &Node) -> bool {
    matches!(node.node, Some(NodeEnum::ColumnRef(_)))
}

fn aliased(columns: Vec<(String, Var)>, alias: Option<&ast::Alias>, name: &str) -> Item {
    let Some(alias) = alias else { return Item::new(name, columns) };
    Item::new(&alias.aliasname, renamed(columns, &alias.colnames))
}

fn renamed(mut columns: Vec<(String, Var)>, names: &[Node]) -> Vec<(String, Var)> {
    for (column, name) in columns.iter_mut().zip(names.iter().filter_map(string)) {
        name.clone_into(&mut column.0);
    }
    columns
}

fn call_name(node: &Node) -> Option<String> {
    match node.node.as_ref()? {
        NodeEnum::FuncCall(it) => super::expression::builtin_name(&it.funcname).map(str::to_owned),
        _ => None,
    }
}

/// The column names of functions in FROM, for those of which they are known.
fn function_columns(names: &[String], node: &ast::RangeFunction) -> Result<Vec<String>, Refused> {
    let mut columns = Vec::new();
    for name in names {
        match name.as_str() {
            "generate_series"
            | "generate_subscripts"
            | "regexp_split_to_table"
            | "string_to_table"
            | "jsonb_object_keys"
            | "json_object_keys"
            | "regexp_matches" => columns.push(name.clone()),
            "unnest" => {
                // One column for each array; of composite types it would be more, but those are users' types.
                let arrays = node.functions.iter().filter_map(first_call).find(|it| it.0 == "unnest");
                let count = arrays.map_or(1, |it| it.1);
                columns.extend(std::iter::repeat_n(name.clone(), count));
            }
            "jsonb_array_elements"
            | "json_array_elements"
            | "jsonb_array_elements_text"
            | "json_array_elements_text" => columns.push("value".into()),
            "jsonb_each" | "json_each" | "jsonb_each_text" | "json_each_text" => {
                columns.extend(["key".into(), "value".into()]);
            }
            _ => return Err(Refused::new(format!("the columns of function {name} in FROM are not known"))),
        }
    }
    Ok(columns)
}

fn first_call(node: &Node) -> Option<(String, usize)> {
    let Some(NodeEnum::List(list)) = node.node.as_ref() else { return None };
    match list.items.first()?.node.as_ref()? {
        NodeEnum::FuncCall(it) => {
            Some((super::expression::builtin_name(&it.funcname)?.to_owned(), it.args.len()))
        }
        _ => None,
    }
}

fn using_columns(join: &ast::JoinExpr, left: &From, right: &From) -> Result<Vec<String>, Refused> {
    if !join.is_natural {
        return Ok(join.using_clause.iter().filter_map(string).map(str::to_owned).collect());
    }
    let names = |from: &From| -> Vec<String> {
        from.items
            .iter()
            .filter(|it| it.bare_columns)
            .flat_map(|it| it.columns.iter().map(|it| it.0.clone()))
            .collect()
    };
    let right = names(right);
    Ok(names(left).into_iter().filter(|it| right.contains(it)).collect())
}

fn bare_column(items: &[Item], name: &str) -> Result<Var, Refused> {
    let mut found =
        items.iter().filter(|it| it.bare_columns).flat_map(|it| it.columns.iter()).filter(|it| it.0 == name);
    match (found.next(), found.next()) {
        (Some((_, var)), None) => Ok(*var),
        _ => Err(Refused::new(format!("the join column \"{name}\" is ambiguous"))),
    }
}

/// The names that a join leaves: itself with all columns, and the tables below it by qualified name.
fn joined_items(
    join: &ast::JoinExpr,
    left: Vec<Item>,
    right: Vec<Item>,
    merged: Vec<(String, Var)>,
) -> Result<Vec<Item>, Refused> {
    let unmerged = |items: &[Item]| -> Vec<(String, Var)> {
        let bare = items.iter().filter(|it| it.bare_columns).flat_map(|it| it.columns.iter());
        bare.filter(|it| !merged.iter().any(|(name, _)| *name == it.0)).cloned().collect()
    };
    let columns: Vec<(String, Var)> =
        merged.iter().cloned().chain(unmerged(&left)).chain(unmerged(&right)).collect();
    if let Some(alias) = &join.alias {
        return Ok(vec![aliased(columns, Some(alias), "")]);
    }
    let hidden = |it: Item| Item { bare_columns: false, ..it };
    let mut items: Vec<Item> = left.into_iter().chain(right).map(hidden).collect();
    if let Some(alias) = &join.join_using_alias {
        items.push(Item { name: Some(alias.aliasname.clone()), bare_columns: false, columns: merged });
    }
    items.push(Item { name: None, bare_columns: true, columns });
    Ok(items)
}

/// Whether an expression refers to columns that only this level has.
pub(crate) fn uses_own_columns(node: &Node, scope: &Scope<'_>) -> bool {
    let mut own = false;
    visit(node, &mut |it| {
        if is_column(it) {
            own |= scope.resolve(it).is_ok_and(|it| !it.outer);
        }
    });
    own
}
