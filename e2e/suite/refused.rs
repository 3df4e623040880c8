//! A sample of bad input; every rule of the schema is tested beside it, in `src/api`.
use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::scene::Scene;

pub(super) async fn bad_input_is_refused_by_the_api(scene: &Scene) -> Result<()> {
    for (field, spec) in [
        ("vcores", json!({"workers": {"count": 1, "vcores": -1}})),
        ("count", json!({"workers": {"count": -1}})),
        ("parameters", json!({"parameters": {"ssl": "off"}})),
        ("postgresVersion", json!({"postgresVersion": "9.6"})),
        ("syncNumber", json!({"highAvailability": {"instances": 2, "syncNumber": 2}})),
        ("storage", json!({"workers": {"storage": {"size": "much"}}})),
        ("databse", json!({"databse": "app"})),
    ] {
        refuses(scene, "bad", spec, field).await?;
    }
    let long = "n".repeat(41);
    refuses(scene, &long, json!({}), "name").await?;

    // What may not change, on a group that the operator leaves alone.
    let good = json!({"paused": true, "postgresVersion": "17", "workers": {"storage": {"size": "2Gi"}}});
    scene.group("good", good.clone()).await?;
    for (field, value) in [
        ("database", json!("other")),
        ("adminUser", json!("other")),
        ("workers", json!({"storage": {"size": "1Gi"}})),
        ("postgresVersion", json!("15")),
    ] {
        let mut spec = good.clone();
        spec[field] = value;
        refuses(scene, "good", spec, field).await?;
    }
    Ok(())
}

/// The API server refuses it, and names the field.
async fn refuses(scene: &Scene, name: &str, spec: Value, field: &str) -> Result<()> {
    let manifest = json!({
        "apiVersion": "howdah.dev/v1alpha1", "kind": "ServerGroup", "metadata": {"name": name}, "spec": spec,
    });
    let said = scene.try_kubectl(&["apply", "-f", "-"], &manifest.to_string()).await?;
    ensure!(!said.success, "not refused: {manifest}");
    ensure!(said.stderr.contains(field), "the message does not name {field}: {}", said.stderr);
    Ok(())
}
