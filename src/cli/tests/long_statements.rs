//! Statements of many megabytes: the router's memory stays bounded, and the client is told what to do instead.

use howdah_harness::client::Client;
use howdah_harness::expect::{rows, run};
use howdah_harness::group::{LocalGroup, Options};

/// What the router may grow by: long messages, a copy of each on its way, and the plan of one of 3 MB.
const GROWTH: u64 = 700 << 20;

#[test]
fn long_statements() {
    let options = Options { shard_count: 4, ..Options::default() };
    let group = LocalGroup::start(env!("CARGO_BIN_EXE_howdah"), &options).expect("the group starts");
    let mut client = group.connect().expect("a connection");
    run(&mut client, "CREATE TABLE long (k int, v text); SELECT create_distributed_table('long', 'k')");
    run(&mut client, "CREATE TABLE here (k int, v text)");

    let count = |client: &mut Client, table: &str| rows(client, &format!("SELECT count(*) FROM {table}"));
    let possible = insert("long", 0, 3 << 20);
    run(&mut client, &possible.text);
    assert_eq!(count(&mut client, "long"), [[Some(possible.rows.to_string())]]);

    let too_long = insert("long", 0, 65 << 20);
    let reply = client.simple(&too_long.text).expect("an answer");
    assert_eq!(reply.sqlstate(), "54000");
    assert!(reply.error.expect("an error").message.contains("at most 67108864"));
    assert_eq!(count(&mut client, "long"), [[Some(possible.rows.to_string())]]);
    // Workers need functions as well, however long.
    let body = "x".repeat(2 << 20);
    run(
        &mut client,
        &format!("CREATE FUNCTION f() RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT '{body}' $$"),
    );
    let lengths = "SELECT DISTINCT result FROM run_command_on_all_nodes('SELECT length(f())')";
    assert_eq!(rows(&mut client, lengths), [[Some(body.len().to_string())]]);

    // What concerns the coordinator alone is not the router's to judge.
    let local = insert("here", 0, 20 << 20);
    run(&mut client, &local.text);
    assert_eq!(count(&mut client, "here"), [[Some(local.rows.to_string())]]);

    // A script is as long as it likes, and commits as a whole.
    let script = (0..6).map(|part| insert("long", part * 1_000_000, 1 << 20)).collect::<Vec<_>>();
    let text = script.iter().map(|it| it.text.as_str()).collect::<Vec<_>>().join(";\n");
    run(&mut client, &text);
    let sum = possible.rows + script.iter().map(|it| it.rows).sum::<usize>();
    assert_eq!(count(&mut client, "long"), [[Some(sum.to_string())]]);
    let failing = format!("{text}; SELECT 1/0");
    assert_eq!(client.simple(&failing).expect("an answer").sqlstate(), "22012");
    assert_eq!(client.simple(&format!("{text}; SELEC 1")).expect("an answer").sqlstate(), "42601");
    assert_eq!(count(&mut client, "long"), [[Some(sum.to_string())]]);

    let grown = group.peak_memory("router").expect("the router's memory");
    assert!(grown < GROWTH, "the router took {} MB", grown >> 20);
}

struct Insert {
    text: String,
    rows: usize,
}

/// A multi-row INSERT of about that many bytes.
fn insert(table: &str, first: usize, bytes: usize) -> Insert {
    let mut text = format!("INSERT INTO {table} VALUES ");
    let mut rows = 0;
    while text.len() < bytes {
        text.push_str(if rows == 0 { "" } else { ", " });
        text.push_str(&format!(
            "({}, 'value {rows} of the statement, of a usual length, so to say')",
            first + rows
        ));
        rows += 1;
    }
    Insert { text, rows }
}
