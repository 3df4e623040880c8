//! What a failed test leaves behind, in `target/e2e-artifacts/TEST`.
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::install;
use crate::repository_root;
use crate::scene::Scene;

const KINDS: &str =
    "servergroups,statefulsets,deployments,pods,services,persistentvolumeclaims,networkpolicies";

/// Writes what a person would ask the cluster for. What cannot be had is said in its file.
pub(crate) async fn collect(scene: &Scene, test: &str, error: &anyhow::Error) -> Result<PathBuf> {
    let directory = repository_root().join("target/e2e-artifacts").join(test);
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory)?;
    std::fs::write(directory.join("error"), format!("{error:#}\n"))?;
    let questions: [(&str, &[&str]); 7] = [
        ("objects", &["get", KINDS, "--output", "wide"]),
        ("describe", &["describe", KINDS]),
        ("servergroups.yaml", &["get", "servergroups", "--output", "yaml"]),
        ("pods.yaml", &["get", "pods", "--output", "yaml"]),
        ("configmaps.yaml", &["get", "configmaps", "--output", "yaml"]),
        ("events", &["get", "events", "--sort-by", ".metadata.creationTimestamp"]),
        ("k8s-nodes", &["describe", "nodes"]),
    ];
    for (file, question) in questions {
        answer(scene, &directory.join(file), question).await?;
    }
    for pod in scene.pods("").await.unwrap_or_default() {
        let name = pod.metadata.name.unwrap_or_default();
        let log = ["logs", &name, "--all-containers", "--prefix", "--timestamps"];
        answer(scene, &directory.join(format!("{name}.log")), &log).await?;
        let before = [&log[..], &["--previous"]].concat();
        answer(scene, &directory.join(format!("{name}.previous.log")), &before).await?;
    }
    for pod in install::operator_pods(&scene.cluster).await.unwrap_or_default() {
        let name = pod.metadata.name.unwrap_or_default();
        let log = ["--namespace", install::NAMESPACE, "logs", &name, "--timestamps"];
        answer(scene, &directory.join(format!("operator-{name}.log")), &log).await?;
    }
    Ok(directory)
}

async fn answer(scene: &Scene, file: &Path, question: &[&str]) -> Result<()> {
    let said = scene.try_kubectl(question, "").await;
    let text = said.map_or_else(|error| format!("{error:#}\n"), |it| it.stdout + &it.stderr);
    Ok(std::fs::write(file, text)?)
}
