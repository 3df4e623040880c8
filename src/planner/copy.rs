//! The WHERE of a COPY FROM: a condition on single rows, which each shard's own COPY checks.

use howdah_catalog::{Catalog, Table};
use howdah_sql::{Node, NodeRef, walk};

use crate::{ddl, whitelist};

/// The condition as SQL for any shard, or why workers cannot check it. What PostgreSQL does not take there either, such as
/// subqueries, is its own to refuse.
pub fn copy_condition(condition: &Node, table: &Table, catalog: &Catalog) -> Result<String, String> {
    let node = condition.node.as_ref().ok_or("it is not understood")?.to_ref();
    let needs = whitelist::check(node, catalog.objects())?;
    if needs.time {
        return Err("every node has a time of its own".into());
    }
    let mut qualified = false;
    let walked = walk(node, &mut |it| {
        if let NodeRef::ColumnRef(it) = it {
            let names = howdah_sql::names(&it.fields);
            // The table itself, as a row, has the name of a shard there.
            qualified |= it.fields.len() != 1 || names.first().is_none_or(|it| *it == table.name);
        }
    });
    walked.map_err(|it| it.to_string())?;
    match qualified {
        true => Err("it names columns with their table".into()),
        false => ddl::deparse_expression(condition).ok_or_else(|| "it is not understood".into()),
    }
}
