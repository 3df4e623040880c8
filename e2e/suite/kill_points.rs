//! The operator dies at each step of provisioning and scaling; it always gets there, and nothing is doubled.
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service};
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams};
use serde_json::json;

use crate::group::Group;
use crate::install;
use crate::scene::{Scene, is_ready};
use crate::wait::{eventually, seconds, until};

/// The operator is back, its lease with it, and the next step is done.
const STEP: Duration = seconds(120);

/// What the API shows when a step has just been done.
enum Sign {
    Applied,
    Secret(&'static str),
    ConfigMap(&'static str),
    Service(&'static str),
    StatefulSet(&'static str),
    Scheduled(&'static str),
    Running(&'static str),
    Ready(&'static str),
    NodesListed(usize),
    GroupReady,
    StatefulSetGone(&'static str),
}

const PROVISIONING: [Sign; 11] = [
    Sign::Applied,
    Sign::Secret("demo-ca"),
    Sign::Service("demo"),
    Sign::ConfigMap("demo-c"),
    Sign::StatefulSet("demo-c"),
    Sign::StatefulSet("demo-w0"),
    Sign::Scheduled("demo-c-0"),
    Sign::Running("demo-w0-0"),
    Sign::Ready("demo-c-0"),
    Sign::NodesListed(2),
    Sign::GroupReady,
];
const SCALING_OUT: [Sign; 5] = [
    Sign::Applied,
    Sign::StatefulSet("demo-w1"),
    Sign::Running("demo-w1-0"),
    Sign::Ready("demo-w1-0"),
    Sign::GroupReady,
];
const SCALING_IN: [Sign; 2] = [Sign::Applied, Sign::StatefulSetGone("demo-w1")];

pub(super) async fn operator_killed_at_every_step_converges(scene: &Scene) -> Result<()> {
    let group = scene.group("demo", json!({"workers": {"count": 1}})).await?;
    kill_at(&group, &PROVISIONING).await.context("while provisioning")?;
    group.ready_within(STEP).await?;
    nothing_is_doubled(&group, 2).await?;
    group.fill().await?;

    group.scale(2).await?;
    kill_at(&group, &SCALING_OUT).await.context("while scaling out")?;
    group.ready_within(STEP).await?;
    nothing_is_doubled(&group, 3).await?;

    group.scale(1).await?;
    kill_at(&group, &SCALING_IN).await.context("while scaling in")?;
    group.ready_within(STEP).await?;
    nothing_is_doubled(&group, 2).await?;
    group.has_its_data().await?;
    install::operators_are_ready(&scene.cluster, 1).await
}

async fn kill_at(group: &Group<'_>, signs: &[Sign]) -> Result<()> {
    for sign in signs {
        sign.appears(group).await?;
        for pod in install::operator_pods(&group.scene.cluster).await? {
            let at_once = DeleteParams::default().grace_period(0);
            // One that is gone already is as dead.
            let _ = install::pods(&group.scene.cluster).delete(&pod.name_any(), &at_once).await;
        }
    }
    Ok(())
}

impl Sign {
    async fn appears(&self, group: &Group<'_>) -> Result<()> {
        let scene = group.scene;
        match *self {
            Self::Applied => {}
            Self::Secret(name) => exists::<Secret>(scene, name).await?,
            Self::ConfigMap(name) => exists::<ConfigMap>(scene, name).await?,
            Self::Service(name) => exists::<Service>(scene, name).await?,
            Self::StatefulSet(name) => exists::<StatefulSet>(scene, name).await?,
            Self::Scheduled(pod) => {
                let is = |it: &Pod| it.spec.as_ref().is_some_and(|it| it.node_name.is_some());
                until(&scene.api::<Pod>(), pod, "is scheduled", STEP, |it| it.is_some_and(is)).await?;
            }
            Self::Running(pod) => {
                let is =
                    |it: &Pod| it.status.as_ref().is_some_and(|it| it.phase.as_deref() == Some("Running"));
                until(&scene.api::<Pod>(), pod, "runs", STEP, |it| it.is_some_and(is)).await?;
            }
            Self::Ready(pod) => {
                until(&scene.api::<Pod>(), pod, "is ready", STEP, |it| it.is_some_and(is_ready)).await?;
            }
            Self::NodesListed(number) => {
                group
                    .until("lists its nodes", STEP, |it| {
                        it.data["status"]["nodes"].as_array().is_some_and(|it| it.len() == number)
                    })
                    .await?;
            }
            Self::GroupReady => {
                group.ready_within(STEP).await?;
            }
            Self::StatefulSetGone(name) => {
                until(&scene.api::<StatefulSet>(), name, "is gone", STEP, |it| it.is_none()).await?;
            }
        }
        Ok(())
    }
}

async fn exists<K>(scene: &Scene, name: &str) -> Result<()>
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + Send
        + serde::de::DeserializeOwned
        + serde::Serialize
        + 'static,
{
    until(&scene.api::<K>(), name, "exists", STEP, |it| it.is_some()).await.map(drop)
}

/// What has left may take a while to be gone; nothing else changes any more.
async fn nothing_is_doubled(group: &Group<'_>, nodes: usize) -> Result<()> {
    eventually("every node is there once", seconds(60), async || {
        let scene = group.scene;
        group.pods_are_ready(nodes).await?;
        let (sets, all) = (scene.stateful_sets().await?.len(), ListParams::default());
        let claims = scene.api::<PersistentVolumeClaim>().list(&all).await?.items;
        let claims = claims.iter().filter(|it| it.metadata.deletion_timestamp.is_none()).count();
        ensure!(
            sets == nodes && claims == nodes,
            "{nodes} nodes: {sets} StatefulSets, {claims} volume claims"
        );
        let listed = "SELECT count(*), count(DISTINCT nodename), count(DISTINCT groupid) FROM pg_dist_node";
        group.answers(listed, &format!("{nodes}|{nodes}|{nodes}")).await
    })
    .await
}
