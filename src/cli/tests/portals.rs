//! Results over several shards that are read in portions: bounded memory, and a session that is free in between.

use howdah_harness::group::{LocalGroup, Options};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

const ROWS: i64 = 1_000_000;
const PORTION: i32 = 5000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_in_portions() {
    let options = Options { shard_count: 8, ..Options::default() };
    let group = LocalGroup::start(env!("CARGO_BIN_EXE_howdah"), &options).expect("the group starts");
    let mut client = connect(&group).await;
    for sql in [
        "CREATE TABLE facts (id int, body text)",
        "SELECT create_distributed_table('facts', 'id')",
        "CREATE TABLE log (id int)",
        "SELECT create_distributed_table('log', 'id')",
    ] {
        run(&client, sql).await;
    }
    for first in (1..=ROWS).step_by(100_000) {
        let rows = format!("SELECT i, repeat('x', 100) FROM generate_series({first}, {}) i", first + 99_999);
        run(&client, &format!("INSERT INTO facts {rows}")).await;
    }
    a_million_rows(&group, &mut client, "SELECT id, body FROM facts", false).await;
    a_million_rows(&group, &mut client, "SELECT id, body FROM facts ORDER BY id", true).await;
    two_at_once(&mut client).await;
    windows(&mut client).await;
    savepoints(&mut client).await;
    without_a_block(&client).await;
}

async fn a_million_rows(group: &LocalGroup, client: &mut Client, sql: &str, ordered: bool) {
    let before = resident(group);
    let transaction = client.transaction().await.expect("a transaction");
    let statement = transaction.prepare(sql).await.expect("a statement");
    let portal = transaction.bind(&statement, &[]).await.expect("a portal");
    let (mut count, mut sum, mut last, mut peak) = (0, 0, 0, before);
    loop {
        let rows = transaction.query_portal(&portal, PORTION).await.expect("a portion");
        for row in &rows {
            let id = row.get::<_, i32>(0);
            assert!(!ordered || last < id, "{last} before {id}");
            last = id;
            sum += i64::from(id);
        }
        count += rows.len() as i64;
        peak = peak.max(resident(group));
        if rows.len() < PORTION as usize {
            break;
        }
    }
    assert_eq!((count, sum), (ROWS, ROWS * (ROWS + 1) / 2));
    assert!(peak < before + (24 << 10), "{sql}: the router grew from {before} to {peak} kB");
    transaction.commit().await.expect("a commit");
}

/// Neither sees what the session writes meanwhile, and both go on over the same connections.
async fn two_at_once(client: &mut Client) {
    let transaction = client.transaction().await.expect("a transaction");
    run_in(&transaction, "INSERT INTO log SELECT generate_series(1, 100)").await;
    let any = transaction.prepare("SELECT id FROM log").await.expect("a statement");
    let ordered = transaction.prepare("SELECT id FROM log ORDER BY id DESC").await.expect("a statement");
    let any = transaction.bind(&any, &[]).await.expect("a portal");
    let ordered = transaction.bind(&ordered, &[]).await.expect("a portal");
    let (mut seen, mut falling) = (Vec::new(), Vec::new());
    for turn in 0..10 {
        let rows = transaction.query_portal(&any, 10).await.expect("a portion");
        seen.extend(rows.iter().map(|it| it.get::<_, i32>(0)));
        let rows = transaction.query_portal(&ordered, 10).await.expect("a portion");
        falling.extend(rows.iter().map(|it| it.get::<_, i32>(0)));
        run_in(&transaction, &format!("INSERT INTO log VALUES ({})", 1000 + turn)).await;
        run_in(&transaction, "UPDATE log SET id = id WHERE id < 0").await;
        let rows = transaction.query("SELECT count(*) FROM log", &[]).await.expect("a count");
        assert_eq!(rows[0].get::<_, i64>(0), 101 + turn);
    }
    seen.sort_unstable();
    assert_eq!(seen, (1..=100).collect::<Vec<_>>());
    assert_eq!(falling, (1..=100).rev().collect::<Vec<_>>());
    for portal in [&any, &ordered] {
        assert_eq!(transaction.query_portal(portal, 10).await.expect("an end").len(), 0);
    }
    transaction.rollback().await.expect("a rollback");
}

async fn windows(client: &mut Client) {
    let transaction = client.transaction().await.expect("a transaction");
    for (sql, expected) in [
        ("SELECT id FROM facts LIMIT 25 OFFSET 5", 25),
        ("SELECT id FROM facts ORDER BY id LIMIT 25 OFFSET 5", 25),
        ("SELECT id FROM facts WHERE id < 0", 0),
        ("SELECT id % 10, count(*) FROM facts GROUP BY 1", 10),
        ("SELECT id, body FROM facts WHERE id <= 30 ORDER BY body, id", 30),
    ] {
        let statement = transaction.prepare(sql).await.expect("a statement");
        let portal = transaction.bind(&statement, &[]).await.expect("a portal");
        let mut sizes = Vec::new();
        while sizes.last().is_none_or(|it| *it == 10) {
            sizes.push(transaction.query_portal(&portal, 10).await.expect("a portion").len());
        }
        assert_eq!(sizes.iter().sum::<usize>(), expected, "{sql}: {sizes:?}");
        // One that is left in the middle is no burden.
        let portal = transaction.bind(&statement, &[]).await.expect("a portal");
        assert_eq!(transaction.query_portal(&portal, 7).await.expect("a portion").len(), expected.min(7));
    }
    transaction.commit().await.expect("a commit");
}

/// Portals of before a savepoint outlive its rollback, those of after do not.
async fn savepoints(client: &mut Client) {
    let mut transaction = client.transaction().await.expect("a transaction");
    let statement = transaction.prepare("SELECT id FROM facts ORDER BY id").await.expect("a statement");
    let older = transaction.bind(&statement, &[]).await.expect("a portal");
    assert_eq!(transaction.query_portal(&older, 2).await.expect("a portion").len(), 2);
    let nested = transaction.savepoint("here").await.expect("a savepoint");
    let younger = nested.bind(&statement, &[]).await.expect("a portal");
    assert_eq!(nested.query_portal(&younger, 2).await.expect("a portion").len(), 2);
    let error = nested.query("SELECT 1 / (id - id) FROM facts", &[]).await.expect_err("a division by zero");
    assert_eq!(error.code(), Some(&SqlState::DIVISION_BY_ZERO));
    nested.rollback().await.expect("a rollback");
    let rows = transaction.query_portal(&older, 2).await.expect("the next portion");
    assert_eq!(rows.iter().map(|it| it.get::<_, i32>(0)).collect::<Vec<_>>(), [3, 4]);
    let error = transaction.query_portal(&younger, 2).await.expect_err("the portal is gone");
    assert_eq!(error.code(), Some(&SqlState::INVALID_CURSOR_NAME));
    transaction.rollback().await.expect("a rollback");
}

/// Then a portal ends with its Sync.
async fn without_a_block(client: &Client) {
    let rows = client.query("SELECT count(*) FROM facts", &[]).await.expect("a count");
    assert_eq!(rows[0].get::<_, i64>(0), ROWS);
    let row = client.query_opt("SELECT id FROM facts WHERE id < 2", &[]).await.expect("one row");
    assert_eq!(row.map(|it| it.get::<_, i32>(0)), Some(1));
}

/// Memory of the router, in kB.
fn resident(group: &LocalGroup) -> u64 {
    group.memory("router").expect("its memory") >> 10
}

async fn run(client: &Client, sql: &str) {
    client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

async fn run_in(transaction: &tokio_postgres::Transaction<'_>, sql: &str) {
    transaction.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

async fn connect(group: &LocalGroup) -> Client {
    let uri = group.superuser_uri.replace("sslmode=require", "sslmode=disable");
    let (client, connection) = tokio_postgres::connect(&uri, NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client
}
