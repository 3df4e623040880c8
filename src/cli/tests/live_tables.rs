//! Live tables on a real group: the ways in that must stay closed, one snapshot a statement under concurrent commits, and the
//! backends that no session owns. What they answer is compared with PostgreSQL by the differential script of the same name.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use howdah_harness::client::{Client, Reply};
use howdah_harness::group::{LocalGroup, Options};

#[test]
fn live_tables_on_a_real_group() {
    check(&Options { shard_count: 8, ..Options::default() });
}

/// postgres_fdw numbers its cursors and words its statements as it likes in every major version.
#[test]
fn live_tables_on_postgres_18() {
    if let Some(options) = (Options { shard_count: 8, ..Options::default() }).on_postgres_18() {
        check(&options);
    }
}

fn check(options: &Options) {
    let group = LocalGroup::start(env!("CARGO_BIN_EXE_howdah"), options).expect("the group starts");
    set_up(&group);
    a_forged_application_name_joins_nobody(&group);
    a_parallel_worker_reads_in_its_leaders_transaction(&group);
    an_immutable_function_gains_no_role(&group);
    code_of_a_tables_owner_runs_with_his_rights_only(&group);
    the_child_and_its_requests_are_out_of_reach(&group);
    the_functions_of_workers_want_the_key(&group);
    the_key_is_in_no_error(&group);
    a_backend_without_session_reads_and_never_writes(&group);
    one_statement_reads_one_snapshot(&group);
    statements_of_a_function_follow_commits(&group);
    a_timeout_ends_the_work_on_the_workers(&group);
    a_procedure_commits_and_rolls_back_by_itself(&group);
    a_rejected_copy_changes_nothing(&group);
    cursor_numbers_order_statements(&group);
    a_new_router_serves_old_backends(&group);
}

fn set_up(group: &LocalGroup) {
    let mut superuser = group.connect_superuser().expect("a connection");
    for sql in ["CREATE ROLE mallory LOGIN PASSWORD 'm'", "GRANT CREATE ON SCHEMA public TO mallory"] {
        succeeds(&mut superuser, sql);
    }
    let mut client = group.connect().expect("a connection");
    for sql in [
        "CREATE TABLE events (tenant_id int, id int, v int, name text, PRIMARY KEY (tenant_id, id))",
        "SELECT create_distributed_table('events', 'tenant_id')",
        "INSERT INTO events SELECT i % 4, i, i, 'n' || i FROM generate_series(1, 100) i",
        "CREATE FUNCTION total() RETURNS bigint LANGUAGE plpgsql AS 'DECLARE s bigint; BEGIN SELECT sum(v) INTO s FROM events; RETURN s; END'",
        "CREATE FUNCTION nap(seconds float8) RETURNS int LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(seconds); RETURN 1; END'",
        "CREATE TABLE codes (code int PRIMARY KEY, name text)",
        "SELECT create_reference_table('codes')",
    ] {
        succeeds(&mut client, sql);
    }
    assert_eq!(value(&mut client, "SELECT total()"), "5050");
}

/// `postgres_fdw.application_name` is anybody's to set; the kernel's word on the peer is not.
fn a_forged_application_name_joins_nobody(group: &LocalGroup) {
    let mut victim = group.connect().expect("a connection");
    succeeds(&mut victim, "BEGIN");
    succeeds(&mut victim, "INSERT INTO events VALUES (1, 5000, 1000000, 'secret')");
    let pid = value(&mut victim, "SELECT pg_backend_pid() + total() * 0");
    let mut attacker = group.connect().expect("a connection");
    succeeds(&mut attacker, &format!("SET postgres_fdw.application_name = 'howdah/{pid}'"));
    assert_eq!(value(&mut attacker, "SELECT total()"), "5050");
    assert_eq!(value(&mut victim, "SELECT total()"), "1005050");
    succeeds(&mut victim, "ROLLBACK");
}

fn a_parallel_worker_reads_in_its_leaders_transaction(group: &LocalGroup) {
    let mut client = group.connect().expect("a connection");
    for sql in [
        "CREATE TABLE numbers AS SELECT a FROM generate_series(1, 20000) a",
        "CREATE FUNCTION below(i int) RETURNS bigint LANGUAGE plpgsql STABLE PARALLEL SAFE AS
            'BEGIN RETURN (SELECT count(*) FROM events WHERE id <= i OR id = 777); END'",
        "SET min_parallel_table_scan_size = 0",
        "SET parallel_setup_cost = 0",
        "SET parallel_tuple_cost = 0",
        "BEGIN",
        "INSERT INTO events VALUES (7, 777, 1)",
    ] {
        succeeds(&mut client, sql);
    }
    let plan = client.rows("EXPLAIN SELECT sum(below(a)) FROM numbers WHERE a < 5").expect("a plan");
    let plan: String = plan.into_iter().flatten().flatten().collect();
    assert!(plan.contains("Parallel"), "{plan}");
    assert_eq!(value(&mut client, "SELECT sum(below(a)) FROM numbers WHERE a < 5"), "14");
    succeeds(&mut client, "ROLLBACK");
    assert_eq!(value(&mut client, "SELECT sum(below(a)) FROM numbers WHERE a < 5"), "10");
}

/// On a connection of a superuser with SET ROLE this would have made one of an ordinary user.
fn an_immutable_function_gains_no_role(group: &LocalGroup) {
    let mut client = mallory(group);
    succeeds(
        &mut client,
        "CREATE FUNCTION escape() RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT set_config('role', 'none', false); SELECT 1 $$",
    );
    for sql in ["CREATE TABLE mine (k int, v int)", "SELECT create_distributed_table('mine', 'k')"] {
        succeeds(&mut client, sql);
    }
    let _ = client.simple("SELECT count(*) FROM mine WHERE v >= escape()");
    for query in ["SELECT count(*) FROM pg_authid", "SELECT count(*) FROM events"] {
        assert_eq!(sqlstate(&mut client, query), "42501", "{query}");
    }
    assert_eq!(value(&mut client, "SELECT current_user"), "mallory");
}

/// Index expressions are folded when a query is planned, CHECK constraints run with a write: as the owner, never as more.
fn code_of_a_tables_owner_runs_with_his_rights_only(group: &LocalGroup) {
    let mut client = mallory(group);
    let trap = "BEGIN IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN RAISE EXCEPTION 'trapped'; END IF; RETURN i; END";
    for sql in [
        "CREATE FUNCTION harmless(i int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN i; END'".to_owned(),
        "CREATE TABLE trap (k int, v int, CHECK (harmless(v) IS NOT NULL))".to_owned(),
        "CREATE INDEX ON trap ((v + harmless(1)))".to_owned(),
        "INSERT INTO trap SELECT i, i FROM generate_series(1, 20) i".to_owned(),
        format!("CREATE OR REPLACE FUNCTION harmless(i int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS '{}'", trap.replace('\'', "''")),
        "SELECT create_distributed_table('trap', 'k')".to_owned(),
        "GRANT SELECT ON trap TO PUBLIC".to_owned(),
        "CREATE FUNCTION count_trap() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM trap WHERE v > 0); END'".to_owned(),
    ] {
        succeeds(&mut client, &sql);
    }
    assert_eq!(value(&mut client, "SELECT count_trap()"), "20");
    // What a superuser reads he plans on the coordinator with his own rights, as on any PostgreSQL.
    let mut reader = group.connect().expect("a connection");
    assert_eq!(value(&mut reader, "SELECT count_trap()"), "20");
}

fn the_child_and_its_requests_are_out_of_reach(group: &LocalGroup) {
    let mut client = mallory(group);
    let child = value(&mut client, "SELECT 't' || 'mine'::regclass::oid");
    for sql in [
        format!("SELECT * FROM howdah_live.{child}"),
        format!("INSERT INTO howdah_live.{child} VALUES (1, 1)"),
        format!("ALTER FOREIGN TABLE howdah_live.{child} OPTIONS (SET table_name 't1')"),
        format!("ALTER TABLE howdah_live.{child} RENAME TO x"),
        format!("DROP FOREIGN TABLE howdah_live.{child}"),
        "SELECT * FROM howdah_live.call WHERE request = '{}'".to_owned(),
        "SELECT * FROM howdah_live.probe".to_owned(),
        "SELECT * FROM howdah_live.boundary".to_owned(),
        "SELECT howdah.begin_write()".to_owned(),
        r#"SELECT howdah.call('{"op":"exec","group":1,"sql":"ALTER ROLE mallory SUPERUSER"}')"#.to_owned(),
        "SELECT howdah.forward('codes', ARRAY['DELETE FROM howdah_reference'], NULL, NULL)".to_owned(),
        "SELECT howdah.attach_live('mine')".to_owned(),
        "SELECT howdah.detach_live('mine')".to_owned(),
        "CREATE FOREIGN TABLE stolen (a int) SERVER howdah_loopback OPTIONS (schema_name 'howdah_live', table_name 't1')".to_owned(),
        "CREATE USER MAPPING FOR mallory SERVER howdah_loopback OPTIONS (user 'postgres')".to_owned(),
        "ALTER SERVER howdah_loopback OPTIONS (SET host '/tmp')".to_owned(),
    ] {
        assert_eq!(sqlstate(&mut client, &sql), "42501", "{sql}");
    }
    // The owner may change his table, and the child follows.
    succeeds(&mut client, "ALTER TABLE mine ADD COLUMN w int DEFAULT 3");
    assert_eq!(value(&mut client, "SELECT count(w) FROM mine"), "0");
}

fn the_functions_of_workers_want_the_key(group: &LocalGroup) {
    let mut client = worker(group, "mallory");
    for sql in [
        "SELECT howdah.open('x', 'c', 'SELECT * FROM pg_authid', 'pg_catalog.pg_authid')",
        "SELECT howdah.open_locking(NULL, 'c', 'SELECT * FROM pg_authid', 'pg_catalog.pg_authid')",
        "SELECT howdah.write('x', ARRAY['ALTER ROLE mallory SUPERUSER'], 'pg_catalog.pg_authid')",
        "SELECT howdah.write_returning('x', ARRAY['DELETE FROM pg_catalog.pg_authid RETURNING *'], 'pg_catalog.pg_authid')",
        "SELECT howdah.exec('', 'ALTER ROLE mallory SUPERUSER')",
        "SELECT howdah.query('x', 'SELECT 1')",
        "SELECT howdah.forward('x', ARRAY['SELECT 1'], 'pg_catalog.pg_authid', 1, NULL)",
        "SELECT howdah.own('x', 'postgres')",
        "SELECT howdah.check_key('x')",
        "SELECT key FROM howdah.live_key",
        "UPDATE howdah.live_key SET key = 'x'",
        "SELECT howdah_owner.exec_10('ALTER ROLE mallory SUPERUSER')",
        "SELECT howdah_owner.returning_10('DELETE FROM pg_catalog.pg_authid RETURNING *')",
    ] {
        assert_eq!(sqlstate(&mut client, sql), "42501", "{sql}");
    }
    // Nor does the way that is meant for users' commands lead there.
    let mut client = mallory(group);
    for command in
        ["SELECT key FROM howdah.live_key", "ALTER ROLE mallory SUPERUSER", "COMMIT", "SELECT 1; SELECT 2"]
    {
        let sql = format!("SELECT bool_or(success) FROM run_command_on_workers('{command}')");
        assert_eq!(value(&mut client, &sql), "f", "{command}");
    }
    let while_reading = "SELECT e.id, (SELECT count(*) FROM run_command_on_workers('SELECT ' || e.id)) FROM events e WHERE total() > 0";
    let mut owner = group.connect().expect("a connection");
    let reply = owner.simple(while_reading).expect("an answer");
    assert_eq!(reply.error.map(|it| it.sqlstate).as_deref(), Some("0A000"));
}

/// Parameters of a failed statement are part of its error's context if a user asks for it.
fn the_key_is_in_no_error(group: &LocalGroup) {
    let mut superuser = worker(group, "postgres");
    let key = value(&mut superuser, "SELECT key FROM howdah.live_key");
    let mut client = group.connect().expect("a connection");
    let (sender, notices) = std::sync::mpsc::channel();
    client.send_notices_to(sender);
    for setting in [
        "SET log_parameter_max_length_on_error = -1",
        "SET client_min_messages = debug5",
        "SET debug_print_plan = on",
    ] {
        let _ = client.simple(setting);
    }
    let reply = client.simple("SELECT sum(1 / (v - 50)) FROM events WHERE total() > 0").expect("an answer");
    assert!(reply.error.is_some());
    assert!(!format!("{reply:?}").contains(&key));
    drop(client);
    assert!(notices.iter().all(|it| !it.contains(&key)));
}

/// An administrator on the coordinator's own socket, autovacuum, a job of the database.
fn a_backend_without_session_reads_and_never_writes(group: &LocalGroup) {
    let mut client = member(group, "coordinator", "postgres");
    assert_eq!(value(&mut client, "SELECT total()"), "5050");
    succeeds(&mut client, "BEGIN");
    succeeds(&mut client, "SAVEPOINT a");
    assert_eq!(value(&mut client, "SELECT count(*) FROM events"), "100");
    succeeds(&mut client, "ROLLBACK TO a");
    assert_eq!(value(&mut client, "SELECT count(*) FROM events"), "100");
    succeeds(&mut client, "COMMIT");
    let child = value(&mut client, "SELECT 'howdah_live.t' || 'events'::regclass::oid");
    assert_eq!(sqlstate(&mut client, &format!("INSERT INTO {child} (tenant_id, id) VALUES (1, 1)")), "0A000");
    assert_eq!(sqlstate(&mut client, &format!("UPDATE {child} SET v = 0")), "0A000");
    assert_eq!(sqlstate(&mut client, "DELETE FROM events"), "0A000");
    assert_eq!(sqlstate(&mut client, &format!("SELECT count(*) FROM {child}")), "0A000");
    succeeds(&mut client, "ANALYZE events");
}

/// Somebody writes all the time; the sum never changes within a statement.
fn one_statement_reads_one_snapshot(group: &LocalGroup) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = group.connect().expect("a connection");
            while !done.load(Ordering::Relaxed) {
                succeeds(&mut client, "UPDATE events SET v = v + 1 WHERE tenant_id = 2 AND id = 2");
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let found = same_in_all_scans(group);
        done.store(true, Ordering::Relaxed);
        assert_eq!(found, ["t", "t"]);
    });
}

fn same_in_all_scans(group: &LocalGroup) -> Vec<String> {
    let mut client = group.connect().expect("a connection");
    for method in ["hashjoin", "mergejoin", "material", "memoize"] {
        succeeds(&mut client, &format!("SET enable_{method} = off"));
    }
    let statements = [
        // Two scans with time between them.
        "SELECT a.s = b.s FROM (SELECT sum(v) s FROM events) a, LATERAL (SELECT nap(0.4) + a.s * 0 AS n) p,
            LATERAL (SELECT sum(v) s FROM events WHERE p.n IS NOT NULL) b",
        // One scan, opened again for each row.
        "SELECT count(DISTINCT s) = 1 FROM (SELECT nap(0.1), (SELECT sum(v) FROM events x WHERE x.id >= g * 0) s
            FROM generate_series(1, 5) g) q",
    ];
    statements.iter().map(|it| value(&mut client, it)).collect()
}

fn statements_of_a_function_follow_commits(group: &LocalGroup) {
    let mut client = group.connect().expect("a connection");
    succeeds(
        &mut client,
        "CREATE FUNCTION seen_twice() RETURNS bigint LANGUAGE plpgsql AS
            'DECLARE a bigint; b bigint; BEGIN SELECT sum(v) INTO a FROM events; PERFORM pg_sleep(1); SELECT sum(v) INTO b FROM events; RETURN b - a; END'",
    );
    let add = |group: &LocalGroup| {
        std::thread::sleep(Duration::from_millis(400));
        let mut writer = group.connect().expect("a connection");
        succeeds(&mut writer, "UPDATE events SET v = v + 7 WHERE tenant_id = 3 AND id = 3");
    };
    for (begin, difference) in [("BEGIN", "7"), ("BEGIN ISOLATION LEVEL REPEATABLE READ", "0")] {
        succeeds(&mut client, begin);
        std::thread::scope(|scope| {
            scope.spawn(|| add(group));
            assert_eq!(value(&mut client, "SELECT seen_twice()"), difference, "{begin}");
        });
        succeeds(&mut client, "COMMIT");
    }
    assert_eq!(sqlstate_in(&mut client, &["BEGIN ISOLATION LEVEL SERIALIZABLE"], "SELECT total()"), "0A000");
}

fn a_timeout_ends_the_work_on_the_workers(group: &LocalGroup) {
    let mut client = group.connect().expect("a connection");
    succeeds(&mut client, "SET statement_timeout = '500ms'");
    let endless = "SELECT count(*) FROM (SELECT total() FROM events a, events b, events c, events d) q";
    assert_eq!(sqlstate(&mut client, endless), "57014");
    succeeds(&mut client, "RESET statement_timeout");
    assert_eq!(value(&mut client, "SELECT count(*) FROM events WHERE total() > 0"), "100");
}

fn a_procedure_commits_and_rolls_back_by_itself(group: &LocalGroup) {
    let mut client = group.connect().expect("a connection");
    succeeds(
        &mut client,
        "CREATE PROCEDURE steps() LANGUAGE plpgsql AS 'BEGIN
            INSERT INTO codes VALUES (1); PERFORM total(); COMMIT; INSERT INTO codes VALUES (2); ROLLBACK; INSERT INTO codes VALUES (3); END'",
    );
    succeeds(&mut client, "CALL steps()");
    assert_eq!(copies(&mut client), ["1,3"; 3]);
    let fails = "DO $$ BEGIN INSERT INTO codes VALUES (4); COMMIT; INSERT INTO codes VALUES (5); PERFORM 1 / 0; END $$";
    assert_eq!(sqlstate(&mut client, fails), "22012");
    assert_eq!(copies(&mut client), ["1,3,4"; 3]);
    for node in ["coordinator", "w0", "w1"] {
        assert_eq!(
            value(&mut member(group, node, "postgres"), "SELECT count(*) FROM pg_prepared_xacts"),
            "0",
            "{node}"
        );
    }
}

fn a_rejected_copy_changes_nothing(group: &LocalGroup) {
    let mut client = group.connect().expect("a connection");
    assert_eq!(sqlstate(&mut client, "INSERT INTO codes VALUES (10), (3)"), "23505");
    succeeds(&mut client, "BEGIN");
    succeeds(&mut client, "INSERT INTO codes VALUES (20)");
    succeeds(&mut client, "SAVEPOINT a");
    succeeds(&mut client, "UPDATE codes SET code = code + 100, name = 'it''s \\ %'");
    succeeds(&mut client, "DELETE FROM codes WHERE code = 120");
    succeeds(&mut client, "ROLLBACK TO a");
    succeeds(&mut client, "COMMIT");
    assert_eq!(copies(&mut client), ["1,3,4,20"; 3]);
}

/// The rule of snapshots builds on it: postgres_fdw numbers a statement's cursors when the statement starts. The probe's own
/// number is the boundary.
fn cursor_numbers_order_statements(group: &LocalGroup) {
    let mut client = group.connect().expect("a connection");
    for sql in [
        "BEGIN",
        "DECLARE early CURSOR FOR SELECT sum(v) FROM events WHERE total() > 0",
        "UPDATE events SET v = v + 1000000 WHERE tenant_id = 1 AND id = 1",
        "DECLARE late CURSOR FOR SELECT sum(v) FROM events WHERE total() > 0",
    ] {
        succeeds(&mut client, sql);
    }
    let late: i64 = value(&mut client, "FETCH late").parse().expect("a number");
    let early: i64 = value(&mut client, "FETCH early").parse().expect("a number");
    assert_eq!(late - early, 1_000_000);
    succeeds(&mut client, "ROLLBACK");
}

/// Backends outlive routers, and so do their loopback connections' ends: the next statement opens a new one.
fn a_new_router_serves_old_backends(group: &LocalGroup) {
    let mut backend = member(group, "coordinator", "postgres");
    let before = value(&mut backend, "SELECT total()");
    group.howdah(&["kill", "router"]).expect("the router is killed");
    let after = (0..100).find_map(|_| {
        std::thread::sleep(Duration::from_millis(100));
        let reply = backend.simple("SELECT total()").expect("an answer");
        reply.rows.into_iter().next()?.into_iter().next()?
    });
    assert_eq!(after, Some(before));
}

/// The codes in each copy of the reference table.
fn copies(client: &mut Client) -> Vec<String> {
    let sql = "SELECT result FROM run_command_on_placements('codes', 'SELECT string_agg(code::text, '','' ORDER BY code) FROM %s')";
    client.rows(sql).expect("the copies").into_iter().flatten().flatten().collect()
}

fn mallory(group: &LocalGroup) -> Client {
    let address = group.address().expect("an address");
    Client::connect_tcp(&format!("{}:{}", address.host, address.port), "mallory", "m", &address.database)
        .expect("a connection")
}

fn worker(group: &LocalGroup, user: &str) -> Client {
    member(group, "w0", user)
}

/// A connection to a node's own socket, past the router.
fn member(group: &LocalGroup, name: &str, user: &str) -> Client {
    group.connect_member(name, user).expect("a connection")
}

fn run(client: &mut Client, sql: &str) -> Reply {
    client.simple(sql).unwrap_or_else(|error| panic!("{sql}: {error:#}"))
}

fn succeeds(client: &mut Client, sql: &str) {
    let reply = run(client, sql);
    assert!(reply.error.is_none(), "{sql}: {:?}", reply.error);
}

fn value(client: &mut Client, sql: &str) -> String {
    let reply = run(client, sql);
    assert!(reply.error.is_none(), "{sql}: {:?}", reply.error);
    reply.rows.into_iter().flatten().next().flatten().unwrap_or_default()
}

fn sqlstate(client: &mut Client, sql: &str) -> String {
    run(client, sql).error.map(|it| it.sqlstate).unwrap_or_else(|| "00000".to_owned())
}

/// The SQLSTATE of a statement in a block that is rolled back.
fn sqlstate_in(client: &mut Client, before: &[&str], sql: &str) -> String {
    before.iter().for_each(|it| succeeds(client, it));
    let found = sqlstate(client, sql);
    succeeds(client, "ROLLBACK");
    found
}
