//! Which column a name means: PostgreSQL's rules (`parse_relation.c`), as far as they are needed.
//!
//! What is not found here (whole rows, system columns, functions written as columns) is refused, never guessed.

use howdah_sql::{Node, NodeEnum};

use super::columns::{Var, Vars};
use super::expression::{column_ref, string};
use super::refused::Refused;
use super::relation::Output;

/// One level of names. A query has two: its WITH list, and inside of that its FROM list; LATERAL and subqueries
/// in expressions stand inside of the second, other subqueries inside of the first.
#[derive(Debug, Default)]
pub(crate) struct Scope<'a> {
    pub(crate) outer: Option<&'a Scope<'a>>,
    pub(crate) ctes: Vec<(String, Output)>,
    pub(crate) items: Vec<Item>,
    /// Columns of this level whose values, if not NULL, hash to the shard group where the row is.
    pub(crate) keys: Vars,
    /// Those of `keys` that are never NULL.
    pub(crate) certain_keys: Vars,
}

/// Something in FROM that columns can be taken from.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// `None` for a join without alias.
    pub(crate) name: Option<String>,
    /// Whether a column may be written without the item's name. Not so for tables below a join.
    pub(crate) bare_columns: bool,
    pub(crate) columns: Vec<(String, Var)>,
}

/// What a name resolved to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Resolved {
    pub(crate) var: Var,
    /// Whether a FROM list further out has it.
    pub(crate) outer: bool,
}

impl<'a> Scope<'a> {
    pub(crate) fn inside(outer: &'a Scope<'a>) -> Self {
        Self { outer: Some(outer), ..Self::default() }
    }

    pub(crate) fn cte(&self, name: &str) -> Option<&Output> {
        let mut levels = self.levels();
        levels.find_map(|it| it.ctes.iter().rev().find(|(cte, _)| cte == name).map(|(_, output)| output))
    }

    /// The keys of all rows around the one of this level.
    pub(crate) fn outer_keys(&self) -> Vars {
        self.levels().skip(1).flat_map(|it| it.keys.iter().copied()).collect()
    }

    pub(crate) fn is_certain_key(&self, var: Var) -> bool {
        self.levels().any(|it| it.certain_keys.contains(&var))
    }

    pub(crate) fn resolve(&self, node: &Node) -> Result<Resolved, Refused> {
        let fields = &column_ref(node).ok_or_else(|| Refused::new("an expression is not understood"))?.fields;
        match fields.as_slice() {
            [name] => match Var::from_canonical_name(name_of(name)?) {
                Some(var) => Ok(Resolved { var, outer: false }),
                None => self.bare(name_of(name)?),
            },
            [relation, name] => self.qualified(name_of(relation)?, name_of(name)?),
            _ => Err(Refused::new("a column is written with its schema")),
        }
    }

    /// The column of this level itself that a bare name means, as GROUP BY looks for it first.
    pub(crate) fn own_column(&self, name: &str) -> Option<Var> {
        self.find_bare(name).first().copied()
    }

    /// The columns that `*` stands for.
    pub(crate) fn star(&self) -> impl Iterator<Item = (&Item, &(String, Var))> {
        self.items
            .iter()
            .filter(|it| it.bare_columns)
            .flat_map(|it| it.columns.iter().map(move |column| (it, column)))
    }

    /// The nearest relation with this name.
    pub(crate) fn item(&self, name: &str) -> Option<&Item> {
        self.levels().find_map(|it| it.own_item(name))
    }

    fn own_item(&self, name: &str) -> Option<&Item> {
        self.items.iter().find(|it| it.name.as_deref() == Some(name))
    }

    fn bare(&self, name: &str) -> Result<Resolved, Refused> {
        for (depth, level) in self.levels().enumerate() {
            match level.find_bare(name).as_slice() {
                [] => {}
                [var] => return Ok(Resolved { var: *var, outer: depth != 0 }),
                _ => return Err(Refused::new(format!("the column name \"{name}\" is ambiguous"))),
            }
        }
        Err(Refused::new(format!("\"{name}\" is not a column of a table (a whole row or a system column)")))
    }

    fn qualified(&self, relation: &str, name: &str) -> Result<Resolved, Refused> {
        for (depth, level) in self.levels().enumerate() {
            let Some(item) = level.own_item(relation) else { continue };
            let mut found = item.columns.iter().filter(|(it, _)| it == name).map(|(_, var)| *var);
            return match (found.next(), found.next()) {
                (Some(var), None) => Ok(Resolved { var, outer: depth != 0 }),
                _ => Err(Refused::new(format!("\"{relation}.{name}\" is not a plain column"))),
            };
        }
        Err(Refused::new(format!("\"{relation}\" is not in FROM under this name")))
    }

    fn find_bare(&self, name: &str) -> Vec<Var> {
        let items = self.items.iter().filter(|it| it.bare_columns);
        items.flat_map(|it| it.columns.iter()).filter(|(it, _)| it == name).map(|(_, var)| *var).collect()
    }

    fn levels(&self) -> impl Iterator<Item = &Scope<'a>> {
        std::iter::successors(Some(self), |it| it.outer)
    }
}

impl Item {
    pub(crate) fn new(name: &str, columns: Vec<(String, Var)>) -> Self {
        Self { name: Some(name.into()), bare_columns: true, columns }
    }
}

fn name_of(node: &Node) -> Result<&str, Refused> {
    string(node).ok_or_else(|| Refused::new("a whole row is used as a value"))
}

/// Whether a node is `*` or `relation.*`; the relation's name inside.
pub(crate) fn star(node: &Node) -> Option<Option<&str>> {
    let is_star = |it: &Node| matches!(it.node, Some(NodeEnum::AStar(_)));
    match column_ref(node)?.fields.as_slice() {
        [only] if is_star(only) => Some(None),
        [relation, last] if is_star(last) => string(relation).map(Some),
        _ => None,
    }
}
