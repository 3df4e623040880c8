//! What one session commits to the catalog, every later statement of every session is planned with.

use howdah_harness::client::{Client, Protocol, Reply};
use howdah_harness::group::{LocalGroup, Options};

#[test]
fn sessions_follow_each_other() {
    let group =
        LocalGroup::start(env!("CARGO_BIN_EXE_howdah"), &Options { shard_count: 4, ..Default::default() })
            .expect("the group starts");
    let mut one = group.connect().expect("a connection");
    let mut other = group.connect().expect("a connection");
    for round in 0..20 {
        tables_come_and_go(&mut one, &mut other, round);
    }
    a_pipeline_knows_what_it_did(&mut one);
    a_block_knows_what_others_did(&mut one, &mut other);
    a_rollback_leaves_nothing(&mut one, &mut other);
}

/// By either protocol, with the statement sent the moment the other session has its answer.
fn tables_come_and_go(one: &mut Client, other: &mut Client, round: usize) {
    let table = format!("passing_{round}");
    run(one, &format!("CREATE TABLE {table} (k int, v text)"));
    assert_eq!(rung(other, &table), None, "a local table has no rung");
    run(one, &format!("SELECT create_distributed_table('{table}', 'k')"));
    let insert = format!("INSERT INTO {table} VALUES ($1, $2)");
    let reply = other.run_with(&insert, &["1", "a"]).expect("a connection");
    assert_eq!(reply.error, None, "round {round}");
    assert_eq!(rung(other, &table).as_deref(), Some("Router"), "round {round}");
    run(other, &format!("ALTER TABLE {table} ADD COLUMN w int DEFAULT 5"));
    assert_eq!(rows(one, &format!("SELECT w FROM {table} WHERE k = 1")), [[Some("5".to_owned())]]);
    run(other, &format!("BEGIN; DROP TABLE {table}; COMMIT"));
    let reply = one.run_with(&format!("SELECT v FROM {table} WHERE k = $1"), &["1"]).expect("a connection");
    assert_eq!(sqlstate(&reply), "42P01", "round {round}");
}

fn a_pipeline_knows_what_it_did(client: &mut Client) {
    run(client, "CREATE TABLE piped (k int)");
    let statements =
        ["SELECT create_distributed_table('piped', 'k')", "INSERT INTO piped VALUES (1), (2), (3)"];
    let reply = client.pipeline(&statements).expect("a connection");
    assert_eq!(reply.error, None);
    assert_eq!(reply.tags, ["SELECT 1", "INSERT 0 3"]);
    assert_eq!(rows(client, "SELECT count(*) FROM piped"), [[Some("3".to_owned())]]);
    let failing = ["DROP TABLE piped", "SELECT * FROM piped WHERE k = 1"];
    let reply = client.pipeline(&failing).expect("a connection");
    assert_eq!(sqlstate(&reply), "42P01");
    assert_eq!(rows(client, "SELECT count(*) FROM piped"), [[Some("3".to_owned())]], "all or nothing");
}

fn a_block_knows_what_others_did(one: &mut Client, other: &mut Client) {
    run(one, "CREATE TABLE mine (k int); SELECT create_distributed_table('mine', 'k')");
    run(one, "BEGIN");
    run(one, "ALTER TABLE mine ADD COLUMN w int");
    run(one, "INSERT INTO mine VALUES (1, 1)");
    run(other, "CREATE TABLE elsewhere (k int); SELECT create_distributed_table('elsewhere', 'k')");
    run(one, "INSERT INTO elsewhere VALUES (1), (2)");
    assert_eq!(rung(one, "elsewhere").as_deref(), Some("Router"));
    assert_eq!(rows(one, "SELECT w FROM mine WHERE k = 1"), [[Some("1".to_owned())]], "its own change");
    run(one, "COMMIT");
    assert_eq!(rows(other, "SELECT w FROM mine WHERE k = 1"), [[Some("1".to_owned())]]);
}

fn a_rollback_leaves_nothing(one: &mut Client, other: &mut Client) {
    run(one, "CREATE TABLE undone (k int)");
    let insert = "INSERT INTO undone VALUES (1)";
    run(one, &format!("BEGIN; SELECT create_distributed_table('undone', 'k'); {insert}; ROLLBACK"));
    for client in [&mut *one, &mut *other] {
        assert_eq!(client.run(insert, Protocol::Extended, None).expect("a connection").error, None);
        assert_eq!(rung(client, "undone"), None);
    }
    assert_eq!(rows(one, "SELECT count(*) FROM undone"), [[Some("2".to_owned())]]);
}

/// The rung of a statement about one key; none if the table is not distributed.
fn rung(client: &mut Client, table: &str) -> Option<String> {
    let plan = rows(client, &format!("EXPLAIN (COSTS OFF) SELECT * FROM {table} WHERE k = 1"));
    let first = plan[0][0].clone().expect("a plan has a first line");
    if first.contains("Scan") { None } else { first.split_whitespace().next().map(str::to_owned) }
}

fn run(client: &mut Client, sql: &str) {
    rows(client, sql);
}

fn rows(client: &mut Client, sql: &str) -> Vec<Vec<Option<String>>> {
    client.rows(sql).unwrap_or_else(|error| panic!("{error:#}"))
}

fn sqlstate(reply: &Reply) -> &str {
    reply.error.as_ref().map_or("00000", |it| &it.sqlstate)
}
