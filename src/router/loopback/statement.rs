//! The statements of `postgres_fdw`, a closed set: anything else is refused.
//!
//! The fixed ones are compared as text, as `postgres_fdw` of versions 15 to 18 writes them (contrib/postgres_fdw/connection.c and
//! deparse.c); the SQL inside of a cursor or an INSERT is parsed by [`Select`] and [`Insert`].

use std::sync::Arc;

use howdah_catalog::TableOid;

use super::insert::Insert;
use super::modify::Modify;
use super::select::{Relation, Select, named_relation};
use crate::error::{Error, Result};

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Statement {
    /// One of the settings it makes on a new connection: values are always written by these rules here.
    Set,
    Begin,
    Savepoint(u32),
    Release(u32),
    /// `ROLLBACK TO SAVEPOINT s2; RELEASE SAVEPOINT s2`
    RollbackTo(u32),
    Commit,
    Abort,
    Declare {
        cursor: u32,
        select: Arc<Select>,
    },
    Fetch {
        cursor: u32,
        count: usize,
    },
    Rewind(u32),
    Close(u32),
    Insert(Arc<Insert>),
    /// UPDATE and DELETE.
    Modify(Arc<Modify>),
    /// Of whole tables; the coordinator has checked its RESTRICT, and truncated all that CASCADE reaches.
    Truncate(Vec<TableOid>),
    /// `DEALLOCATE pgsql_fdw_prep_3`
    Deallocate(String),
    DeallocateAll,
    Discard,
    Pages(TableOid),
    Tuples(TableOid),
}

impl Statement {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let text = text.trim_end_matches(';').trim();
        match fixed(text).or_else(|| numbered(text)) {
            Some(statement) => Ok(statement),
            None => parsed(text),
        }
    }
}

fn fixed(text: &str) -> Option<Statement> {
    Some(match text {
        "SET search_path = pg_catalog"
        | "SET timezone = 'GMT'"
        | "SET datestyle = ISO"
        | "SET intervalstyle = postgres"
        | "SET extra_float_digits = 3"
        | "SET extra_float_digits = 2" => Statement::Set,
        "START TRANSACTION ISOLATION LEVEL REPEATABLE READ" => Statement::Begin,
        "COMMIT TRANSACTION" => Statement::Commit,
        "ABORT TRANSACTION" => Statement::Abort,
        "DEALLOCATE ALL" => Statement::DeallocateAll,
        "DISCARD ALL" => Statement::Discard,
        _ => return None,
    })
}

/// Statements that carry a number.
fn numbered(text: &str) -> Option<Statement> {
    if let Some(depth) = text.strip_prefix("SAVEPOINT s") {
        return Some(Statement::Savepoint(number(depth)?));
    }
    if let Some(depth) = text.strip_prefix("RELEASE SAVEPOINT s") {
        return Some(Statement::Release(number(depth)?));
    }
    if let Some(rest) = text.strip_prefix("ROLLBACK TO SAVEPOINT s") {
        let (depth, again) = rest.split_once("; RELEASE SAVEPOINT s")?;
        return (depth == again).then_some(Statement::RollbackTo(number(depth)?));
    }
    if let Some(rest) = text.strip_prefix("FETCH ") {
        let (count, cursor) = rest.split_once(" FROM c")?;
        let count = usize::try_from(number(count)?).ok()?;
        return Some(Statement::Fetch { cursor: number(cursor)?, count });
    }
    if let Some(cursor) = text.strip_prefix("MOVE BACKWARD ALL IN c") {
        return Some(Statement::Rewind(number(cursor)?));
    }
    if let Some(cursor) = text.strip_prefix("CLOSE c") {
        return Some(Statement::Close(number(cursor)?));
    }
    if let Some(name) = text.strip_prefix("DEALLOCATE ") {
        number(name.strip_prefix("pgsql_fdw_prep_")?)?;
        return Some(Statement::Deallocate(name.to_owned()));
    }
    None
}

/// Digits only: no sign, no blanks.
fn number(text: &str) -> Option<u32> {
    if text.is_empty() || !text.bytes().all(|it| it.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

fn parsed(text: &str) -> Result<Statement> {
    if let Some(rest) = text.strip_prefix("DECLARE c") {
        let (cursor, query) = rest.split_once(" CURSOR FOR").ok_or_else(|| refused(text))?;
        let cursor = number(cursor).ok_or_else(|| refused(text))?;
        return Ok(Statement::Declare { cursor, select: Arc::new(Select::parse(query.trim_start())?) });
    }
    if text.starts_with("INSERT INTO ") {
        return Ok(Statement::Insert(Arc::new(Insert::parse(text)?)));
    }
    if let Some(rest) = text.strip_prefix("TRUNCATE ") {
        return truncate(rest).ok_or_else(|| refused(text));
    }
    if text.starts_with("UPDATE ") || text.starts_with("DELETE ") {
        return Ok(Statement::Modify(Arc::new(Modify::parse(text)?)));
    }
    match analyze(text) {
        Some(statement) => Ok(statement),
        None => Err(refused(text)),
    }
}

/// `howdah_live.t1, howdah_live.t2 CONTINUE IDENTITY RESTRICT`
fn truncate(text: &str) -> Option<Statement> {
    let text = text.strip_suffix(" RESTRICT").or_else(|| text.strip_suffix(" CASCADE"))?;
    let text = text.strip_suffix(" CONTINUE IDENTITY").or_else(|| text.strip_suffix(" RESTART IDENTITY"))?;
    let table = |name: &str| {
        let (schema, name) = name.trim().split_once('.')?;
        match named_relation(schema, name) {
            Ok(Relation::Table(table)) => Some(table),
            _ => None,
        }
    };
    text.split(',').map(table).collect::<Option<Vec<_>>>().map(Statement::Truncate)
}

/// What ANALYZE asks before it samples.
fn analyze(text: &str) -> Option<Statement> {
    if let Some(rest) = text.strip_prefix("SELECT pg_catalog.pg_relation_size(") {
        let table = rest.split_once("::pg_catalog.regclass) /")?.0;
        return Some(Statement::Pages(quoted_table(table)?));
    }
    let rest = text.strip_prefix("SELECT reltuples, relkind FROM pg_catalog.pg_class WHERE oid = ")?;
    let table = rest.strip_suffix("::pg_catalog.regclass")?;
    Some(Statement::Tuples(quoted_table(table)?))
}

/// `'howdah_live.t16412'`
fn quoted_table(literal: &str) -> Option<TableOid> {
    let name = literal.trim().strip_prefix('\'')?.strip_suffix('\'')?;
    let (schema, name) = name.split_once('.')?;
    match named_relation(schema, name) {
        Ok(Relation::Table(table)) => Some(table),
        _ => None,
    }
}

fn refused(text: &str) -> Error {
    if text.starts_with("START TRANSACTION ISOLATION LEVEL SERIALIZABLE") {
        return Error::not_supported(
            "SERIALIZABLE transactions cannot read distributed tables inside PostgreSQL",
            "Use REPEATABLE READ.",
        );
    }
    Error::not_supported(
        "this statement is not one that postgres_fdw sends for a live table",
        "Connect to the router's own port to run SQL.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_fdw_sends_is_understood() {
        let parse = |text: &str| Statement::parse(text).expect(text);
        assert_eq!(parse("SET timezone = 'GMT'"), Statement::Set);
        assert_eq!(parse("START TRANSACTION ISOLATION LEVEL REPEATABLE READ"), Statement::Begin);
        assert_eq!(parse("SAVEPOINT s2"), Statement::Savepoint(2));
        assert_eq!(parse("ROLLBACK TO SAVEPOINT s2; RELEASE SAVEPOINT s2"), Statement::RollbackTo(2));
        assert_eq!(parse("FETCH 1000 FROM c12"), Statement::Fetch { cursor: 12, count: 1000 });
        assert_eq!(parse("MOVE BACKWARD ALL IN c1"), Statement::Rewind(1));
        assert_eq!(
            parse("DEALLOCATE pgsql_fdw_prep_3"),
            Statement::Deallocate("pgsql_fdw_prep_3".to_owned())
        );
        assert!(matches!(
            parse("DECLARE c1 CURSOR FOR\nSELECT NULL FROM howdah_live.t16384"),
            Statement::Declare { cursor: 1, .. }
        ));
        assert!(matches!(parse("DELETE FROM howdah_live.t1 WHERE ctid = $1"), Statement::Modify(_)));
        assert_eq!(
            parse("TRUNCATE howdah_live.t1, howdah_live.t2 CONTINUE IDENTITY CASCADE"),
            Statement::Truncate(vec![TableOid(1), TableOid(2)])
        );
        assert_eq!(
            parse("SELECT pg_catalog.pg_relation_size('howdah_live.t5'::pg_catalog.regclass) / 8192"),
            Statement::Pages(TableOid(5))
        );
        assert_eq!(
            parse(
                "SELECT reltuples, relkind FROM pg_catalog.pg_class WHERE oid = 'howdah_live.t5'::pg_catalog.regclass"
            ),
            Statement::Tuples(TableOid(5))
        );
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "SELECT 1",
            "SET role = postgres",
            "SET search_path = public",
            "START TRANSACTION ISOLATION LEVEL SERIALIZABLE",
            "BEGIN",
            "COMMIT",
            "FETCH ALL FROM c1",
            "FETCH -1 FROM c1",
            "CLOSE ALL",
            "ROLLBACK TO SAVEPOINT s2; RELEASE SAVEPOINT s3",
            "ROLLBACK TO SAVEPOINT s2; DROP TABLE x",
            "DECLARE c1 CURSOR FOR SELECT 1",
            "DECLARE c1 CURSOR WITH HOLD FOR SELECT a FROM howdah_live.t1",
            "UPDATE public.t1 SET a = 1",
            "DELETE FROM howdah_live.x",
            "TRUNCATE howdah_live.t1",
            "TRUNCATE public.events CONTINUE IDENTITY RESTRICT",
            "DEALLOCATE x",
            "IMPORT FOREIGN SCHEMA x",
            "COPY howdah_live.t1 TO STDOUT",
        ] {
            assert!(matches!(Statement::parse(text), Err(Error::NotSupported { .. })), "{text}");
        }
    }
}
