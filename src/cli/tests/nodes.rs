//! Servers become nodes: `citus_add_node` brings everything that a node must have, or says what is wrong and leaves no trace.

use howdah_harness::PostgresServer;
use howdah_harness::client::{Client, ServerError};
use howdah_harness::expect::run;
use howdah_harness::group::{LocalGroup, Options};

#[test]
fn a_server_becomes_a_node_with_all_that_it_must_have() {
    let parameters = vec![("TimeZone".to_owned(), "UTC".to_owned())];
    let options = Options { workers: 1, shard_count: 8, parameters, ..Options::default() };
    let group = LocalGroup::start(env!("CARGO_BIN_EXE_howdah"), &options).expect("the group starts");
    let mut client = group.connect_superuser().expect("a connection");
    run(&mut client, OBJECTS);
    what_is_not_alike_is_refused(&mut client);
    let server = server(ALIKE);
    a_failure_leaves_no_trace(&mut client, &server);
    add(&mut client, &server);
    it_has_all_objects(&mut client, &server);
    it_is_added_once(&mut client, &server);
    it_is_used(&mut client);
    it_leaves_only_without_shards(&mut client, &server);
    it_comes_back(&mut client, &server);
    writers_meet_a_new_node(&group, &mut client, &server);
}

/// What is asked for beyond what every server here has.
const ALIKE: &[(&str, &str)] = &[("wal_level", "logical"), ("max_prepared_transactions", "50")];
const LOCALE: &[(&str, &str)] = &[("lc_monetary", "C"), ("lc_numeric", "C"), ("lc_time", "C")];

fn server(settings: &[(&str, &str)]) -> PostgresServer {
    let server = PostgresServer::start_with(&[settings, LOCALE].concat()).expect("a server starts");
    let mut client = server.client("postgres").expect("a connection");
    run(&mut client, "CREATE DATABASE app TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'");
    server
}

fn address(server: &PostgresServer) -> String {
    format!("'{}', {}", server.socket_dir().display(), server.port())
}

fn add(client: &mut Client, server: &PostgresServer) -> String {
    value(client, &format!("SELECT citus_add_node({})", address(server)))
}

fn what_is_not_alike_is_refused(client: &mut Client) {
    let refused = |client: &mut Client, server: &PostgresServer, detail: &str| {
        let error = error(client, &format!("SELECT citus_add_node({})", address(server)));
        assert_eq!(error.sqlstate, "55000", "{error:?}");
        assert!(error.detail.contains(detail), "{error:?}");
        assert_eq!(value(client, "SELECT count(*) FROM pg_dist_node"), "2");
    };
    let other = server(&[("wal_level", "logical")]);
    refused(client, &other, "max_prepared_transactions is 0");
    let other = server(&[("max_prepared_transactions", "50")]);
    refused(client, &other, "wal_level is replica");
    let other = server(&[
        ("wal_level", "logical"),
        ("max_prepared_transactions", "50"),
        ("IntervalStyle", "iso_8601"),
    ]);
    refused(client, &other, "IntervalStyle is \"iso_8601\"");
    let other = PostgresServer::start_with(ALIKE).expect("a server starts");
    let missing = error(client, &format!("SELECT citus_add_node({})", address(&other)));
    assert_eq!(
        (missing.sqlstate.as_str(), missing.message.contains("database \"app\" does not exist")),
        ("3D000", true),
        "{missing:?}"
    );
    run(
        &mut other.client("postgres").expect("a connection"),
        "CREATE DATABASE app TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'",
    );
    refused(client, &other, "but the coordinator's is C");
    let nobody = error(client, "SELECT citus_add_node('/nowhere', 1)");
    assert_eq!(nobody.sqlstate, "08001");
    assert_eq!(
        error(&mut *client, "SELECT citus_add_node('x', 1, noderole => 'secondary')").sqlstate,
        "0A000"
    );
}

fn a_failure_leaves_no_trace(client: &mut Client, server: &PostgresServer) {
    let mut there = server.client("app").expect("a connection");
    // A type of that name with another shape, which a table needs.
    run(&mut there, "CREATE TYPE mood AS ENUM ('other'); CREATE TABLE moods (m mood)");
    let error = error(client, &format!("SELECT citus_add_node({})", address(server)));
    assert!(error.message.contains("cannot make type public.mood on the node"), "{error:?}");
    assert_eq!(value(client, "SELECT count(*) FROM pg_dist_node"), "2");
    assert_eq!(value(&mut there, "SELECT count(*) FROM pg_namespace WHERE nspname ~ 'howdah'"), "0");
    assert_eq!(
        value(&mut there, "SELECT count(*) FROM pg_roles WHERE rolname IN ('reader', 'team', 'citus')"),
        "0"
    );
    assert_eq!(value(&mut there, "SELECT count(*) FROM pg_prepared_xacts"), "0");
    run(&mut there, "DROP TABLE moods; DROP TYPE mood");
}

fn it_has_all_objects(client: &mut Client, server: &PostgresServer) {
    let mut there = server.client("app").expect("a connection");
    for (sql, wanted) in [
        ("SELECT rolpassword ~ '^SCRAM' FROM pg_authid WHERE rolname = 'reader'", "t"),
        ("SELECT pg_has_role('reader', 'team', 'MEMBER')", "t"),
        (
            "SELECT setconfig FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = setrole WHERE rolname = 'reader'",
            "{\"search_path=\\\"my data\\\", public\",work_mem=7MB}",
        ),
        (
            "SELECT extversion = (SELECT default_version FROM pg_available_extensions WHERE name = 'hstore') FROM pg_extension WHERE extname = 'hstore'",
            "t",
        ),
        ("SELECT nspowner::regrole FROM pg_namespace WHERE nspname = 'my data'", "reader"),
        ("SELECT has_schema_privilege('team', 'my data', 'USAGE')", "t"),
        ("SELECT string_agg(enumlabel, ' ' ORDER BY enumsortorder) FROM pg_enum", "sad ok"),
        ("SELECT 5::small", "5"),
        ("SELECT twice(ROW(4, 'ok')::pair)", "8"),
        ("SELECT collisdeterministic FROM pg_collation WHERE collname = 'caseless'", "f"),
        ("SELECT lower(span '[1.5,2]')", "1.5"),
        ("SELECT has_function_privilege('team', 'twice(pair)', 'EXECUTE')", "f"),
        (
            "SELECT string_agg(c.relname, ' ' ORDER BY c.relname) FROM pg_class c WHERE relname ~ '^(codes|places)_[0-9]+$'",
            "codes_102008 places_102009",
        ),
        ("SELECT count(*) || ' ' || sum(double) FROM codes_102008", "1200 1441200"),
        ("SELECT count(*) FROM places_102009 JOIN codes_102008 ON code = codes_102008.id", "3"),
        (
            "SELECT convalidated FROM pg_constraint WHERE conrelid = 'places_102009'::regclass AND contype = 'f'",
            "t",
        ),
        ("SELECT relowner::regrole FROM pg_class WHERE relname = 'codes_102008'", "reader"),
    ] {
        assert_eq!(value(&mut there, sql), wanted, "{sql}");
    }
    assert_eq!(
        value(client, "SELECT count(*) FROM pg_dist_placement WHERE shardid IN (102008, 102009)"),
        "6"
    );
}

fn it_is_added_once(client: &mut Client, server: &PostgresServer) {
    let first = value(client, "SELECT max(nodeid) FROM pg_dist_node");
    assert_eq!(add(client, server), first);
    let directory = server.socket_dir().display();
    let again = error(client, &format!("SELECT citus_add_node('{directory}/', 5432)"));
    assert!(again.detail.contains("is node") && again.detail.contains("already"), "{again:?}");
}

/// By new tables and by what is made from now on.
fn it_is_used(client: &mut Client) {
    run(client, "CREATE TABLE items (id int, mood mood, amount small, code int REFERENCES codes);
        SELECT create_distributed_table('items', 'id');
        INSERT INTO items SELECT i, 'ok', i, i FROM generate_series(1, 100) i;
        CREATE ROLE later; CREATE TYPE coin AS ENUM ('head', 'tail'); INSERT INTO codes VALUES (5000, 'ok', 1)");
    assert_eq!(
        value(
            client,
            "SELECT count(DISTINCT nodeport) || ' ' || count(*) FROM citus_shards WHERE table_name = 'items'::regclass"
        ),
        "2 8"
    );
    assert_eq!(value(client, "SELECT sum(double) FROM items JOIN codes ON codes.id = items.code"), "10100");
    for wanted in [
        "SELECT count(*) FROM pg_roles WHERE rolname = 'later'",
        "SELECT count(*) FROM pg_type WHERE typname = 'coin'",
        "SELECT count(*) FROM codes_102008 WHERE id = 5000",
    ] {
        assert_eq!(
            value(
                client,
                &format!("SELECT count(*) FROM run_command_on_workers($$ {wanted} $$) WHERE result = '1'")
            ),
            "2",
            "{wanted}"
        );
    }
}

fn it_leaves_only_without_shards(client: &mut Client, server: &PostgresServer) {
    let address = address(server);
    for function in ["citus_remove_node", "citus_disable_node"] {
        let refused = error(client, &format!("SELECT {function}({address})"));
        assert_eq!(refused.sqlstate, "55000");
        assert!(refused.detail.contains("items"), "{refused:?}");
    }
    assert_eq!(
        error(client, &format!("SELECT citus_set_node_property({address}, 'color', true)")).sqlstate,
        "22023"
    );
    run(
        client,
        &format!(
            "SELECT citus_set_node_property({address}, 'shouldhaveshards', false); DROP TABLE items;
        CREATE TABLE items (id int); SELECT create_distributed_table('items', 'id', colocate_with => 'none')"
        ),
    );
    assert_eq!(
        value(
            client,
            "SELECT count(DISTINCT nodeport) FROM citus_shards WHERE table_name = 'items'::regclass"
        ),
        "1"
    );
    run(client, &format!("SELECT citus_set_node_property({address}, 'shouldhaveshards', true); SELECT citus_disable_node({address});
        INSERT INTO codes VALUES (5001, 'ok', 1); ALTER TYPE mood ADD VALUE 'happy'"));
    assert_eq!(
        value(&mut server.client("app").expect("a connection"), "SELECT max(id) FROM codes_102008"),
        "5000"
    );
    assert_eq!(value(client, "SELECT count(*) FROM citus_get_active_worker_nodes()"), "1");
}

/// With what it missed meanwhile.
fn it_comes_back(client: &mut Client, server: &PostgresServer) {
    let activate = format!("SELECT citus_activate_node({})", address(server));
    value(client, &activate);
    let mut there = server.client("app").expect("a connection");
    assert_eq!(value(&mut there, "SELECT max(id) FROM codes_102008"), "5001");
    assert_eq!(
        value(&mut there, "SELECT 'happy'::mood < 'ok'::mood OR twice(ROW(2, 'happy')::pair) = 4"),
        "t"
    );
    run(client, &format!("SELECT citus_remove_node({})", address(server)));
    assert_eq!(value(client, "SELECT count(*) FROM pg_dist_node"), "2");
}

/// Writers wait for the copy, and then write to it as well.
fn writers_meet_a_new_node(group: &LocalGroup, client: &mut Client, server: &PostgresServer) {
    let writers: Vec<_> = (0..3)
        .map(|writer| {
            let mut client = group.connect_superuser().expect("a connection");
            std::thread::spawn(move || {
                let level = if writer == 0 { "REPEATABLE READ" } else { "READ COMMITTED" };
                let mut written = 0;
                for n in 0..60 {
                    let sql = format!(
                        "BEGIN ISOLATION LEVEL {level}; INSERT INTO codes VALUES ({}, 'sad', 1); COMMIT",
                        10_000 + writer * 1000 + n
                    );
                    match client.simple(&sql).expect("an answer").error {
                        None => written += 1,
                        Some(error) => {
                            assert_eq!(error.sqlstate, "40001", "{error:?}");
                            client.rows("ROLLBACK").expect("the block ends");
                        }
                    }
                }
                written
            })
        })
        .collect();
    std::thread::sleep(std::time::Duration::from_millis(300));
    add(client, server);
    let written: i64 = writers.into_iter().map(|it| it.join().expect("a writer ends well")).sum();
    let count = value(client, "SELECT count(*) FROM codes WHERE id >= 10000");
    assert_eq!(count, written.to_string());
    let copies = value(
        client,
        "SELECT string_agg(DISTINCT result, ' ') FROM run_command_on_placements('codes', 'SELECT count(*) FROM %s WHERE id >= 10000')",
    );
    assert_eq!(copies, count);
}

fn error(client: &mut Client, sql: &str) -> ServerError {
    client.simple(sql).expect("an answer").error.unwrap_or_else(|| panic!("no error: {sql}"))
}

fn value(client: &mut Client, sql: &str) -> String {
    let rows = client.rows(sql).unwrap_or_else(|error| panic!("{sql}: {error:#}"));
    rows.first().and_then(|it| it[0].clone()).unwrap_or_default()
}

const OBJECTS: &str = r#"
    CREATE ROLE reader LOGIN PASSWORD 'secret'; CREATE ROLE team; GRANT team TO reader WITH ADMIN OPTION;
    ALTER ROLE reader SET search_path TO "my data", public; ALTER ROLE reader SET work_mem = '7MB';
    CREATE SCHEMA "my data" AUTHORIZATION reader; GRANT USAGE ON SCHEMA "my data" TO team;
    CREATE EXTENSION hstore SCHEMA "my data";
    CREATE TYPE mood AS ENUM ('sad', 'ok');
    CREATE DOMAIN small AS int DEFAULT 3 CHECK (VALUE < 1000000);
    CREATE TYPE pair AS (a int, b mood);
    CREATE TYPE span AS RANGE (SUBTYPE = float8, SUBTYPE_DIFF = float8mi);
    CREATE COLLATION caseless (PROVIDER = icu, LOCALE = 'und-u-ks-level2', DETERMINISTIC = false);
    CREATE FUNCTION twice(pair) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT ($1).a * 2';
    REVOKE EXECUTE ON FUNCTION twice(pair) FROM PUBLIC;
    CREATE TABLE codes (id int PRIMARY KEY, mood mood, amount small, double int GENERATED ALWAYS AS (id * 2) STORED);
    ALTER TABLE codes OWNER TO reader;
    INSERT INTO codes SELECT i, 'ok', i FROM generate_series(1, 1200) i;
    CREATE TABLE places (name text COLLATE caseless PRIMARY KEY, code int REFERENCES codes);
    INSERT INTO places VALUES ('a', 1), ('b', 2), ('it''s "ü" \ %s', 3);
    SELECT create_reference_table('codes'); SELECT create_reference_table('places')"#;
