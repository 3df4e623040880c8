//! State of sessions over pooled connections: what one session does is its own, and stays its own.

mod support;

use std::time::{Duration, Instant};

use howdah_harness::client::Client;
use support::Served;

/// The only value of the only row.
fn value(client: &mut Client, sql: &str) -> String {
    let rows = client.rows(sql).unwrap_or_else(|error| panic!("{sql}: {error:#}"));
    rows[0][0].clone().unwrap_or_else(|| "NULL".to_owned())
}

fn sqlstate(client: &mut Client, sql: &str) -> String {
    let reply = client.simple(sql).expect("the connection holds");
    reply.error.map(|it| it.sqlstate).unwrap_or_default()
}

fn run(client: &mut Client, sql: &str) {
    let reply = client.simple(sql).expect("the connection holds");
    assert!(reply.error.is_none(), "{sql}: {:?}", reply.error);
}

#[test]
fn sessions_keep_to_themselves() {
    let served = Served::start().expect("a router starts");
    let mut a = served.client().expect("a client");
    let mut b = served.client().expect("a client");

    // Settings follow the session, not the backend.
    run(&mut a, "SET work_mem = '1234kB'");
    run(&mut a, "SET app.tenant = '7'");
    assert_eq!(value(&mut b, "SHOW work_mem"), "4MB");
    assert_eq!(value(&mut a, "SHOW work_mem"), "1234kB");
    assert_eq!(value(&mut a, "SELECT current_setting('app.tenant')"), "7");
    assert_ne!(value(&mut b, "SELECT current_setting('app.tenant', true)"), "7");
    run(&mut a, "BEGIN; SET LOCAL work_mem = '99kB'; COMMIT");
    assert_eq!(value(&mut a, "SHOW work_mem"), "1234kB");
    run(&mut a, "BEGIN");
    run(&mut a, "SET work_mem = '88kB'");
    assert_eq!(value(&mut a, "SHOW work_mem"), "88kB");
    run(&mut a, "ROLLBACK");
    assert_eq!(value(&mut a, "SHOW work_mem"), "1234kB");
    run(&mut a, "RESET ALL");
    assert_eq!(value(&mut a, "SHOW work_mem"), "4MB");

    // A cursor is a portal.
    run(&mut a, "BEGIN; DECLARE c CURSOR FOR SELECT 1 AS one");
    let described = a.describe_portal("c").expect("the connection holds");
    assert_eq!(described.columns.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["one"]);
    let missing = a.describe_portal("d").expect("the connection holds");
    assert_eq!(missing.error.map(|it| it.sqlstate).as_deref(), Some("34000"));
    run(&mut a, "ROLLBACK");

    // Temporary tables, cursors, statements and locks keep the backend.
    run(&mut a, "CREATE TEMP TABLE mine (x int)");
    run(&mut a, "INSERT INTO mine VALUES (1)");
    assert_eq!(sqlstate(&mut b, "SELECT * FROM mine"), "42P01");
    assert_eq!(value(&mut a, "SELECT count(*) FROM mine"), "1");
    run(&mut a, "PREPARE p AS SELECT 5");
    assert_eq!(value(&mut a, "EXECUTE p"), "5");
    assert_eq!(sqlstate(&mut b, "EXECUTE p"), "26000");
    assert_eq!(value(&mut a, "SELECT pg_try_advisory_lock(1)"), "t");
    assert_eq!(value(&mut b, "SELECT pg_try_advisory_lock(1)"), "f");
    run(&mut a, "DISCARD ALL");
    assert_eq!(value(&mut b, "SELECT pg_try_advisory_lock(1)"), "t");
    run(&mut b, "DISCARD ALL");

    // A client that leaves takes its state along.
    run(&mut a, "CREATE TEMP TABLE mine (x int)");
    drop(a);
    let mut a = served.client().expect("a client");
    assert_eq!(sqlstate(&mut a, "SELECT * FROM mine"), "42P01");

    // lastval is never another session's.
    run(&mut a, "CREATE TABLE numbered (id serial, x int)");
    run(&mut a, "INSERT INTO numbered (x) VALUES (1)");
    assert_eq!(value(&mut a, "SELECT lastval()"), "1");
    assert_eq!(sqlstate(&mut b, "SELECT lastval()"), "55000");

    // Blocks and their errors.
    run(&mut a, "BEGIN");
    assert_eq!(sqlstate(&mut a, "SELECT 1/0"), "22012");
    assert_eq!(sqlstate(&mut a, "SELECT 1"), "25P02");
    assert_eq!(a.simple("COMMIT").expect("an answer").tags, ["ROLLBACK"]);
    run(&mut a, "BEGIN");
    run(&mut a, "INSERT INTO numbered (x) VALUES (2)");
    run(&mut a, "SAVEPOINT s");
    assert_eq!(sqlstate(&mut a, "SELECT 1/0"), "22012");
    run(&mut a, "ROLLBACK TO s");
    run(&mut a, "COMMIT");
    assert_eq!(value(&mut b, "SELECT count(*) FROM numbered"), "2");
    assert_eq!(sqlstate(&mut a, "ROLLBACK TO nowhere"), "25P01");

    idle_clients_hold_nothing(&served);
    a_cancel_reaches_the_backend(&served);
    a_wrong_password_is_refused(&served);
}

fn idle_clients_hold_nothing(served: &Served) {
    let mut clients: Vec<Client> = (0..40).map(|_| served.client().expect("a client")).collect();
    for client in &mut clients {
        assert_eq!(value(client, "SELECT 1"), "1");
    }
    let backends = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'alice'";
    let mut admin = served.postgres.client("postgres").expect("a client");
    let backends: i32 = value(&mut admin, backends).parse().expect("a number");
    assert!(backends <= 10, "{backends} backends for idle clients");
}

fn a_cancel_reaches_the_backend(served: &Served) {
    let started = Instant::now();
    let mut child =
        served.program("psql").args(["-X", "-c", "SELECT pg_sleep(60)"]).spawn().expect("psql runs");
    std::thread::sleep(Duration::from_millis(500));
    std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
    let status = child.wait().expect("psql ends");
    assert!(!status.success());
    assert!(started.elapsed() < Duration::from_secs(20));
    let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND state = 'active' AND pid <> pg_backend_pid()";
    assert_eq!(value(&mut served.postgres.client("postgres").expect("a client"), sleeping), "0");
}

fn a_wrong_password_is_refused(served: &Served) {
    for user in [support::USER, "nobody"] {
        let error = Client::connect_tcp(&served.address(), user, "wrong", support::DATABASE).err();
        let text = format!("{:#}", error.expect("it is refused"));
        assert!(text.contains("password authentication failed"), "{text}");
    }
}
