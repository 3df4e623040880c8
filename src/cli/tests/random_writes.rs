//! Random transactions that write, on a plain PostgreSQL and on a server group: the same results, and the same rows in the end.
//!
//! `HOWDAH_RANDOM=<count>` and `HOWDAH_SEED=<seed>` run more or others.

use howdah_harness::PostgresServer;
use howdah_harness::client::{Client, Protocol, Reply};
use howdah_harness::compare::difference;
use howdah_harness::generator::{
    GeneratedStep, Generator, Random, distribute_sql, setup_sql, transaction_setup_sql,
};
use howdah_harness::group::{LocalGroup, Options};

#[test]
fn a_group_writes_random_transactions_as_postgres_does() {
    let number = |variable: &str| std::env::var(variable).ok()?.parse::<u64>().ok();
    let (count, seed) = (number("HOWDAH_RANDOM").unwrap_or(150), number("HOWDAH_SEED").unwrap_or(11));
    let server = PostgresServer::start().expect("a plain PostgreSQL starts");
    let options = Options { shard_count: 8, ..Options::default() };
    let local = LocalGroup::start(env!("CARGO_BIN_EXE_howdah"), &options).expect("the group starts");
    let mut plain = server.client("postgres").expect("a connection");
    let mut group = local.connect().expect("a connection");
    for statement in setup_sql().into_iter().chain(transaction_setup_sql()) {
        plain.rows(&statement).expect("PostgreSQL takes the schema");
        group.rows(&statement).expect("the group takes the schema");
    }
    let distribute = "SELECT create_distributed_table('u1', 'k', colocate_with => 't1')".to_owned();
    for statement in distribute_sql().into_iter().chain([distribute]) {
        group.rows(&statement).expect("the tables can be distributed");
    }
    let mut generator = Generator::new(seed);
    let mut random = Random::new(seed ^ 0x5EED);
    let (mut statements, mut errors) = (0, 0);
    for number in 0..count {
        let steps = generator.next_transaction();
        for (index, step) in steps.iter().enumerate() {
            let protocol = if random.chance(30) { Protocol::Extended } else { Protocol::Simple };
            let expected = run(&mut plain, step, protocol);
            let actual = run(&mut group, step, protocol);
            statements += 1;
            errors += usize::from(expected.error.is_some());
            let differs = difference(&expected, &actual, false).or_else(|| {
                (expected.tags != actual.tags).then(|| format!("{:?}, then {:?}", expected.tags, actual.tags))
            });
            if let Some(differs) = differs {
                panic!("seed {seed}, transaction {number}: {differs}\n{}", listing(&steps[..=index]));
            }
        }
        for table in ["t1", "t2", "t3", "s1", "r1", "r2", "u1", "loc"] {
            let query = format!("SELECT * FROM {table}");
            let read = |client: &mut Client| client.run(&query, Protocol::Simple, None).expect("an answer");
            if let Some(differs) = difference(&read(&mut plain), &read(&mut group), false) {
                panic!("seed {seed}, transaction {number} left {table} with {differs}\n{}", listing(&steps));
            }
        }
    }
    eprintln!("{count} transactions, {statements} statements, {errors} errors");
    assert!(errors * 4 < statements, "{errors} errors of {statements} show little");
}

fn run(client: &mut Client, step: &GeneratedStep, protocol: Protocol) -> Reply {
    let protocol = if step.copy.is_some() { Protocol::Simple } else { protocol };
    client.run(&step.text, protocol, step.copy.as_deref()).expect("the server answers")
}

fn listing(steps: &[GeneratedStep]) -> String {
    steps.iter().map(|it| it.text.as_str()).collect::<Vec<_>>().join(";\n")
}
