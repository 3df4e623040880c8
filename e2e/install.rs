//! The operator on the cluster, by its Helm chart.
use anyhow::{Context, Result, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;

use crate::cluster::Cluster;
use crate::command;
use crate::images::Tagged;
use crate::repository_root;
use crate::scene::is_ready;
use crate::wait::{eventually, seconds};

pub(crate) const NAMESPACE: &str = "howdah-system";
const RELEASE: &str = "howdah";

/// Installs the chart, or moves what is installed to these images.
pub(crate) async fn chart(cluster: &Cluster, replicas: u32) -> Result<()> {
    chart_with(cluster, &cluster.images.howdah, replicas).await
}

pub(crate) async fn chart_with(cluster: &Cluster, image: &Tagged, replicas: u32) -> Result<()> {
    make_namespace(cluster).await?;
    let mut helm = cluster.program("helm");
    helm.args(["upgrade", "--install", RELEASE]).arg(repository_root().join("charts/howdah"));
    helm.args(["--namespace", NAMESPACE, "--wait", "--timeout", "120s"]);
    for value in [
        format!("image.repository={}", image.repository),
        format!("image.tag={}", image.tag),
        "image.pullPolicy=IfNotPresent".to_owned(),
        // helm reads braces as a list.
        format!(
            "postgresImage={}",
            cluster.images.default_postgres().replace('{', "\\{").replace('}', "\\}")
        ),
    ] {
        helm.args(["--set-string", &value]);
    }
    helm.args(["--set", &format!("replicas={replicas}")]);
    command::run(&mut helm, "", seconds(150)).await.context("helm upgrade --install")?;
    wait_for_crd(cluster).await
}

pub(crate) async fn remove_chart(cluster: &Cluster) -> Result<()> {
    let mut helm = cluster.program("helm");
    helm.args(["uninstall", RELEASE, "--namespace", NAMESPACE, "--wait", "--timeout", "60s"]);
    command::run(&mut helm, "", seconds(90)).await.map(drop).context("helm uninstall")
}

/// The operator is held to *restricted* pod security too.
pub(crate) async fn make_namespace(cluster: &Cluster) -> Result<()> {
    let manifest = serde_json::json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
    });
    cluster.kubectl(&["apply", "-f", "-"], &manifest.to_string()).await.map(drop)
}

pub(crate) async fn wait_for_crd(cluster: &Cluster) -> Result<()> {
    let established = ["wait", "--for=condition=Established", "crd/servergroups.howdah.dev", "--timeout=30s"];
    cluster.kubectl(&established, "").await?;
    eventually("the API knows ServerGroups", seconds(30), async || {
        cluster.kubectl(&["get", "servergroups", "--all-namespaces"], "").await.map(drop)
    })
    .await
}

/// The pods of the operator, whoever installed it.
pub(crate) async fn operator_pods(cluster: &Cluster) -> Result<Vec<Pod>> {
    let deployments = Api::<Deployment>::namespaced(cluster.client.clone(), NAMESPACE);
    let deployment = deployments.list(&ListParams::default()).await?.items.pop();
    let deployment = deployment.context("there is no Deployment of the operator")?;
    let labels = deployment.spec.and_then(|it| it.selector.match_labels).unwrap_or_default();
    let selector = labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",");
    Ok(pods(cluster).list(&ListParams::default().labels(&selector)).await?.items)
}

pub(crate) fn pods(cluster: &Cluster) -> Api<Pod> {
    Api::namespaced(cluster.client.clone(), NAMESPACE)
}

/// Waits until these many pods of the operator, and no others, are there and ready.
pub(crate) async fn operators_are_ready(cluster: &Cluster, number: usize) -> Result<()> {
    eventually(&format!("{number} ready pods of the operator"), seconds(60), async || {
        let pods = operator_pods(cluster).await?;
        let ready = pods.iter().filter(|it| is_ready(it)).count();
        ensure!(ready == number && pods.len() == number, "{ready} of {} are ready", pods.len());
        Ok(())
    })
    .await
}
