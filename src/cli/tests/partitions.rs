//! Partitioned tables beside what the differential script of the same name compares: what others see meanwhile, and the way back.

use howdah_harness::client::Client;
use howdah_harness::expect::{quoted, rows, run};
use howdah_harness::group::{LocalGroup, Options};

#[test]
fn partitions_of_distributed_tables() {
    check(&Options::default());
}

#[test]
fn partitions_of_distributed_tables_on_postgres_18() {
    if let Some(options) = Options::default().on_postgres_18() {
        check(&options);
    }
}

fn check(options: &Options) {
    let options = Options { shard_count: 4, ..options.clone() };
    let group = LocalGroup::start(env!("CARGO_BIN_EXE_howdah"), &options).expect("the group starts");
    let mut client = group.connect().expect("a connection");
    run(
        &mut client,
        "CREATE TABLE events (tenant int, at timestamptz, v int, PRIMARY KEY (tenant, at)) PARTITION BY RANGE (at)",
    );
    run(&mut client, "SELECT create_distributed_table('events', 'tenant')");
    run(&mut client, "SELECT create_time_partitions('events', '1 month', '2024-06-01', '2024-01-01')");
    run(
        &mut client,
        "INSERT INTO events SELECT i % 9, timestamptz '2024-01-01' + i * interval '1 day', i FROM generate_series(0, 140) i",
    );
    partitions_are_read_by_functions_whatever_is_known_of_them(&mut client);
    other_sessions_see_nothing_of_ddl(&group, &mut client);
    time_partitions_come_and_go(&mut client);
    what_functions_cannot_do_is_refused(&mut client);
    tables_go_back_and_forth(&mut client);
    nothing_is_left(&group, &mut client);
}

fn partitions_are_read_by_functions_whatever_is_known_of_them(client: &mut Client) {
    run(
        client,
        "CREATE FUNCTION of_january(OUT n bigint, OUT joined bigint) LANGUAGE plpgsql AS $$ BEGIN
            n := (SELECT count(*) FROM events_p2024_01);
            joined := (SELECT count(*) FROM events_p2024_01 a JOIN events_p2024_02 b USING (tenant));
        END $$",
    );
    let before = rows(client, "SELECT * FROM of_january()");
    for statement in ["ANALYZE events", "ANALYZE events_p2024_01", "VACUUM events"] {
        run(client, statement);
        assert_eq!(rows(client, "SELECT * FROM of_january()"), before, "after {statement}");
    }
    assert_eq!(before[0][0].as_deref(), Some("31"));
}

fn other_sessions_see_nothing_of_ddl(group: &LocalGroup, client: &mut Client) {
    let mut other = group.connect().expect("a connection");
    run(&mut other, "CREATE TABLE seen (n bigint)");
    let count = "DO $$ BEGIN DELETE FROM seen; INSERT INTO seen SELECT count(*) FROM events_p2024_01; END $$";
    run(client, "BEGIN");
    // It names the partitions, but locks none of them.
    run(client, "COMMENT ON TABLE events_p2024_02 IS 'February'");
    run(client, "CREATE TABLE events_copy (LIKE events)");
    run(&mut other, count);
    assert_eq!(rows(&mut other, "SELECT n FROM seen"), [[Some("31".to_owned())]]);
    run(client, "ROLLBACK");
    let failing = client.simple("ALTER TABLE events ADD COLUMN tenant int").expect("an answer");
    assert!(failing.error.is_some());
    run(client, "BEGIN");
    run(client, "ALTER TABLE events ADD COLUMN extra int DEFAULT 3");
    run(client, "SAVEPOINT s");
    run(client, "DROP TABLE events_p2024_05");
    assert_eq!(rows(client, "SELECT sum(extra) FROM events"), [[Some("363".to_owned())]]);
    run(client, "ROLLBACK TO s");
    run(client, count);
    run(client, "ROLLBACK");
    assert_eq!(rows(client, "SELECT count(*) FROM events"), [[Some("141".to_owned())]]);
    run(&mut other, count);
    assert_eq!(rows(&mut other, "SELECT n FROM seen"), [[Some("31".to_owned())]]);
}

fn time_partitions_come_and_go(client: &mut Client) {
    let missing = rows(
        client,
        "SELECT partition_name, range_from_value FROM get_missing_time_partition_ranges('events', '1 month', '2024-08-01', '2024-01-01')",
    );
    let names: Vec<_> = missing.iter().filter_map(|it| it[0].as_deref()).collect();
    assert_eq!(names, ["events_p2024_06", "events_p2024_07"]);
    assert_eq!(
        rows(client, "SELECT create_time_partitions('events', '1 month', '2024-06-01', '2024-01-01')"),
        [[Some("f".to_owned())]]
    );
    run(client, "CALL drop_old_time_partitions('events', '2024-03-01')");
    assert_eq!(rows(client, "SELECT count(*) FROM events"), [[Some("81".to_owned())]]);
    assert_eq!(
        rows(client, "SELECT count(*) FROM time_partitions WHERE parent_table = 'events'::regclass"),
        [[Some("3".to_owned())]]
    );
}

fn what_functions_cannot_do_is_refused(client: &mut Client) {
    for statement in [
        "INSERT INTO events VALUES (1, '2024-05-05', 1) ON CONFLICT (tenant, at) DO UPDATE SET v = 3",
        "UPDATE events SET at = '2024-03-03' WHERE at = '2024-05-05'",
    ] {
        let block = format!("DO {} ", quoted(&format!("BEGIN {statement}; END")));
        let error = client.simple(&block).expect("an answer").error.expect("a refusal");
        assert_eq!(error.sqlstate, "0A000", "{statement}: {}", error.message);
    }
    run(client, "DO $$ BEGIN INSERT INTO events VALUES (1, '2024-05-05', 1) ON CONFLICT DO NOTHING; END $$");
    let partition = client.simple("SELECT undistribute_table('events_p2024_03')").expect("an answer");
    assert_eq!(partition.error.expect("a refusal").sqlstate, "0A000");
}

fn tables_go_back_and_forth(client: &mut Client) {
    let all = "SELECT count(*), sum(v) FROM events";
    let before = rows(client, all);
    run(client, "SELECT undistribute_table('events')");
    assert_eq!(rows(client, all), before);
    assert_eq!(
        rows(client, "SELECT DISTINCT relkind FROM pg_class WHERE relname LIKE 'events_p2024___'"),
        [[Some("r".to_owned())]]
    );
    run(client, "SELECT create_distributed_table('events', 'tenant', colocate_with => 'none')");
    run(client, "SELECT alter_distributed_table('events', shard_count => 6)");
    assert_eq!(rows(client, all), before);
    assert_eq!(rows(client, "SELECT count(*), sum(v) FROM events WHERE tenant = 3").len(), 1);
}

fn nothing_is_left(group: &LocalGroup, client: &mut Client) {
    run(client, "DROP TABLE events CASCADE");
    let mut superuser = group.connect_superuser().expect("a connection");
    for left in [
        "SELECT count(*) FROM pg_foreign_table WHERE ftrelid NOT IN (SELECT oid FROM pg_class)",
        "SELECT count(*) FROM howdah.pg_dist_partition",
    ] {
        assert_eq!(rows(&mut superuser, left), [[Some("0".to_owned())]], "{left}");
    }
    for worker in ["w0", "w1"] {
        let mut worker = group.connect_member(worker, "postgres").expect("a connection");
        assert_eq!(
            rows(&mut worker, "SELECT count(*) FROM pg_class WHERE relname LIKE 'events%'"),
            [[Some("0".to_owned())]]
        );
    }
}
