//! Results that are larger than the memory that the router may take for them: combine queries and INSERT … SELECT over many wide
//! rows, in every kind of transaction, and what is left of them when something goes wrong.
//!
//! `HOWDAH_ROWS=2000000 cargo test -p howdah --test large_results -- --nocapture` takes more rows, and shows times beside plain
//! PostgreSQL's.

use std::time::{Duration, Instant};

use howdah_harness::PostgresServer;
use howdah_harness::client::Client;
use howdah_harness::group::{LocalGroup, Options};

/// What the router may grow by while such a statement runs.
const GROWTH: u64 = 48 << 20;

#[test]
fn results_larger_than_the_routers_memory() {
    let options = Options { shard_count: 8, ..Options::default() };
    let group = LocalGroup::start(env!("CARGO_BIN_EXE_howdah"), &options).expect("the group starts");
    let plain = PostgresServer::start().expect("a plain PostgreSQL starts");
    let mut pair = Pair {
        plain: plain.client("postgres").expect("a connection"),
        group: group.connect().expect("a connection"),
    };
    set_up(&mut pair);
    let before = group.memory("router").expect("its memory");
    combine_queries(&mut pair);
    inserts(&mut pair);
    let grown = group.peak_memory("router").expect("its memory").saturating_sub(before);
    println!("the router grew by {} MB", grown >> 20);
    assert!(grown < GROWTH, "the router grew by {} MB", grown >> 20);
    read_only_transactions_and_savepoints(&mut pair);
    the_limit_is_kept(&mut pair.group);
    a_role_without_rights_combines(&group);
    nobody_else_makes_tables(&mut pair.group);
    nothing_is_left(&group);
    a_killed_router_leaves_nothing(&group);
}

struct Pair {
    plain: Client,
    group: Client,
}

impl Pair {
    /// Runs a statement on both, which must agree; shows how long each took.
    fn agree(&mut self, sql: &str) {
        let (expected, plain) = timed(&mut self.plain, sql);
        let (got, group) = timed(&mut self.group, sql);
        assert_eq!(expected, got, "{sql}");
        println!("{plain:>8.2?} plain {group:>8.2?} group  {sql}");
    }
}

fn timed(client: &mut Client, sql: &str) -> (Vec<Vec<Option<String>>>, Duration) {
    let started = Instant::now();
    let reply = client.simple(sql).expect("an answer");
    assert!(reply.error.is_none(), "{sql}: {:?}", reply.error);
    let mut rows = reply.rows;
    rows.extend(reply.tags.into_iter().map(|it| vec![Some(it)]));
    (rows, started.elapsed())
}

fn set_up(pair: &mut Pair) {
    let rows: u64 = std::env::var("HOWDAH_ROWS").ok().and_then(|it| it.parse().ok()).unwrap_or(100_000);
    for sql in [
        "CREATE TABLE wide (k int, id int, n numeric, list int[], filler text)",
        "CREATE TABLE other (id int PRIMARY KEY, n numeric, filler text)",
        "CREATE TABLE counted (number bigserial, id int, filler text)",
    ] {
        run(&mut pair.plain, sql);
        run(&mut pair.group, sql);
    }
    for sql in [
        "SELECT create_distributed_table('wide', 'k')",
        "SELECT create_distributed_table('other', 'id', colocate_with => 'none')",
        "SELECT create_distributed_table('counted', 'id', colocate_with => 'none')",
    ] {
        run(&mut pair.group, sql);
    }
    pair.agree(&format!(
        "INSERT INTO wide SELECT i % 1000, i, i * 0.25, ARRAY[i, i % 7], repeat(md5(i::text), 20) FROM generate_series(1, {rows}) i"
    ));
}

fn combine_queries(pair: &mut Pair) {
    pair.agree(
        "SELECT count(*), sum(c), sum(length(filler)) FROM (SELECT filler, count(*) AS c FROM wide GROUP BY filler) AS x",
    );
    pair.agree("SELECT list, n, count(*) FROM wide GROUP BY list, n ORDER BY n DESC LIMIT 3");
    pair.agree("SELECT count(DISTINCT filler), count(DISTINCT n) FROM wide");
}

fn inserts(pair: &mut Pair) {
    pair.agree("INSERT INTO other SELECT id, n, filler FROM wide");
    pair.agree("SELECT count(*), sum(n), sum(length(filler)) FROM other");
    pair.agree("INSERT INTO counted (id, filler) SELECT id, filler FROM wide ORDER BY id DESC");
    pair.agree("SELECT count(*), sum(number * id), sum(length(filler)) FROM counted");
    // Reads what it writes, over the same connections and over live tables.
    pair.agree("INSERT INTO other SELECT -id, n, filler FROM other");
    pair.agree(
        "INSERT INTO counted (id, filler) SELECT o.id, o.filler FROM other o JOIN counted c ON o.id = c.id AND o.n < 20000",
    );
    pair.agree("SELECT count(*), count(DISTINCT id) FROM counted");
    pair.agree("INSERT INTO other SELECT id, 1, 'new' FROM wide ON CONFLICT (id) DO UPDATE SET n = other.n + 1, filler = excluded.filler");
    pair.agree("SELECT count(*), sum(n), sum(length(filler)) FROM other");
    run(&mut pair.plain, "TRUNCATE other");
    run(&mut pair.group, "TRUNCATE other");
    pair.agree("WITH w AS (SELECT id, n, filler FROM wide) INSERT INTO other SELECT id, n, filler FROM w ON CONFLICT DO NOTHING");
    let returning = "INSERT INTO other SELECT -id, n, filler FROM wide RETURNING 1";
    assert_eq!(count(&mut pair.plain, returning), count(&mut pair.group, returning));
}

fn count(client: &mut Client, sql: &str) -> usize {
    timed(client, sql).0.len()
}

const LARGE: &str =
    "SELECT count(*), sum(c) FROM (SELECT filler, list, count(*) AS c FROM wide GROUP BY filler, list) AS x";

fn read_only_transactions_and_savepoints(pair: &mut Pair) {
    for sql in [
        "BEGIN READ ONLY",
        LARGE,
        "COMMIT",
        "SET default_transaction_read_only = on",
        LARGE,
        "RESET default_transaction_read_only",
        "BEGIN ISOLATION LEVEL REPEATABLE READ",
        LARGE,
        "SAVEPOINT s",
        LARGE,
        "ROLLBACK TO s",
        LARGE,
        "RELEASE s",
        "UPDATE wide SET filler = 'short' WHERE k = 7",
        LARGE,
        "ROLLBACK",
        LARGE,
    ] {
        pair.agree(sql);
    }
}

fn the_limit_is_kept(client: &mut Client) {
    run(client, "BEGIN");
    run(client, "SET LOCAL citus.max_intermediate_result_size = '5MB'");
    run(client, "SAVEPOINT s");
    fails(client, LARGE, "53400");
    run(client, "ROLLBACK TO s");
    run(client, "SET LOCAL citus.max_intermediate_result_size = -1");
    run(client, LARGE);
    run(client, "COMMIT");
}

/// A role that may read the table and create nothing.
fn a_role_without_rights_combines(group: &LocalGroup) {
    let mut superuser = group.connect_superuser().expect("a connection");
    run(&mut superuser, "CREATE ROLE visitor");
    run(&mut superuser, "GRANT SELECT ON wide TO visitor");
    run(&mut superuser, "REVOKE CREATE ON SCHEMA public FROM PUBLIC");
    run(&mut superuser, "SET ROLE visitor");
    fails(&mut superuser, "CREATE TABLE public.mine (a int)", "42501");
    run(&mut superuser, "RESET ROLE");
    // Event triggers of users are not told of what is no object of theirs.
    run(
        &mut superuser,
        "CREATE FUNCTION no_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''no DDL''; END'",
    );
    run(&mut superuser, "CREATE EVENT TRIGGER no_ddl ON ddl_command_start EXECUTE FUNCTION no_ddl()");
    run(&mut superuser, "SET ROLE visitor");
    run(&mut superuser, LARGE);
    run(&mut superuser, "RESET ROLE");
    run(&mut superuser, "DROP EVENT TRIGGER no_ddl");
}

fn nobody_else_makes_tables(client: &mut Client) {
    fails(client, "SELECT howdah.create_intermediate('x', 1, '{int}', current_user)", "42501");
    fails(client, "SELECT howdah.create_intermediate(NULL, 1, '{int}', current_user)", "42501");
    fails(client, "SELECT howdah.drop_intermediate('x', 'wide')", "42501");
    fails(client, "CREATE TABLE howdah_intermediate.mine (a int)", "42501");
}

fn nothing_is_left(group: &LocalGroup) {
    let mut superuser = group.connect_superuser().expect("a connection");
    let count = "SELECT count(*) FROM pg_class WHERE relnamespace = 'howdah_intermediate'::regnamespace";
    assert_eq!(superuser.rows(count).expect("a count"), [[Some("0".to_owned())]]);
    let on_workers = format!("SELECT result FROM run_command_on_workers($$ {count} $$)");
    let counts = superuser.rows(&on_workers).expect("counts");
    assert!(counts.iter().flatten().all(|it| it.as_deref() == Some("0")), "{counts:?}");
}

/// The router dies while a table fills.
fn a_killed_router_leaves_nothing(group: &LocalGroup) {
    let mut client = group.connect().expect("a connection");
    let running = std::thread::spawn(move || {
        let _ = client.simple(LARGE);
    });
    std::thread::sleep(Duration::from_millis(700));
    group.howdah(&["kill", "router"]).expect("the router is killed");
    running.join().expect("the client ends");
    let deadline = Instant::now() + Duration::from_secs(20);
    while group.connect().is_err() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(200));
    }
    // The backends notice that their client is gone when they next speak to it.
    std::thread::sleep(Duration::from_secs(1));
    nothing_is_left(group);
    let mut client = group.connect().expect("a connection");
    run(&mut client, LARGE);
}

fn run(client: &mut Client, sql: &str) {
    timed(client, sql);
}

fn fails(client: &mut Client, sql: &str, code: &str) {
    let reply = client.simple(sql).expect("an answer");
    assert_eq!(reply.error.map(|it| it.sqlstate).as_deref(), Some(code), "{sql}");
}
