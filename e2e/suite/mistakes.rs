//! What people get wrong: the group says what to do, and heals when it is done.
use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::group::Group;
use crate::scene::Scene;
use crate::wait::seconds;

pub(super) async fn wrong_image(scene: &Scene) -> Result<()> {
    let wrong = json!({"image": "howdah.test/no-such-postgres:17", "workers": {"count": 0}});
    let group = scene.group("demo", wrong).await?;
    group.complains(&["howdah.test/no-such-postgres:17"], seconds(90)).await?;
    heals(&group, json!({"image": null})).await?;
    // A running group does not lose a node to it.
    group.patch(json!({"image": "howdah.test/no-such-postgres:18"})).await?;
    group.complains(&["howdah.test/no-such-postgres:18"], seconds(90)).await?;
    heals(&group, json!({"image": null})).await
}

pub(super) async fn missing_secret(scene: &Scene) -> Result<()> {
    let spec = json!({"adminPasswordSecretRef": {"name": "mine", "key": "pass"}, "workers": {"count": 0}});
    let group = scene.group("demo", spec).await?;
    group.complains(&["secret", "mine"], seconds(60)).await?;
    secret(scene, "other", "first").await?;
    group.complains(&["mine", "pass"], seconds(60)).await?;
    secret(scene, "pass", "first").await?;
    heals(&group, json!({})).await?;
    ensure!(scene.secret("demo-app", "password").await? == "first", "the password is another");
    // A new password is in force without a restart.
    secret(scene, "pass", "second").await?;
    crate::wait::eventually("the new password", seconds(60), async || {
        ensure!(scene.secret("demo-app", "password").await? == "second", "the app secret has the old one");
        group.answers("SELECT 1", "1").await
    })
    .await
}

async fn secret(scene: &Scene, key: &str, value: &str) -> Result<()> {
    let manifest = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mine"}, "stringData": {key: value},
    });
    scene.apply(&manifest.to_string()).await
}

pub(super) async fn unbound_volume_claim(scene: &Scene) -> Result<()> {
    let spec = json!({"coordinator": {"storage": {"className": "no-such-class"}}, "workers": {"count": 0}});
    let group = scene.group("demo", spec).await?;
    group.complains(&["no-such-class"], seconds(90)).await?;
    // The claim is bound when such a class appears.
    let class = json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "no-such-class"},
        "provisioner": default_provisioner(scene).await?, "volumeBindingMode": "WaitForFirstConsumer",
        "reclaimPolicy": "Delete",
    });
    scene.apply(&class.to_string()).await?;
    let healed = heals(&group, json!({})).await;
    scene.kubectl(&["delete", "storageclass", "no-such-class"]).await?;
    healed
}

async fn default_provisioner(scene: &Scene) -> Result<String> {
    let path = r#"jsonpath={.items[?(@.metadata.annotations.storageclass\.kubernetes\.io/is-default-class=="true")].provisioner}"#;
    scene.kubectl(&["get", "storageclasses", "--output", path]).await
}

pub(super) async fn too_little_memory(scene: &Scene) -> Result<()> {
    let much = json!({"workers": {"count": 1, "resources": {"requests": {"memory": "900Gi"}}}});
    let group = scene.group("demo", much).await?;
    group.complains(&["insufficient memory"], seconds(90)).await?;
    heals(&group, json!({"workers": {"resources": null}})).await
}

/// Corrected, the group is Ready, and no condition says that something is wrong any more.
async fn heals(group: &Group<'_>, correction: Value) -> Result<()> {
    group.patch(correction).await?;
    let ready = group.ready_within(seconds(120)).await?;
    let conditions = ready.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let degraded = conditions.iter().find(|it| it["type"] == "Degraded" && it["status"] == "True");
    ensure!(degraded.is_none(), "Ready, but {degraded:?}");
    group.answers("SELECT 1", "1").await
}
