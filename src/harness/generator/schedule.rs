//! Random schedules: the statements of two or three sessions, interleaved. Which of them wait for which, and what each answers, is
//! defined by PostgreSQL's rules.
//!
//! Left out is what these rules leave open, and what a server group documents as its own: a schedule has one session at most that
//! writes to many rows by one statement (such statements take turns on a group), and their conditions are on columns that never change.

use super::{Generator, Random};

/// The next statement of one of the sessions.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ScheduledStep {
    pub session: usize,
    pub text: String,
}

/// `v` changes, nothing else does; `k` distributes.
pub fn schedule_setup_sql() -> Vec<String> {
    const SQL: [&str; 7] = [
        "CREATE TABLE sh (k int PRIMARY KEY, g int, v int)",
        "CREATE TABLE re (id int PRIMARY KEY, v int)",
        "CREATE TABLE lo (id int PRIMARY KEY, v int)",
        "CREATE FUNCTION sh_bump(key int) RETURNS int LANGUAGE plpgsql AS \
         $$ DECLARE n int; BEGIN UPDATE sh SET v = v + 100 WHERE k = key RETURNING v INTO n; RETURN n; END $$",
        "CREATE FUNCTION sh_sum() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT sum(v) FROM sh); END $$",
        "CREATE FUNCTION sh_move(a int, b int) RETURNS void LANGUAGE plpgsql AS $$ BEGIN UPDATE sh SET v = v - 1 WHERE k = a; \
         UPDATE sh SET v = v + 1 WHERE k = b; END $$",
        "CREATE VIEW sh_re AS SELECT k, sh.v + re.v AS v FROM sh JOIN re ON id = g",
    ];
    SQL.iter().map(|it| (*it).to_owned()).collect()
}

/// What every schedule begins with.
pub const SCHEDULE_ROWS: [&str; 6] = [
    "DELETE FROM sh",
    "DELETE FROM re",
    "DELETE FROM lo",
    "INSERT INTO sh SELECT i, i % 3, i * 10 FROM generate_series(1, 9) i",
    "INSERT INTO re SELECT i, i * 1000 FROM generate_series(0, 3) i",
    "INSERT INTO lo SELECT i, i FROM generate_series(1, 3) i",
];

impl Generator {
    /// The steps of two or three sessions.
    pub fn next_schedule(&mut self) -> Vec<ScheduledStep> {
        let random = &mut self.random;
        let sessions = 2 + random.below(2);
        let wide = random.below(2 * sessions);
        let mut rest: Vec<Vec<String>> =
            (0..sessions).map(|it| transaction(random, it, it == wide)).collect();
        let mut steps = Vec::new();
        while rest.iter().any(|it| !it.is_empty()) {
            let session = random.below(sessions);
            // Some run a few statements at once.
            for _ in 0..1 + random.below(2) {
                if !rest[session].is_empty() {
                    steps.push(ScheduledStep { session, text: rest[session].remove(0) });
                }
            }
        }
        steps
    }
}

fn transaction(random: &mut Random, session: usize, wide: bool) -> Vec<String> {
    if random.chance(10) {
        return (0..1 + random.below(3)).map(|_| statement(random, session, wide)).collect();
    }
    let begin = match random.below(5) {
        0 | 1 => "BEGIN ISOLATION LEVEL REPEATABLE READ",
        _ => "BEGIN",
    };
    let mut statements = vec![begin.to_owned()];
    if random.chance(15) {
        statements.push("SET LOCAL lock_timeout = '400ms'".to_owned());
    }
    for _ in 0..2 + random.below(4) {
        if random.chance(15) {
            statements.push("SAVEPOINT a".to_owned());
            statements.push(statement(random, session, wide));
            if random.chance(60) {
                statements.push("ROLLBACK TO SAVEPOINT a".to_owned());
            }
        } else {
            statements.push(statement(random, session, wide));
        }
    }
    statements.push(if random.chance(75) { "COMMIT" } else { "ROLLBACK" }.to_owned());
    statements
}

fn statement(random: &mut Random, session: usize, wide: bool) -> String {
    let (k, other, n) = (1 + random.below(5), 1 + random.below(9), 1 + random.below(5));
    let new = 20 + session * 10 + random.below(5);
    match random.below(if wide { 24 } else { 20 }) {
        0..=3 => format!("UPDATE sh SET v = v + {n} WHERE k = {k}"),
        4 => format!("UPDATE sh SET v = v * 2 WHERE k = {k} AND v > {} RETURNING v", n * 10),
        5 => format!("DELETE FROM sh WHERE k = {other}"),
        6 => format!("INSERT INTO sh VALUES ({new}, 1, {n})"),
        7 => format!(
            "INSERT INTO sh VALUES ({k}, 1, {n}) ON CONFLICT (k) DO UPDATE SET v = sh.v + excluded.v RETURNING v"
        ),
        8 => format!("INSERT INTO sh VALUES ({}, 2, {n})", 50 + n),
        9 => format!("SELECT * FROM sh WHERE k = {k} FOR UPDATE"),
        10 => format!("SELECT * FROM sh WHERE k = {k} FOR UPDATE NOWAIT"),
        11 => format!("SELECT * FROM sh WHERE k = {k} FOR SHARE SKIP LOCKED"),
        12 => "SELECT * FROM sh ORDER BY k".to_owned(),
        13 => "SELECT sum(v), count(*), (SELECT max(v) FROM re) FROM sh".to_owned(),
        14 => "SELECT sh_sum(), (SELECT sum(v) FROM lo)".to_owned(),
        15 => format!("SELECT sh_bump({k})"),
        16 => format!("UPDATE re SET v = v + {n} WHERE id = {}", n % 3),
        17 => "SELECT * FROM sh_re ORDER BY k".to_owned(),
        18 => format!("UPDATE lo SET v = v + 1 WHERE id = {}", 1 + n % 3),
        19 => format!("SELECT sh_move({k}, {other})"),
        20 => format!("UPDATE sh SET v = v + 1 WHERE g = {}", n % 3),
        21 => format!("DELETE FROM sh WHERE g = {} AND k < 9", n % 3),
        22 => format!("SELECT k, v FROM sh WHERE k IN ({k}, {other}) ORDER BY k FOR UPDATE"),
        _ => format!("UPDATE sh SET v = sh.v + re.v FROM re WHERE re.id = sh.g AND sh.g = {}", n % 3),
    }
}
