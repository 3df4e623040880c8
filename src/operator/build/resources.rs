//! vcores and edition, explicit requests and limits, small defaults: the resources of a container.
use std::collections::BTreeMap;

use howdah_api::{Edition, Resources, ServerGroupSpec};
use howdah_group::NodeName;
use serde_json::{Value, json};

type Quantities = BTreeMap<String, String>;

/// Of the Postgres container of a node.
pub(super) fn postgres(spec: &ServerGroupSpec, node: NodeName) -> Value {
    let (vcores, edition, explicit) = match node {
        NodeName::Coordinator => {
            let it = &spec.coordinator;
            (it.vcores, it.edition, &it.resources)
        }
        NodeName::Worker(index) => {
            let it = &spec.workers;
            let own = it.overrides.iter().find(|it| it.index == index).and_then(|it| it.resources.as_ref());
            (it.vcores, it.edition, own.unwrap_or(&it.resources))
        }
    };
    match vcores {
        Some(vcores) => merged(&of_vcores(vcores, edition), &of_vcores(vcores, edition), explicit),
        None => merged(&small("100m", "256Mi"), &Quantities::new(), explicit),
    }
}

/// Of a router, which is more of a processor's than of memory's eater.
pub(super) fn router(spec: &ServerGroupSpec) -> Value {
    merged(&small("50m", "64Mi"), &Quantities::new(), &spec.router.resources)
}

/// Of the container that copies the binary.
pub(super) fn init() -> Value {
    json!({"requests": {"cpu": "10m", "memory": "32Mi"}})
}

fn of_vcores(vcores: u32, edition: Edition) -> Quantities {
    let gibibytes = match edition {
        Edition::GeneralPurpose => 4,
        Edition::MemoryOptimized => 8,
    };
    small(&vcores.to_string(), &format!("{}Gi", vcores * gibibytes))
}

fn small(cpu: &str, memory: &str) -> Quantities {
    [("cpu".to_owned(), cpu.to_owned()), ("memory".to_owned(), memory.to_owned())].into()
}

/// What the spec says wins, name by name. A default request that is more than an explicit limit gives way: Kubernetes
/// takes the limit for the request.
fn merged(requests: &Quantities, limits: &Quantities, explicit: &Resources) -> Value {
    let over = |defaults: &Quantities, explicit: &BTreeMap<String, howdah_api::Scalar>| {
        let mut all = defaults.clone();
        all.extend(explicit.iter().map(|(name, value)| (name.clone(), value.0.clone())));
        all
    };
    let mut defaults = requests.clone();
    defaults.retain(|name, _| !explicit.limits.contains_key(name));
    let (requests, limits) = (over(&defaults, &explicit.requests), over(limits, &explicit.limits));
    match limits.is_empty() {
        true => json!({"requests": requests}),
        false => json!({"requests": requests, "limits": limits}),
    }
}
