//! What is wrong and what the user can do about it: from the state of pods and volumes. Pure.
use howdah_api::ConditionType;
use howdah_group::NodeName;
use k8s_openapi::api::core::v1::{ContainerStatus, PersistentVolumeClaim, Pod};
use kube::ResourceExt as _;

/// Shown as a condition and an Event.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Problem {
    /// The condition that it makes bad, beside Ready or Degraded.
    pub(crate) condition: ConditionType,
    /// CamelCase, for machines.
    pub(crate) reason: &'static str,
    /// For people: what is wrong; what to do.
    pub(crate) message: String,
}

impl Problem {
    pub(crate) fn new(condition: ConditionType, reason: &'static str, message: impl Into<String>) -> Self {
        Self { condition, reason, message: message.into() }
    }
}

/// Why a pod does not run.
pub(crate) fn of_pod(node: NodeName, pod: &Pod) -> Option<Problem> {
    unschedulable(node, pod).or_else(|| {
        let status = pod.status.as_ref()?;
        let init = status.init_container_statuses.iter().flatten();
        let all = init.chain(status.container_statuses.iter().flatten());
        all.into_iter().find_map(|it| of_container(node, it))
    })
}

fn unschedulable(node: NodeName, pod: &Pod) -> Option<Problem> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let scheduled = conditions.iter().find(|it| it.type_ == "PodScheduled" && it.status == "False")?;
    let said = scheduled.message.clone().unwrap_or_default();
    let advice = if said.contains("Insufficient") {
        format!("Add k8s nodes, or ask for less: spec.{0}.vcores or spec.{0}.resources.", field(node))
    } else if said.contains("persistentvolumeclaim") || said.contains("PersistentVolumeClaim") {
        format!("Look at the volume claim, and at spec.{}.storage.", field(node))
    } else {
        "Look at spec.scheduling, and at the taints and labels of the k8s nodes.".into()
    };
    let message = format!("no k8s node takes the pod of {node}: {said} {advice}");
    Some(Problem::new(ConditionType::Degraded, "Unschedulable", message))
}

fn of_container(node: NodeName, status: &ContainerStatus) -> Option<Problem> {
    let name = &status.name;
    let last = status.last_state.as_ref().and_then(|it| it.terminated.as_ref());
    let now = status.state.as_ref();
    let ended = now.and_then(|it| it.terminated.as_ref()).or(last);
    let waiting = now.and_then(|it| it.waiting.as_ref());
    let reason = waiting.and_then(|it| it.reason.as_deref()).unwrap_or_default();
    let said = waiting.and_then(|it| it.message.as_deref()).unwrap_or_default();
    let problem = |reason, message| Some(Problem::new(ConditionType::Degraded, reason, message));
    match reason {
        "ErrImagePull"
        | "ImagePullBackOff"
        | "InvalidImageName"
        | "ErrImageNeverPull"
        | "ErrImagePullBackOff" => {
            let field = if name == "howdah" { "the operator's --image" } else { "spec.image" };
            let message = format!(
                "the image \"{}\" of {node} cannot be pulled: {said}. Correct {field}, or make the image available to the k8s node.",
                status.image
            );
            problem("ImagePullFailed", message)
        }
        "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
            let message = format!(
                "container {name} of {node} cannot start: {said}. Check spec.image (PostgreSQL 15 to 18 must be in it) and spec.podTemplateOverlay."
            );
            problem("ContainerFailed", message)
        }
        _ if !status.ready && ended.is_some_and(|it| it.reason.as_deref() == Some("OOMKilled")) => {
            let field = if name == crate::names::ROUTER { "router" } else { field(node) };
            let message = format!(
                "container {name} of {node} was killed because it used more memory than its limit. Raise spec.{field}.resources.limits.memory or vcores, or lower shared_buffers, work_mem or max_connections in the parameters."
            );
            problem("OutOfMemory", message)
        }
        "CrashLoopBackOff" => {
            let why = ended.map_or_else(String::new, |it| {
                let said = it.message.clone().unwrap_or_default();
                format!(" with exit code {} {said}", it.exit_code)
            });
            let message = format!(
                "container {name} of {node} ends again and again{why}. Its log says why: kubectl logs -c {name}."
            );
            problem("CrashLoop", message)
        }
        _ => None,
    }
}

/// Why a volume is not there. `class_exists` is unknown where StorageClasses may not be read.
pub(crate) fn of_claim(
    node: NodeName,
    claim: &PersistentVolumeClaim,
    class_exists: Option<bool>,
) -> Option<Problem> {
    let phase = claim.status.as_ref().and_then(|it| it.phase.as_deref());
    let class = claim.spec.as_ref().and_then(|it| it.storage_class_name.as_deref()).unwrap_or_default();
    let name = claim.name_any();
    let problem = |reason, message| Some(Problem::new(ConditionType::StorageHealthy, reason, message));
    match phase {
        Some("Bound") => None,
        Some("Lost") => problem(
            "VolumeLost",
            format!(
                "the volume of {node} (claim {name}) is lost. Bring it back, or restore {node} from a backup."
            ),
        ),
        _ if class.is_empty() => problem(
            "NoStorageClass",
            format!(
                "the cluster has no default StorageClass for the volume of {node} (claim {name}). Mark one as default, or name one in spec.{}.storage.className of a new server group.",
                field(node)
            ),
        ),
        _ if class_exists == Some(false) => problem(
            "StorageClassMissing",
            format!(
                "there is no StorageClass \"{class}\" for the volume of {node} (claim {name}). Create it, or make the server group again with another spec.{}.storage.className.",
                field(node)
            ),
        ),
        _ => None,
    }
}

/// Which part of the spec a node is described in.
pub(crate) fn field(node: NodeName) -> &'static str {
    match node {
        NodeName::Coordinator => "coordinator",
        NodeName::Worker(_) => "workers",
    }
}

#[cfg(test)]
mod tests;
