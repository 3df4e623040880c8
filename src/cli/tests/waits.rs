//! Waiting for others: what ends it (timeouts, cancels, deadlocks), on every rung, and what transactions see of those they waited for.

use std::thread;
use std::time::{Duration, Instant};

use howdah_harness::client::{Client, Protocol, Reply};
use howdah_harness::expect::{rows, run};
use howdah_harness::group::{LocalGroup, Options};
use tokio_postgres::NoTls;

/// What runs until the blocker has ended, and its rows if it is a COPY. The first are sent within a block.
const WAITING: [(&str, Option<&str>); 16] = [
    ("LOCK TABLE t IN ACCESS EXCLUSIVE MODE", None),
    ("UPDATE t SET v = v + 1 WHERE k = 1", None),
    ("UPDATE t SET v = v + 1", None),
    ("SELECT * FROM t WHERE k = 1 FOR UPDATE", None),
    ("SELECT * FROM t FOR UPDATE", None),
    ("DELETE FROM t WHERE k IN (1, 2, 3)", None),
    ("SELECT bump(1)", None),
    ("DO $$ BEGIN UPDATE t SET v = v + 1; END $$", None),
    ("INSERT INTO t VALUES (100, 1)", None),
    ("INSERT INTO t SELECT 100 + i, 0 FROM generate_series(0, 5) i", None),
    ("COPY t FROM STDIN", Some("100\t1\n101\t1\n")),
    ("UPDATE r SET v = v + 1 WHERE id = 1", None),
    ("UPDATE l SET v = v + 1 WHERE id = 1", None),
    ("UPDATE t SET v = t.v + l.v FROM l WHERE l.id = t.k", None),
    ("ALTER TABLE t ADD COLUMN x int", None),
    ("TRUNCATE t", None),
];

/// All of them are slow on a busy machine.
const SOON: Duration = Duration::from_secs(10);

fn start(workers: u32) -> LocalGroup {
    let options = Options { shard_count: 8, workers, ..Options::default() };
    let group = LocalGroup::start(env!("CARGO_BIN_EXE_howdah"), &options).expect("the group starts");
    let mut client = group.connect().expect("a connection");
    for sql in [
        "CREATE TABLE t (k int PRIMARY KEY, v int)",
        "CREATE TABLE r (id int PRIMARY KEY, v int)",
        "CREATE TABLE l (id int PRIMARY KEY, v int)",
        "SELECT create_distributed_table('t', 'k')",
        "SELECT create_reference_table('r')",
        "INSERT INTO t SELECT i, 0 FROM generate_series(1, 20) i",
        "INSERT INTO r SELECT i, 0 FROM generate_series(1, 3) i",
        "INSERT INTO l SELECT i, 0 FROM generate_series(1, 3) i",
        "CREATE FUNCTION bump(key int) RETURNS void LANGUAGE plpgsql AS $$ BEGIN UPDATE t SET v = v + 1 WHERE k = key; END $$",
    ] {
        run(&mut client, sql);
    }
    group
}

#[test]
fn waits_are_ended() {
    let group = start(2);
    timeouts_and_cancels(&group);
    a_commit_and_a_reader_at_the_fence(&group);
    idle_transactions(&group);
}

fn timeouts_and_cancels(group: &LocalGroup) {
    let mut blocker = group.connect().expect("a connection");
    for sql in [
        "BEGIN",
        "UPDATE t SET v = v WHERE k = 1",
        "INSERT INTO t VALUES (100, 0)",
        "UPDATE r SET v = v WHERE id = 1",
        "UPDATE l SET v = v WHERE id = 1",
    ] {
        run(&mut blocker, sql);
    }
    let mut client = group.connect().expect("a connection");
    for (sql, copy) in WAITING {
        for (setting, sqlstate) in [("lock_timeout", "55P03"), ("statement_timeout", "57014")] {
            run(&mut client, &format!("SET {setting} = '250ms'"));
            let reply = in_time(&mut client, sql, copy);
            assert_eq!(reply.sqlstate(), sqlstate, "{sql}: {:?}", reply.error);
            run(&mut client, &format!("RESET {setting}"));
        }
        cancelled(group, sql, copy);
    }
    run(&mut blocker, "ROLLBACK");
    let reply = client.simple("UPDATE t SET v = v + 1").expect("an answer");
    assert_eq!(reply.tags, ["UPDATE 20"], "nobody is left who waits");
}

fn in_time(client: &mut Client, sql: &str, copy: Option<&str>) -> Reply {
    let began = Instant::now();
    let locks = sql.starts_with("LOCK");
    if locks {
        run(client, "BEGIN");
    }
    let reply = client.run(sql, Protocol::Simple, copy).expect("an answer");
    assert!(began.elapsed() < SOON, "{sql} took {:?}", began.elapsed());
    if locks {
        run(client, "ROLLBACK");
    }
    reply
}

fn cancelled(group: &LocalGroup, sql: &str, copy: Option<&str>) {
    if copy.is_some() {
        return;
    }
    let uri = group.uri.replace("sslmode=require", "sslmode=disable");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(&uri, NoTls).await.expect("a connection");
        tokio::spawn(connection);
        let token = client.cancel_token();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(300)).await;
            token.cancel_query(NoTls).await.expect("a cancel");
        });
        let text = if sql.starts_with("LOCK") { format!("BEGIN; {sql}") } else { sql.to_owned() };
        let result = tokio::time::timeout(SOON, client.simple_query(&text)).await;
        let error = result.unwrap_or_else(|_| panic!("{sql} goes on")).expect_err("it is cancelled");
        assert_eq!(error.code().map(|it| it.code()), Some("57014"), "{sql}: {error}");
    });
}

/// Others hold the fence: who commits on two workers waits for it, and so does who reads both.
fn a_commit_and_a_reader_at_the_fence(group: &LocalGroup) {
    let mut holder = group.connect_member("w0", "postgres").expect("a connection to the worker");
    let mut client = group.connect().expect("a connection");
    for (mode, statements) in [
        ("SHARE", vec!["BEGIN", "UPDATE t SET v = v + 1", "COMMIT"]),
        ("ROW EXCLUSIVE", vec!["SELECT count(*) FROM t"]),
        ("ROW EXCLUSIVE", vec!["BEGIN", "UPDATE t SET v = 5 WHERE k = 1", "SELECT count(*) FROM t"]),
        ("ROW EXCLUSIVE", vec!["BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT v FROM t WHERE k = 1"]),
        ("ROW EXCLUSIVE", vec!["DO $$ BEGIN PERFORM count(*) FROM t; END $$"]),
    ] {
        let before = rows(&mut client, "SELECT sum(v) FROM t");
        run(&mut holder, "BEGIN");
        run(&mut holder, &format!("LOCK TABLE howdah.fence IN {mode} MODE"));
        run(&mut client, "SET statement_timeout = '400ms'");
        let (last, first) = statements.split_last().expect("there is one");
        first.iter().for_each(|it| run(&mut client, it));
        let reply = in_time(&mut client, last, None);
        assert_eq!(reply.sqlstate(), "57014", "{statements:?}: {:?}", reply.error);
        client.simple("ROLLBACK").expect("an answer");
        run(&mut client, "RESET statement_timeout");
        run(&mut holder, "ROLLBACK");
        assert_eq!(rows(&mut client, "SELECT sum(v) FROM t"), before, "{statements:?}");
    }
}

fn idle_transactions(group: &LocalGroup) {
    let (mut idle, mut other) = (group.connect().expect("a client"), group.connect().expect("another"));
    run(&mut idle, "SET idle_in_transaction_session_timeout = '300ms'");
    run(&mut idle, "BEGIN");
    run(&mut idle, "UPDATE t SET v = v WHERE k = 1");
    let began = Instant::now();
    run(&mut other, "UPDATE t SET v = v WHERE k = 1");
    assert!(began.elapsed() < SOON, "it took {:?}", began.elapsed());
    assert!(idle.simple("SELECT 1").is_err(), "the session has ended");
    // A worker that waits for its session's work on another does not end it.
    run(&mut other, "SET idle_in_transaction_session_timeout = '300ms'");
    run(&mut other, "BEGIN");
    run(&mut other, "UPDATE t SET v = v WHERE k = 1");
    run(&mut other, "SELECT pg_sleep(0.7)");
    run(&mut other, "UPDATE t SET v = v WHERE k = 1");
    run(&mut other, "COMMIT");
}

#[test]
fn deadlocks_over_nodes_are_found() {
    let group = start(3);
    let keys = keys_of_workers(&group);
    let update = |k: &str| format!("UPDATE t SET v = v + 1 WHERE k = {k}");
    let reference = "UPDATE r SET v = v + 1 WHERE id = 1".to_owned();
    let local = "UPDATE l SET v = v + 1 WHERE id = 1".to_owned();
    circle(&group, "two workers", &[update(&keys[0]), update(&keys[1])]);
    circle(&group, "three workers", &[update(&keys[0]), update(&keys[1]), update(&keys[2])]);
    circle(&group, "a reference table", &[reference.clone(), update(&keys[1])]);
    circle(&group, "all kinds of tables", &[local, update(&keys[2]), reference]);
    circle(&group, "functions", &[format!("SELECT bump({})", keys[0]), update(&keys[1])]);
}

/// A key on each worker.
fn keys_of_workers(group: &LocalGroup) -> Vec<String> {
    let mut client = group.connect().expect("a connection");
    let found = rows(
        &mut client,
        "SELECT min(k) FROM generate_series(1, 20) k JOIN pg_dist_shard_placement p \
         ON p.shardid = get_shard_id_for_distribution_column('t', k) GROUP BY p.nodeport ORDER BY 1",
    );
    found.into_iter().map(|row| row[0].clone().expect("a key")).collect()
}

/// Each session does its own, then what the next one has done.
fn circle(group: &LocalGroup, case: &str, work: &[String]) {
    let mut clients: Vec<Client> = work.iter().map(|_| group.connect().expect("a connection")).collect();
    for (client, sql) in clients.iter_mut().zip(work) {
        run(client, "BEGIN");
        run(client, sql);
    }
    let began = Instant::now();
    let threads: Vec<_> = clients
        .into_iter()
        .enumerate()
        .map(|(number, mut client)| {
            let sql = work[(number + 1) % work.len()].clone();
            thread::spawn(move || {
                let reply = client.simple(&sql).expect("an answer");
                let took = began.elapsed();
                let end = if reply.error.is_some() { "ROLLBACK" } else { "COMMIT" };
                run(&mut client, end);
                (reply.sqlstate().to_owned(), took)
            })
        })
        .collect();
    let ends: Vec<_> = threads.into_iter().map(|it| it.join().expect("a session ends")).collect();
    let victims: Vec<_> = ends.iter().filter(|it| it.0 == "40P01").collect();
    assert!(
        victims.len() == 1 && ends.iter().all(|it| it.0 == "40P01" || it.0 == "00000"),
        "{case}: {ends:?}"
    );
    eprintln!("{case}: {:?}", victims[0].1);
    assert!(victims[0].1 < SOON, "{case}: {:?}", victims[0].1);
}

#[test]
fn transactions_see_one_moment_of_all_nodes() {
    let group = start(2);
    let keys = keys_of_workers(&group);
    let (mut a, mut b) = (group.connect().expect("a connection"), group.connect().expect("another"));
    repeatable_read(&mut a, &mut b, &keys);
    locks_come_before_snapshots(&mut a, &mut b);
    serializable(&mut a, &keys);
    refused(
        &mut a,
        "SET TRANSACTION SNAPSHOT '00000003-0000001B-1'",
        "BEGIN ISOLATION LEVEL REPEATABLE READ",
    );
}

fn repeatable_read(a: &mut Client, b: &mut Client, keys: &[String]) {
    let sums = "SELECT (SELECT sum(v) FROM t), (SELECT sum(v) FROM r), (SELECT sum(v) FROM l)";
    let before = rows(a, sums);
    run(a, "BEGIN ISOLATION LEVEL REPEATABLE READ");
    rows(a, &format!("SELECT v FROM t WHERE k = {}", keys[0]));
    for sql in ["UPDATE t SET v = v + 1", "UPDATE r SET v = v + 1", "UPDATE l SET v = v + 1"] {
        run(b, sql);
    }
    assert_eq!(rows(a, sums), before);
    assert_eq!(rows(a, "SELECT sum(v) FROM t")[0][0], before[0][0]);
    assert_eq!(rows(a, "SELECT sum(v) FROM r")[0][0], before[0][1]);
    let error = a.simple(&format!("UPDATE t SET v = 0 WHERE k = {}", keys[1])).expect("an answer");
    assert_eq!(error.sqlstate(), "40001");
    run(a, "ROLLBACK");
    assert_ne!(rows(a, sums), before);
}

/// LOCK takes no snapshot: what was committed before it was granted is seen.
fn locks_come_before_snapshots(a: &mut Client, b: &mut Client) {
    run(a, "BEGIN ISOLATION LEVEL REPEATABLE READ");
    run(a, "LOCK TABLE t IN ROW SHARE MODE");
    run(b, "UPDATE t SET v = 77");
    assert_eq!(rows(a, "SELECT min(v), max(v) FROM t"), [[Some("77".to_owned()), Some("77".to_owned())]]);
    run(a, "COMMIT");
}

fn serializable(client: &mut Client, keys: &[String]) {
    run(client, "BEGIN ISOLATION LEVEL SERIALIZABLE");
    run(client, &format!("SELECT v FROM t WHERE k = {}", keys[0]));
    run(client, &format!("UPDATE t SET v = v + 1 WHERE k = {}", keys[0]));
    run(client, "COMMIT");
    let begin = "BEGIN ISOLATION LEVEL SERIALIZABLE";
    refused(client, "SELECT sum(v) FROM t", begin);
    refused(client, "UPDATE t SET v = v + 1", begin);
    refused(client, "DO $$ BEGIN PERFORM sum(v) FROM t; END $$", begin);
}

fn refused(client: &mut Client, sql: &str, begin: &str) {
    run(client, begin);
    let reply = client.simple(sql).expect("an answer");
    assert_eq!(reply.sqlstate(), "0A000", "{sql}: {:?}", reply.error);
    run(client, "ROLLBACK");
}
