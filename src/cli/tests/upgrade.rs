//! A group whose SQL is of an older version comes up with the present one: its functions with other signatures, its views
//! with other columns, its triggers on users' tables and its event triggers, while distributed tables are there.

use std::collections::BTreeSet;

use howdah_harness::client::Client;
use howdah_harness::expect::run;
use howdah_harness::group::{LocalGroup, Options};

#[test]
fn sql_of_an_older_version_is_brought_to_the_present_one() {
    let mut group =
        LocalGroup::start(env!("CARGO_BIN_EXE_howdah"), &Options::default()).expect("the group starts");
    let mut client = group.connect_superuser().expect("a connection");
    run(&mut client, TABLES);
    let present = shapes(&group);
    for (member, script) in [("coordinator", OLD_COORDINATOR), ("w0", OLD_WORKER), ("w1", OLD_WORKER)] {
        let mut member = group.connect_member(member, "postgres").expect("a connection past the router");
        member.rows("SET allow_system_table_mods = on").expect("a superuser may");
        run(&mut member, script);
    }
    assert_ne!(shapes(&group), present);

    for _ in 0..2 {
        set_up_again(&mut group);
        let found = shapes(&group);
        let changed: Vec<_> = found.symmetric_difference(&present).collect();
        assert!(changed.is_empty(), "{changed:#?}");
        let mut client = group.connect_superuser().expect("a connection");
        assert_eq!(value(&mut client, "SELECT count(*) FROM shard_list"), "32");
        run(
            &mut client,
            "INSERT INTO codes VALUES (3, 'c'); UPDATE codes SET name = 'z' WHERE code = 1; DELETE FROM codes WHERE code = 3",
        );
        let copies = "SELECT count(*) FROM run_command_on_placements('codes', 'SELECT string_agg(code || name, '','' ORDER BY code) FROM %s')
            WHERE result = '1z,2b'";
        assert_eq!(value(&mut client, copies), "3");
        assert_eq!(value(&mut client, "SELECT total()"), "55");
        let refused = client.simple("DO 'BEGIN DELETE FROM events; END'").expect("an answer").error;
        assert!(
            refused.is_none_or(|it| it.sqlstate == "0A000"),
            "a write inside the server goes to the shards, or is refused"
        );
        run(
            &mut client,
            "ALTER TABLE events ADD COLUMN IF NOT EXISTS more int; DELETE FROM events; INSERT INTO events SELECT i, i FROM generate_series(1, 10) i",
        );
        assert_eq!(value(&mut client, "SELECT count(more) + sum(v) FROM events"), "55");
    }
}

/// Another build of the program sets the databases up again.
fn set_up_again(group: &mut LocalGroup) {
    group.howdah(&["down"]).expect("the group stops");
    let file = group.directory().join("howdah.json");
    let record = std::fs::read_to_string(&file).expect("the record");
    let mut record: serde_json::Value = serde_json::from_str(&record).expect("JSON");
    record["setUpBy"] = serde_json::json!({"coordinator": "0.0.1", "w0": "0.0.1", "w1": "0.0.1"});
    std::fs::write(&file, record.to_string()).expect("the record is written");
    group.up().expect("the group comes up");
}

/// Everything of ours on each node, as text without OIDs.
fn shapes(group: &LocalGroup) -> BTreeSet<String> {
    let shape = |member: &'static str| {
        let mut client = group.connect_member(member, "postgres").expect("a connection past the router");
        let rows = client.rows(SHAPE).expect("the catalog is read");
        rows.into_iter().flatten().flatten().map(move |it| format!("{member}: {it}"))
    };
    ["coordinator", "w0", "w1"].into_iter().flat_map(shape).collect()
}

fn value(client: &mut Client, sql: &str) -> String {
    let rows = client.rows(sql).unwrap_or_else(|error| panic!("{sql}: {error:#}"));
    rows[0][0].clone().unwrap_or_default()
}

const TABLES: &str = "
    CREATE TABLE events (id int PRIMARY KEY, v int);
    SELECT create_distributed_table('events', 'id');
    INSERT INTO events SELECT i, i FROM generate_series(1, 10) i;
    CREATE TABLE codes (code int PRIMARY KEY, name text);
    SELECT create_reference_table('codes');
    INSERT INTO codes VALUES (1, 'a'), (2, 'b');
    CREATE FUNCTION total() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT sum(v) FROM events); END';
    CREATE VIEW shard_list AS SELECT shardid, nodeport FROM pg_dist_shard JOIN pg_dist_shard_placement USING (shardid)
        WHERE logicalrelid = 'events'::regclass;";

/// Signatures, columns and triggers that differ from today's in every way that CREATE OR REPLACE refuses.
const OLD_COORDINATOR: &str = r#"
    DROP EVENT TRIGGER howdah_ddl_command_end;
    DROP EVENT TRIGGER howdah_sql_drop;
    CREATE FUNCTION howdah.on_ddl_command_end() RETURNS event_trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'an old trigger fired'; END $$;
    DROP VIEW pg_catalog.citus_shards;
    DROP FUNCTION howdah.shard_name(text, bigint) CASCADE;
    CREATE FUNCTION howdah.shard_name(relation text, shard bigint) RETURNS name LANGUAGE sql AS $$ SELECT (relation || shard)::name $$;
    CREATE VIEW pg_catalog.citus_shards AS SELECT howdah.shard_name('x', shardid) AS shard, shardid FROM howdah.pg_dist_shard;
    DROP FUNCTION howdah.copies(regclass);
    CREATE FUNCTION howdah.copies(regclass) RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint';
    DROP FUNCTION howdah.placements(oid);
    CREATE FUNCTION howdah.placements(table_id oid, OUT shardid bigint) RETURNS SETOF bigint LANGUAGE sql AS 'SELECT 1::bigint';
    DROP FUNCTION pg_catalog.citus_disable_node(text, int, boolean);
    CREATE FUNCTION pg_catalog.citus_disable_node(nodename text, nodeport int) RETURNS void LANGUAGE sql AS '';
    CREATE FUNCTION howdah.old_guard() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
    CREATE TRIGGER howdah_old BEFORE INSERT ON events FOR EACH STATEMENT EXECUTE FUNCTION howdah.old_guard();
    DROP TRIGGER "Howdah_update" ON codes;
    CREATE TRIGGER "Howdah_update" AFTER UPDATE ON codes FOR EACH STATEMENT EXECUTE FUNCTION howdah.old_guard();
    UPDATE howdah.shard_shape SET shape = shape - 'options';
    CREATE EVENT TRIGGER howdah_ddl_command_end ON ddl_command_end EXECUTE FUNCTION howdah.on_ddl_command_end();
"#;

const OLD_WORKER: &str = r#"
    DROP FUNCTION howdah.shard_owner(text);
    CREATE FUNCTION howdah.shard_owner(relation text) RETURNS text LANGUAGE sql AS $$ SELECT relation $$;
    DROP FUNCTION howdah.write(text, text[], text);
    CREATE FUNCTION howdah.write(key text, statement text, shard text) RETURNS int LANGUAGE sql AS 'SELECT 0';
    DO $$
    DECLARE f record;
    BEGIN
        FOR f IN SELECT oid::regprocedure AS name FROM pg_proc WHERE pronamespace = 'howdah_owner'::regnamespace AND proname ~ '^exec_' LOOP
            EXECUTE format('ALTER FUNCTION %s VOLATILE COST 7 SET work_mem = 64', f.name);
        END LOOP;
    END $$;
"#;

const SHAPE: &str = "
    SELECT concat_ws(' ', p.oid::regprocedure, prorettype::regtype, provolatile, prosecdef, procost, proconfig, proacl,
        pg_get_function_arguments(p.oid), md5(prosrc)) AS line
        FROM pg_proc p WHERE p.oid >= 16384 AND (pronamespace = 'pg_catalog'::regnamespace OR pronamespace IN (
            SELECT oid FROM pg_namespace WHERE nspname IN ('howdah', 'howdah_owner')))
    UNION ALL SELECT concat_ws(' ', c.oid::regclass, relacl, pg_get_viewdef(c.oid)) FROM pg_class c
        WHERE relkind = 'v' AND c.oid >= 16384 AND relnamespace = 'pg_catalog'::regnamespace
    UNION ALL SELECT concat_ws(' ', tgrelid::regclass, tgname, tgfoid::regprocedure, tgenabled, tgtype) FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT concat_ws(' ', evtname, evtevent, evtfoid::regprocedure, evtenabled) FROM pg_event_trigger
    UNION ALL SELECT concat_ws(' ', attrelid::regclass, attname, atttypid::regtype) FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
        WHERE attnum > 0 AND relkind = 'r' AND relnamespace = to_regnamespace('howdah')";
