//! Pods and volumes as Kubernetes shows them, and what users are told.
use expect_test::{Expect, expect};
use serde_json::{Value, json};

use super::*;

fn check_pod(status: Value, expected: &Expect) {
    let pod: Pod =
        serde_json::from_value(json!({"metadata": {"name": "demo-w0-0"}, "status": status})).unwrap();
    let problem = of_pod(NodeName::Worker(0), &pod);
    expected.assert_eq(&problem.map_or("none".into(), |it| format!("{}: {}", it.reason, it.message)));
}

fn waiting(reason: &str, message: &str) -> Value {
    json!({"containerStatuses": [{
        "name": "postgres", "image": "postgres:99", "imageID": "", "ready": false, "restartCount": 3,
        "state": {"waiting": {"reason": reason, "message": message}},
    }]})
}

#[test]
fn pods() {
    check_pod(
        waiting("ImagePullBackOff", "Back-off pulling image \"postgres:99\""),
        &expect![[
            r#"ImagePullFailed: the image "postgres:99" of w0 cannot be pulled: Back-off pulling image "postgres:99". Correct spec.image, or make the image available to the k8s node."#
        ]],
    );
    check_pod(
        json!({"conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "0/3 nodes are available: 3 Insufficient memory.",
        }]}),
        &expect![
            "Unschedulable: no k8s node takes the pod of w0: 0/3 nodes are available: 3 Insufficient memory. Add k8s nodes, or ask for less: spec.workers.vcores or spec.workers.resources."
        ],
    );
    check_pod(waiting("ContainerCreating", ""), &expect!["none"]);
    check_pod(json!({}), &expect!["none"]);
}

#[test]
fn a_container_out_of_memory() {
    let status = json!({"containerStatuses": [{
        "name": "postgres", "image": "postgres:17", "imageID": "", "ready": false, "restartCount": 3,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}},
    }]});
    check_pod(
        status,
        &expect![
            "OutOfMemory: container postgres of w0 was killed because it used more memory than its limit. Raise spec.workers.resources.limits.memory or vcores, or lower shared_buffers, work_mem or max_connections in the parameters."
        ],
    );
}

#[test]
fn volumes() {
    let claim = |class: Option<&str>, phase: &str| -> PersistentVolumeClaim {
        serde_json::from_value(json!({
            "metadata": {"name": "data-demo-w0-0"},
            "spec": {"storageClassName": class},
            "status": {"phase": phase},
        }))
        .unwrap()
    };
    let reason = |claim: &PersistentVolumeClaim, exists| {
        of_claim(NodeName::Worker(0), claim, exists).map(|it| it.reason)
    };
    assert_eq!(reason(&claim(Some("fast"), "Bound"), Some(false)), None);
    assert_eq!(reason(&claim(Some("fast"), "Pending"), Some(true)), None, "it may only take a while");
    assert_eq!(reason(&claim(Some("fast"), "Pending"), None), None, "nobody knows");
    assert_eq!(reason(&claim(Some("fast"), "Pending"), Some(false)), Some("StorageClassMissing"));
    assert_eq!(reason(&claim(None, "Pending"), Some(false)), Some("NoStorageClass"));
    assert_eq!(reason(&claim(Some("fast"), "Lost"), Some(true)), Some("VolumeLost"));
}
