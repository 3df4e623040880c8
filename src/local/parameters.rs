//! The settings of a node, from its ServerGroup.
use std::collections::BTreeMap;

use howdah_api::{Parameters, ServerGroupSpec};
use howdah_group::NodeName;
use howdah_instance::settings;

/// Refuses what would break the group.
pub(crate) fn check(field: &str, parameters: &Parameters) -> Result<(), String> {
    let check = |name: &str, value: &str| {
        settings::check(name, value).map_err(|reason| format!("{field}.{name}: {reason}"))
    };
    parameters.iter().try_for_each(|(name, value)| check(name, &value.0))
}

/// Those of the group, and those of its kind over them.
pub(crate) fn settings(spec: &ServerGroupSpec, node: NodeName) -> BTreeMap<String, String> {
    let own = match node {
        NodeName::Coordinator => &spec.coordinator.parameters,
        NodeName::Worker(_) => &spec.workers.parameters,
    };
    let layers = spec.parameters.iter().chain(own);
    settings::layered(layers.map(|(name, value)| (name.as_str(), value.0.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The CRD's rules name what an API server refuses, and cannot ask us.
    #[test]
    fn the_crd_reserves_the_same_settings() {
        assert_eq!(howdah_api::RESERVED_PARAMETERS, settings::RESERVED);
        assert_eq!(howdah_api::RESERVED_PREFIXES, settings::RESERVED_PREFIXES);
    }
}
