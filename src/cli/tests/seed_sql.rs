//! The SQL and the application of the Hyperscale documentation, run unchanged through psql and Python.

mod seed_sql {
    pub(crate) mod application;
}

use std::time::{Duration, Instant};

use howdah_harness::client::Client;
use howdah_harness::group::{LocalGroup, Options};

const MULTI_TENANT: &str = include_str!("seed_sql/1_multi_tenant.sql");
const MONITORING: &str = include_str!("seed_sql/2_monitoring.sql");
const NAIVE: &str = include_str!("seed_sql/3_naive.sql");
const COLOCATED: &str = include_str!("seed_sql/3_colocated.sql");
const TUNING: &str = include_str!("seed_sql/4_tuning.sql");

/// The query of section 3: one tenant's pages with the events of the last week.
const PAGES_OF_A_TENANT: &str = "SELECT page_id, count(event_id)
FROM page
LEFT JOIN (SELECT * FROM event WHERE (payload->>'time')::timestamptz >= now() - interval '1 week') recent
USING (tenant_id, page_id)
WHERE tenant_id = 6 AND path LIKE '/blog%'
GROUP BY page_id";

#[test]
fn the_documentation_runs_unchanged() {
    let group =
        LocalGroup::start(env!("CARGO_BIN_EXE_howdah"), &Options::default()).expect("the group starts");
    run(&group, MULTI_TENANT);
    let mut client = group.connect().expect("a connection");
    shards_are_even_and_colocated(&mut client);
    tenants_stay_on_one_shard(&mut client);
    rollups_add_up(&mut client);
    run(&group, MONITORING);
    the_catalog_shows_shards(&mut client);
    sizes_follow_the_data(&mut client);
    seed_sql::application::check(&group);
    run(&group, NAIVE);
    let naive = rows(&mut client, PAGES_OF_A_TENANT);
    run(&group, COLOCATED);
    assert_eq!(sorted(rows(&mut client, PAGES_OF_A_TENANT)), sorted(naive));
    assert_router_query(&mut client, PAGES_OF_A_TENANT);
    run(&group, TUNING);
    tuning_is_in_force(&group);
}

fn run(group: &LocalGroup, script: &str) {
    let output = group.psql(&["-v", "ON_ERROR_STOP=1"], script).expect("psql runs");
    assert!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr));
}

fn shards_are_even_and_colocated(client: &mut Client) {
    let per_worker = rows(
        client,
        "SELECT count(*) FROM citus_shards WHERE table_name = 'events'::regclass GROUP BY nodename, nodeport",
    );
    assert_eq!(per_worker, [["16"], ["16"]]);
    let tables = "'events'::regclass, 'tenants'::regclass, 'users'::regclass, 'orders'::regclass, 'events_daily'::regclass";
    let colocated = format!(
        "SELECT count(*), count(DISTINCT colocationid) FROM pg_dist_partition WHERE logicalrelid IN ({tables})"
    );
    assert_eq!(rows(client, &colocated), [["5", "1"]]);
    assert_eq!(rows(client, "SELECT event_id FROM events"), [["1"]], "one sequence, starting at 1");
}

fn tenants_stay_on_one_shard(client: &mut Client) {
    assert_router_query(client, "SELECT * FROM events WHERE tenant_id = 42");
    assert_router_query(
        client,
        "SELECT t.name, COUNT(o.order_id) as order_count, SUM(o.total) as revenue FROM tenants t \
         JOIN orders o ON t.tenant_id = o.tenant_id WHERE t.tenant_id = 1 GROUP BY t.name",
    );
    assert_router_query(
        client,
        "SELECT e.*, c.name as country_name FROM events e JOIN countries c ON e.event_data->>'country_code' = c.code \
         WHERE e.tenant_id = 1",
    );
    let all = explain(client, "SELECT event_type, COUNT(*) FROM events GROUP BY event_type");
    assert!(all.contains("32"), "a cross-tenant query runs on all shards:\n{all}");
}

fn rollups_add_up(client: &mut Client) {
    let rollup = "INSERT INTO events_daily (tenant_id, day, event_type, event_count)
        SELECT tenant_id, DATE_TRUNC('day', created_at)::DATE as day, event_type, COUNT(*) as event_count
        FROM events WHERE created_at > NOW() - INTERVAL '1 hour'
        GROUP BY tenant_id, DATE_TRUNC('day', created_at), event_type
        ON CONFLICT (tenant_id, day, event_type)
        DO UPDATE SET event_count = events_daily.event_count + EXCLUDED.event_count";
    assert_eq!(rows(client, "SELECT sum(event_count) FROM events_daily"), [["1"]]);
    rows(client, rollup);
    assert_eq!(rows(client, "SELECT sum(event_count) FROM events_daily"), [["2"]]);
}

fn the_catalog_shows_shards(client: &mut Client) {
    let ranges = rows(
        client,
        "SELECT shardminvalue, shardmaxvalue FROM pg_dist_shard WHERE logicalrelid = 'events'::regclass ORDER BY shardminvalue::int",
    );
    assert_eq!(ranges.len(), 32);
    assert_eq!(ranges[0], ["-2147483648", "-2013265921"]);
    assert!(ranges.contains(&vec!["268435456".to_owned(), "402653183".to_owned()]));
    assert!(ranges.contains(&vec!["402653184".to_owned(), "536870911".to_owned()]));
    assert_eq!(rows(client, "SELECT min(shardid) FROM pg_dist_shard"), [["102008"]]);
    let shard =
        rows(client, "SELECT logicalrelid, shardid, shardstorage FROM pg_dist_shard WHERE shardid = 102027");
    assert_eq!(shard, [["events", "102027", "t"]]);
    let found = rows(
        client,
        "SELECT count(*) FROM run_command_on_workers($$SELECT count(*) FROM pg_class WHERE relname = 'events_102027'$$)
         JOIN pg_dist_shard_placement USING (nodename, nodeport) WHERE shardid = 102027 AND result = '1'",
    );
    assert_eq!(found, [["1"]], "shard 102027 is a table on the worker that the catalog names");
}

fn sizes_follow_the_data(client: &mut Client) {
    let size = "SELECT sum(shard_size) FROM citus_shards WHERE table_name = 'events'::regclass";
    let before: i64 = rows(client, size)[0][0].parse().expect("a size");
    rows(
        client,
        "INSERT INTO events (tenant_id, event_type, event_data) SELECT i % 100, 'load', jsonb_build_object('n', i) FROM generate_series(1, 5000) i",
    );
    let after: i64 = rows(client, size)[0][0].parse().expect("a size");
    assert!(after > before + 100_000, "{before} -> {after}");
}

fn tuning_is_in_force(group: &LocalGroup) {
    let mut client = group.connect().expect("a connection");
    let shown = |client: &mut Client, name: &str| rows(client, &format!("SHOW {name}"))[0][0].clone();
    // pg_reload_conf() only asks for it: each server reads its files a moment later.
    let everywhere = "SELECT DISTINCT result FROM run_command_on_all_nodes('SHOW work_mem')";
    let deadline = Instant::now() + Duration::from_secs(10);
    while rows(&mut client, everywhere) != [["256MB"]] {
        assert!(Instant::now() < deadline, "work_mem is {:?}", rows(&mut client, everywhere));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(shown(&mut client, "work_mem"), "256MB");
    assert_eq!(shown(&mut client, "citus.max_adaptive_executor_pool_size"), "16");
    rows(&mut client, "INSERT INTO events (tenant_id, event_type) VALUES (1, 'tuned')");
    assert_eq!(rows(&mut client, "SELECT source FROM events WHERE event_type = 'tuned'"), [["web"]]);
}

fn assert_router_query(client: &mut Client, sql: &str) {
    let plan = explain(client, sql);
    assert!(plan.contains("Router"), "not a router query: {sql}\n{plan}");
}

fn explain(client: &mut Client, sql: &str) -> String {
    rows(client, &format!("EXPLAIN {sql}")).concat().join("\n")
}

/// The rows of a statement that must succeed, NULL as an empty string.
fn rows(client: &mut Client, sql: &str) -> Vec<Vec<String>> {
    let rows = client.rows(sql).unwrap_or_else(|error| panic!("{error:#}"));
    rows.into_iter().map(|row| row.into_iter().map(Option::unwrap_or_default).collect()).collect()
}

fn sorted(mut rows: Vec<Vec<String>>) -> Vec<Vec<String>> {
    rows.sort();
    rows
}
