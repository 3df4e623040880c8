//! The INSERT that `postgres_fdw` prepares: rows of parameters for one live child.
//!
//! It comes from our own functions (create_distributed_table moves the rows of a filled table this way), and from statements that
//! insert into partitions, which lead here themselves. `howdah.insert_live` sends on the rows that a statement has inserted
//! into another shell by a request of its own ([`Insert::of_rows`]). Each row goes to the shard of its hash.

use howdah_catalog::TableOid;
use howdah_sql::{NodeEnum, ast};

use super::modify::returning;
use super::request::Parameters;
use super::select::{Relation, named_relation, refused};
use crate::error::Result;

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Insert {
    pub(crate) table: TableOid,
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<Item>>,
    /// ON CONFLICT DO NOTHING.
    pub(crate) skips_conflicts: bool,
    /// The columns of RETURNING.
    pub(crate) returning: Vec<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Item {
    /// From 0.
    Parameter(usize),
    /// Of generated columns.
    Default,
}

impl Insert {
    /// Rows that come with their values.
    pub(crate) fn of_rows(
        table: TableOid,
        columns: Vec<String>,
        rows: Vec<Parameters>,
    ) -> (Self, Parameters) {
        let width = columns.len();
        let item = |row: usize| (row * width..(row + 1) * width).map(Item::Parameter).collect();
        let items = (0..rows.len()).map(item).collect();
        let insert = Self { table, columns, rows: items, skips_conflicts: false, returning: Vec::new() };
        (insert, rows.into_iter().flatten().collect())
    }

    pub(crate) fn parse(text: &str) -> Result<Self> {
        let statements = howdah_sql::parse(text).map_err(|_| refused())?;
        let [statement] = statements.as_slice() else { return Err(refused()) };
        let NodeEnum::InsertStmt(tree) = statement.node() else { return Err(refused()) };
        read(tree).ok_or_else(refused)
    }
}

fn read(tree: &ast::InsertStmt) -> Option<Insert> {
    let relation = tree.relation.as_ref()?;
    let Ok(Relation::Table(table)) = named_relation(&relation.schemaname, &relation.relname) else {
        return None;
    };
    if tree.with_clause.is_some() {
        return None;
    }
    let skips_conflicts = match &tree.on_conflict_clause {
        Some(clause) => clause.action() == ast::OnConflictAction::OnconflictNothing && clause.infer.is_none(),
        None => false,
    };
    if tree.on_conflict_clause.is_some() && !skips_conflicts {
        return None;
    }
    let returning = returning(tree.returning_clause.as_ref()).ok()?;
    let NodeEnum::SelectStmt(values) = tree.select_stmt.as_deref()?.node.as_ref()? else { return None };
    let mut columns = Vec::new();
    for column in &tree.cols {
        let NodeEnum::ResTarget(it) = column.node.as_ref()? else { return None };
        columns.push(it.name.clone());
    }
    let rows: Option<Vec<_>> = values.values_lists.iter().map(row).collect();
    let rows = rows?;
    let even = !rows.is_empty() && rows.iter().all(|it| it.len() == columns.len());
    even.then_some(Insert { table, columns, rows, skips_conflicts, returning })
}

fn row(list: &ast::Node) -> Option<Vec<Item>> {
    let NodeEnum::List(list) = list.node.as_ref()? else { return None };
    list.items
        .iter()
        .map(|it| match it.node.as_ref()? {
            NodeEnum::ParamRef(it) => Some(Item::Parameter(usize::try_from(it.number).ok()?.checked_sub(1)?)),
            NodeEnum::SetToDefault(_) => Some(Item::Default),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_of_rows() {
        let insert = Insert::parse(
            "INSERT INTO howdah_live.t7(a, \"B c\", g) VALUES ($1, $2, DEFAULT), ($3, $4, DEFAULT)",
        )
        .expect("a batch");
        assert_eq!(insert.table, TableOid(7));
        assert_eq!(insert.columns, ["a", "B c", "g"]);
        assert_eq!(insert.rows[1], [Item::Parameter(2), Item::Parameter(3), Item::Default]);
    }

    #[test]
    fn a_row_of_a_partition() {
        let insert = Insert::parse(
            "INSERT INTO howdah_live.t7(a) VALUES ($1) ON CONFLICT DO NOTHING RETURNING a, \"B c\"",
        )
        .expect("a row");
        assert!(insert.skips_conflicts);
        assert_eq!(insert.returning, ["a", "B c"]);
    }

    #[test]
    fn other_inserts_are_refused() {
        for text in [
            "INSERT INTO howdah_live.t7(a) VALUES ($1) ON CONFLICT (a) DO NOTHING",
            "INSERT INTO howdah_live.t7(a) VALUES ($1) ON CONFLICT (a) DO UPDATE SET a = 1",
            "INSERT INTO howdah_live.t7(a) VALUES (1)",
            "INSERT INTO howdah_live.t7(a) SELECT 1",
            "INSERT INTO howdah_live.t7(a) VALUES ($1) RETURNING ctid",
            "INSERT INTO howdah_live.t7 DEFAULT VALUES",
            "INSERT INTO public.events(a) VALUES ($1)",
        ] {
            assert!(Insert::parse(text).is_err(), "{text}");
        }
    }
}
