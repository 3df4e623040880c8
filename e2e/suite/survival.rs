//! Pods die; the group is back with all data.
use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::DeleteParams;
use serde_json::json;

use crate::scene::Scene;
use crate::wait::{eventually, seconds};

pub(super) async fn deleted_pods_come_back_with_all_data(scene: &Scene) -> Result<()> {
    let group = scene.group("demo", json!({"workers": {"count": 1}, "router": {"replicas": 1}})).await?;
    group.ready_within(seconds(150)).await?;
    group.fill().await?;
    let pods = group.pods().await?;
    ensure!(pods.len() == 3, "coordinator, worker and router: {} pods", pods.len());
    for pod in &pods {
        for gracefully in [true, false] {
            delete(scene, pod, gracefully).await?;
            eventually(
                &format!("all is well after {} was deleted", pod.name_any()),
                seconds(30),
                async || {
                    group.pods_are_ready(pods.len()).await?;
                    group.has_its_data().await
                },
            )
            .await?;
        }
    }
    group.ready_within(seconds(30)).await.map(drop)
}

/// Deletes the pod that is there now in the place of `pod`; a router's name changes with each.
async fn delete(scene: &Scene, pod: &Pod, gracefully: bool) -> Result<()> {
    let labels: Vec<_> = pod.labels().iter().filter(|(key, _)| key.starts_with("howdah.dev/")).collect();
    let selector = labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",");
    let now = scene.pods(&selector).await?;
    let now =
        now.iter().find(|it| it.metadata.deletion_timestamp.is_none()).context("no such pod any more")?;
    let how = if gracefully { DeleteParams::default() } else { DeleteParams::default().grace_period(0) };
    scene.api::<Pod>().delete(&now.name_any(), &how).await?;
    Ok(())
}
