//! What a test gets: the cluster and a namespace of its own, in which pod security is *restricted*.
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod, Secret};
use kube::api::{DeleteParams, ListParams};
use kube::core::DynamicObject;
use kube::{Api, Resource};
use tokio::sync::OnceCell;

use crate::cluster::Cluster;
use crate::command::{self, Said};
use crate::group::Group;
use crate::wait::{eventually, seconds, until};

/// The pod from which psql is run.
pub(crate) const CLIENT: &str = "client";

pub(crate) struct Scene {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) namespace: String,
    client_pod: OnceCell<()>,
}

impl Scene {
    /// Makes the namespace anew, so that nothing of an earlier run is in it.
    pub(crate) async fn set(cluster: Arc<Cluster>, test: &str) -> Result<Self> {
        let namespace = format!("e2e-{}", test.replace('_', "-"));
        let scene = Self { cluster, namespace, client_pod: OnceCell::new() };
        scene.strike(true).await?;
        let manifest = serde_json::json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": scene.namespace, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
        });
        scene.cluster.kubectl(&["apply", "-f", "-"], &manifest.to_string()).await?;
        eventually("the namespace's service account", seconds(30), async || {
            scene.kubectl(&["get", "serviceaccount", "default"]).await.map(drop)
        })
        .await?;
        Ok(scene)
    }

    /// Removes the namespace; a run that continues need not wait for the end of it.
    pub(crate) async fn strike(&self, wait: bool) -> Result<()> {
        let api = Api::<Namespace>::all(self.cluster.client.clone());
        if api.get_opt(&self.namespace).await?.is_none() {
            return Ok(());
        }
        let quickly = DeleteParams::default().grace_period(1);
        let _ = self.api::<Pod>().delete_collection(&quickly, &ListParams::default()).await;
        api.delete(&self.namespace, &DeleteParams::default()).await?;
        if wait {
            until(&api, &self.namespace, "is gone", seconds(120), |it| it.is_none()).await?;
        }
        Ok(())
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.cluster.client.clone(), &self.namespace)
    }

    pub(crate) fn groups(&self) -> Api<DynamicObject> {
        Api::namespaced_with(self.cluster.client.clone(), &self.namespace, &Group::kind())
    }

    /// kubectl in the test's namespace, which must succeed.
    pub(crate) async fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.cluster.kubectl(&[&["--namespace", &self.namespace], arguments].concat(), "").await
    }

    pub(crate) async fn try_kubectl(&self, arguments: &[&str], input: &str) -> Result<Said> {
        self.cluster.try_kubectl(&[&["--namespace", &self.namespace], arguments].concat(), input).await
    }

    pub(crate) async fn apply(&self, manifest: &str) -> Result<()> {
        let said = self.try_kubectl(&["apply", "-f", "-"], manifest).await?;
        ensure!(said.success, "kubectl apply: {}", said.stderr);
        Ok(())
    }

    /// Applies a ServerGroup of this spec.
    pub(crate) async fn group(&self, name: &str, spec: serde_json::Value) -> Result<Group<'_>> {
        let manifest = serde_json::json!({
            "apiVersion": "howdah.dev/v1alpha1", "kind": "ServerGroup",
            "metadata": {"name": name}, "spec": spec,
        });
        self.apply(&manifest.to_string()).await?;
        Ok(Group::new(self, name))
    }

    pub(crate) async fn pods(&self, selector: &str) -> Result<Vec<Pod>> {
        Ok(self.api::<Pod>().list(&ListParams::default().labels(selector)).await?.items)
    }

    pub(crate) async fn stateful_sets(&self) -> Result<Vec<StatefulSet>> {
        Ok(self.api::<StatefulSet>().list(&ListParams::default()).await?.items)
    }

    pub(crate) async fn secret(&self, name: &str, key: &str) -> Result<String> {
        let secret = self.api::<Secret>().get(name).await?;
        let value = secret.data.and_then(|mut it| it.remove(key));
        let value = value.with_context(|| format!("secret {name} has no {key}"))?;
        Ok(String::from_utf8(value.0)?)
    }

    /// Runs a shell script in the client pod; it may fail.
    pub(crate) async fn in_client(&self, script: &str, input: &str, deadline: Duration) -> Result<Said> {
        self.client_pod.get_or_try_init(|| self.start_client_pod()).await?;
        let mut exec = self.cluster.program("kubectl");
        exec.args(["--namespace", &self.namespace, "exec", "--stdin", CLIENT, "--", "bash", "-c", script]);
        command::say(&mut exec, input, deadline).await
    }

    pub(crate) async fn start_client_pod(&self) -> Result<()> {
        let (_, image) = self.cluster.images.newest();
        let manifest = serde_json::json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": CLIENT},
            "spec": {
                "terminationGracePeriodSeconds": 1,
                "securityContext": {"runAsNonRoot": true, "runAsUser": 999, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [{
                    "name": CLIENT, "image": image, "imagePullPolicy": "IfNotPresent", "command": ["sleep", "infinity"],
                    "env": [{"name": "HOME", "value": "/tmp"}],
                    "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
                }],
            },
        });
        self.apply(&manifest.to_string()).await?;
        until(&self.api::<Pod>(), CLIENT, "is ready", seconds(60), |it| it.is_some_and(is_ready)).await?;
        Ok(())
    }

    pub(crate) fn k8s_nodes(&self) -> Api<Node> {
        Api::all(self.cluster.client.clone())
    }
}

/// Ready, and not about to be deleted: a kubelet takes a while to hear of that.
pub(crate) fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|it| it.conditions.as_deref()).unwrap_or_default();
    pod.metadata.deletion_timestamp.is_none()
        && conditions.iter().any(|it| it.type_ == "Ready" && it.status == "True")
}
