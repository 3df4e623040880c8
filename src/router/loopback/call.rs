//! What our SQL functions ask the router to do on workers, through the foreign table `howdah_live.call`.
//!
//! A request is a JSON object with the field `op`; the answer is JSON too. All but `register` work on workers, inside the
//! session's own transaction:
//! - `{"op":"exec","group":g,"sql":"…"}`: statements with superuser rights that may write; `search_path` is `pg_catalog`.
//!   Answer: `{"rows":[[text|null,…],…]}` for a single query, else `{"count":n}` with the rows of the last statement.
//! - `{"op":"query","group":g,"sql":"SELECT …"}`: the same for a query that writes nothing.
//! - `{"op":"run","group":g,"sql":"…"}`: one statement of the user's with the session's own rights. It never fails:
//!   `{"success":true,"result":"first column of the first row, or the tag"}` or `{"success":false,"result":"ERROR:  …"}`.
//! - `{"op":"register","table":{…}}`: a table as `howdah.catalog_json()` describes it is known until the transaction ends.
//! - `{"op":"insert","table":oid,"columns":["…"],"rows":[[text|null,…],…]}`: rows of a distributed table, each to its shard.
//!   Answer: `{}`.
//! - `{"op":"forward","table":oid,"groups":[g,…],"sql":["…"],"expected":n|null,"verify":"…"|null}`: writes to the copies of a
//!   reference table on these workers, which the statements name `howdah_reference`. Answer: `{"gid":"…"|null}`, see
//!   [`Host::record_gid`].
//! - `{"op":"introduce","group":g,"host":"…","port":n,"sql":"SELECT …"}`: a server that is about to be a node, and a query to run
//!   there with the session's own rights, which must be a superuser's. Answer as of `query`.
//! - `{"op":"install","group":g}`: puts our SQL on such a server.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use howdah_catalog::{Distribution, GroupId, TableOid};
use howdah_pg::SqlState;
use howdah_pg::wire::Field;
use howdah_sql::{Token, quote_identifier};
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::fetch::{key, run, text_array};
use super::flight::{Flight, Outcome};
use super::host::Host;
use super::insert::Insert;
use super::live::{Caller, Live, text_rows};
use super::request::{Parameters, Rows};
use super::write::Writes;
use crate::config::NodeAddress;
use crate::error::{Error, Result};
use crate::server::text_row;

#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
enum Call {
    Exec { group: i32, sql: String },
    Query { group: i32, sql: String },
    Run { group: i32, sql: String },
    Insert { table: u32, columns: Vec<String>, rows: Vec<Parameters> },
    Register { table: Json },
    Forward { table: u32, groups: Vec<i32>, sql: Vec<String>, expected: Option<i64>, verify: Option<String> },
    Introduce { group: i32, host: String, port: u16, sql: String },
    Install { group: i32 },
}

/// The coordinator's own look for conflicts found its empty table.
fn conflicting(error: Error) -> Error {
    match error {
        Error::Postgres(mut fields) if fields.code() == SqlState::UNIQUE_VIOLATION => {
            fields.set(
                Field::Hint,
                "If the INSERT has ON CONFLICT, send it as a statement of its own: inside of functions it does not see the rows of shards.",
            );
            Error::Postgres(fields)
        }
        other => other,
    }
}

impl Live {
    /// Runs a request and returns its one row.
    pub(super) async fn call<H: Host>(
        &mut self,
        host: &mut H,
        caller: &Caller,
        request: &str,
    ) -> Result<Rows> {
        let call: Call = serde_json::from_str(request)
            .map_err(|error| Error::Internal(format!("a request that is not understood: {error}")))?;
        let answer = match call {
            Call::Exec { group, sql } => {
                self.exec(host, caller, GroupId(group), &sql, Effect::Writes).await?
            }
            Call::Query { group, sql } => {
                self.exec(host, caller, GroupId(group), &sql, Effect::Reads).await?
            }
            Call::Insert { table, columns, rows } => {
                let (insert, values) = Insert::of_rows(TableOid(table), columns, rows);
                self.insert(host, caller, &insert, &values).await.map_err(conflicting)?;
                json!({})
            }
            Call::Run { group, sql } => self.run_as_user(host, caller, GroupId(group), &sql).await?,
            Call::Register { table } => {
                let table = howdah_metadata::parse_table(&table.to_string())
                    .map_err(|error| Error::Internal(error.to_string()))?;
                host.register(table)?;
                json!({})
            }
            Call::Forward { table, groups, sql, expected, verify } => {
                let forward = Forward { groups: &groups, sql: &sql, expected, verify: verify.as_deref() };
                self.forward(host, caller, TableOid(table), &forward).await?
            }
            Call::Introduce { group, host: name, port, sql } => {
                let address = NodeAddress { host: name, port };
                self.introduce(host, GroupId(group), address, &sql).await?
            }
            Call::Install { group } => self.install(host, GroupId(group)).await?,
        };
        Ok(text_rows("response", vec![Some(answer.to_string())]))
    }

    async fn exec<H: Host>(
        &mut self,
        host: &mut H,
        caller: &Caller,
        group: GroupId,
        sql: &str,
        effect: Effect,
    ) -> Result<Json> {
        let key = key(host, group).await?;
        let returns_rows = is_query(sql);
        let function =
            if returns_rows { "SELECT * FROM howdah.query($1, $2)" } else { "SELECT howdah.exec($1, $2)" };
        let parameters = [Some(&*key), Some(sql)];
        let outcomes = match effect {
            Effect::Writes => {
                let mut writes = Writes::default();
                self.own_flight(host, &mut writes, group).await?.query(function, &parameters);
                self.run_writes(host, caller, writes).await?
            }
            Effect::Reads => {
                let mut flight = Flight::default();
                self.push_closings(&mut flight, group);
                flight.query(function, &parameters);
                run(host, caller, BTreeMap::from([(group, flight)])).await?
            }
        };
        let outcome = only(outcomes)?;
        let mut texts =
            outcome.rows.iter().map(|it| text_row(it).into_iter().next().flatten().unwrap_or_default());
        if returns_rows {
            let rows: Vec<_> = texts.map(|it| record_fields(&it)).collect();
            return Ok(json!({ "rows": rows }));
        }
        let count: i64 = texts.next().and_then(|it| it.parse().ok()).unwrap_or(0);
        Ok(json!({ "count": count }))
    }

    /// The user's own SQL runs where no cursor of ours is open: it could read from any by its name.
    async fn run_as_user<H: Host>(
        &mut self,
        host: &mut H,
        caller: &Caller,
        group: GroupId,
        sql: &str,
    ) -> Result<Json> {
        if self.any_reading() {
            return Err(Error::not_supported(
                "cannot run a command on workers while a distributed table is being read",
                "Run the command in a statement of its own.",
            ));
        }
        if let Some(reason) = unfit_to_run(sql) {
            return Ok(json!({ "success": false, "result": format!("ERROR:  {reason}") }));
        }
        let retired = self.snapshots.retire_all();
        self.retire(retired);
        let mut writes = Writes::default();
        self.own_flight(host, &mut writes, group).await?.command("SAVEPOINT howdah_run", &[]);
        self.run_writes(host, caller, writes).await?;
        // What it sets or makes in its server session must not meet another session.
        host.opened(group)?.target().cancelled.store(true, Ordering::Relaxed);
        let mut flight = Flight::default();
        flight.query(sql, &[]);
        let outcome = run(host, caller, BTreeMap::from([(group, flight)])).await;
        let (after, answer) = match outcome {
            Ok(outcomes) => (
                "RELEASE SAVEPOINT howdah_run",
                json!({ "success": true, "result": result_of(&only(outcomes)?) }),
            ),
            Err(Error::Postgres(fields)) => {
                let message = format!("ERROR:  {}", fields.message());
                ("ROLLBACK TO SAVEPOINT howdah_run", json!({ "success": false, "result": message }))
            }
            Err(error) => return Err(error),
        };
        let mut flight = Flight::default();
        flight.command(after, &[]);
        run(host, caller, BTreeMap::from([(group, flight)])).await?;
        Ok(answer)
    }

    async fn forward<H: Host>(
        &mut self,
        host: &mut H,
        caller: &Caller,
        table: TableOid,
        forward: &Forward<'_>,
    ) -> Result<Json> {
        let catalog = host.catalog();
        let table = catalog
            .table(table)
            .ok_or_else(|| Error::Internal(format!("no table has the number {table}")))?;
        let Distribution::Reference { shard, .. } = &table.distribution else {
            return Err(Error::Internal(format!("table {} is no reference table", table.oid)));
        };
        let shard =
            format!("{}.{}", quote_identifier(&table.schema), quote_identifier(&table.shard_name(*shard)));
        let statements =
            forward.sql.iter().map(|it| with_relation(it, &shard).map(Some)).collect::<Result<Vec<_>>>()?;
        let statements = text_array(&statements);
        let verify = forward.verify.map(|it| with_relation(it, &shard)).transpose()?;
        let expected = forward.expected.map(|it| it.to_string());
        host.check_writable()?;
        let mut writes = Writes::default();
        for group in forward.groups.iter().copied().map(GroupId) {
            let key = key(host, group).await?;
            self.write_flight(host, &mut writes, group, &table.owner).await?.command(
                "SELECT howdah.forward($1, $2::text[], $3, $4::bigint, $5)",
                &[Some(&key), Some(&statements), Some(&shard), expected.as_deref(), verify.as_deref()],
            );
        }
        self.run_writes(host, caller, writes).await?;
        Ok(json!({ "gid": host.record_gid() }))
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Effect {
    Reads,
    Writes,
}

struct Forward<'a> {
    /// As the coordinator's transaction sees them: this router's catalog may lag behind it.
    groups: &'a [i32],
    sql: &'a [String],
    expected: Option<i64>,
    verify: Option<&'a str>,
}

/// The outcome of the only worker that was asked.
fn only(outcomes: BTreeMap<GroupId, Vec<Outcome>>) -> Result<Outcome> {
    let last = outcomes.into_values().flatten().next_back();
    last.ok_or_else(|| Error::Internal("a worker sent no result".to_owned()))
}

fn is_query(sql: &str) -> bool {
    matches!(howdah_sql::parse(sql).as_deref(), Ok([only]) if *only.kind() == howdah_sql::Kind::Select)
}

/// Why a user's statement cannot run inside the transaction of ours.
fn unfit_to_run(sql: &str) -> Option<String> {
    let statements = howdah_sql::parse(sql).ok()?;
    match statements.as_slice() {
        [] | [_] => {}
        _ => return Some("cannot run more than one command at a time".to_owned()),
    }
    let transaction = |it: &howdah_sql::Statement| matches!(it.kind(), howdah_sql::Kind::Transaction(_));
    statements.iter().any(transaction).then(|| "cannot run transaction commands on workers".to_owned())
}

/// The first column of the first row, or else the command's tag.
fn result_of(outcome: &Outcome) -> Json {
    match outcome.rows.first() {
        Some(row) => text_row(row).into_iter().next().flatten().map_or(Json::Null, Json::String),
        None if outcome.description.is_empty() => {
            let tag = outcome.tag.strip_suffix(b"\0").unwrap_or(&outcome.tag);
            Json::String(String::from_utf8_lossy(tag).into_owned())
        }
        None => Json::String(String::new()),
    }
}

/// Puts the name of the shard where the statement says `howdah_reference`; never inside a literal.
fn with_relation(sql: &str, shard: &str) -> Result<String> {
    let broken = || Error::Internal("a statement to forward cannot be read".to_owned());
    if sql.is_empty() {
        return Ok(String::new());
    }
    let statements = howdah_sql::parse(sql).map_err(|_| broken())?;
    let [statement] = statements.as_slice() else { return Err(broken()) };
    let tokens = statement.tokens().map_err(|_| broken())?;
    let text = statement.text();
    let mut result = String::with_capacity(text.len() + shard.len());
    let mut start = 0;
    for index in 0..tokens.len() {
        let range = tokens.range(index).ok_or_else(broken)?;
        if tokens.token(index) == Some(Token::Ident) && &text[range.clone()] == "howdah_reference" {
            result.push_str(&text[start..range.start]);
            result.push_str(shard);
            start = range.end;
        }
    }
    result.push_str(&text[start..]);
    Ok(result)
}

/// The fields of a record in its text form: `(a,,"b ""c""")`. An empty field is NULL unless quoted.
pub(super) fn record_fields(text: &str) -> Vec<Option<String>> {
    let inner = text.strip_prefix('(').and_then(|it| it.strip_suffix(')')).unwrap_or(text);
    let mut fields = Vec::new();
    let mut field = String::new();
    let (mut quoted, mut inside) = (false, false);
    let mut characters = inner.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if inside && characters.peek() == Some(&'"') => field.extend(characters.next()),
            '"' => {
                inside = !inside;
                quoted = true;
            }
            '\\' => field.extend(characters.next()),
            ',' if !inside => {
                fields.push((quoted || !field.is_empty()).then(|| std::mem::take(&mut field)));
                field.clear();
                quoted = false;
            }
            other => field.push(other),
        }
    }
    fields.push((quoted || !field.is_empty()).then_some(field));
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_as_they_were_written() {
        let text = |it: &str| Some(it.to_owned());
        assert_eq!(record_fields("(1,,\"\")"), [text("1"), None, text("")]);
        assert_eq!(record_fields(r#"("a ""b"" \\, c",x)"#), [text(r#"a "b" \, c"#), text("x")]);
        assert_eq!(record_fields("()"), [None]);
    }

    #[test]
    fn only_the_name_is_replaced() {
        let sql = "UPDATE howdah_reference SET a = 'howdah_reference' WHERE ctid = (SELECT x.ctid FROM howdah_reference x LIMIT 1)";
        let shard = "\"public\".\"r_1\"";
        assert_eq!(
            with_relation(sql, shard).expect("a statement"),
            format!(
                "UPDATE {shard} SET a = 'howdah_reference' WHERE ctid = (SELECT x.ctid FROM {shard} x LIMIT 1)"
            )
        );
    }
}
