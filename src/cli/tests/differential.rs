//! Every script of `src/harness/differential` on a plain PostgreSQL and on server groups: they must agree.

use howdah_harness::PostgresServer;
use howdah_harness::client::Protocol;
use howdah_harness::differential::differences;
use howdah_harness::group::{LocalGroup, Options, repository_root};
use howdah_harness::script::{self, Step, Target};

#[test]
fn a_group_of_32_shards_answers_as_postgres_does() {
    check(32, Protocol::Simple);
}

#[test]
fn a_group_of_8_shards_answers_as_postgres_does_in_the_extended_protocol() {
    check(8, Protocol::Extended);
}

/// One group for all scripts: each begins by dropping what the one before it left.
fn check(shard_count: u32, protocol: Protocol) {
    let plain = PostgresServer::start().expect("a plain PostgreSQL starts");
    let options = Options { shard_count, ..Options::default() };
    let group = LocalGroup::start(env!("CARGO_BIN_EXE_howdah"), &options).expect("the group starts");
    let mut found = Vec::new();
    let mut statements = 0;
    for (name, steps) in scripts() {
        statements += steps.len();
        clear(&plain, &group);
        let plain = || plain.client("postgres");
        let group = || group.connect_superuser();
        match differences(&steps, &plain, &group, protocol) {
            Ok(differences) => found.extend(differences.into_iter().map(|it| format!("{name} {it}"))),
            Err(broken) => found.push(format!("{name}: {broken:#}")),
        }
    }
    assert!(
        400 < statements || std::env::var_os("HOWDAH_SCRIPT").is_some(),
        "only {statements} statements were run"
    );
    assert!(found.is_empty(), "{} of {statements} statements differ:\n{}", found.len(), found.join("\n"));
}

fn clear(plain: &PostgresServer, group: &LocalGroup) {
    const CLEAR: &str = "SELECT string_agg(format('DROP TABLE IF EXISTS %I.%I CASCADE', n.nspname, c.relname), '; ')
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname NOT IN ('information_schema', 'howdah', 'howdah_live')";
    let clients = [plain.client("postgres"), group.connect_superuser()];
    for mut client in clients.into_iter().map(|it| it.expect("a connection")) {
        let drops = client.rows(CLEAR).expect("the tables are listed");
        if let Some(Some(drops)) = drops.first().map(|row| row[0].clone()) {
            for drop in drops.split("; ") {
                client.rows(drop).expect("a table is dropped");
            }
        }
        client
            .rows("DROP SCHEMA IF EXISTS archive CASCADE; DROP ROLE IF EXISTS reader")
            .expect("the rest is dropped");
    }
}

/// The scripts by name, each with the schema of the shop in front. HOWDAH_SCRIPT=05 runs those whose name begins so.
fn scripts() -> Vec<(String, Vec<Step>)> {
    let folder = repository_root().join("src/harness/differential");
    let read = |path: &std::path::Path| {
        let text = std::fs::read_to_string(path).expect("a script is read");
        script::parse(&text).unwrap_or_else(|error| panic!("{}: {error:#}", path.display()))
    };
    let setup = read(&folder.join("setup.sql"));
    let wanted = std::env::var("HOWDAH_SCRIPT").unwrap_or_default();
    let mut scripts: Vec<_> = std::fs::read_dir(&folder)
        .expect("the folder of scripts")
        .map(|entry| entry.expect("a folder entry").path())
        .filter(|path| path.extension().is_some_and(|it| it == "sql") && !path.ends_with("setup.sql"))
        .map(|path| (path.file_name().expect("a file").to_string_lossy().into_owned(), read(&path)))
        .filter(|(name, _)| name.starts_with(&wanted))
        .map(|(name, steps)| (name, setup.iter().cloned().chain(steps).collect()))
        .collect();
    scripts.sort_by(|a: &(String, Vec<Step>), b| a.0.cmp(&b.0));
    scripts
}

#[test]
fn scripts_use_both_targets_and_refusals() {
    let steps: Vec<Step> = scripts().into_iter().flat_map(|(_, steps)| steps).collect();
    assert!(steps.iter().any(|step| step.only == Some(Target::Group)));
    assert!(steps.iter().any(|step| step.expect == script::Expect::Refused));
}
