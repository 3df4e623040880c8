//! docs/refused.md says what a group refuses: each is refused so, leaves nothing, and is no error of PostgreSQL's own.

use howdah_harness::PostgresServer;
use howdah_harness::client::Client;
use howdah_harness::expect::run;
use howdah_harness::group::{LocalGroup, Options};
use howdah_harness::refused::refusals;

const TABLES: &[&str] = &[
    "CREATE TABLE orders (k int, id int, v int, note text, PRIMARY KEY (k, id))",
    "CREATE TABLE items (id int PRIMARY KEY, k int, v int)",
    "CREATE TABLE countries (code text PRIMARY KEY, name text)",
    "CREATE TABLE notes (id int PRIMARY KEY, v int)",
    "CREATE TABLE secrets (k int PRIMARY KEY, owner name)",
];

const PLACES: &[&str] = &[
    "SELECT create_distributed_table('orders', 'k')",
    "SELECT create_distributed_table('items', 'id', colocate_with => 'none')",
    "SELECT create_reference_table('countries')",
    "SELECT create_distributed_table('secrets', 'k', colocate_with => 'none')",
];

const ROWS: &[&str] = &[
    "ALTER TABLE secrets ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY own ON secrets USING (owner = current_user)",
    "INSERT INTO orders SELECT i % 10, i, i, 'n' || i FROM generate_series(1, 100) i",
    "INSERT INTO items SELECT i, i % 10, i FROM generate_series(1, 100) i",
    "INSERT INTO notes SELECT i, i FROM generate_series(1, 100) i",
];

#[test]
fn what_is_documented_as_refused_is_refused() {
    let options = Options { shard_count: 4, ..Options::default() };
    let group = LocalGroup::start(env!("CARGO_BIN_EXE_howdah"), &options).expect("the group starts");
    let plain = PostgresServer::start().expect("a plain PostgreSQL starts");
    let mut client = group.connect_superuser().expect("a connection");
    let mut other = plain.client("postgres").expect("a connection");
    TABLES.iter().chain(PLACES).chain(ROWS).for_each(|sql| run(&mut client, sql));
    TABLES.iter().chain(ROWS).for_each(|sql| run(&mut other, sql));
    let before = contents(&mut client);
    let mut wrong = Vec::new();
    for refusal in refusals() {
        let (sqlstate, message) = outcome(&mut client, &refusal.statement);
        if sqlstate != refusal.sqlstate || !message.contains(&refusal.message) {
            wrong.push(format!("line {}: {}\n  {sqlstate} {message}", refusal.line, refusal.statement));
        }
        if outcome(&mut other, &refusal.statement).0 == refusal.sqlstate {
            wrong
                .push(format!("line {}: PostgreSQL refuses it as well: {}", refusal.line, refusal.statement));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} are not as documented:\n{}",
        wrong.len(),
        refusals().len(),
        wrong.join("\n")
    );
    assert_eq!(contents(&mut client), before, "a refusal does nothing");
}

/// In a transaction that is undone, so that what PostgreSQL accepts does not stay either.
fn outcome(client: &mut Client, sql: &str) -> (String, String) {
    if !sql.starts_with("BEGIN") {
        run(client, "BEGIN");
    }
    let reply = client.simple(sql).expect("an answer");
    client.simple("ROLLBACK").expect("an answer");
    let message = reply.error.as_ref().map(|it| it.message.clone()).unwrap_or_default();
    (reply.sqlstate().to_owned(), message)
}

fn contents(client: &mut Client) -> Vec<Vec<Option<String>>> {
    let sql = "SELECT (SELECT md5(string_agg(o::text, ',' ORDER BY k, id)) FROM orders o), (SELECT sum(v) FROM items), (SELECT count(*) FROM pg_dist_shard)";
    client.rows(sql).expect("the contents are read")
}
