//! The other way in: one file of plain YAML.
use anyhow::{Context, Result, ensure};
use serde_json::json;
use tokio::process::Command;

use super::rolling::uids;
use crate::command;
use crate::install;
use crate::repository_root;
use crate::scene::Scene;
use crate::wait::seconds;

pub(super) async fn plain_yaml_installs_the_operator(scene: &Scene) -> Result<()> {
    let cluster = &scene.cluster;
    let group = scene.group("kept", json!({"workers": {"count": 1}})).await?;
    group.ready_within(seconds(120)).await?;
    group.fill().await?;
    let before = uids(&group).await?;
    install::remove_chart(cluster).await?;
    group.has_its_data().await.context("groups outlive the chart")?;

    let yaml = yaml(scene).await?;
    let installed = with_the_yaml(scene, &yaml).await;
    cluster
        .kubectl(
            &["delete", "--ignore-not-found", "--namespace", install::NAMESPACE, "-f", "-"],
            &without_crds(&yaml),
        )
        .await?;
    install::chart(cluster, 1).await?;
    installed?;
    ensure!(uids(&group).await? == before, "a pod was replaced");
    group.has_its_data().await
}

async fn with_the_yaml(scene: &Scene, yaml: &str) -> Result<()> {
    let cluster = &scene.cluster;
    cluster.kubectl(&["apply", "--server-side", "--force-conflicts", "-f", "-"], yaml).await?;
    install::wait_for_crd(cluster).await?;
    // What the chart has without another wish.
    install::operators_are_ready(cluster, 2).await?;
    let group = scene.group("demo", json!({"workers": {"count": 1}})).await?;
    group.ready_within(seconds(120)).await?;
    group.answers("SELECT 1", "1").await
}

/// What `make install-yaml` prints, with the images of this run.
async fn yaml(scene: &Scene) -> Result<String> {
    let postgres = scene.cluster.images.default_postgres();
    let howdah = &scene.cluster.images.howdah;
    let mut make = Command::new("make");
    make.args([
        "--silent",
        "install-yaml",
        &format!("IMAGE={howdah}"),
        &format!("POSTGRES_IMAGE={postgres}"),
    ]);
    // make finds helm where the cluster's tools are.
    let helm = scene.cluster.program("helm");
    let helm = std::path::PathBuf::from(helm.as_std().get_program());
    let directory = helm.parent().map(|it| it.display().to_string()).unwrap_or_default();
    make.env("PATH", format!("{directory}:{}", std::env::var("PATH").unwrap_or_default()));
    command::run(make.current_dir(repository_root()), "", seconds(120)).await
}

/// The CRDs stay: with them all groups would go.
fn without_crds(yaml: &str) -> String {
    let documents = yaml.split("\n---").filter(|it| !it.contains("kind: CustomResourceDefinition"));
    let documents = documents.filter(|it| !it.contains("kind: Namespace\n"));
    documents.collect::<Vec<_>>().join("\n---")
}
