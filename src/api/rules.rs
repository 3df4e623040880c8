//! The rules of the CRDs in CEL: what a schema's bounds cannot say. The API server evaluates them.
use kube::core::Rule;

/// Names of pods and Services are made of it, and those end at 63.
pub(crate) fn name_length() -> Rule {
    Rule::new("self.metadata.name.size() <= 40").message("metadata.name: at most 40 characters")
}

pub(crate) fn operation() -> Vec<Rule> {
    vec![
        Rule::new("self == oldSelf").message("an operation is immutable: create another one"),
        Rule::new("!(self.type in ['Switchover', 'DrainNode', 'ForceFailover']) || self.node != ''")
            .message("node: this operation is for one node"),
        Rule::new("self.type != 'ForceFailover' || self.acknowledgeDataLoss")
            .message("acknowledgeDataLoss: a forced failover may lose acknowledged commits: set it to true"),
        Rule::new("self.type != 'CreateRestorePoint' || self.restorePoint != ''")
            .message("restorePoint: the restore point needs a name"),
    ]
}
