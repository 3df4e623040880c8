//! kill -9 of every process at every step of a distributed commit: afterwards each transaction is whole or absent,
//! an acknowledged one is whole, and no prepared transaction is left anywhere.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use howdah_harness::client::{Client, Reply};
use howdah_harness::group::{LocalGroup, Options};

const POINTS: [&str; 5] =
    ["before_prepare", "between_prepares", "after_prepares", "after_decision", "between_commits"];
const VICTIMS: [&str; 4] = ["w0", "w1", "coordinator", "router"];

/// Recovery by the next statement of a node, or within a minute at the latest.
const RECOVERY_DEADLINE: Duration = Duration::from_secs(90);
const PAUSE_DEADLINE: Duration = Duration::from_secs(30);

#[test]
fn a_transaction_is_whole_or_absent_whatever_dies_during_its_commit() {
    let group =
        LocalGroup::start(env!("CARGO_BIN_EXE_howdah"), &Options::default()).expect("the group starts");
    set_up(&group);
    let cases = POINTS.into_iter().flat_map(|point| VICTIMS.map(|victim| (point, victim)));
    for (number, (point, victim)) in cases.enumerate() {
        check(&group, i32::try_from(number).expect("few cases") + 1, point, victim);
    }
}

fn set_up(group: &LocalGroup) {
    let mut client = group.connect_superuser().expect("a connection");
    for sql in [
        "CREATE TABLE ledger (account int, round int, amount int, PRIMARY KEY (account, round))",
        "SELECT create_distributed_table('ledger', 'account')",
        "CREATE TABLE rounds (round int PRIMARY KEY)",
    ] {
        client.rows(sql).expect("the schema is made");
    }
}

fn check(group: &LocalGroup, round: i32, point: &'static str, victim: &str) {
    let case = format!("{victim} killed at {point}");
    let mut client = group.connect_superuser().unwrap_or_else(|error| panic!("{case}: {error:#}"));
    let (paused, pauses) = mpsc::channel();
    client.send_notices_to(paused);
    let committer = thread::spawn(move || write_and_commit(&mut client, round, point));
    let pause =
        pauses.recv_timeout(PAUSE_DEADLINE).unwrap_or_else(|_| panic!("{case}: the commit never paused"));
    assert_eq!(pause, format!("paused at {point}"), "{case}");
    group.howdah(&["kill", victim]).unwrap_or_else(|error| panic!("{case}: {error:#}"));
    let outcome = committer.join().expect("the committing thread ends");
    let acknowledged = outcome.is_ok_and(|reply| reply.error.is_none());
    let rows = rows_of_round(group, round, &case);
    assert!(rows == 0 || rows == 41, "{case}: the transaction is torn, {rows} of 41 rows");
    assert!(rows == 41 || !acknowledged, "{case}: an acknowledged commit is lost");
    nothing_stays_prepared(group, &case);
}

/// Forty rows over all shards and one row on the coordinator, in one transaction.
fn write_and_commit(client: &mut Client, round: i32, point: &str) -> anyhow::Result<Reply> {
    client.rows("BEGIN")?;
    client.rows(&format!("INSERT INTO ledger SELECT i, {round}, i FROM generate_series(1, 40) i"))?;
    client.rows(&format!("INSERT INTO rounds VALUES ({round})"))?;
    client.rows(&format!("SET howdah.pause_at = '{point}'"))?;
    client.simple("COMMIT")
}

/// Rows of the round everywhere, as soon as the group answers again.
fn rows_of_round(group: &LocalGroup, round: i32, case: &str) -> i64 {
    let sql = format!(
        "SELECT (SELECT count(*) FROM ledger WHERE round = {round}) + (SELECT count(*) FROM rounds WHERE round = {round})"
    );
    let answer = eventually(case, || {
        let rows = group.connect_superuser()?.rows(&sql)?;
        Ok(rows[0][0].clone())
    });
    answer.and_then(|count| count.parse().ok()).expect("a count")
}

fn nothing_stays_prepared(group: &LocalGroup, case: &str) {
    let prepared =
        "SELECT nodeid, result FROM run_command_on_all_nodes('SELECT count(*) FROM pg_prepared_xacts')";
    eventually(case, || {
        let rows = group.connect_superuser()?.rows(prepared)?;
        anyhow::ensure!(rows.len() == 3 && rows.iter().all(|row| row[1].as_deref() == Some("0")), "{rows:?}");
        Ok(())
    });
}

/// What `attempt` gives once it succeeds; the group may be restarting.
fn eventually<T>(case: &str, attempt: impl Fn() -> anyhow::Result<T>) -> T {
    let deadline = Instant::now() + RECOVERY_DEADLINE;
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(error) if Instant::now() > deadline => panic!("{case}: {error:#}"),
            Err(_) => thread::sleep(Duration::from_millis(200)),
        }
    }
}
