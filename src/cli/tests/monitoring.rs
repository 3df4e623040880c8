//! What administrators look at: activity and lock waits of all nodes, and every setting that Citus documents.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use howdah_harness::client::Client;
use howdah_harness::expect::{rows, run};
use howdah_harness::group::{LocalGroup, Options};

#[test]
fn monitoring() {
    let options = Options { shard_count: 4, ..Options::default() };
    let group = LocalGroup::start(env!("CARGO_BIN_EXE_howdah"), &options).expect("the group starts");
    let mut client = group.connect().expect("a connection");
    run(
        &mut client,
        "CREATE TABLE watched (k int PRIMARY KEY, v int); SELECT create_distributed_table('watched', 'k')",
    );
    run(&mut client, "INSERT INTO watched SELECT k, 0 FROM generate_series(1, 10) k");
    activity_is_that_of_all_nodes(&group, &mut client);
    waits_are_seen(&group, &mut client);
    what_nobody_counts_is_refused(&mut client);
    settings_of_citus_are_known(&mut client);
}

fn text(rows: &[Vec<Option<String>>]) -> Vec<Vec<&str>> {
    rows.iter().map(|row| row.iter().map(|it| it.as_deref().unwrap_or("NULL")).collect()).collect()
}

fn activity_is_that_of_all_nodes(group: &LocalGroup, client: &mut Client) {
    let mut other = group.connect().expect("a connection");
    run(&mut other, "BEGIN; UPDATE watched SET v = v + 1");
    let seen = rows(
        client,
        "SELECT DISTINCT nodeid, is_worker_query, datname FROM citus_stat_activity
        WHERE query LIKE '%UPDATE%watched%' AND state = 'idle in transaction' AND is_worker_query ORDER BY nodeid",
    );
    let nodes = rows(
        client,
        "SELECT nodeid, groupid <> 0, current_database() FROM pg_dist_node WHERE groupid <> 0 ORDER BY nodeid",
    );
    assert_eq!(seen, nodes, "the shards' writes");
    let own = "SELECT count(*), bool_and(global_pid = nodeid::bigint * 10000000000 + pid) FROM citus_dist_stat_activity WHERE pid = pg_backend_pid()";
    assert_eq!(text(&rows(client, own)), [["1", "t"]]);
    let owners = "SELECT count(*) FROM citus_stat_activity a JOIN pg_roles r ON r.oid = a.usesysid WHERE r.rolname <> a.usename";
    assert_eq!(text(&rows(client, owners)), [["0"]]);

    // Another role sees that there are sessions, and nothing of what they do.
    let mut superuser = group.connect_superuser().expect("a connection");
    run(&mut superuser, "CREATE ROLE stranger; GRANT stranger TO citus");
    run(&mut superuser, "SET ROLE stranger");
    let hidden = "SELECT count(*) > 0, count(*) FILTER (WHERE query <> '<insufficient privilege>' OR state IS NOT NULL)
        FROM citus_stat_activity WHERE usename = 'citus'";
    assert_eq!(text(&rows(&mut superuser, hidden)), [["t", "0"]]);
    run(&mut other, "ROLLBACK");
}

fn waits_are_seen(group: &LocalGroup, client: &mut Client) {
    let mut holder = group.connect().expect("a connection");
    run(&mut holder, "BEGIN; UPDATE watched SET v = 1 WHERE k = 3");
    let mut waiter = group.connect().expect("a connection");
    let (ended, end) = mpsc::channel();
    let waiting = std::thread::spawn(move || {
        run(&mut waiter, "UPDATE watched SET v = v + 2 WHERE k = 3");
        ended.send(()).expect("somebody listens");
    });
    let query =
        "SELECT blocked_statement LIKE '%v + 2%', current_statement_in_blocking_process LIKE '%v = 1%',
        waiting_nodeid = blocking_nodeid, waiting_gpid <> blocking_gpid FROM citus_lock_waits";
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let found = rows(client, query);
        if !found.is_empty() {
            assert_eq!(text(&found), [["t", "t", "t", "t"]]);
            break;
        }
        assert!(Instant::now() < deadline, "nobody waits");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(end.try_recv().is_err());
    run(&mut holder, "COMMIT");
    waiting.join().expect("the waiter is done");
    assert_eq!(rows(client, query).len(), 0);
}

fn what_nobody_counts_is_refused(client: &mut Client) {
    for sql in [
        "SELECT * FROM citus_stat_statements",
        "SELECT count(*) FROM citus_stat_tenants",
        "SELECT citus_stat_statements_reset()",
    ] {
        let error = client.simple(sql).expect("an answer").error.expect("it is refused");
        assert_eq!(error.sqlstate, "0A000", "{sql}");
        assert!(error.message.ends_with("is not available"), "{sql}: {}", error.message);
    }
}

fn settings_of_citus_are_known(client: &mut Client) {
    let expected = [
        ("citus.shard_count", "4"),
        ("citus.executor_slow_start_interval", "10ms"),
        ("citus.max_intermediate_result_size", "1GB"),
        ("citus.local_table_join_policy", "auto"),
        ("citus.propagate_set_commands", "none"),
        ("citus.node_conninfo", "sslmode=require"),
        ("citus.enable_schema_based_sharding", "off"),
    ];
    for (name, value) in expected {
        assert_eq!(text(&rows(client, &format!("SHOW {name}"))), [[value]], "{name}");
        run(client, &format!("BEGIN; SET LOCAL {name} = '7'"));
        assert_eq!(text(&rows(client, &format!("SHOW {name}"))), [["7"]], "{name}");
        run(client, "ROLLBACK");
        assert_eq!(text(&rows(client, &format!("SELECT current_setting('{name}')"))), [[value]], "{name}");
    }
}
