//! postgresql.conf, as the spec has it.
use anyhow::{Result, ensure};
use serde_json::json;

use crate::group::Group;
use crate::scene::Scene;
use crate::wait::{eventually, seconds};

pub(super) async fn parameters_reload_restart_and_survive_typos(scene: &Scene) -> Result<()> {
    let group =
        scene.group("demo", json!({"workers": {"count": 1}, "parameters": {"work_mem": "5MB"}})).await?;
    group.ready_within(seconds(120)).await?;
    group.fill().await?;
    shows(&group, "work_mem", "5MB").await?;

    let before = starts(&group).await?;
    group.patch(json!({"parameters": {"work_mem": "7MB"}})).await?;
    shows(&group, "work_mem", "7MB").await?;
    ensure!(starts(&group).await? == before, "a parameter that only needs a reload restarted a server");

    group.patch(json!({"parameters": {"work_mem": null, "wrok_mem": "9MB"}})).await?;
    group.complains(&["wrok_mem"], seconds(60)).await?;
    group.patch(json!({"parameters": {"wrok_mem": null, "work_mem": "lots"}})).await?;
    group.complains(&["work_mem", "lots"], seconds(60)).await?;
    shows(&group, "work_mem", "7MB").await?;
    ensure!(starts(&group).await? == before, "a typo restarted a server");

    group.patch(json!({"parameters": {"work_mem": "8MB"}})).await?;
    group.ready_within(seconds(60)).await?;
    shows(&group, "work_mem", "8MB").await?;

    group.patch(json!({"parameters": {"max_worker_processes": "11"}})).await?;
    shows(&group, "max_worker_processes", "11").await?;
    group.ready_within(seconds(60)).await?;
    ensure!(starts(&group).await? != before, "max_worker_processes is in force without a restart");
    group.has_its_data_within(seconds(30)).await
}

/// All nodes have the parameter at this value, soon.
pub(super) async fn shows(group: &Group<'_>, name: &str, value: &str) -> Result<()> {
    let query = format!("SELECT DISTINCT result FROM run_command_on_all_nodes('SHOW {name}')");
    eventually(&format!("{name} = {value}"), seconds(90), async || group.answers(&query, value).await).await
}

/// When each node's server was started.
pub(super) async fn starts(group: &Group<'_>) -> Result<String> {
    let query = "SELECT string_agg(result, ' ' ORDER BY nodeid) FROM run_command_on_all_nodes('SELECT pg_postmaster_start_time()')";
    eventually("the nodes say when they started", seconds(30), async || group.sql(query).await).await
}
