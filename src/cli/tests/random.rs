//! Random SELECTs on a plain PostgreSQL and on a server group with the same rows: no difference.
//!
//! Each query runs in one of the ways an application may run it: in the simple or the extended protocol, in a
//! transaction with writes that are not committed, inside a PL/pgSQL function. `HOWDAH_RANDOM=<count>` and
//! `HOWDAH_SEED=<seed>` run more or other queries.

use howdah_harness::PostgresServer;
use howdah_harness::client::{Client, Protocol};
use howdah_harness::compare::difference;
use howdah_harness::generator::{GeneratedQuery, Generator, Random, distribute_sql, setup_sql};
use howdah_harness::group::{LocalGroup, Options};

/// Runs any query inside of a function, each row as JSON.
const FUNCTION: &str = "CREATE FUNCTION rows_of(query text) RETURNS SETOF jsonb LANGUAGE plpgsql AS \
     $$ BEGIN RETURN QUERY EXECUTE format('SELECT to_jsonb(it) FROM (%s) AS it', query); END $$";

#[test]
fn a_group_answers_random_queries_as_postgres_does() {
    let count = number("HOWDAH_RANDOM").unwrap_or(300);
    let seed = number("HOWDAH_SEED").unwrap_or(7);
    let mut servers = Servers::start(seed);
    for _ in 0..count.div_ceil(BATCH) {
        servers.batch();
    }
    servers.report(seed);
}

/// Queries between two transactions.
const BATCH: u64 = 20;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

struct Servers {
    plain: Client,
    group: Client,
    generator: Generator,
    random: Random,
    compared: usize,
    /// Queries that fail on both, and rows of the others: a comparison of nothing shows nothing.
    errors: usize,
    rows: usize,
    failed: Vec<String>,
    /// What this transaction, or this batch, has run so far.
    done: Vec<String>,
    _running: (PostgresServer, LocalGroup),
}

impl Servers {
    fn start(seed: u64) -> Self {
        let server = PostgresServer::start().expect("a plain PostgreSQL starts");
        let options = Options { shard_count: 8, ..Options::default() };
        let local = LocalGroup::start(env!("CARGO_BIN_EXE_howdah"), &options).expect("the group starts");
        let mut plain = server.client("postgres").expect("a connection");
        let mut group = local.connect().expect("a connection");
        let setup = setup_sql().into_iter().chain([FUNCTION.to_owned()]);
        for statement in setup {
            plain.rows(&statement).expect("PostgreSQL takes the schema");
            group.rows(&statement).expect("the group takes the schema");
        }
        for statement in distribute_sql() {
            group.rows(&statement).expect("the tables can be distributed");
        }
        Self {
            plain,
            group,
            generator: Generator::new(seed),
            random: Random::new(seed ^ 0x5EED),
            compared: 0,
            errors: 0,
            rows: 0,
            failed: Vec::new(),
            done: Vec::new(),
            _running: (server, local),
        }
    }

    /// Some queries, one time in three in a transaction after writes, which is rolled back or committed.
    fn batch(&mut self) {
        let in_transaction = self.random.chance(33);
        self.done.clear();
        if in_transaction {
            self.both("BEGIN");
        }
        for index in 0..BATCH {
            if in_transaction && index % 5 == 0 {
                let write = self.generator.next_write();
                self.both(&write);
            }
            self.query(in_transaction);
        }
        if in_transaction {
            let end = *self.random.pick(&["ROLLBACK", "ROLLBACK", "COMMIT"]);
            self.both(end);
        }
    }

    /// A statement that must say the same on both.
    fn both(&mut self, statement: &str) {
        self.done.push(statement.to_owned());
        let expected = self.plain.simple(statement).expect("PostgreSQL answers");
        let actual = self.group.simple(statement).expect("the group answers");
        if expected.tags != actual.tags {
            self.failed.push(format!(
                "{statement}\n  {:?}, then {:?} {:?}",
                expected.tags, actual.tags, actual.error
            ));
        }
    }

    fn query(&mut self, in_transaction: bool) {
        let mut query = self.generator.next_select();
        let protocol = match self.random.below(3) {
            0 => Protocol::Extended,
            _ => Protocol::Simple,
        };
        if self.random.chance(20) {
            let text = query.text.replace('\'', "''");
            query =
                GeneratedQuery { text: format!("SELECT * FROM rows_of('{text}')"), ordered: query.ordered };
        }
        // An error must not end the transaction of the queries that follow.
        let savepoint = |client: &mut Client, statement: &str| {
            if in_transaction {
                client.simple(statement).expect("the server answers");
            }
        };
        savepoint(&mut self.plain, "SAVEPOINT query");
        savepoint(&mut self.group, "SAVEPOINT query");
        let expected = self.plain.run(&query.text, protocol, None).expect("PostgreSQL answers");
        let actual = self.group.run(&query.text, protocol, None).unwrap_or_else(|broken| {
            let (earlier, done) = (self.failed.join("\n\n"), self.done.join("\n"));
            panic!("{protocol:?}: {broken:#}\nafter:\n{done}\nfailed before: {earlier}")
        });
        if expected.error.is_some() || actual.error.is_some() {
            savepoint(&mut self.plain, "ROLLBACK TO SAVEPOINT query");
            savepoint(&mut self.group, "ROLLBACK TO SAVEPOINT query");
        }
        self.compared += 1;
        self.errors += usize::from(expected.error.is_some());
        self.rows += expected.rows.len();
        self.done.push(format!("{protocol:?} {}", query.text));
        if let Some(difference) = difference(&expected, &actual, query.ordered) {
            let place = if in_transaction { " in a transaction" } else { "" };
            self.failed.push(format!("{}\n  {protocol:?}{place}: {difference}", query.text));
        }
    }

    fn report(self, seed: u64) {
        let shown: Vec<&str> = self.failed.iter().take(10).map(String::as_str).collect();
        let (failed, compared, errors, rows) = (self.failed.len(), self.compared, self.errors, self.rows);
        eprintln!("{compared} queries, {errors} errors, {rows} rows");
        assert!(errors * 10 < compared && compared < rows, "{errors} errors and {rows} rows show little");
        assert!(
            self.failed.is_empty(),
            "seed {seed}: {failed} of {compared} differ:\n{}",
            shown.join("\n\n")
        );
    }
}
