//! COPY of distributed tables: rows are cut here and sent to their shards, or gathered from them.
//!
//! Only the distribution column is read; what shards say of a value or a constraint is the client's error,
//! with the table's name and the line of the client's own input.

mod check;
mod format;
mod from;
mod options;
mod rows;
mod shard_rows;
mod to;

pub(crate) use self::shard_rows::put_text;

use std::sync::Arc;

use howdah_catalog::{Catalog, GroupId, OnCoordinator, Table, TableOid};
use howdah_sql::ast::CopyStmt;
use howdah_sql::{NodeEnum, RelationName, Statement};

use crate::error::{Error, Result};
use crate::session::Session;
use crate::settings::literal;

/// Whether COPY was done here, or is to be done by the coordinator as it stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Copied {
    Here,
    LeftToCoordinator,
}

/// COPY of a table of the catalog.
pub(crate) async fn copy(session: &mut Session, statement: &Statement) -> Result<Copied> {
    let NodeEnum::CopyStmt(copy) = statement.node() else { return Ok(Copied::LeftToCoordinator) };
    let Some(table) = table_of(session, copy).await? else { return Ok(Copied::LeftToCoordinator) };
    // Triggers of the user's fire there, for each row.
    let fires = copy.is_from && table.on_coordinator == OnCoordinator::Writes;
    if table.is_reference() || fires && !copy.is_program && copy.filename.is_empty() {
        return Ok(Copied::LeftToCoordinator);
    }
    if copy.is_program || !copy.filename.is_empty() {
        return Err(Error::not_supported(
            "cannot copy a distributed table from or to a file of the server",
            "Use \\copy of psql, or COPY with STDIN or STDOUT.",
        ));
    }
    if table.on_coordinator == OnCoordinator::Everything {
        let hint = match copy.is_from {
            true => "Use INSERT statements instead.",
            false => "Use COPY (SELECT …) TO instead.",
        };
        let message =
            format!("COPY of table \"{}\" is not supported with its row-level security", table.name);
        return Err(Error::not_supported(message, hint));
    }
    check_binary(copy, &table, &session.catalog())?;
    match copy.is_from {
        true => from::run(session, copy, &table).await?,
        false => to::run(session, copy, &table).await?,
    }
    Ok(Copied::Here)
}

/// Workers know the types of users by other OIDs than clients do.
fn check_binary(copy: &CopyStmt, table: &Table, catalog: &Catalog) -> Result<()> {
    if options::Options::of(copy)?.format != format::Format::Binary {
        return Ok(());
    }
    let names = options::columns_of(copy, table)?;
    let columns = names.iter().filter_map(|it| table.column_named(it));
    match columns.into_iter().find(|it| catalog.objects().embeds_oids(it.type_oid)) {
        None => Ok(()),
        Some(column) => Err(Error::not_supported(
            format!("cannot copy column \"{}\" of type {} in binary format", column.name, column.type_name),
            "Use the text or the csv format.",
        )),
    }
}

/// The table by its name as PostgreSQL finds it.
async fn table_of(session: &mut Session, copy: &CopyStmt) -> Result<Option<Arc<Table>>> {
    let Some(range) = &copy.relation else { return Ok(None) };
    let name = literal(&RelationName::of(range).quoted());
    let coordinator = session.participant(GroupId::COORDINATOR).await?;
    coordinator.queue_query(&format!("SELECT pg_catalog.to_regclass({name})::pg_catalog.oid"));
    coordinator.flush().await?;
    let rows = session.coordinator_rows().await?;
    let oid = rows.into_iter().flatten().flatten().next().and_then(|it| it.parse().ok());
    Ok(oid.and_then(|it| session.catalog().table(TableOid(it)).cloned()))
}
