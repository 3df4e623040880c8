//! The end of a group, and what outlives it.
use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret, Service};
use kube::api::ListParams;
use serde_json::json;

use crate::group::Group;
use crate::scene::Scene;
use crate::wait::{eventually, seconds};

pub(super) async fn volumes_outlive_the_group_unless_told_otherwise(scene: &Scene) -> Result<()> {
    let group = scene.group("demo", json!({"workers": {"count": 1}})).await?;
    group.ready_within(seconds(120)).await?;
    group.fill().await?;
    delete(&group).await?;
    ensure!(claims(scene).await? == 2, "the volumes must stay");

    // A group of the same name goes on with them.
    let group = scene.group("demo", json!({"workers": {"count": 1}})).await?;
    group.ready_within(seconds(120)).await?;
    group.has_its_data_within(seconds(10)).await?;

    group.patch(json!({"persistentVolumeClaimRetention": {"whenDeleted": "Delete"}})).await?;
    group.ready_within(seconds(60)).await?;
    delete(&group).await?;
    eventually("the volumes are gone", seconds(60), async || {
        ensure!(claims(scene).await? == 0, "there are volume claims");
        Ok(())
    })
    .await
}

async fn delete(group: &Group<'_>) -> Result<()> {
    let scene = group.scene;
    scene.kubectl(&["delete", "servergroup", &group.name, "--timeout=50s"]).await?;
    eventually("all objects of the group are gone", seconds(90), async || {
        let ours = ListParams::default().labels("howdah.dev/server-group=demo");
        let services = scene.api::<Service>().list(&ours).await?.items.len();
        let secrets = scene.api::<Secret>().list(&ours).await?.items.len();
        let (sets, pods) = (scene.stateful_sets().await?.len(), group.pods().await?.len());
        ensure!(
            services + secrets + sets + pods == 0,
            "{services} Services, {secrets} Secrets, {sets} StatefulSets, {pods} pods"
        );
        Ok(())
    })
    .await
}

async fn claims(scene: &Scene) -> Result<usize> {
    let claims = scene.api::<PersistentVolumeClaim>().list(&ListParams::default()).await?.items;
    Ok(claims.iter().filter(|it| it.metadata.deletion_timestamp.is_none()).count())
}
