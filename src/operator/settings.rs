//! Settings of PostgreSQL: each node's own server judges them before they are written anywhere.
use std::collections::BTreeMap;

use futures::future::join_all;
use howdah_api::{ConditionType, ServerGroupSpec};
use howdah_group::NodeName;
use howdah_instance::control::SettingsError;
use howdah_instance::settings::hash;

use crate::build::{instance_settings, settings_of};
use crate::link::Link;
use crate::names::Names;
use crate::problem::Problem;
use crate::snapshot::{PodFacts as _, Snapshot};
use crate::survey::Survey;

/// What each node's next start begins with, and what is wrong with what the spec wants.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) settings: BTreeMap<NodeName, BTreeMap<String, String>>,
    pub(crate) problems: Vec<Problem>,
    /// A server has taken new ones: what it says of restarts is to be asked anew.
    pub(crate) changed: bool,
}

/// Brings wanted settings to all servers that are ready. Refused ones change nothing, here or in the pod.
pub(crate) async fn bring(
    link: &Link,
    names: &Names,
    spec: &ServerGroupSpec,
    nodes: impl IntoIterator<Item = NodeName>,
    snapshot: &Snapshot,
    survey: &Survey,
) -> Outcome {
    let asked = nodes.into_iter().map(|node| async move {
        let wanted = instance_settings(spec, node);
        (node, bring_to(link, names, node, &wanted, snapshot, survey).await, wanted)
    });
    let mut outcome = Outcome::default();
    for (node, answer, wanted) in join_all(asked).await {
        let kept = || snapshot.config_map(&names.node(node)).and_then(settings_of);
        match answer {
            Answer::InForce => {}
            Answer::Taken => outcome.changed = true,
            Answer::Unknown(Some(message)) => {
                outcome.problems.push(Problem::new(ConditionType::ParametersApplied, "NotReached", message));
            }
            Answer::Unknown(None) => {}
            Answer::Refused(error) => {
                outcome.problems.push(refused(node, &error));
                outcome.settings.insert(node, kept().unwrap_or(wanted));
                continue;
            }
        }
        outcome.settings.insert(node, wanted);
    }
    outcome.problems.sort();
    outcome.problems.dedup();
    outcome
}

enum Answer {
    InForce,
    Taken,
    Refused(SettingsError),
    /// Not asked, or no answer: the pod judges for itself at its next start.
    Unknown(Option<String>),
}

async fn bring_to(
    link: &Link,
    names: &Names,
    node: NodeName,
    wanted: &BTreeMap<String, String>,
    snapshot: &Snapshot,
    survey: &Survey,
) -> Answer {
    let Some(status) = survey.status.get(&node) else { return Answer::Unknown(None) };
    if let Some(error) = status.settings_error.as_ref().filter(|it| it.settings_hash == hash(wanted)) {
        return Answer::Refused(error.clone());
    }
    if status.settings_hash == hash(wanted) {
        return Answer::InForce;
    }
    let Some(ip) = snapshot.pods.get(&node).and_then(|it| it.ip()) else { return Answer::Unknown(None) };
    if !survey.is_ready(node) {
        return Answer::Unknown(None);
    }
    match link.control(names, node, ip).put_settings(wanted).await {
        Ok(Ok(_)) => Answer::Taken,
        Ok(Err(error)) => Answer::Refused(error),
        Err(error) => Answer::Unknown(Some(format!("{node}: {error}"))),
    }
}

fn refused(node: NodeName, error: &SettingsError) -> Problem {
    let parameter = error.parameter.as_deref().map_or_else(String::new, |it| format!("\"{it}\" "));
    let message = format!(
        "{node} refuses the parameter {parameter}of the spec: {}. The old settings stay in force. Correct spec.parameters or spec.{}.parameters.",
        error.error.trim_end_matches('.'),
        crate::problem::field(node),
    );
    Problem::new(ConditionType::ParametersApplied, "InvalidParameter", message)
}
