//! Volumes: they grow with the spec where their StorageClass lets them.
use std::collections::BTreeMap;

use howdah_api::{ConditionType, ServerGroupSpec};
use howdah_group::NodeName;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::{Api, ResourceExt as _};
use serde_json::json;
use tracing::info;

use crate::Error;
use crate::build::storage;
use crate::cluster::Cluster;
use crate::problem::{self, Problem};
use crate::snapshot::Snapshot;

/// Lets claims grow that are smaller than the spec wants, and tells what is wrong with any.
pub(crate) async fn grow(
    cluster: &Cluster,
    spec: &ServerGroupSpec,
    nodes: impl IntoIterator<Item = NodeName>,
    snapshot: &Snapshot,
) -> Result<Vec<Problem>, Error> {
    let mut problems = Vec::new();
    for node in nodes {
        let Some(claim) = snapshot.claims.get(&node) else { continue };
        let (size, _) = storage(spec, node);
        problems.extend(problem::of_claim(node, claim, class_exists(cluster, claim).await));
        let is_bound = claim.status.as_ref().and_then(|it| it.phase.as_deref()) == Some("Bound");
        if is_bound && is_smaller(claim, size) {
            problems.extend(grow_claim(cluster, node, claim, size).await?);
        }
    }
    Ok(problems)
}

async fn grow_claim(
    cluster: &Cluster,
    node: NodeName,
    claim: &PersistentVolumeClaim,
    size: &str,
) -> Result<Option<Problem>, Error> {
    let patch = json!({"spec": {"resources": {"requests": {"storage": size}}}});
    let (namespace, name) = (claim.namespace().unwrap_or_default(), claim.name_any());
    match cluster.merge::<PersistentVolumeClaim>(&namespace, &name, &patch).await {
        Ok(()) => {
            info!(claim = name, size, "volume grows");
            Ok(None)
        }
        Err(error) => {
            let Some(said) = error.refusal() else { return Err(error) };
            let message = format!(
                "the volume of {node} (claim {name}) cannot grow to {size}: {said}. Take a StorageClass that allows expansion (allowVolumeExpansion: true)."
            );
            Ok(Some(Problem::new(ConditionType::StorageHealthy, "CannotGrow", message)))
        }
    }
}

/// `None` where the operator may not read StorageClasses. Asked only for claims that wait.
async fn class_exists(cluster: &Cluster, claim: &PersistentVolumeClaim) -> Option<bool> {
    let bound = claim.status.as_ref().and_then(|it| it.phase.as_deref()) == Some("Bound");
    let name = claim.spec.as_ref()?.storage_class_name.as_deref().filter(|it| !bound && !it.is_empty())?;
    let classes: Api<StorageClass> = Api::all(cluster.client());
    Some(classes.get_opt(name).await.ok()?.is_some())
}

fn is_smaller(claim: &PersistentVolumeClaim, size: &str) -> bool {
    let requests =
        claim.spec.as_ref().and_then(|it| it.resources.as_ref()).and_then(|it| it.requests.as_ref());
    let asked = requests.and_then(|it: &BTreeMap<_, _>| it.get("storage")).and_then(|it| bytes(&it.0));
    matches!((asked, bytes(size)), (Some(asked), Some(wanted)) if asked < wanted)
}

/// A quantity of Kubernetes, in bytes.
fn bytes(quantity: &str) -> Option<f64> {
    let end = quantity.find(|it: char| !it.is_ascii_digit() && it != '.').unwrap_or(quantity.len());
    let (number, unit) = quantity.split_at(end);
    let factor = match unit {
        "" => 1.0,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1_048_576.0,
        "Gi" => 1_073_741_824.0,
        "Ti" => 1_099_511_627_776.0,
        "Pi" => 1_125_899_906_842_624.0,
        "Ei" => 1_152_921_504_606_846_976.0,
        _ => return quantity.parse().ok(),
    };
    Some(number.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities() {
        assert_eq!(bytes("1Gi"), Some(1_073_741_824.0));
        assert_eq!(bytes("1.5G"), Some(1.5e9));
        assert_eq!(bytes("128974848"), Some(128_974_848.0));
        assert_eq!(bytes("129e6"), Some(129e6));
        assert_eq!(bytes("many"), None);
    }
}
