//! The names by which a node knows the types of an intermediate result's columns.

use howdah_catalog::GroupId;
use howdah_pg::TypeOid;
use howdah_pg::wire::backend::ColumnDescription;

use crate::error::{Error, Result};
use crate::session::Session;

/// The names of the types of a worker's columns, which the coordinator may know by other OIDs. Nothing may be under way on the worker
/// if one of the types is a user's; PostgreSQL's own are the same everywhere.
pub(crate) async fn type_names(
    session: &mut Session,
    columns: &[ColumnDescription],
    worker: GroupId,
) -> Result<Vec<String>> {
    let unknown: Vec<TypeOid> =
        columns.iter().map(|it| it.type_oid).filter(|it| builtin_name(*it).is_none()).collect();
    let knows = if unknown.iter().any(|it| it.is_user_defined()) { worker } else { GroupId::COORDINATOR };
    let mut asked = Vec::new();
    if !unknown.is_empty() {
        let oids: Vec<String> = unknown.iter().map(|it| it.0.to_string()).collect();
        let query = format!(
            "SELECT pg_catalog.format_type(o::pg_catalog.oid, NULL) \
             FROM pg_catalog.unnest('{{{}}}'::pg_catalog.int8[]) WITH ORDINALITY AS u(o, n) ORDER BY n",
            oids.join(",")
        );
        let connection = session.participant(knows).await?;
        connection.queue_query(&query);
        connection.flush().await?;
        let rows = session.rows_on(knows).await?;
        asked = rows.into_iter().filter_map(|it| it.into_iter().next().flatten()).collect();
    }
    let mut asked = asked.into_iter();
    let name = |column: &ColumnDescription| match builtin_name(column.type_oid) {
        Some(name) => Ok(name.to_owned()),
        None => asked.next().ok_or_else(|| Error::Internal("a type of a worker has no name".to_owned())),
    };
    columns.iter().map(name).collect()
}

/// Types that need no question; those whose bare SQL name means a length of one are among them.
pub(crate) fn builtin_name(type_oid: TypeOid) -> Option<&'static str> {
    Some(match type_oid.0 {
        16 => "pg_catalog.bool",
        17 => "pg_catalog.bytea",
        20 => "pg_catalog.int8",
        21 => "pg_catalog.int2",
        23 => "pg_catalog.int4",
        25 | 705 => "pg_catalog.text",
        26 => "pg_catalog.oid",
        114 => "pg_catalog.json",
        700 => "pg_catalog.float4",
        701 => "pg_catalog.float8",
        1014 => "pg_catalog.bpchar[]",
        1042 => "pg_catalog.bpchar",
        1043 => "pg_catalog.varchar",
        1082 => "pg_catalog.date",
        1083 => "pg_catalog.time",
        1114 => "pg_catalog.timestamp",
        1184 => "pg_catalog.timestamptz",
        1186 => "pg_catalog.interval",
        1266 => "pg_catalog.timetz",
        1560 => "pg_catalog.bit",
        1561 => "pg_catalog.bit[]",
        1562 => "pg_catalog.varbit",
        1700 => "pg_catalog.numeric",
        2950 => "pg_catalog.uuid",
        3802 => "pg_catalog.jsonb",
        _ => return None,
    })
}
