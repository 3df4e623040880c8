//! What a session keeps and shows: EXPLAIN in every format, EXECUTE, settings made by functions, currval.

use howdah_harness::client::Client;
use howdah_harness::expect::{quoted, rows, run};
use howdah_harness::group::{LocalGroup, Options};

const STATEMENTS: &[&str] = &[
    "SELECT * FROM plans WHERE k = 1",
    "SELECT count(*) FROM plans WHERE v < 'x & \"y\"'",
    "SELECT * FROM plans ORDER BY v LIMIT 3",
    "SELECT k FROM (SELECT k FROM plans OFFSET 0) s JOIN pg_class ON k = relpages",
    "UPDATE plans SET v = 'b' WHERE k = 1",
    "DELETE FROM plans",
];

#[test]
fn sessions() {
    let group =
        LocalGroup::start(env!("CARGO_BIN_EXE_howdah"), &Options { shard_count: 4, ..Default::default() })
            .expect("the group starts");
    let mut client = group.connect().expect("a connection");
    plans_can_be_read(&mut client);
    arguments_are_computed(&mut client);
    settings_of_functions_are_followed(&group);
    sequences_are_remembered(&group);
}

fn plans_can_be_read(client: &mut Client) {
    for sql in [
        "CREATE TABLE plans (k int, v text)",
        "SELECT create_distributed_table('plans', 'k')",
        "INSERT INTO plans SELECT k, 'v' || k FROM generate_series(1, 20) k",
    ] {
        run(client, sql);
    }
    let options = ["", ", VERBOSE", ", COSTS off", ", ANALYZE, BUFFERS, TIMING off, WAL, SETTINGS, SUMMARY"];
    for options in options {
        for statement in STATEMENTS {
            let json = document(client, &format!("EXPLAIN (FORMAT json{options}) {statement}"), 114);
            let parsed = rows(
                client,
                &format!(
                    "SELECT j #>> '{{0,Plan,Custom Plan Provider}}', j #>> '{{0,Plan,Plans,0,Node Type}}' IS NOT NULL FROM (SELECT {}::json) s (j)",
                    quoted(&json)
                ),
            );
            assert_eq!(parsed, [[Some("Howdah".to_owned()), Some("t".to_owned())]], "{statement}\n{json}");
            let xml = document(client, &format!("EXPLAIN (FORMAT xml{options}) {statement}"), 142);
            assert!(xml.contains("<Custom-Plan-Provider>Howdah</Custom-Plan-Provider>"), "{xml}");
            assert!(xml.ends_with("</explain>") && balanced(&xml), "{xml}");
            let yaml = document(client, &format!("EXPLAIN (FORMAT yaml{options}) {statement}"), 25);
            assert!(yaml.starts_with("- Plan: \n    Node Type: \"Custom Scan\"\n"), "{yaml}");
        }
    }
    assert_eq!(
        rows(client, "SELECT count(*) FROM plans"),
        [[Some("0".to_owned())]],
        "ANALYZE of DELETE deletes"
    );
    let insert = "EXPLAIN (FORMAT json) INSERT INTO plans VALUES (1, 'a'), (2, 'b')";
    assert!(document(client, insert, 114).contains("\"Rung\""));
    for sql in ["EXPLAIN (FORMAT toml) SELECT * FROM plans", "EXPLAIN (NONSENSE) SELECT * FROM plans"] {
        let reply = client.simple(sql).expect("an answer");
        assert!(matches!(reply.sqlstate(), "22023" | "42601"), "{sql}: {reply:?}");
    }
    let reply =
        client.run_with("EXPLAIN (FORMAT json) SELECT * FROM plans WHERE k = $1", &["1"]).expect("an answer");
    assert_eq!(reply.error, None);
    assert_eq!(reply.columns[0].type_oid, 114);
}

/// SQL's own EXECUTE of a write: its arguments are PostgreSQL's to compute, and to refuse.
fn arguments_are_computed(client: &mut Client) {
    run(client, "CREATE TABLE loads (k int, n int, v text); SELECT create_distributed_table('loads', 'k')");
    run(
        client,
        "PREPARE put (int, int, text) AS INSERT INTO loads (k, n, v) VALUES ($1, $2, $3) RETURNING k, n, v",
    );
    let executed = [
        ("EXECUTE put (60 + 1, length('abc'), 'a' || 'b')", ["61", "3", "ab"]),
        ("EXECUTE put (CAST('62' AS int), 3.7, upper('x') || ',' || '(')", ["62", "4", "X,("]),
        ("execute put (63, 1, 'it''s')", ["63", "1", "it's"]),
    ];
    for (sql, row) in executed {
        assert_eq!(rows(client, sql), [row.map(|it| Some(it.to_owned()))], "{sql}");
    }
    let failing = [
        ("EXECUTE put (1 / 0, 1, 'x')", "22012"),
        ("EXECUTE put ('a' || 'b', 1, 'x')", "42804"),
        ("EXECUTE put (1 + 1)", "42601"),
    ];
    for (sql, code) in failing {
        assert_eq!(client.simple(sql).expect("an answer").sqlstate(), code, "{sql}");
        run(client, "BEGIN");
        assert_eq!(client.simple(sql).expect("an answer").sqlstate(), code, "{sql}");
        run(client, "ROLLBACK");
    }
    run(client, "PREPARE remove (int[]) AS DELETE FROM loads WHERE k = ANY ($1)");
    let reply = client.simple("EXECUTE remove (ARRAY[61, 62] || 5)").expect("an answer");
    assert_eq!(reply.tags, ["DELETE 2"]);
    let left = rows(client, "SELECT name FROM pg_prepared_statements WHERE from_sql ORDER BY name");
    assert_eq!(left, [[Some("put".to_owned())], [Some("remove".to_owned())]]);
    run(client, "DEALLOCATE ALL");
}

/// A setting that only the body of a function names is in force wherever the session's next statement runs.
fn settings_of_functions_are_followed(group: &LocalGroup) {
    let mut client = group.connect().expect("a connection");
    run(
        &mut client,
        "CREATE FUNCTION become(tenant text) RETURNS void LANGUAGE plpgsql AS
             $$ BEGIN PERFORM set_config('app.tenant', tenant, false); END $$",
    );
    let tenant = "SELECT current_setting('app.tenant', true)";
    let mut others: Vec<Client> = (0..3).map(|_| group.connect().expect("a connection")).collect();
    run(&mut client, "SELECT become('blue')");
    for round in 0..3 {
        // Whoever gets the backend that the function ran on, and whoever does not.
        for other in &mut others {
            run(other, "BEGIN");
            let found = rows(other, tenant);
            assert!(found[0][0].as_deref().unwrap_or_default().is_empty(), "{round}: {found:?}");
        }
        assert_eq!(rows(&mut client, tenant), [[Some("blue".to_owned())]], "{round}");
        others.iter_mut().for_each(|it| run(it, "COMMIT"));
    }
    run(&mut client, "DO $$ BEGIN SET my.color = 'red'; END $$");
    run(&mut others[0], "BEGIN; SELECT 1");
    assert_eq!(rows(&mut client, "SHOW my.color"), [[Some("red".to_owned())]]);
    run(&mut others[0], "COMMIT");
}

/// The last value drawn is the session's own, or not known to it; never another's.
fn sequences_are_remembered(group: &LocalGroup) {
    let mut one = group.connect().expect("a connection");
    let mut other = group.connect().expect("a connection");
    run(&mut one, "CREATE TABLE drawn (id serial, k int); SELECT create_distributed_table('drawn', 'k')");
    // From here on its backend is kept.
    let _ = one.simple("SELECT lastval()").expect("an answer");
    for round in 0..10 {
        let mine = rows(&mut one, "INSERT INTO drawn (k) VALUES (1) RETURNING id");
        run(&mut other, "INSERT INTO drawn (k) VALUES (2)");
        assert_eq!(rows(&mut one, "SELECT currval('drawn_id_seq')"), mine, "{round}");
        assert_eq!(rows(&mut one, "SELECT lastval()"), mine, "{round}");
    }
    // Right behind its INSERT, a session that never asked before is answered as well, whatever others do meanwhile.
    let mut others: Vec<Client> = (0..3).map(|_| group.connect().expect("a connection")).collect();
    for round in 0..10 {
        let mut fresh = group.connect().expect("a connection");
        let mine = rows(&mut fresh, "INSERT INTO drawn (k) VALUES (1) RETURNING id");
        for other in &mut others {
            run(other, "INSERT INTO drawn (k) VALUES (2), (3)");
            run(other, "BEGIN; SELECT count(*) FROM pg_class");
        }
        assert_eq!(rows(&mut fresh, "SELECT lastval()"), mine, "{round}");
        assert_eq!(
            rows(&mut fresh, "SELECT currval(pg_get_serial_sequence('drawn', 'id'))"),
            mine,
            "{round}"
        );
        others.iter_mut().for_each(|it| run(it, "COMMIT"));
    }
    // What a transaction drew is gone with it, and setval moves what comes next.
    run(&mut one, "SELECT setval('drawn_id_seq', 1000)");
    run(&mut other, "BEGIN; INSERT INTO drawn (k) VALUES (1); ROLLBACK");
    let next = "INSERT INTO drawn (k) VALUES (7) RETURNING id";
    assert_eq!(rows(&mut other, next), [[Some("1002".to_owned())]]);
    run(&mut one, "SELECT setval('drawn_id_seq', 5000, false)");
    assert_eq!(rows(&mut other, next), [[Some("5000".to_owned())]]);
    run(&mut one, "ALTER SEQUENCE drawn_id_seq RESTART WITH 7000");
    assert_eq!(rows(&mut other, next), [[Some("7000".to_owned())]]);
    run(&mut one, "TRUNCATE drawn RESTART IDENTITY");
    assert_eq!(rows(&mut other, next), [[Some("1".to_owned())]]);
    let mut third = group.connect().expect("a connection");
    assert_eq!(third.simple("SELECT lastval()").expect("an answer").sqlstate(), "55000", "of nobody else's");
}

fn document(client: &mut Client, sql: &str, type_oid: u32) -> String {
    let reply = client.simple(sql).expect("an answer");
    assert_eq!(reply.error, None, "{sql}");
    assert_eq!((reply.columns[0].name.as_str(), reply.columns[0].type_oid), ("QUERY PLAN", type_oid));
    assert_eq!(reply.rows.len(), 1, "{sql}");
    reply.rows[0][0].clone().expect("a document")
}

/// Every tag that is opened is closed, in order.
fn balanced(xml: &str) -> bool {
    let mut open = Vec::new();
    for tag in xml.split('<').skip(1).filter_map(|it| it.split('>').next()) {
        match tag.strip_prefix('/') {
            Some(name) => {
                if open.pop() != Some(name) {
                    return false;
                }
            }
            None => open.push(tag.split(' ').next().unwrap_or_default()),
        }
    }
    open.is_empty()
}
