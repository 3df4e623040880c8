//! Changes that restart servers do it one node at a time; all others restart nothing.
use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::runtime::watcher;
use serde_json::json;
use tokio::task::JoinHandle;

use super::parameters::{shows, starts};
use crate::group::Group;
use crate::install;
use crate::scene::{Scene, is_ready};
use crate::wait::{eventually, seconds};

pub(super) async fn parameters_that_restart_roll_one_node_at_a_time(scene: &Scene) -> Result<()> {
    let group = filled(scene, json!({"workers": {"count": 2}})).await?;
    let watch = Watch::start(scene);
    group.patch(json!({"parameters": {"max_connections": "123"}})).await?;
    shows(&group, "max_connections", "123").await?;
    group.ready_within(seconds(60)).await?;
    watch.most_nodes_down_at_once(1)?;
    group.has_its_data_within(seconds(10)).await
}

pub(super) async fn image_change_rolls_one_node_at_a_time(scene: &Scene) -> Result<()> {
    let update = scene
        .cluster
        .images
        .update
        .clone()
        .context("the provider has no second image of the newest PostgreSQL")?;
    let group = filled(scene, json!({"workers": {"count": 2}})).await?;
    let before = uids(&group).await?;
    let watch = Watch::start(scene);
    group.patch(json!({"image": update})).await?;
    group.ready_within(seconds(180)).await?;
    for pod in group.pods().await? {
        let containers = pod.spec.context("a pod has a spec")?.containers;
        ensure!(containers.iter().any(|it| it.image.as_deref() == Some(&update)), "a pod has the old image");
    }
    ensure!(
        uids(&group).await?.values().all(|it| !before.values().any(|old| old == it)),
        "a pod was left out"
    );
    watch.most_nodes_down_at_once(1)?;
    group.has_its_data_within(seconds(10)).await
}

pub(super) async fn operator_upgrade_restarts_nothing(scene: &Scene) -> Result<()> {
    let group = filled(scene, json!({"workers": {"count": 1}, "router": {"replicas": 1}})).await?;
    let (pods, servers) = (uids(&group).await?, starts(&group).await?);
    install::chart(&scene.cluster, 2).await?;
    install::operators_are_ready(&scene.cluster, 2).await?;
    // The new operator has looked at the group when it has answered to a change.
    group.patch(json!({"parameters": {"work_mem": "6MB"}})).await?;
    shows(&group, "work_mem", "6MB").await?;
    group.ready_within(seconds(60)).await?;
    install::chart(&scene.cluster, 1).await?;
    install::operators_are_ready(&scene.cluster, 1).await?;
    ensure!(uids(&group).await? == pods, "a pod was replaced");
    ensure!(starts(&group).await? == servers, "a server was restarted");
    group.has_its_data().await
}

pub(super) async fn hibernate_and_wake(scene: &Scene) -> Result<()> {
    let group = filled(scene, json!({"workers": {"count": 1}})).await?;
    group.patch(json!({"hibernate": true})).await?;
    group.until("is Hibernated", seconds(90), |it| it.data["status"]["phase"] == "Hibernated").await?;
    eventually("no pods", seconds(60), async || group.pods_are_ready(0).await).await?;
    group.patch(json!({"hibernate": false})).await?;
    group.ready_within(seconds(90)).await?;
    group.has_its_data_within(seconds(10)).await
}

pub(super) async fn paused_groups_are_left_alone(scene: &Scene) -> Result<()> {
    let group = filled(scene, json!({"workers": {"count": 1}})).await?;
    group.patch(json!({"paused": true})).await?;
    group.complains(&["paused"], seconds(30)).await?;
    group.patch(json!({"workers": {"count": 2}})).await?;
    group
        .until("has seen the change", seconds(30), |it| {
            it.data["status"]["observedGeneration"].as_i64() == it.metadata.generation
        })
        .await?;
    ensure!(scene.stateful_sets().await?.len() == 2, "a paused group was changed");
    group.has_its_data().await?;
    group.patch(json!({"paused": false})).await?;
    group.ready_within(seconds(120)).await?;
    ensure!(scene.stateful_sets().await?.len() == 3, "the worker is missing");
    group.has_its_data().await
}

async fn filled(scene: &Scene, spec: serde_json::Value) -> Result<Group<'_>> {
    let group = scene.group("demo", spec).await?;
    group.ready_within(seconds(150)).await?;
    group.fill().await?;
    Ok(group)
}

pub(super) async fn uids(group: &Group<'_>) -> Result<BTreeMap<String, String>> {
    let pods = group.pods().await?;
    Ok(pods.into_iter().map(|it| (it.name_any(), it.uid().unwrap_or_default())).collect())
}

/// Counts, from what the API tells, how many nodes were down at the same time.
struct Watch {
    task: JoinHandle<()>,
    most: std::sync::Arc<std::sync::atomic::AtomicUsize>,
}

impl Watch {
    fn start(scene: &Scene) -> Self {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let most = std::sync::Arc::new(AtomicUsize::new(0));
        let (api, seen) = (scene.api::<Pod>(), most.clone());
        let task = tokio::spawn(async move {
            let mut down: BTreeMap<String, bool> = BTreeMap::new();
            let config = watcher::Config::default().labels("howdah.dev/server-group,howdah.dev/node");
            let mut events = std::pin::pin!(watcher::watcher(api, config));
            while let Some(event) = events.next().await {
                match event {
                    Ok(watcher::Event::Apply(pod) | watcher::Event::InitApply(pod)) => {
                        down.insert(pod.name_any(), !is_ready(&pod));
                    }
                    Ok(watcher::Event::Delete(pod)) => {
                        down.insert(pod.name_any(), true);
                    }
                    _ => {}
                }
                seen.fetch_max(down.values().filter(|it| **it).count(), Ordering::Relaxed);
            }
        });
        Self { task, most }
    }

    fn most_nodes_down_at_once(self, limit: usize) -> Result<()> {
        self.task.abort();
        let most = self.most.load(std::sync::atomic::Ordering::Relaxed);
        ensure!(most <= limit, "{most} nodes were down at once");
        Ok(())
    }
}
