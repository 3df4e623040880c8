//! Statements over several shards of one worker: how many connections read them, what stops them early, and what they see.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use howdah_harness::group::{LocalGroup, Options};
use tokio::task::JoinHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

/// Rows of the table; with 16 shards on 2 workers each shard has some.
const ROWS: u32 = 200;

struct Setting {
    group: LocalGroup,
    /// The session under test.
    client: Client,
    /// Looks on.
    watcher: Client,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_over_many_shards() {
    let options = Options { shard_count: 16, ..Options::default() };
    let group = LocalGroup::start(env!("CARGO_BIN_EXE_howdah"), &options).expect("the group starts");
    let setting = Setting { client: connect(&group).await, watcher: connect(&group).await, group };
    prepare(&setting.client).await;
    as_many_connections_as_allowed(&setting).await;
    one_connection_in_a_transaction(&setting).await;
    a_limit_stops_the_others(&setting).await;
    a_limit_in_a_transaction_leaves_it_whole(&setting).await;
    a_cancel_reaches_all(&setting).await;
    a_timeout_is_of_the_whole_statement(&setting).await;
    an_error_stops_the_others(&setting).await;
    one_moment_per_worker(&setting).await;
}

/// `nap(ms)` is immutable as far as PostgreSQL knows, so that workers run it.
async fn prepare(client: &Client) {
    let nap = "CREATE FUNCTION nap(ms int) RETURNS int LANGUAGE plpgsql IMMUTABLE PARALLEL UNSAFE AS \
               'BEGIN PERFORM pg_sleep(ms / 1000.0); RETURN ms; END'";
    for sql in [
        nap,
        "CREATE TABLE naps (id int PRIMARY KEY, ms int NOT NULL)",
        "SELECT create_distributed_table('naps', 'id')",
    ] {
        run(client, sql).await;
    }
    run(client, &format!("INSERT INTO naps SELECT i, 10 FROM generate_series(1, {ROWS}) i")).await;
}

async fn as_many_connections_as_allowed(setting: &Setting) {
    let mut times = Vec::new();
    for (allowed, expected) in [(1, 1), (4, 4)] {
        run(&setting.client, &format!("SET citus.max_adaptive_executor_pool_size = {allowed}")).await;
        let watch = Watch::begin(&setting.group).await;
        let start = Instant::now();
        let rows = setting.client.query("SELECT count(nap(ms)) FROM naps", &[]).await.expect("a count");
        times.push(start.elapsed());
        assert_eq!(rows[0].get::<_, i64>(0), i64::from(ROWS));
        assert_eq!(watch.end().await, expected, "connections per worker with {allowed} allowed");
    }
    assert!(times[1] * 2 < times[0], "four connections are faster than one: {times:?}");
    run(&setting.client, "RESET citus.max_adaptive_executor_pool_size").await;
}

/// A transaction must read what it wrote.
async fn one_connection_in_a_transaction(setting: &Setting) {
    let client = &setting.client;
    run(client, "BEGIN; UPDATE naps SET ms = 11").await;
    let watch = Watch::begin(&setting.group).await;
    let read = number(client, "SELECT count(nap(ms)) FROM naps WHERE ms = 11").await;
    assert_eq!(read, i64::from(ROWS), "what the transaction wrote");
    assert_eq!(watch.end().await, 1, "connections per worker in a transaction");
    run(client, "ROLLBACK").await;
}

/// One worker answers at once, the other takes minutes.
async fn one_worker_is_fast(client: &Client) {
    let ids: Vec<String> = of_one_worker(client).await.iter().map(|it| it.0.to_string()).collect();
    run(client, "UPDATE naps SET ms = 20000").await;
    run(client, &format!("UPDATE naps SET ms = 0 WHERE id = ANY ('{{{}}}')", ids.join(","))).await;
}

async fn a_limit_stops_the_others(setting: &Setting) {
    let client = &setting.client;
    one_worker_is_fast(client).await;
    let start = Instant::now();
    let rows = client.query("SELECT id FROM naps WHERE nap(ms) = ms LIMIT 3", &[]).await.expect("some rows");
    assert_eq!(rows.len(), 3);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_nothing_runs(setting).await;
    // The connections are in order: many more statements run over them.
    for _ in 0..20 {
        let rows = client.query("SELECT count(*) FROM naps", &[]).await.expect("a count");
        assert_eq!(rows[0].get::<_, i64>(0), i64::from(ROWS));
    }
}

async fn a_limit_in_a_transaction_leaves_it_whole(setting: &Setting) {
    let client = &setting.client;
    run(client, "BEGIN; INSERT INTO naps VALUES (1000, 20000), (1001, 20000), (1002, 20000)").await;
    for _ in 0..3 {
        let start = Instant::now();
        let rows = client.query("SELECT id FROM naps WHERE nap(ms) = ms LIMIT 3", &[]).await;
        assert_eq!(rows.expect("some rows").len(), 3);
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        let rows = client.query("SELECT count(*) FROM naps", &[]).await.expect("a count");
        assert_eq!(rows[0].get::<_, i64>(0), i64::from(ROWS) + 3, "what was written before is there");
    }
    run(client, "COMMIT").await;
    run(client, "DELETE FROM naps WHERE id >= 1000").await;
}

async fn a_cancel_reaches_all(setting: &Setting) {
    let client = &setting.client;
    run(client, "UPDATE naps SET ms = 20000").await;
    let cancel = client.cancel_token();
    let stopping = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        cancel.cancel_query(NoTls).await.expect("a cancel");
    });
    let start = Instant::now();
    let error = client.query("SELECT count(nap(ms)) FROM naps", &[]).await.expect_err("it is cancelled");
    assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    stopping.await.expect("the cancel was sent");
    assert_nothing_runs(setting).await;
    run(client, "SELECT count(*) FROM naps").await;
}

/// Each shard takes less than the limit, all of them more.
async fn a_timeout_is_of_the_whole_statement(setting: &Setting) {
    let client = &setting.client;
    run(client, "UPDATE naps SET ms = 20").await;
    run(client, "SET statement_timeout = '700ms'; SET citus.max_adaptive_executor_pool_size = 2").await;
    let start = Instant::now();
    let error = client.query("SELECT count(nap(ms)) FROM naps", &[]).await.expect_err("it takes too long");
    assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED));
    let message = error.as_db_error().map(|it| it.message().to_owned());
    assert_eq!(message.as_deref(), Some("canceling statement due to statement timeout"));
    assert!(start.elapsed() < Duration::from_millis(1500), "{:?}", start.elapsed());
    run(client, "RESET statement_timeout; RESET citus.max_adaptive_executor_pool_size").await;
    assert_nothing_runs(setting).await;
}

async fn an_error_stops_the_others(setting: &Setting) {
    let client = &setting.client;
    one_worker_is_fast(client).await;
    for sql in ["SELECT count(1 / nap(ms)) FROM naps", "UPDATE naps SET ms = 1 / nap(ms)"] {
        let start = Instant::now();
        let error = client.query(sql, &[]).await.expect_err("a division by zero");
        assert_eq!(error.code(), Some(&SqlState::DIVISION_BY_ZERO), "{error:?}");
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        assert_nothing_runs(setting).await;
    }
}

/// Whoever moves an amount between two shards of one worker is never seen halfway.
async fn one_moment_per_worker(setting: &Setting) {
    run(&setting.client, "UPDATE naps SET ms = 100").await;
    let ids = of_one_worker(&setting.client).await;
    let (from, to) = (ids[0], *ids.iter().rev().find(|it| it.1 != ids[0].1).expect("another shard"));
    let transfer = format!(
        "UPDATE naps SET ms = ms + CASE id WHEN {} THEN 1 ELSE -1 END WHERE id IN ({}, {})",
        to.0, from.0, to.0
    );
    let stop = Arc::new(AtomicBool::new(false));
    let (writer, stopped) = (connect(&setting.group).await, stop.clone());
    let writing = tokio::spawn(async move {
        let mut moves = 0;
        while !stopped.load(Ordering::Relaxed) {
            run(&writer, &transfer).await;
            moves += 1;
        }
        moves
    });
    let start = Instant::now();
    let (mut reads, mut torn) = (0, 0);
    while start.elapsed() < Duration::from_secs(3) {
        for block in [false, true] {
            let (begin, end) = if block { ("BEGIN", "COMMIT") } else { ("", "") };
            run(&setting.client, begin).await;
            let sum: i64 = number(&setting.client, "SELECT sum(ms) FROM naps").await;
            let rows = setting.client.query("SELECT ms FROM naps", &[]).await.expect("rows");
            let added: i64 = rows.iter().map(|it| i64::from(it.get::<_, i32>(0))).sum();
            run(&setting.client, end).await;
            reads += 2;
            torn += [sum, added].iter().filter(|it| **it != i64::from(100 * ROWS)).count();
        }
    }
    stop.store(true, Ordering::Relaxed);
    let moves: u32 = writing.await.expect("the writer");
    assert!(5 < moves, "there was something to be seen: {moves} moves");
    assert_eq!(torn, 0, "of {reads} reads during {moves} moves");
}

/// Ids, and their shards, whose shards are all on one worker.
async fn of_one_worker(client: &Client) -> Vec<(i32, i64)> {
    let sql = format!(
        "SELECT id, shard FROM (SELECT i AS id, get_shard_id_for_distribution_column('naps', i) AS shard \
           FROM generate_series(1, {ROWS}) i) AS ids \
         WHERE shard IN (SELECT shardid FROM pg_dist_shard_placement \
           WHERE nodeport = (SELECT min(nodeport) FROM pg_dist_node WHERE groupid > 0))"
    );
    let rows = client.query(&sql, &[]).await.expect("the ids of one worker");
    rows.iter().map(|it| (it.get(0), it.get(1))).collect()
}

/// Looks how many connections of one worker are busy with naps.
struct Watch {
    stop: Arc<AtomicBool>,
    peak: JoinHandle<i64>,
}

impl Watch {
    async fn begin(group: &LocalGroup) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (client, stopped) = (connect(group).await, stop.clone());
        let peak = tokio::spawn(async move {
            let mut peak = 0;
            while !stopped.load(Ordering::Relaxed) {
                peak = peak.max(number(&client, &naps("max")).await);
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            peak
        });
        Self { stop, peak }
    }

    /// The most that were seen at once.
    async fn end(self) -> i64 {
        self.stop.store(true, Ordering::Relaxed);
        self.peak.await.expect("the watch")
    }
}

/// The backends of workers that run a statement with `nap`: of all workers, or of the busiest.
fn naps(aggregate: &str) -> String {
    format!(
        "SELECT {aggregate}(result::bigint)::bigint FROM run_command_on_workers($$SELECT count(*) \
         FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%nap(%' AND pid <> pg_backend_pid()$$)"
    )
}

async fn assert_nothing_runs(setting: &Setting) {
    assert_eq!(number(&setting.watcher, &naps("sum")).await, 0, "nothing runs any more");
}

async fn number(client: &Client, sql: &str) -> i64 {
    client.query(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"))[0].get(0)
}

async fn run(client: &Client, sql: &str) {
    client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

async fn connect(group: &LocalGroup) -> Client {
    let uri = group.superuser_uri.replace("sslmode=require", "sslmode=disable");
    let (client, connection) = tokio_postgres::connect(&uri, NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client
}
