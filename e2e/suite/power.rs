//! k8s nodes without power, without the API; and a cluster without its control plane.
use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{Node, Pod};
use serde_json::json;

use crate::group::Group;
use crate::provider::Side;
use crate::scene::Scene;
use crate::wait::{eventually, seconds, until};

pub(super) async fn power_cut_of_a_k8s_node(scene: &Scene) -> Result<()> {
    let group = filled(scene).await?;
    for pod in ["demo-w0-0", "demo-c-0"] {
        let k8s_node = k8s_node_of(scene, pod).await?;
        scene.cluster.fault(|it| it.power_off(&k8s_node))?;
        let noticed = group
            .until("says that a node is gone", seconds(90), |it| it.data["status"]["phase"] != "Ready")
            .await;
        scene.cluster.fault(|it| it.power_on(&k8s_node))?;
        noticed?;
        well_again(scene, &group, &k8s_node)
            .await
            .with_context(|| format!("after the power cut of {pod}"))?;
    }
    Ok(())
}

pub(super) async fn control_plane_outage(scene: &Scene) -> Result<()> {
    let group = filled(scene).await?;
    let k8s_node = k8s_node_of(scene, "demo-w0-0").await?;
    scene.cluster.fault(|it| it.pause_control_plane())?;
    let refused = scene.try_kubectl(&["--request-timeout=2s", "get", "nodes"], "").await;
    scene.cluster.fault(|it| it.resume_control_plane())?;
    ensure!(!refused?.success, "the API answers without a control plane");
    well_again(scene, &group, &k8s_node).await?;
    // The operator has found its way back to the API.
    group.patch(json!({"parameters": {"work_mem": "6MB"}})).await?;
    super::parameters::shows(&group, "work_mem", "6MB").await?;
    group.ready_within(seconds(90)).await.map(drop)
}

pub(super) async fn partition_from_the_api(scene: &Scene) -> Result<()> {
    let group = filled(scene).await?;
    let k8s_node = k8s_node_of(scene, "demo-w0-0").await?;
    scene.cluster.fault(|it| it.partition(&k8s_node, Side::Api))?;
    let unknown = node_is(scene, &k8s_node, "Unknown").await;
    // Kubernetes has lost sight of it; the group's own nodes have not.
    let seen = group.has_its_data().await;
    scene.cluster.fault(|it| it.heal(&k8s_node))?;
    unknown?;
    // psql itself ran on a k8s node: where that is the partitioned one there was no way to ask.
    if k8s_node != k8s_node_of(scene, crate::scene::CLIENT).await? {
        seen.context("during the partition")?;
    }
    well_again(scene, &group, &k8s_node).await
}

/// The API and the worker's k8s node see each other, but the coordinator and the worker do not.
pub(super) async fn partition_from_the_peers(scene: &Scene) -> Result<()> {
    let group = filled(scene).await?;
    let k8s_node = k8s_node_of(scene, "demo-w0-0").await?;
    ensure!(
        k8s_node != k8s_node_of(scene, "demo-c-0").await?,
        "the nodes share a k8s node, in spite of antiAffinity"
    );
    scene.cluster.fault(|it| it.partition(&k8s_node, Side::Peers))?;
    let during = group.sql("SET statement_timeout = '5s'; SELECT count(*) FROM kept").await;
    scene.cluster.fault(|it| it.heal(&k8s_node))?;
    ensure!(during.is_err(), "an answer without a worker: {during:?}");
    well_again(scene, &group, &k8s_node).await
}

pub(super) async fn partition_from_everybody(scene: &Scene) -> Result<()> {
    let group = filled(scene).await?;
    let k8s_node = k8s_node_of(scene, "demo-c-0").await?;
    scene.cluster.fault(|it| it.partition(&k8s_node, Side::All))?;
    let noticed = group
        .until("says that a node is gone", seconds(90), |it| it.data["status"]["phase"] != "Ready")
        .await;
    scene.cluster.fault(|it| it.heal(&k8s_node))?;
    noticed?;
    well_again(scene, &group, &k8s_node).await
}

async fn filled(scene: &Scene) -> Result<Group<'_>> {
    let group = scene.group("demo", json!({"workers": {"count": 2}})).await?;
    group.ready_within(seconds(150)).await?;
    group.fill().await?;
    Ok(group)
}

/// The k8s node can take pods, the group is Ready, and all data is there.
async fn well_again(scene: &Scene, group: &Group<'_>, k8s_node: &str) -> Result<()> {
    node_is(scene, k8s_node, "True").await?;
    until(&scene.k8s_nodes(), k8s_node, "has no taints", seconds(60), |it| {
        it.is_some_and(|it| {
            it.spec.as_ref().is_none_or(|it| it.taints.as_deref().unwrap_or_default().is_empty())
        })
    })
    .await?;
    eventually("the client pod", seconds(90), async || {
        let said = scene.in_client("true", "", seconds(10)).await?;
        if !said.success {
            // An evicted pod without a controller does not come back.
            scene
                .kubectl(&[
                    "delete",
                    "pod",
                    crate::scene::CLIENT,
                    "--ignore-not-found",
                    "--grace-period=0",
                    "--force",
                ])
                .await?;
            scene.start_client_pod().await?;
        }
        Ok(())
    })
    .await?;
    group.ready_within(seconds(120)).await?;
    group.has_its_data_within(seconds(30)).await
}

async fn node_is(scene: &Scene, k8s_node: &str, ready: &str) -> Result<()> {
    let is = |it: &Node| {
        let conditions = it.status.as_ref().and_then(|it| it.conditions.as_deref()).unwrap_or_default();
        conditions.iter().any(|it| it.type_ == "Ready" && it.status == ready)
    };
    let what = format!("is Ready={ready}");
    until(&scene.k8s_nodes(), k8s_node, &what, seconds(90), |it| it.is_some_and(is)).await.map(drop)
}

async fn k8s_node_of(scene: &Scene, pod: &str) -> Result<String> {
    let pod = scene.api::<Pod>().get(pod).await?;
    pod.spec.and_then(|it| it.node_name).context("the pod is not scheduled")
}
