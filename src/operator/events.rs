//! Events: what has changed for people, from one status to the next.
use howdah_api::{ConditionType, Phase, ServerGroupStatus};
use kube::runtime::events::{Event, EventType};

/// Pure: the same change tells the same.
pub(crate) fn between(old: &ServerGroupStatus, new: &ServerGroupStatus) -> Vec<Event> {
    let mut events = Vec::new();
    for kind in TOLD {
        let find = |status: &ServerGroupStatus| {
            status.conditions.iter().find(|it| it.type_ == kind.as_str()).cloned()
        };
        let (before, Some(after)) = (find(old), find(new)) else { continue };
        let bad =
            (kind == ConditionType::Degraded || kind == ConditionType::Paused) == (after.status == "True");
        let same = before.as_ref().is_some_and(|it| {
            it.status == after.status && it.reason == after.reason && it.message == after.message
        });
        match (bad, same) {
            (_, true) => {}
            (true, false) => events.push(event(EventType::Warning, &after.reason, &after.message)),
            // That something is well is worth a word only after it was not.
            (false, false) => {
                if before.is_some_and(|it| it.status != after.status) && kind != ConditionType::SpecInForce {
                    events.push(event(EventType::Normal, kind.as_str(), &after.message));
                }
            }
        }
    }
    if old.phase != new.phase
        && let Some(phase) = new.phase
    {
        let said = |kind: &str| {
            new.conditions.iter().find(|it| it.type_ == kind).map(|it| it.message.clone()).unwrap_or_default()
        };
        let (type_, note) = match phase {
            Phase::Degraded | Phase::Failed => (EventType::Warning, said("Ready")),
            Phase::Ready | Phase::Hibernated => (EventType::Normal, said("Ready")),
            _ => (EventType::Normal, said("Progressing")),
        };
        events.push(event(type_, &format!("{phase:?}"), &note));
    }
    events
}

pub(crate) fn event(type_: EventType, reason: &str, note: &str) -> Event {
    Event {
        type_,
        reason: reason.into(),
        // The API server's limit is 1024 bytes.
        note: Some(note.chars().take(900).collect()),
        action: "Reconcile".into(),
        secondary: None,
    }
}

/// Degraded speaks for all that is wrong; these have names of their own.
const TOLD: [ConditionType; 3] = [ConditionType::Degraded, ConditionType::SpecInForce, ConditionType::Paused];
