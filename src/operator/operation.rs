//! ServerGroupOperation: work that is asked for once. So far `Restart`: PostgreSQL of one node, or of all, one after
//! the other.
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use howdah_api::{
    OperationPhase, OperationType, ServerGroup, ServerGroupOperation, ServerGroupOperationStatus,
};
use howdah_group::NodeName;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::DynamicObject;
use kube::runtime::controller::Action;
use kube::{Resource as _, ResourceExt as _};
use serde_json::json;

use crate::Error;
use crate::certificates::OperatorCertificate;
use crate::context::Context;
use crate::names::Names;
use crate::pki::Authority;
use crate::situation;
use crate::snapshot::{Snapshot, is_ready, texts};
use crate::work::Work;

pub(crate) async fn reconcile(
    operation: Arc<ServerGroupOperation>,
    context: Arc<Context>,
) -> Result<Action, Error> {
    context.cluster.leadership().check()?;
    let status = operation.status.clone().unwrap_or_default();
    let ended = matches!(status.phase, Some(OperationPhase::Succeeded | OperationPhase::Failed));
    if ended || operation.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let next = step(&operation, &context, status.clone()).await?;
    let done = matches!(next.phase, Some(OperationPhase::Succeeded | OperationPhase::Failed));
    if next != status {
        write(&context, &operation, &next).await?;
    }
    Ok(if done { Action::await_change() } else { Action::requeue(AGAIN) })
}

/// At most one node is restarted; what is done is written down before the next.
async fn step(
    operation: &ServerGroupOperation,
    context: &Context,
    mut status: ServerGroupOperationStatus,
) -> Result<ServerGroupOperationStatus, Error> {
    status.started_at.get_or_insert_with(|| Time(Timestamp::now()));
    if operation.spec.kind != OperationType::Restart {
        let text = format!("this version cannot do {:?} yet", operation.spec.kind);
        return Ok(ended(status, OperationPhase::Failed, text));
    }
    let namespace = operation.namespace().unwrap_or_default();
    let name = &operation.spec.server_group;
    let Some(group) = context.cluster.api::<ServerGroup>(&namespace).get_opt(name).await? else {
        return Ok(ended(status, OperationPhase::Failed, format!("there is no ServerGroup \"{name}\"")));
    };
    let names = Names { group: name.clone(), namespace };
    let snapshot = Snapshot::take(&context.cluster, &names).await?;
    let all: BTreeSet<NodeName> = situation::desired(&group.spec).nodes().collect();
    let wanted: BTreeSet<NodeName> = match operation.spec.node.parse() {
        Ok(node) => [node].into(),
        // The schema lets only names of nodes pass, and none for all.
        Err(_) => all.clone(),
    };
    if let Some(unknown) = wanted.iter().find(|it| !all.contains(*it)) {
        return Ok(ended(status, OperationPhase::Failed, format!("\"{name}\" has no node {unknown}")));
    }
    let mut left = wanted.iter().filter(|it| !status.nodes_done.contains(&it.to_string()));
    let Some(node) = left.next_back().copied() else {
        let text = format!("restarted {}", status.nodes_done.join(", "));
        return Ok(ended(status, OperationPhase::Succeeded, text));
    };
    let down: Vec<String> = all
        .iter()
        .filter(|it| !snapshot.pods.get(*it).is_some_and(|pod| is_ready(pod, **it)))
        .map(ToString::to_string)
        .collect();
    if !down.is_empty() || group.spec.paused {
        let text = match group.spec.paused {
            true => "the server group is paused".to_owned(),
            false => format!("waiting until {} serves", down.join(", ")),
        };
        return Ok(ServerGroupOperationStatus {
            phase: Some(OperationPhase::Pending),
            message: Some(text),
            ..status
        });
    }
    restart(context, &group, &names, &snapshot, node, status).await
}

async fn restart(
    context: &Context,
    group: &ServerGroup,
    names: &Names,
    snapshot: &Snapshot,
    node: NodeName,
    mut status: ServerGroupOperationStatus,
) -> Result<ServerGroupOperationStatus, Error> {
    let secret = snapshot.secret(&names.ca_secret());
    let Some(authority) = secret.and_then(|it| Authority::read(&texts(it), it.annotations())) else {
        let text = "waiting for the group's certificates".to_owned();
        return Ok(ServerGroupOperationStatus {
            phase: Some(OperationPhase::Pending),
            message: Some(text),
            ..status
        });
    };
    let mut memory = context.memories.of(&group.uid().unwrap_or_default()).await;
    let link =
        OperatorCertificate::ensure(&mut memory.certificate, &names.group, &authority, Timestamp::now())?;
    let work = Work { names, spec: &group.spec, snapshot, link: &link, password: None };
    context.cluster.leadership().check()?;
    match work.restart(node).await {
        Ok(()) => {
            status.nodes_done.push(node.to_string());
            let text = format!("restarted {}", status.nodes_done.join(", "));
            Ok(ServerGroupOperationStatus {
                phase: Some(OperationPhase::Running),
                message: Some(text),
                ..status
            })
        }
        Err(problem) => Ok(ended(status, OperationPhase::Failed, problem.message)),
    }
}

fn ended(
    status: ServerGroupOperationStatus,
    phase: OperationPhase,
    message: String,
) -> ServerGroupOperationStatus {
    let completed_at = Some(Time(Timestamp::now()));
    ServerGroupOperationStatus { phase: Some(phase), message: Some(message), completed_at, ..status }
}

async fn write(
    context: &Context,
    operation: &ServerGroupOperation,
    status: &ServerGroupOperationStatus,
) -> Result<(), Error> {
    let object: DynamicObject = serde_json::from_value(json!({
        "apiVersion": ServerGroupOperation::api_version(&()),
        "kind": ServerGroupOperation::kind(&()),
        "metadata": {"name": operation.name_any(), "namespace": operation.namespace()},
        "status": status,
    }))
    .expect("a status has only text keys");
    context.cluster.apply_status(&object).await
}

const AGAIN: Duration = Duration::from_secs(2);
