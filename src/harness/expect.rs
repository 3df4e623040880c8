//! Statements of a test that must succeed.

use crate::client::Client;

#[track_caller]
pub fn run(client: &mut Client, sql: &str) {
    rows(client, sql);
}

#[track_caller]
pub fn rows(client: &mut Client, sql: &str) -> Vec<Vec<Option<String>>> {
    client.rows(sql).unwrap_or_else(|error| panic!("{error:#}"))
}

/// A string constant.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
