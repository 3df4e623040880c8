//! Scopes: what a column's name means.

use howdah_sql::{NodeEnum, ast, names};

use super::super::Term;
use super::Binder;

#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) term: Option<Term>,
}

/// A relation by the name that qualifies its columns.
#[derive(Clone, Debug)]
pub(super) struct Relation {
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
    /// Not all columns are known.
    pub(super) open: bool,
    /// A distributed or reference table: its row type and system columns exist.
    pub(super) table: bool,
}

/// An item of FROM: the relations it makes known, and the columns that need no qualification.
#[derive(Clone, Debug, Default)]
pub(super) struct Item {
    pub(super) relations: Vec<Relation>,
    pub(super) columns: Vec<Column>,
    pub(super) open: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    pub(super) item: Item,
}

impl Item {
    pub(super) fn of(relation: Relation) -> Self {
        Self { columns: relation.columns.clone(), open: relation.open, relations: vec![relation] }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.relations.extend(other.relations.iter().cloned());
        self.columns.extend(other.columns.iter().cloned());
        self.open |= other.open;
    }

    /// Whether a column of this name, qualified or not, may be of this item.
    pub(super) fn has(&self, name: &[&str]) -> bool {
        match *name {
            [name] => self.open || self.column(name).is_some(),
            [relation, ..] => self.relations.iter().any(|it| it.name == relation),
            [] => true,
        }
    }

    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|it| it.name == name)
    }
}

/// PostgreSQL's system columns. Of a shard, `tableoid` is another than the table's; the rest says where a row is on its shard.
const SYSTEM_COLUMNS: &[&str] = &["ctid", "xmin", "xmax", "cmin", "cmax"];

impl<'a> Binder<'a> {
    /// The term of a column, if it has one. An error for what means something else on a shard: rows of a table as a
    /// whole, names with a schema.
    pub(super) fn column(&self, column: &'a ast::ColumnRef) -> Result<Option<Term>, String> {
        if column.fields.iter().any(|it| matches!(it.node, Some(NodeEnum::AStar(_)))) {
            return Err("a whole row is used as a value".into());
        }
        match names(&column.fields)[..] {
            [name] => self.unqualified(name),
            [relation, name] => self.qualified(relation, name),
            _ => Err("a column is qualified by a schema".into()),
        }
    }

    fn unqualified(&self, name: &str) -> Result<Option<Term>, String> {
        for scope in self.scopes.iter().rev() {
            if let Some(column) = scope.item.column(name) {
                return Ok(column.term);
            }
            let tables = || scope.item.relations.iter().filter(|it| it.table);
            if tables().any(|it| it.name == name) {
                return Err(format!("\"{name}\" is a whole row"));
            }
            if scope.item.open || scope.item.relations.iter().any(|it| it.name == name) {
                return Ok(None);
            }
            if tables().next().is_some() && SYSTEM_COLUMNS.contains(&name) {
                return Ok(None);
            }
        }
        Err(format!("column \"{name}\" is not known to the router"))
    }

    fn qualified(&self, relation: &str, name: &str) -> Result<Option<Term>, String> {
        let relations = self.scopes.iter().rev().flat_map(|it| &it.item.relations);
        let Some(relation) = relations.into_iter().find(|it| it.name == relation) else {
            return Err(format!("\"{relation}\" is not known to the router"));
        };
        match relation.columns.iter().find(|it| it.name == name) {
            Some(column) => Ok(column.term),
            None if relation.open || (relation.table && SYSTEM_COLUMNS.contains(&name)) => Ok(None),
            // `t.f` may be the function f of the row.
            None => Err(format!("\"{name}\" is no column of \"{}\"", relation.name)),
        }
    }
}
