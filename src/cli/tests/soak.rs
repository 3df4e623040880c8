//! A hundred clients for a while, with everything that clients do, leaving in the middle of things included: no error that nobody
//! asked for, a router whose memory stays as it is, and nothing left behind on any node.
//!
//! `HOWDAH_SOAK_SECONDS=1200` is the long form.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use howdah_harness::client::{Client, Protocol};
use howdah_harness::generator::Random;
use howdah_harness::group::{LocalGroup, Options};

const CLIENTS: usize = 100;
/// Errors that the load asks for: a key that is there, a division by zero, a deadlock, a timeout.
const EXPECTED: [&str; 4] = ["23505", "22012", "40P01", "57014"];
/// What the router may grow by after its first quarter, in kB.
const GROWTH: u64 = 48 << 10;

#[derive(Default)]
struct Soak {
    over: AtomicBool,
    statements: AtomicUsize,
    errors: Mutex<BTreeMap<String, usize>>,
}

#[test]
fn nothing_grows_and_nothing_is_left() {
    let seconds = std::env::var("HOWDAH_SOAK_SECONDS").ok().and_then(|it| it.parse().ok()).unwrap_or(8);
    let options = Options { shard_count: 8, ..Options::default() };
    let group = LocalGroup::start(env!("CARGO_BIN_EXE_howdah"), &options).expect("the group starts");
    set_up(&group);
    let soak = Arc::new(Soak::default());
    let threads: Vec<_> = (0..CLIENTS).map(|it| client(&group, &soak, it)).collect();
    thread::sleep(Duration::from_secs(seconds).div_f32(4.0));
    let before = router_memory(&group);
    thread::sleep(Duration::from_secs(seconds).mul_f32(0.75));
    let after = router_memory(&group);
    soak.over.store(true, Ordering::Relaxed);
    threads.into_iter().for_each(|it| it.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
    let statements = soak.statements.load(Ordering::Relaxed);
    let errors = soak.errors.lock().expect("nobody panicked").clone();
    eprintln!("{statements} statements, {errors:?}, router {before} kB, then {after} kB");
    assert!(200 < statements, "{statements} statements show little");
    // What is in use at one moment differs from that at another; what leaks grows with the time.
    assert!(after < before + GROWTH, "the router grew from {before} to {after} kB");
    nothing_is_left(&group);
}

fn set_up(group: &LocalGroup) {
    let mut client = group.connect().expect("a connection");
    for sql in [
        "CREATE TABLE items (k int, id int, v int, PRIMARY KEY (k, id))",
        "CREATE TABLE kinds (id int PRIMARY KEY, name text)",
        "CREATE TABLE notes (id serial PRIMARY KEY, note text)",
        "SELECT create_distributed_table('items', 'k')",
        "SELECT create_reference_table('kinds')",
        "INSERT INTO items SELECT i % 50, i, i FROM generate_series(1, 2000) i",
        "INSERT INTO kinds SELECT i, 'kind ' || i FROM generate_series(1, 10) i",
        "CREATE FUNCTION touch(key int) RETURNS bigint LANGUAGE plpgsql AS $$ DECLARE r record; n bigint := 0; BEGIN \
         UPDATE items SET v = v + 1 WHERE k = key AND id < 200; \
         FOR r IN SELECT * FROM items WHERE k = key LOOP n := n + 1; END LOOP; RETURN n; END $$",
    ] {
        client.rows(sql).expect("the schema is made");
    }
}

fn client(group: &LocalGroup, soak: &Arc<Soak>, number: usize) -> thread::JoinHandle<()> {
    let (address, soak) = (group.address().expect("an address"), soak.clone());
    let mut random = Random::new(number as u64);
    thread::spawn(move || {
        let to = format!("{}:{}", address.host, address.port);
        while !soak.over.load(Ordering::Relaxed) {
            let connected = Client::connect_tcp(&to, &address.user, &address.password, &address.database);
            let mut client = connected.expect("a connection");
            for _ in 0..5 + random.below(40) {
                if soak.over.load(Ordering::Relaxed) || random.chance(1) {
                    break;
                }
                work(&mut client, &soak, &mut random);
            }
            // Now and then it leaves without a word, with all that it has open.
            if random.chance(20) {
                leave_in_the_middle(&mut client, &soak, &mut random);
            }
        }
    })
}

fn work(client: &mut Client, soak: &Soak, random: &mut Random) {
    let (k, id, n) = (random.below(50), random.below(100_000), random.below(9));
    let statements: Vec<String> = match random.below(14) {
        0 => vec![format!("SELECT * FROM items WHERE k = {k} AND id < 500")],
        1 => vec![format!("UPDATE items SET v = v + 1 WHERE k = {k} AND id = {k}")],
        2 => vec![format!("INSERT INTO items VALUES ({k}, {id}, {n}), ({n}, {id}, {n})")],
        3 => vec!["SELECT k % 5, count(*), sum(v) FROM items GROUP BY 1 ORDER BY 1".to_owned()],
        4 => vec![format!(
            "SELECT i.id, name FROM items i JOIN kinds ON kinds.id = i.v % 10 ORDER BY i.id LIMIT {n}"
        )],
        5 => vec![format!("SELECT touch({k})")],
        6 => vec![
            "BEGIN".to_owned(),
            format!("UPDATE items SET v = v - 1 WHERE k = {k} AND id < 100"),
            "SAVEPOINT s".to_owned(),
            format!("INSERT INTO items VALUES ({k}, {k}, 1 / ({n} % 2))"),
            "ROLLBACK TO s".to_owned(),
            format!("UPDATE items SET v = v + 1 WHERE k = {n} AND id < 100"),
            "COMMIT".to_owned(),
        ],
        7 => vec![
            "BEGIN ISOLATION LEVEL REPEATABLE READ".to_owned(),
            "DECLARE c CURSOR FOR SELECT * FROM items".to_owned(),
            "FETCH 50 FROM c".to_owned(),
            "SELECT sum(v) FROM items".to_owned(),
            "ROLLBACK".to_owned(),
        ],
        8 => vec![format!("DELETE FROM items WHERE k = {k} AND id > {}", 2000 + id / 2)],
        9 => vec![format!("INSERT INTO notes (note) VALUES ('{n}') RETURNING id")],
        10 => vec![
            "SET statement_timeout = '30ms'".to_owned(),
            "SELECT count(*) FROM items a JOIN items b USING (v)".to_owned(),
            "RESET statement_timeout".to_owned(),
        ],
        11 => vec![format!(
            "SELECT (SELECT count(*) FROM items WHERE v > x.id), name FROM kinds x WHERE id = {n}"
        )],
        12 => vec![
            format!("PREPARE p AS SELECT count(*) FROM items WHERE k = $1"),
            format!("EXECUTE p({k})"),
            "DEALLOCATE p".to_owned(),
        ],
        _ => vec![format!("UPDATE items SET v = v + 1 WHERE id = {k}")],
    };
    let protocol = if random.chance(40) { Protocol::Extended } else { Protocol::Simple };
    for sql in statements {
        run(client, soak, &sql, protocol);
    }
    if random.chance(3) {
        let rows = format!("{k}\t{}\t1\n", 200_000 + random.below(1_000_000));
        let reply = client.run("COPY items FROM STDIN", Protocol::Simple, Some(&rows)).expect("an answer");
        note(soak, "COPY", reply.error.map(|it| (it.sqlstate, it.message)));
    }
}

fn run(client: &mut Client, soak: &Soak, sql: &str, protocol: Protocol) {
    let reply = client.run(sql, protocol, None).unwrap_or_else(|error| panic!("{sql}: {error:#}"));
    let failed = reply.status == b'E';
    note(soak, sql, reply.error.map(|it| (it.sqlstate, it.message)));
    if failed && !sql.starts_with("INSERT") {
        client.simple("ROLLBACK").expect("an answer");
    }
}

fn note(soak: &Soak, sql: &str, error: Option<(String, String)>) {
    soak.statements.fetch_add(1, Ordering::Relaxed);
    let Some((sqlstate, message)) = error else { return };
    // What comes behind an error that ended the transaction.
    let follows = ["3B001", "25P01", "34000", "25P02"].contains(&sqlstate.as_str());
    assert!(follows || EXPECTED.contains(&sqlstate.as_str()), "{sql}: {sqlstate} {message}");
    *soak.errors.lock().expect("nobody panicked").entry(sqlstate).or_default() += 1;
}

fn leave_in_the_middle(client: &mut Client, soak: &Soak, random: &mut Random) {
    let k = random.below(50);
    for sql in [
        "BEGIN".to_owned(),
        format!("INSERT INTO items VALUES ({k}, {}, 0)", 5_000_000 + random.below(1_000_000)),
        "DECLARE c CURSOR FOR SELECT * FROM items".to_owned(),
        "FETCH 3 FROM c".to_owned(),
    ] {
        run(client, soak, &sql, Protocol::Simple);
    }
}

fn router_memory(group: &LocalGroup) -> u64 {
    let pid = group.member("router").expect("a router").pid.expect("it runs");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
    let line = status.lines().find(|it| it.starts_with("VmRSS:")).expect("its memory");
    line.split_whitespace().nth(1).and_then(|it| it.parse().ok()).expect("a number")
}

/// No transaction is open or prepared, nothing is locked, and there are no more connections than pools may have.
fn nothing_is_left(group: &LocalGroup) {
    let deadline = Instant::now() + Duration::from_secs(30);
    let queries = [
        ("prepared transactions", "SELECT count(*) FROM pg_prepared_xacts", 0),
        (
            "open transactions",
            "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'",
            0,
        ),
        (
            "statements",
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() AND backend_type = 'client backend'",
            0,
        ),
        (
            "locks",
            "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity USING (pid) WHERE l.locktype = 'relation' AND pid <> pg_backend_pid() AND backend_type = 'client backend'",
            0,
        ),
        ("connections", "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'", 110),
    ];
    for node in ["coordinator", "w0", "w1"] {
        let mut client = group.connect_member(node, "postgres").expect("a connection to the node");
        for (what, query, most) in queries {
            loop {
                let rows = client.rows(query).expect("a count");
                let count: i64 = rows[0][0].as_deref().and_then(|it| it.parse().ok()).expect("a number");
                if count <= most {
                    break;
                }
                assert!(Instant::now() < deadline, "{count} {what} are left on {node}");
                thread::sleep(Duration::from_millis(300));
            }
        }
    }
}
