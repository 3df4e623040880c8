//! Makes Kubernetes have the objects that a group should have: applies what differs, deletes what is left over.
use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use tracing::info;

use crate::Error;
use crate::build::Blueprint;
use crate::cluster::Cluster;
use crate::memory::Memory;
use crate::problem::Problem;
use crate::snapshot::{Snapshot, stamp};

type Key = (String, String);

fn key(object: &DynamicObject) -> Key {
    let kind = object.types.as_ref().map(|it| it.kind.clone()).unwrap_or_default();
    (kind, object.name_any())
}

/// Applies each object that differs from what was applied last, or that somebody has changed since. What the API
/// server refuses because of what the user wrote is a problem to show; the other objects do not wait for it.
pub(crate) async fn apply(
    cluster: &Cluster,
    objects: &[DynamicObject],
    snapshot: &Snapshot,
    memory: &mut Memory,
) -> Result<Vec<Problem>, Error> {
    let stamps = snapshot.stamps();
    let mut problems = Vec::new();
    for object in objects {
        let key = key(object);
        let said = serde_json::to_string(object).expect("an object has only text keys");
        let current = stamps.get(&key);
        let unchanged = memory.applied.get(&key).is_some_and(|it| it.0 == said && Some(&it.1) == current);
        if unchanged {
            continue;
        }
        match cluster.apply(object).await {
            Ok(applied) => {
                info!(kind = key.0, name = key.1, "applied");
                memory.applied.insert(key, (said, stamp(&applied.metadata)));
            }
            Err(error) => problems.push(refused(&key, error)?),
        }
    }
    Ok(problems)
}

fn refused((kind, name): &Key, error: Error) -> Result<Problem, Error> {
    let Some(said) = error.refusal() else { return Err(error) };
    let message =
        format!("the API server refuses {kind} {name}: {said}. Correct what the message names in the spec.");
    Ok(Problem::new(howdah_api::ConditionType::Degraded, "ObjectRefused", message))
}

/// Deletes what belongs to the group and should not be there. StatefulSets, pods and volumes are not its business.
pub(crate) async fn prune(
    cluster: &Cluster,
    blueprint: &Blueprint<'_>,
    wanted: &[DynamicObject],
    snapshot: &Snapshot,
) -> Result<(), Error> {
    let wanted: BTreeSet<Key> = wanted.iter().map(key).collect();
    let owner = blueprint.group.uid().unwrap_or_default();
    macro_rules! prune {
        ($kind:literal, $objects:expr) => {
            for object in $objects {
                let ours = object.owner_references().iter().any(|it| it.uid == owner);
                let leaving = object.metadata.deletion_timestamp.is_some();
                if ours && !leaving && !wanted.contains(&($kind.to_owned(), object.name_any())) {
                    info!(kind = $kind, name = object.name_any(), "deleting what is left over");
                    cluster.delete(object).await?;
                }
            }
        };
    }
    prune!("Deployment", snapshot.deployment.iter().collect::<Vec<&Deployment>>());
    prune!("ConfigMap", &snapshot.config_maps);
    prune!("Secret", &snapshot.secrets);
    prune!("Service", &snapshot.services);
    prune!("NetworkPolicy", &snapshot.policies);
    prune!("PodDisruptionBudget", &snapshot.budgets);
    Ok(())
}
