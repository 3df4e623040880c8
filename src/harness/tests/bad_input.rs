//! What `hostile.txt` says of PostgreSQL is what a PostgreSQL does.

use std::fs;

use howdah_harness::PostgresServer;
use howdah_harness::group::repository_root;
use howdah_harness::hostile::{Address, Target, cases};

#[test]
fn postgres_answers_hostile_bytes_as_written_down() {
    let server = PostgresServer::start().expect("PostgreSQL starts");
    let mut bystander = server.client("postgres").expect("connects");
    let target = require_passwords(&server);
    let mut wrong = Vec::new();
    for case in cases().expect("the cases can be read") {
        let found = case.play(&target).unwrap_or_else(|error| panic!("{}: {error:#}", case.name));
        if found != case.expected {
            wrong.push((case.name, case.expected, found));
        }
        assert!(bystander.rows("SELECT 1").is_ok());
    }
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        update(&wrong);
    } else {
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

/// From now on the role `hostile` must log in by SCRAM-SHA-256.
fn require_passwords(server: &PostgresServer) -> Target {
    let mut client = server.client("postgres").expect("connects");
    client.rows("CREATE ROLE hostile LOGIN PASSWORD 'secret'").expect("creates");
    let rules = "local all postgres trust\nlocal all all scram-sha-256\n";
    fs::write(server.data_dir().join("pg_hba.conf"), rules).expect("writes");
    client.rows("SELECT pg_reload_conf()").expect("reloads");
    let target = Target {
        address: Address::Unix(server.socket_dir().join(format!(".s.PGSQL.{}", server.port()))),
        user: "hostile".into(),
        password: "secret".into(),
        database: "postgres".into(),
    };
    let asks_for_password = || Target { password: "wrong".into(), ..target.clone() }.client().is_err();
    while !asks_for_password() {
        std::thread::yield_now();
    }
    target
}

fn update(wrong: &[(String, String, String)]) {
    let path = repository_root().join("src/harness/hostile.txt");
    let mut text = fs::read_to_string(&path).expect("reads");
    for (name, _, found) in wrong {
        let start = text.find(&format!("case {name}\n")).expect("the case");
        let expect = start + text[start..].find("\nexpect ").expect("an expectation") + 1;
        let end = expect + text[expect..].find('\n').expect("a line");
        text.replace_range(expect..end, &format!("expect {found}"));
    }
    fs::write(path, text).expect("writes");
}
