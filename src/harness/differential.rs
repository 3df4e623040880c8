//! Runs a script on a plain PostgreSQL and on a server group and tells where they differ.
//!
//! How open results compare is written in `differential/README.md`.

use std::collections::HashMap;

use crate::client::{Client, Protocol, Reply};
use crate::refused::is_documented;
use crate::script::{Expect, Step, Target};

/// Opens connections to one database.
pub trait Connect {
    fn connect(&self) -> anyhow::Result<Client>;
}

impl<F: Fn() -> anyhow::Result<Client>> Connect for F {
    fn connect(&self) -> anyhow::Result<Client> {
        self()
    }
}

/// Runs every step on both sides; each string of the answer is one difference, with its line.
pub fn differences(
    steps: &[Step],
    plain: &dyn Connect,
    group: &dyn Connect,
    protocol: Protocol,
) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut sessions: HashMap<&str, (Client, Client)> = HashMap::new();
    for step in steps {
        if !sessions.contains_key(step.session.as_str()) {
            sessions.insert(&step.session, (plain.connect()?, group.connect()?));
        }
        let (plain, group) = sessions.get_mut(step.session.as_str()).expect("inserted above");
        if let Some(difference) = run(step, plain, group, protocol)? {
            found.push(format!("line {}: {}\n  {difference}", step.line, step.sql));
        }
    }
    Ok(found)
}

fn run(
    step: &Step,
    plain: &mut Client,
    group: &mut Client,
    protocol: Protocol,
) -> anyhow::Result<Option<String>> {
    let copy = step.copy.as_deref();
    let sql = step.sql.trim_end_matches(';');
    match (step.only, step.expect) {
        (Some(target), _) => {
            let client = if target == Target::Plain { plain } else { group };
            let reply = client.run(sql, Protocol::Simple, copy)?;
            Ok(reply.error.map(|error| format!("failed on {target:?}: {error:?}")))
        }
        (None, Expect::Refused) => {
            plain.simple("BEGIN")?;
            let accepted = plain.run(sql, protocol, copy)?;
            plain.simple("ROLLBACK")?;
            let refused = group.run(sql, protocol, copy)?;
            Ok(refusal_difference(&accepted, &refused))
        }
        (None, _) => {
            let (mut expected, mut got) = (plain.run(sql, protocol, copy)?, group.run(sql, protocol, copy)?);
            if !ordered(sql) {
                expected.rows.sort();
                got.rows.sort();
            }
            difference(step, &expected, &got, plain, group)
        }
    }
}

fn refusal_difference(accepted: &Reply, refused: &Reply) -> Option<String> {
    if let Some(error) = &accepted.error {
        return Some(format!("PostgreSQL itself fails: {error:?}"));
    }
    match &refused.error {
        Some(error) if error.sqlstate != "0A000" => {
            Some(format!("must be refused with 0A000, got {error:?}"))
        }
        Some(error) if !is_documented(&error.sqlstate, &error.message) => {
            Some(format!("is refused, and no table of docs/refused.md says so: {}", error.message))
        }
        Some(_) => None,
        other => Some(format!("must be refused with 0A000, got {other:?} {:?}", refused.tags)),
    }
}

fn difference(
    step: &Step,
    expected: &Reply,
    got: &Reply,
    plain: &mut Client,
    group: &mut Client,
) -> anyhow::Result<Option<String>> {
    let reason = |reply: &Reply| reply.error.as_ref().map(|e| format!("{} {}", e.sqlstate, e.message));
    match (&expected.error, &got.error) {
        (None, Some(_)) | (Some(_), None) => {
            return Ok(Some(format!("plain: {:?}\n  group: {:?}", reason(expected), reason(got))));
        }
        (Some(e), Some(g)) => {
            let message_matters = step.expect == Expect::Message;
            if step.expect == Expect::Success {
                return Ok(Some(format!("fails on both, unannounced: {} {}", e.sqlstate, e.message)));
            }
            if e.sqlstate != g.sqlstate || (message_matters && e.message != g.message) {
                return Ok(Some(format!("plain: {:?}\n  group: {:?}", reason(expected), reason(got))));
            }
        }
        (None, None) if step.expect != Expect::Success => {
            return Ok(Some("succeeds, but is marked to fail".into()));
        }
        (None, None) => {}
    }
    if expected.tags != got.tags || expected.status != got.status {
        let line = |r: &Reply| format!("{:?}, transaction status {}", r.tags, char::from(r.status));
        return Ok(Some(format!("plain: {}\n  group: {}", line(expected), line(got))));
    }
    // Whether the columns are announced before a row fails is a matter of when the first row is computed.
    let failed = expected.error.is_some();
    let (expected_types, got_types) = (types(expected, plain)?, types(got, group)?);
    if !failed && expected_types != got_types {
        return Ok(Some(format!("columns\n  plain: {expected_types:?}\n  group: {got_types:?}")));
    }
    if expected.copied != got.copied {
        let (e, g) = (String::from_utf8_lossy(&expected.copied), String::from_utf8_lossy(&got.copied));
        return Ok(Some(format!("copied\n  plain: {e}\n  group: {g}")));
    }
    Ok(row_difference(expected, got))
}

fn types(reply: &Reply, client: &mut Client) -> anyhow::Result<Vec<(String, String)>> {
    reply.columns.iter().map(|column| Ok((column.name.clone(), client.type_name(column)?))).collect()
}

/// The first row in which two replies of the same shape differ.
pub fn row_difference(expected: &Reply, got: &Reply) -> Option<String> {
    if expected.rows.len() != got.rows.len() {
        return Some(format!(
            "{} rows\n  group: {} rows {:?}",
            expected.rows.len(),
            got.rows.len(),
            got.rows.first()
        ));
    }
    let tolerance = |column: usize| match expected.columns.get(column).map(|c| c.type_oid) {
        Some(FLOAT4) => Some(1e-5),
        Some(FLOAT8) => Some(1e-9),
        _ => None,
    };
    let same = |column: usize, e: &Option<String>, g: &Option<String>| {
        e == g || tolerance(column).is_some_and(|t| close(e.as_deref(), g.as_deref(), t))
    };
    let rows = expected.rows.iter().zip(&got.rows).enumerate();
    rows.into_iter()
        .find(|(_, (e, g))| {
            e.len() != g.len() || e.iter().zip(*g).enumerate().any(|(i, (a, b))| !same(i, a, b))
        })
        .map(|(n, (e, g))| format!("row {}\n  plain: {e:?}\n  group: {g:?}", n + 1))
}

fn close(e: Option<&str>, g: Option<&str>, tolerance: f64) -> bool {
    match (e.map(str::parse::<f64>), g.map(str::parse::<f64>)) {
        (Some(Ok(e)), Some(Ok(g))) => (e - g).abs() <= tolerance * e.abs().max(g.abs()),
        _ => false,
    }
}

const FLOAT4: u32 = 700;
const FLOAT8: u32 = 701;

/// Whether the statement fixes the order of its rows: an ORDER BY outside all parentheses.
fn ordered(sql: &str) -> bool {
    let upper = sql.to_uppercase();
    let mut depth = 0;
    upper.char_indices().any(|(i, c)| {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        depth == 0
            && (upper[i..].starts_with("ORDER BY") || upper[..i].is_empty() && upper.starts_with("FETCH"))
    })
}
