//! Two operators: one acts, and the other takes over.
use anyhow::{Context, Result, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{DeleteParams, ListParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use crate::cluster::Cluster;
use crate::install;
use crate::scene::Scene;
use crate::wait::{eventually, seconds};

pub(super) async fn one_of_two_operators_acts(scene: &Scene) -> Result<()> {
    let result = take_turns(scene).await;
    install::chart(&scene.cluster, 1).await?;
    install::operators_are_ready(&scene.cluster, 1).await?;
    result
}

async fn take_turns(scene: &Scene) -> Result<()> {
    let cluster = &scene.cluster;
    install::chart(cluster, 2).await?;
    install::operators_are_ready(cluster, 2).await?;
    let first = leader(cluster).await?;
    let group = scene.group("demo", json!({"workers": {"count": 1}})).await?;
    group.ready_within(seconds(120)).await?;
    ensure!(leader(cluster).await? == first, "the leader changed without a reason");
    group.fill().await?;

    // Killed without a word, so the lease must run out.
    install::pods(cluster).delete(&first, &DeleteParams::default().grace_period(0)).await?;
    let second = eventually("another leader", seconds(45), async || {
        let now = leader(cluster).await?;
        ensure!(now != first, "{now} still leads");
        Ok(now)
    })
    .await?;
    group.scale(2).await?;
    group.ready_within(seconds(120)).await?;
    ensure!(leader(cluster).await? == second, "the leader changed without a reason");
    ensure!(scene.stateful_sets().await?.len() == 3, "one StatefulSet a node");
    group.has_its_data().await
}

/// The pod that holds the operator's lease.
async fn leader(cluster: &Cluster) -> Result<String> {
    let leases = Api::<Lease>::namespaced(cluster.client.clone(), install::NAMESPACE);
    let leases = leases.list(&ListParams::default()).await?.items;
    ensure!(leases.len() == 1, "{} leases", leases.len());
    let holder = leases[0].spec.as_ref().and_then(|it| it.holder_identity.clone()).unwrap_or_default();
    let pods = install::operator_pods(cluster).await?;
    let pod = pods.iter().find(|it| holder.starts_with(&it.name_any()));
    Ok(pod.with_context(|| format!("{holder:?} is no pod of the operator"))?.name_any())
}
