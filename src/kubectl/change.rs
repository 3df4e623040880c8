//! `kubectl howdah restart` and `hibernate`.
use howdah_api::{OperationType, ServerGroupOperation, ServerGroupOperationSpec};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;

use crate::cluster::Cluster;

/// An operation stays as a record; its name is made by the API server.
pub(crate) async fn restart(cluster: &Cluster, group: &str, node: Option<&str>) -> anyhow::Result<()> {
    cluster.group(group).await?;
    let spec = ServerGroupOperationSpec {
        server_group: group.to_owned(),
        kind: OperationType::Restart,
        node: node.unwrap_or_default().to_owned(),
        member: String::new(),
        restore_point: String::new(),
        acknowledge_data_loss: false,
    };
    let mut operation = ServerGroupOperation::new("", spec);
    operation.metadata.name = None;
    operation.metadata.generate_name = Some(format!("{group}-restart-"));
    let operations = Api::<ServerGroupOperation>::namespaced(cluster.client.clone(), &cluster.namespace);
    let created = operations.create(&PostParams::default(), &operation).await?;
    let name = created.metadata.name.unwrap_or_default();
    println!("servergroupoperation.howdah.dev/{name} created: watch it with `kubectl get sgop {name} -w`");
    Ok(())
}

pub(crate) async fn hibernate(cluster: &Cluster, group: &str, hibernate: bool) -> anyhow::Result<()> {
    let before = cluster.group(group).await?.spec.hibernate;
    if before == hibernate {
        println!("{group} {}", if hibernate { "hibernates already" } else { "is awake already" });
        return Ok(());
    }
    let patch = Patch::Merge(json!({"spec": {"hibernate": hibernate}}));
    cluster.groups().patch(group, &PatchParams::default(), &patch).await?;
    println!("{group} {}", if hibernate { "goes to sleep; its data are kept" } else { "wakes up" });
    Ok(())
}
