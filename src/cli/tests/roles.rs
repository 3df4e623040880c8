//! A statement runs with the rights of the session's role on every node, whatever failed before it.

use howdah_harness::client::Client;
use howdah_harness::group::{LocalGroup, Options};

#[test]
fn a_role_is_in_force_on_workers_after_errors_and_rollbacks() {
    let group =
        LocalGroup::start(env!("CARGO_BIN_EXE_howdah"), &Options::default()).expect("the group starts");
    let mut client = group.connect_superuser().expect("a connection");
    for sql in [
        "CREATE TABLE accounts (tenant int PRIMARY KEY, balance int)",
        "SELECT create_distributed_table('accounts', 'tenant')",
        "INSERT INTO accounts SELECT i, i FROM generate_series(1, 40) i",
        "CREATE ROLE reader",
        "SET ROLE reader",
    ] {
        client.rows(sql).unwrap_or_else(|error| panic!("{error:#}"));
    }
    for round in 0..3 {
        refused(&mut client, "SELECT count(*) FROM accounts", round);
        refused(&mut client, "SELECT balance FROM accounts WHERE tenant = 1", round);
        refused(&mut client, "UPDATE accounts SET balance = 0 WHERE tenant = 1", round);
    }
    // The role is set in front of BEGIN, in the same flight: ROLLBACK takes it back on the worker.
    client.rows("RESET ROLE").expect("the role is reset");
    client.rows("SET ROLE reader").expect("the role is set");
    client.rows("BEGIN").expect("a block begins");
    refused(&mut client, "SELECT balance FROM accounts WHERE tenant = 1", 3);
    client.rows("ROLLBACK").expect("the block ends");
    refused(&mut client, "SELECT balance FROM accounts WHERE tenant = 1", 4);
    client.rows("RESET ROLE").expect("the role is reset");
    let rows = client.rows("SELECT sum(balance), count(*) FROM accounts").expect("the owner reads");
    assert_eq!(rows, [[Some("820".to_owned()), Some("40".to_owned())]]);
}

/// The router's own work takes connections from the same pool as a superuser's sessions.
#[test]
fn a_role_that_a_superuser_took_stays_with_his_session() {
    let options = Options { workers: 1, ..Options::default() };
    let group = LocalGroup::start(env!("CARGO_BIN_EXE_howdah"), &options).expect("the group starts");
    let mut client = group.connect_superuser().expect("a connection");
    client.rows("CREATE ROLE nobody_special").expect("a role is made");
    client.rows("SET ROLE nobody_special").expect("the role is set");
    refused(&mut client, "SELECT howdah.create_shards(1)", 0);
    drop(client);
    let mut client = group.connect_superuser().expect("passwords can still be looked up");
    assert_eq!(client.rows("SELECT current_user").expect("an answer"), [[Some("postgres".to_owned())]]);
}

/// PostgreSQL 18 makes an implicit block of settings that come in front of a statement, and leaves its end to whoever knows.
#[test]
fn a_statement_behind_settings_commits_by_itself_on_postgres_18() {
    let Some(options) = (Options { workers: 1, ..Options::default() }).on_postgres_18() else { return };
    let group = LocalGroup::start(env!("CARGO_BIN_EXE_howdah"), &options).expect("the group starts");
    let mut client = group.connect().expect("a connection");
    let mut other = group.connect().expect("another connection");
    client.rows("CREATE TABLE notes (id int)").expect("a local table");
    client.rows("SET work_mem = '5MB'").expect("a setting");
    client.rows("SET statement_timeout = '1min'").expect("another setting");
    // The backend goes to the other session and comes back: both settings stand in front of the INSERT.
    for n in 0..3 {
        other.rows("SELECT 1").expect("an answer");
        client.rows(&format!("INSERT INTO notes VALUES ({n})")).expect("a row");
        let count = other.rows("SELECT count(*) FROM notes").expect("a count");
        assert_eq!(count, [[Some((n + 1).to_string())]]);
    }
}

fn refused(client: &mut Client, sql: &str, round: u32) {
    let error = client.simple(sql).expect("an answer").error;
    let sqlstate = error.map(|it| it.sqlstate);
    assert_eq!(sqlstate.as_deref(), Some("42501"), "{sql}, round {round}");
}
