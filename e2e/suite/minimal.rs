//! The front door: three lines of YAML, and the SQL of the documentation.
use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use crate::command;
use crate::group::Group;
use crate::port_forward::PortForward;
use crate::repository_root;
use crate::scene::Scene;
use crate::wait::seconds;

const SAMPLE: &str = "config/samples/minimal.yaml";
const COLUMNS: &str = "NAME PHASE COORD WORKERS HA PG ENDPOINT AGE";

const MULTI_TENANT: &str = include_str!("../../src/cli/tests/seed_sql/1_multi_tenant.sql");
const MONITORING: &str = include_str!("../../src/cli/tests/seed_sql/2_monitoring.sql");
const NAIVE: &str = include_str!("../../src/cli/tests/seed_sql/3_naive.sql");
const COLOCATED: &str = include_str!("../../src/cli/tests/seed_sql/3_colocated.sql");

pub(super) async fn minimal_sample_is_ready_within_two_minutes(scene: &Scene) -> Result<()> {
    scene.apply(&std::fs::read_to_string(repository_root().join(SAMPLE))?).await?;
    let group = Group::new(scene, "demo");
    let ready = group.ready_within(seconds(120)).await?;
    ensure!(
        ready.data["status"]["endpoint"] == format!("demo.{}.svc:5432", scene.namespace),
        "endpoint: {}",
        ready.data["status"]["endpoint"]
    );
    columns_are_printed(scene).await?;
    group.answers("SELECT 40 + 2", "42").await.context("psql by the secret's uri")?;
    group.answers("SELECT count(*) FROM pg_dist_node WHERE isactive AND noderole = 'primary'", "3").await?;
    through_port_forward(scene).await
}

async fn columns_are_printed(scene: &Scene) -> Result<()> {
    let table = scene.kubectl(&["get", "sg"]).await?;
    let mut lines = table.lines().map(|it| it.split_whitespace().collect::<Vec<_>>());
    let head = lines.next().context("kubectl get sg prints nothing")?.join(" ");
    ensure!(head == COLUMNS, "columns: {head}");
    let row = lines.next().context("no row")?;
    ensure!(row.starts_with(&["demo", "Ready"]) && row.contains(&"2/2"), "row: {row:?}");
    let wide = scene.kubectl(&["get", "sg", "--output", "wide"]).await?;
    ensure!(wide.contains("REBALANCE") && wide.contains("MESSAGE"), "wide: {wide}");
    Ok(())
}

async fn through_port_forward(scene: &Scene) -> Result<()> {
    let forward = PortForward::open(scene, "service/demo", 5432).await?;
    let mut psql = Command::new("psql");
    psql.args(["-XqAt", "-h", "127.0.0.1", "-p", &forward.port.to_string(), "-c", "SELECT 40 + 2"]);
    psql.env("PGSSLMODE", "require");
    for (variable, key) in [("PGUSER", "username"), ("PGPASSWORD", "password"), ("PGDATABASE", "dbname")] {
        psql.env(variable, scene.secret("demo-app", key).await?);
    }
    let answer = command::run(&mut psql, "", seconds(30)).await.context("through port-forward")?;
    ensure!(answer.trim() == "42", "through port-forward: {answer}");
    Ok(())
}

pub(super) async fn documentation_sql_runs_through_the_service(scene: &Scene) -> Result<()> {
    let group = scene.group("demo", serde_json::json!({})).await?;
    group.ready_within(seconds(120)).await?;
    for (section, script) in [("1", MULTI_TENANT), ("2", MONITORING), ("3, naive", NAIVE), ("3", COLOCATED)] {
        group.sql(script).await.with_context(|| format!("section {section}"))?;
    }
    let even = "SELECT string_agg(shards::text, ' ') FROM (SELECT count(*) shards FROM citus_shards \
                WHERE table_name = 'events'::regclass GROUP BY nodename) s";
    group.answers(even, "16 16").await?;
    group.answers("SELECT sum(event_count) FROM events_daily", "1").await?;
    // The coordinator plans it itself, over tables that read their shards live: the way through the loopback socket.
    group.answers("SELECT count(*) FROM events a CROSS JOIN LATERAL (SELECT max(b.event_id) FROM events b WHERE b.event_id >= a.event_id) s", "1").await
}
