//! The bank: sessions move money between accounts on different shards, readers sum it up. No reader ever sees money that is
//! under way, whichever rung its statement runs on; whatever is killed meanwhile, in the end none is lost or doubled.
//!
//! `HOWDAH_BANK_SECONDS=<seconds>` runs longer than CI does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use howdah_harness::client::{Client, Protocol};
use howdah_harness::generator::Random;
use howdah_harness::group::{LocalGroup, Options};

const ACCOUNTS: usize = 64;
const TOTAL: i64 = 6400;
const TELLERS: usize = 16;
const RECOVERY_DEADLINE: Duration = Duration::from_secs(90);

/// Statements each of which reads all accounts, some more than once: every row of every answer says the total in each column.
const SUMS: [&str; 14] = [
    "SELECT sum(balance) FROM accounts",
    "SELECT sum(balance), sum(balance + 0) FROM accounts WHERE id > 0",
    "SELECT sum(balance) FROM (SELECT balance FROM accounts ORDER BY balance LIMIT 1000) s",
    "SELECT (SELECT sum(balance) FROM accounts), (SELECT sum(balance) FROM accounts WHERE id <> 0)",
    "WITH a AS MATERIALIZED (SELECT balance FROM accounts), b AS MATERIALIZED (SELECT balance FROM accounts) \
     SELECT (SELECT sum(balance) FROM a), (SELECT sum(balance) FROM b)",
    "SELECT sum(a.balance), sum(b.balance) FROM accounts a JOIN accounts b ON a.id = 65 - b.id",
    "SELECT total_of_plpgsql()",
    "SELECT total_of_sql(), total_of_sql()",
    "SELECT * FROM twice()",
    "SELECT sum(balance), (SELECT max(total_of_sql()) FROM accounts WHERE id = 1) FROM accounts",
    "SELECT sum(balance), min(all_of_it) FROM accounts, LATERAL (SELECT sum(balance) AS all_of_it FROM accounts) it",
    "SELECT * FROM total_of_loop()",
    "SELECT total FROM totals",
    "SELECT sum(balance) OVER () FROM accounts ORDER BY id LIMIT 1",
];

const SET_UP: [&str; 10] = [
    "CREATE TABLE accounts (id int PRIMARY KEY, balance int NOT NULL)",
    "SELECT create_distributed_table('accounts', 'id')",
    "INSERT INTO accounts SELECT id, 100 FROM generate_series(1, 64) id",
    "CREATE TABLE slips (number int PRIMARY KEY, teller int NOT NULL)",
    "CREATE FUNCTION total_of_plpgsql() RETURNS bigint LANGUAGE plpgsql AS \
     $$ DECLARE s bigint; BEGIN SELECT sum(balance) INTO s FROM accounts; RETURN s; END $$",
    "CREATE FUNCTION total_of_sql() RETURNS bigint LANGUAGE sql STABLE AS $$ SELECT sum(balance) FROM accounts $$",
    "CREATE FUNCTION twice(OUT a bigint, OUT b bigint) LANGUAGE plpgsql STABLE AS \
     $$ BEGIN SELECT sum(balance) INTO a FROM accounts; SELECT sum(balance) INTO b FROM accounts; END $$",
    "CREATE FUNCTION total_of_loop() RETURNS bigint LANGUAGE plpgsql AS $$ DECLARE r record; s bigint := 0; \
     BEGIN FOR r IN SELECT * FROM accounts ORDER BY id LOOP s := s + r.balance; END LOOP; RETURN s; END $$",
    "CREATE VIEW totals AS SELECT sum(balance) AS total FROM accounts",
    "CREATE TABLE copies (copy int, id int, balance int)",
];

struct Bank {
    closed: AtomicBool,
    transfers: AtomicUsize,
    sums: AtomicUsize,
    /// Whether connections may break and statements fail.
    is_shaky: bool,
}

#[test]
fn no_statement_sees_money_under_way() {
    let group = open_bank();
    let bank = Arc::new(Bank::new(false));
    let tellers = (0..TELLERS).map(|it| teller(&group, &bank, it));
    let readers = (0..3).map(|it| reader(&group, &bank, it)).chain([account_in_blocks(&group, &bank)]);
    let threads: Vec<_> = tellers.chain(readers).collect();
    thread::sleep(seconds(15));
    bank.close(threads);
    balance_the_books(&group);
}

#[test]
fn whatever_is_killed_no_money_is_lost() {
    let group = open_bank();
    let bank = Arc::new(Bank::new(true));
    let tellers = (0..TELLERS).map(|it| teller(&group, &bank, it));
    let threads: Vec<_> = tellers.chain((0..2).map(|it| reader(&group, &bank, it))).collect();
    let mut random = Random::new(7);
    let end = Instant::now() + seconds(20);
    while Instant::now() < end {
        thread::sleep(Duration::from_millis(1000 + random.below(3000) as u64));
        let victim = *random.pick(&["w0", "w1", "router", "coordinator"]);
        group.howdah(&["kill", victim]).unwrap_or_else(|error| panic!("{victim}: {error:#}"));
    }
    bank.close(threads);
    balance_the_books(&group);
}

fn seconds(default: u64) -> Duration {
    let wanted = std::env::var("HOWDAH_BANK_SECONDS").ok().and_then(|it| it.parse().ok());
    Duration::from_secs(wanted.unwrap_or(default))
}

fn open_bank() -> LocalGroup {
    let options = Options { shard_count: 8, ..Options::default() };
    let group = LocalGroup::start(env!("CARGO_BIN_EXE_howdah"), &options).expect("the group starts");
    let mut client = group.connect().expect("a connection");
    for sql in SET_UP {
        client.rows(sql).expect("the bank opens");
    }
    client.rows("SELECT create_distributed_table('copies', 'copy')").expect("the bank opens");
    group
}

impl Bank {
    fn new(is_shaky: bool) -> Self {
        Self { closed: false.into(), transfers: 0.into(), sums: 0.into(), is_shaky }
    }

    fn is_open(&self) -> bool {
        !self.closed.load(Ordering::Relaxed)
    }

    fn close(&self, threads: Vec<JoinHandle<()>>) {
        self.closed.store(true, Ordering::Relaxed);
        for thread in threads {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
        let (transfers, sums) = (self.transfers.load(Ordering::Relaxed), self.sums.load(Ordering::Relaxed));
        eprintln!("{transfers} transfers, {sums} sums");
        assert!(20 < transfers && 0 < sums, "{transfers} transfers and {sums} sums show little");
    }

    /// Serves one customer after the other; a broken connection is replaced where such things happen.
    fn work(
        self: Arc<Self>,
        connect: impl Fn() -> anyhow::Result<Client>,
        mut serve: impl FnMut(&mut Client) -> anyhow::Result<()>,
    ) {
        let mut client = None;
        while self.is_open() {
            let served = match &mut client {
                Some(client) => serve(client),
                None => connect().map(|it| client = Some(it)),
            };
            if let Err(error) = served {
                assert!(self.is_shaky, "{error:#}");
                client = None;
                thread::sleep(Duration::from_millis(50));
            }
        }
    }
}

fn connector(group: &LocalGroup) -> impl Fn() -> anyhow::Result<Client> + Send + 'static {
    let address = group.address().expect("an address");
    move || {
        let to = format!("{}:{}", address.host, address.port);
        Client::connect_tcp(&to, &address.user, &address.password, &address.database)
    }
}

/// Moves money, in transactions of all shapes, and keeps a slip of each transfer in the coordinator's own table.
fn teller(group: &LocalGroup, bank: &Arc<Bank>, number: usize) -> JoinHandle<()> {
    let (connect, bank) = (connector(group), bank.clone());
    let mut random = Random::new(number as u64);
    let mut slip = number * 1_000_000;
    thread::spawn(move || {
        bank.clone().work(connect, |client| {
            let (from, to) = (1 + random.below(ACCOUNTS), 1 + random.below(ACCOUNTS));
            let amount = random.below(50);
            slip += 1;
            let sql = match random.below(4) {
                0 => vec![
                    "BEGIN".to_owned(),
                    format!("UPDATE accounts SET balance = balance - {amount} WHERE id = {from}"),
                    format!("UPDATE accounts SET balance = balance + {amount} WHERE id = {to}"),
                    "COMMIT".to_owned(),
                ],
                1 => vec![
                    "BEGIN".to_owned(),
                    format!("UPDATE accounts SET balance = balance - {amount} WHERE id = {from}"),
                    format!("INSERT INTO slips VALUES ({slip}, {number})"),
                    format!("UPDATE accounts SET balance = balance + {amount} WHERE id = {to}"),
                    "COMMIT".to_owned(),
                ],
                2 => vec![format!(
                    "UPDATE accounts SET balance = balance + CASE id WHEN {from} THEN -{amount} ELSE {amount} END \
                     WHERE id IN ({from}, {to}) AND {from} <> {to}"
                )],
                _ => vec![format!(
                    "DO $$ BEGIN UPDATE accounts SET balance = balance - {amount} WHERE id = {from}; \
                     UPDATE accounts SET balance = balance + {amount} WHERE id = {to}; END $$"
                )],
            };
            for statement in &sql {
                let reply = client.simple(statement)?;
                match &reply.error {
                    None => {}
                    // They may meet in any order.
                    Some(error) if error.sqlstate == "40P01" => {
                        client.simple("ROLLBACK")?;
                        return Ok(());
                    }
                    Some(error) => anyhow::bail!("{statement}: {error:?}"),
                }
            }
            bank.transfers.fetch_add(1, Ordering::Relaxed);
            Ok(())
        });
    })
}

/// Sums by every kind of statement, alone and in transactions of both isolation levels.
fn reader(group: &LocalGroup, bank: &Arc<Bank>, number: usize) -> JoinHandle<()> {
    let (connect, bank) = (connector(group), bank.clone());
    let mut random = Random::new(1000 + number as u64);
    thread::spawn(move || {
        bank.clone().work(connect, |client| {
            let begin = match random.below(4) {
                0 => Some("BEGIN"),
                1 => Some("BEGIN ISOLATION LEVEL REPEATABLE READ"),
                _ => None,
            };
            if let Some(begin) = begin {
                client.rows(begin)?;
            }
            for _ in 0..1 + random.below(3) {
                let sql = *random.pick(&SUMS);
                let protocol = if random.chance(40) { Protocol::Extended } else { Protocol::Simple };
                let reply = client.run(sql, protocol, None)?;
                if let Some(error) = reply.error {
                    anyhow::bail!("{sql}: {error:?}");
                }
                let wrong: Vec<_> =
                    reply.rows.iter().flatten().filter(|it| it.as_deref() != Some("6400")).collect();
                assert!(
                    wrong.is_empty() && !reply.rows.is_empty(),
                    "in {begin:?} {protocol:?} {sql}: {:?}",
                    reply.rows
                );
                bank.sums.fetch_add(1, Ordering::Relaxed);
            }
            if begin.is_some() {
                client.rows("COMMIT")?;
            }
            Ok(())
        });
    })
}

/// Rows as they are: in and out of order, by cursors, COPY and INSERT … SELECT, beside writes of the same transaction.
fn account_in_blocks(group: &LocalGroup, bank: &Arc<Bank>) -> JoinHandle<()> {
    let (connect, bank) = (connector(group), bank.clone());
    let mut random = Random::new(99);
    let mut copy = 0;
    thread::spawn(move || {
        bank.clone().work(connect, |client| {
            copy += 1;
            let (what, found) = match random.below(6) {
                0 => ("rows", sum(&client.rows("SELECT balance FROM accounts")?)),
                1 => (
                    "sorted rows",
                    sum(&client.rows("SELECT balance, id FROM accounts ORDER BY balance, id")?),
                ),
                2 => {
                    client.rows("BEGIN")?;
                    client.rows("UPDATE accounts SET balance = balance + 1000 WHERE id = 5")?;
                    let found = sum(&client.rows("SELECT balance FROM accounts")?) - 1000;
                    client.rows("ROLLBACK")?;
                    ("rows beside a write", found)
                }
                3 => {
                    client.rows("BEGIN")?;
                    client.rows("DECLARE c CURSOR FOR SELECT balance FROM accounts")?;
                    let mut rows = client.rows("FETCH 10 FROM c")?;
                    thread::sleep(Duration::from_millis(5));
                    rows.extend(client.rows("FETCH ALL FROM c")?);
                    client.rows("COMMIT")?;
                    ("a cursor", sum(&rows))
                }
                4 => {
                    let reply = client.simple("COPY accounts TO STDOUT")?;
                    let lines = String::from_utf8(reply.copied)?;
                    let balance = |line: &str| line.split('\t').nth(1).and_then(|it| it.parse::<i64>().ok());
                    ("COPY", lines.lines().filter_map(balance).sum())
                }
                _ => {
                    client.rows(&format!(
                        "INSERT INTO copies SELECT {copy} + id % 3, id, balance FROM accounts"
                    ))?;
                    let found = sum(&client.rows("SELECT balance FROM copies")?);
                    client.rows("DELETE FROM copies")?;
                    ("INSERT … SELECT", found)
                }
            };
            assert_eq!(found, TOTAL, "by {what}");
            bank.sums.fetch_add(1, Ordering::Relaxed);
            Ok(())
        });
    })
}

fn sum(rows: &[Vec<Option<String>>]) -> i64 {
    rows.iter().map(|row| row[0].as_deref().and_then(|it| it.parse::<i64>().ok()).expect("a balance")).sum()
}

/// All is there, once, and nothing is under way.
fn balance_the_books(group: &LocalGroup) {
    let prepared =
        "SELECT nodeid, result FROM run_command_on_all_nodes('SELECT count(*) FROM pg_prepared_xacts')";
    let deadline = Instant::now() + RECOVERY_DEADLINE;
    let check = || -> anyhow::Result<()> {
        let mut client = group.connect_superuser()?;
        let total = client.rows("SELECT sum(balance), count(*) FROM accounts")?;
        assert_eq!(total, [[Some("6400".to_owned()), Some("64".to_owned())]], "in the end");
        let rows = client.rows(prepared)?;
        anyhow::ensure!(rows.len() == 3 && rows.iter().all(|row| row[1].as_deref() == Some("0")), "{rows:?}");
        Ok(())
    };
    while let Err(error) = check() {
        assert!(Instant::now() < deadline, "{error:#}");
        thread::sleep(Duration::from_millis(300));
    }
}
