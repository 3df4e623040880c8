//! Fields of the spec that are validated and that this version does not act upon.
use howdah_api::{ServerGroupSpec, UpdateStrategy};
use serde_json::Value;

/// Those that differ from their defaults, as people write them.
pub(crate) fn fields(spec: &ServerGroupSpec) -> Vec<String> {
    let value = |spec: &ServerGroupSpec| serde_json::to_value(spec).expect("a spec has only text keys");
    let (wanted, default) = (value(spec), value(&ServerGroupSpec::default()));
    let differs = |field: &&&str| {
        wanted.pointer(field) != default.pointer(field) && wanted.pointer(field) != Some(&Value::Null)
    };
    let mut fields: Vec<String> =
        FIELDS.iter().filter(differs).map(|it| format!("spec{}", it.replace('/', "."))).collect();
    if spec.workers.count == 0 {
        fields.push("spec.coordinator.holdShards (tables cannot be distributed without a worker)".into());
    }
    if spec.update.strategy == UpdateStrategy::Supervised {
        fields.push("spec.update.strategy".into());
    }
    fields
}

const FIELDS: &[&str] = &[
    "/coordinator/holdShards",
    "/highAvailability",
    "/rebalance",
    "/router/pool/failoverBufferSeconds",
    "/router/readReplicas",
    "/tls/issuerRef",
    "/tls/minVersion",
    "/backup",
    "/bootstrap",
    "/maintenanceWindows",
    "/update/primaryMethod",
    "/monitoring/grafanaDashboard",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_for() {
        let mut spec = ServerGroupSpec::default();
        assert_eq!(fields(&spec), Vec::<String>::new());
        spec.high_availability.instances = 3;
        spec.update.strategy = UpdateStrategy::Supervised;
        assert_eq!(fields(&spec), ["spec.highAvailability", "spec.update.strategy"]);
        let mut spec = ServerGroupSpec::default();
        spec.workers.count = 0;
        assert_eq!(fields(&spec).len(), 1, "the coordinator cannot hold shards in their stead");
    }
}
