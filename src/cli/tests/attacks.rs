//! What an ordinary user tries to get more out of live tables than his rights give, and fails.

use std::thread;
use std::time::Duration;

use howdah_harness::client::{Client, Reply};
use howdah_harness::expect::run;
use howdah_harness::group::{LocalGroup, Options};

#[test]
fn attacks_on_live_tables_do_not_get_in() {
    check(&Options::default());
}

#[test]
fn attacks_on_live_tables_do_not_get_in_on_postgres_18() {
    if let Some(options) = Options::default().on_postgres_18() {
        check(&options);
    }
}

fn check(options: &Options) {
    let group = LocalGroup::start(env!("CARGO_BIN_EXE_howdah"), options).expect("the group starts");
    set_up(&group);
    for attack in ATTACKS {
        attack(&group);
    }
}

const ATTACKS: &[fn(&LocalGroup)] = &[
    a_forged_name_joins_no_transaction,
    a_parallel_worker_sees_its_transaction,
    nobody_becomes_superuser_on_a_worker,
    nobody_becomes_superuser_by_converting_a_table,
    keys_are_asked_for,
    keys_are_not_shown,
    shells_cannot_be_redirected,
    rights_are_checked,
];

/// `loot` is the superuser's, `own` the attacker's.
fn set_up(group: &LocalGroup) {
    let mut superuser = group.connect_superuser().expect("a connection");
    run(&mut superuser, "CREATE TABLE loot (k int PRIMARY KEY, v text)");
    run(&mut superuser, "SELECT create_distributed_table('loot', 'k')");
    run(&mut superuser, "INSERT INTO loot VALUES (1, 'gold'), (2, 'silver')");
    let mut attacker = group.connect().expect("a connection");
    run(&mut attacker, "CREATE TABLE own (k int PRIMARY KEY, v text)");
    run(&mut attacker, "SELECT create_distributed_table('own', 'k')");
    run(&mut attacker, "INSERT INTO own VALUES (1, 'a'), (2, 'b'), (3, 'c')");
    run(
        &mut attacker,
        "CREATE FUNCTION count_own() RETURNS bigint LANGUAGE plpgsql STABLE PARALLEL SAFE
         AS 'BEGIN RETURN (SELECT count(*) FROM own); END'",
    );
}

/// The name by which postgres_fdw introduces itself is everybody's to choose: the caller is known by its process instead.
fn a_forged_name_joins_no_transaction(group: &LocalGroup) {
    let mut victim = group.connect().expect("a connection");
    run(&mut victim, "SET application_name = 'victim'");
    run(&mut victim, "BEGIN");
    run(&mut victim, "INSERT INTO own VALUES (100, 'not yet')");
    assert_eq!(value(&mut victim, "SELECT count_own()"), "4");
    let pid = value(&mut victim, "SELECT pg_backend_pid()");
    for name in ["victim", "postgres_fdw", &pid, &format!("HWDH{pid}"), ""] {
        let mut attacker = group.connect().expect("a connection");
        run(&mut attacker, &format!("SET postgres_fdw.application_name = '{name}'"));
        run(&mut attacker, &format!("SET application_name = '{name}'"));
        assert_eq!(value(&mut attacker, "SELECT count_own()"), "3", "as {name:?}");
        run(&mut attacker, "BEGIN");
        assert_eq!(value(&mut attacker, "SELECT count_own()"), "3", "as {name:?}");
        run(&mut attacker, "ROLLBACK");
    }
    run(&mut victim, "ROLLBACK");
}

/// A parallel worker is a process of its own; it may read less than its leader only if it says so.
fn a_parallel_worker_sees_its_transaction(group: &LocalGroup) {
    let mut client = group.connect().expect("a connection");
    run(&mut client, "CREATE TABLE IF NOT EXISTS numbers AS SELECT generate_series(1, 100) AS i");
    for setting in ["parallel_setup_cost = 0", "parallel_tuple_cost = 0", "min_parallel_table_scan_size = 0"]
    {
        run(&mut client, &format!("SET {setting}"));
    }
    // PostgreSQL 16 gave it another name.
    run(
        &mut client,
        "SELECT set_config(name, 'on', false) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query')",
    );
    run(&mut client, "BEGIN");
    run(&mut client, "INSERT INTO own VALUES (100, 'mine')");
    let reply = simple(&mut client, "SELECT DISTINCT count_own() FROM numbers");
    match &reply.error {
        None => assert_eq!(reply.rows, [[Some("4".to_owned())]]),
        Some(error) => assert_eq!(error.sqlstate, "0A000", "{}", error.message),
    }
    run(&mut client, "ROLLBACK");
    run(&mut client, "DROP TABLE numbers");
}

/// Functions in generated columns, checks and defaults run while rows move, under our functions' superuser rights.
fn nobody_becomes_superuser_by_converting_a_table(group: &LocalGroup) {
    let mut attacker = group.connect().expect("a connection");
    for sql in [
        "CREATE TABLE seen (who text)",
        "CREATE FUNCTION note() RETURNS int LANGUAGE plpgsql
         AS 'BEGIN INSERT INTO public.seen VALUES (current_user); RETURN 1; END'",
        "CREATE FUNCTION pure(int) RETURNS int LANGUAGE plpgsql IMMUTABLE
         AS 'BEGIN IF to_regclass($$public.seen$$) IS NOT NULL THEN PERFORM public.note(); END IF; RETURN $1; END'",
        "CREATE FUNCTION steady() RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN public.pure(1); END'",
        "CREATE TABLE trap (k int PRIMARY KEY, g int GENERATED ALWAYS AS (pure(k)) STORED, CHECK (pure(k) > 0))",
        "INSERT INTO trap (k) VALUES (1), (2)",
        "SELECT create_distributed_table('trap', 'k', colocate_with => 'none')",
        "ALTER TABLE trap ADD COLUMN s int DEFAULT steady()",
        "SELECT alter_distributed_table('trap', shard_count => 2)",
        "SELECT undistribute_table('trap')",
    ] {
        run(&mut attacker, sql);
    }
    assert_eq!(value(&mut attacker, "SELECT bool_and(who = current_user) FROM seen"), "t");
    for sql in ["DROP TABLE trap, seen", "DROP FUNCTION steady, pure, note"] {
        run(&mut attacker, sql);
    }
}

/// Whatever runs on a worker's connection of the session, it is the session's own role that gives it up.
fn nobody_becomes_superuser_on_a_worker(group: &LocalGroup) {
    let mut attacker = group.connect().expect("a connection");
    let me = value(&mut attacker, "SELECT current_user");
    for sql in [
        "SELECT current_user::text FROM own WHERE k = 1",
        "SELECT set_config('role', 'none', false) || current_user FROM own WHERE k = 1",
        "SELECT session_user::text FROM own WHERE k = 1",
    ] {
        let reply = simple(&mut attacker, sql);
        if reply.error.is_none() {
            let found = reply.rows[0][0].clone().unwrap_or_default();
            assert_eq!(found.trim_start_matches("none"), me, "{sql}");
        }
    }
    run(&mut attacker, "BEGIN");
    // Opens the worker connections by the loopback first, where the owner's rights are lent.
    run(&mut attacker, "SELECT count_own()");
    for command in ["RESET ROLE", "SET SESSION AUTHORIZATION DEFAULT", "SET ROLE none", "SET ROLE postgres"] {
        run(&mut attacker, &format!("SELECT run_command_on_workers('{command}')"));
        let users = value(
            &mut attacker,
            "SELECT string_agg(DISTINCT result, ',') FROM run_command_on_workers('SELECT current_user || current_setting(''is_superuser'')')",
        );
        assert_eq!(users, format!("{me}off"), "after {command}");
    }
    run(&mut attacker, "ROLLBACK");
}

fn keys_are_asked_for(group: &LocalGroup) {
    let mut attacker = group.connect().expect("a connection");
    for command in [
        "SELECT key FROM howdah.live_key",
        "SELECT howdah.own(''wrong'', ''postgres'')",
        "SELECT howdah.own(NULL, ''postgres'')",
        "SELECT howdah.open(''wrong'', ''c'', ''SELECT 1'', ''pg_class'')",
        "SELECT howdah.exec(''wrong'', ''SELECT 1'')",
        "SELECT howdah.exec('''', ''ALTER ROLE CURRENT_USER SUPERUSER'')",
        "SELECT howdah.query(''wrong'', ''SELECT 1'')",
        "SELECT howdah.check_key(''wrong'')",
    ] {
        let sql = format!(
            "SELECT count(*) FROM run_command_on_workers('{command}') WHERE NOT success AND result LIKE '%permission denied%'"
        );
        assert_eq!(value(&mut attacker, &sql), "2", "{command}");
    }
    for sql in [
        "SELECT * FROM howdah_live.call WHERE request = '{\"op\": \"exec\", \"group\": 1, \"sql\": \"SELECT 1\"}'",
        "SELECT howdah.call('{\"op\": \"exec\", \"group\": 1, \"sql\": \"SELECT 1\"}')",
        "SELECT * FROM howdah_live.probe",
        "SELECT * FROM howdah.live_key",
        "CREATE FOREIGN TABLE mine (request text, response text) SERVER howdah_loopback OPTIONS (schema_name 'howdah_live', table_name 'call')",
        "CREATE USER MAPPING FOR CURRENT_USER SERVER howdah_loopback",
        "ALTER SERVER howdah_loopback OPTIONS (SET host '/tmp')",
    ] {
        refused(&mut attacker, sql);
    }
}

/// Settings that show parameters of statements, or plans with constants in them, must not show a worker's key.
fn keys_are_not_shown(group: &LocalGroup) {
    let mut superuser = group.connect_superuser().expect("a connection");
    let keys = value(
        &mut superuser,
        "SELECT string_agg(result, ',') FROM run_command_on_workers('SELECT key FROM howdah.live_key')",
    );
    let keys: Vec<&str> = keys.split(',').collect();
    assert_eq!(keys.len(), 2);

    let mut attacker = group.connect().expect("a connection");
    run(&mut attacker, "SET log_parameter_max_length_on_error = -1");
    let next: i64 =
        value(&mut attacker, "SELECT max(shardid) + 1 FROM pg_dist_shard").parse().expect("a number");
    let take = format!(
        "DO 'BEGIN FOR i IN {next}..{next} + 64 LOOP EXECUTE ''CREATE TABLE public.taken_'' || i || '' ()''; END LOOP; END'"
    );
    let take = take.replace('\'', "''");
    run(&mut attacker, &format!("SELECT run_command_on_workers('{take}')"));
    run(&mut attacker, "CREATE TABLE taken (k int)");
    let reply = simple(&mut attacker, "SELECT create_distributed_table('taken', 'k')");
    hides(&reply, &keys);
    assert!(reply.error.is_some(), "the shards' names are taken");

    // Also with what runs on the worker first, and inside a transaction.
    run(&mut attacker, "BEGIN");
    run(
        &mut attacker,
        "SELECT run_command_on_workers('SELECT set_config(''log_parameter_max_length_on_error'', ''-1'', false)')",
    );
    hides(&simple(&mut attacker, "SELECT create_distributed_table('taken', 'k')"), &keys);
    run(&mut attacker, "ROLLBACK");

    let (said, notices) = std::sync::mpsc::channel();
    attacker.send_notices_to(said);
    for setting in ["client_min_messages = debug5", "debug_print_plan = on", "debug_print_parse = on"] {
        run(&mut attacker, &format!("SET {setting}"));
    }
    hides(&simple(&mut attacker, "SELECT count_own()"), &keys);
    thread::sleep(Duration::from_millis(100));
    for notice in notices.try_iter() {
        // A constant of a plan is printed as the numbers of its bytes.
        let bytes =
            keys.iter().map(|it| it.bytes().take(8).map(|it| it.to_string()).collect::<Vec<_>>().join(" "));
        assert!(!bytes.into_iter().any(|it| notice.contains(&it)), "{notice}");
        assert!(!keys.iter().any(|it| notice.contains(it)), "{notice}");
    }
    run(&mut attacker, "SET client_min_messages = notice");
    let activity = "SELECT string_agg(query, '' '') FROM pg_stat_activity";
    hides(&simple(&mut attacker, &format!("SELECT run_command_on_workers('{activity}')")), &keys);
    let prepared = "SELECT string_agg(statement, '' '') FROM pg_prepared_statements";
    hides(&simple(&mut attacker, &format!("SELECT run_command_on_workers('{prepared}')")), &keys);
    run(&mut attacker, "DROP TABLE taken");
}

/// The owner of a shell owns its child as far as ALTER TABLE needs it, but cannot reach it.
fn shells_cannot_be_redirected(group: &LocalGroup) {
    let mut attacker = group.connect().expect("a connection");
    let child = value(&mut attacker, "SELECT 't' || 'own'::regclass::oid");
    let loot = value(&mut attacker, "SELECT 't' || oid FROM pg_class WHERE relname = 'loot'");
    for sql in [
        format!("ALTER FOREIGN TABLE howdah_live.{child} OPTIONS (SET table_name '{loot}')"),
        format!("ALTER FOREIGN TABLE howdah_live.{child} NO INHERIT own"),
        format!("SELECT * FROM howdah_live.{child}"),
        format!("SELECT * FROM howdah_live.{loot}"),
        format!("INSERT INTO howdah_live.{child} VALUES (7, 'x')"),
        format!("DROP FOREIGN TABLE howdah_live.{child}"),
        format!("ALTER FOREIGN TABLE howdah_live.{child} SET SCHEMA public"),
    ] {
        refused(&mut attacker, &sql);
    }
    assert_eq!(value(&mut attacker, "SELECT count(*) FROM own"), "3");
}

fn rights_are_checked(group: &LocalGroup) {
    let mut attacker = group.connect().expect("a connection");
    let shard = value(
        &mut attacker,
        "SELECT 'loot_' || min(s.shardid) FROM pg_dist_shard s JOIN pg_class c ON c.oid = s.logicalrelid WHERE c.relname = 'loot'",
    );
    for sql in [
        "SELECT * FROM loot",
        "SELECT * FROM loot WHERE k = 1",
        "SELECT count(*) FROM loot JOIN own USING (k)",
        "INSERT INTO loot VALUES (3, 'copper')",
        "UPDATE loot SET v = 'lead'",
        "DELETE FROM loot WHERE k = 1",
        "COPY loot TO STDOUT",
        "TRUNCATE loot",
        "DO $$ BEGIN PERFORM count(*) FROM loot; END $$",
        "INSERT INTO own SELECT k + 50, v FROM loot",
    ] {
        refused(&mut attacker, sql);
    }
    let direct =
        format!("SELECT count(*) FROM run_command_on_workers('SELECT v FROM {shard}') WHERE success");
    assert_eq!(value(&mut attacker, &direct), "0");
    let mut superuser = group.connect_superuser().expect("a connection");
    assert_eq!(value(&mut superuser, "SELECT string_agg(v, ' ' ORDER BY k) FROM loot"), "gold silver");
}

/// The statement fails for lack of rights, with PostgreSQL's SQLSTATE for it.
#[track_caller]
fn refused(client: &mut Client, sql: &str) {
    let error = simple(client, sql).error.unwrap_or_else(|| panic!("{sql} was let through"));
    assert_eq!(error.sqlstate, "42501", "{sql}: {}", error.message);
}

#[track_caller]
fn hides(reply: &Reply, keys: &[&str]) {
    let shown = format!("{reply:?}");
    assert!(!keys.iter().any(|it| shown.contains(it)), "{shown}");
}

#[track_caller]
fn value(client: &mut Client, sql: &str) -> String {
    let rows = client.rows(sql).unwrap_or_else(|error| panic!("{sql}: {error:#}"));
    rows.into_iter().next().and_then(|it| it.into_iter().next()).flatten().unwrap_or_default()
}

#[track_caller]
fn simple(client: &mut Client, sql: &str) -> Reply {
    client.simple(sql).unwrap_or_else(|error| panic!("{sql}: {error:#}"))
}
