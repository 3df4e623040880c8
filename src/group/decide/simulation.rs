//! A driver made of random accidents: whatever has happened, the group comes up once they stop.
use proptest::prelude::*;

use super::*;

/// What an accident does to the model, by a number.
fn strike(observed: &mut Observed, now: Duration, accident: u8, victim: usize) {
    let names: Vec<MemberName> = observed.members.keys().copied().collect();
    let Some(name) = names.get(victim % names.len().max(1)).copied() else { return };
    match accident % 4 {
        // The process dies.
        0 | 1 => {
            let failures = observed.members[&name].failures + 1;
            observed.members.insert(name, Member { life: Life::Down { since: now }, failures });
        }
        // Its step under way fails.
        2 => {
            observed.setup.retain(|_, setup| *setup == Setup::Done);
            observed.registering.clear();
        }
        // The supervisor is new: all that it knows is what a directory remembers.
        _ => {
            observed.members.clear();
            observed.registered.clear();
            observed.registering.clear();
            observed.setup.retain(|_, setup| *setup == Setup::Done);
        }
    }
}

/// Begins each action, and checks that it may be begun.
fn apply(observed: &mut Observed, action: &Action) {
    match action {
        Action::Start(name) => {
            let before = observed.members.get(name).copied();
            assert!(
                !matches!(before, Some(Member { life: Life::Starting | Life::Ready, .. })),
                "{name} runs"
            );
            assert!(*name != MemberName::Router || observed.is_set_up(NodeName::Coordinator));
            let failures = before.map_or(0, |it| it.failures);
            observed.members.insert(*name, Member { life: Life::Starting, failures });
        }
        Action::SetUp(node) => {
            assert!(observed.is_ready(MemberName::Postgres(*node)));
            assert_eq!(observed.setup.insert(*node, Setup::Running), None, "{node} is set up twice");
        }
        Action::Register(node) => {
            assert!(observed.is_set_up(*node) && observed.is_set_up(NodeName::Coordinator));
            assert!(observed.is_ready(MemberName::Router));
            assert!(!observed.registered.contains(node));
            assert!(observed.registering.insert(*node), "{node} is registered twice");
        }
        Action::Remove(node) => panic!("{node} does not leave"),
        Action::Stop(name) => panic!("{name} is wanted"),
    }
}

/// What was begun succeeds.
fn progress(observed: &mut Observed) {
    for member in observed.members.values_mut().filter(|it| it.life == Life::Starting) {
        *member = Member { life: Life::Ready, failures: 0 };
    }
    observed.setup.values_mut().for_each(|it| *it = Setup::Done);
    let registered = std::mem::take(&mut observed.registering);
    observed.registered.extend(registered);
}

proptest! {
    #[test]
    fn it_comes_up_whatever_happened(
        workers in 1_u32..5,
        accidents in proptest::collection::vec((any::<u8>(), any::<usize>(), any::<bool>(), 0_u64..3000), 0..40),
    ) {
        let desired = Desired { workers };
        let mut observed = Observed::default();
        let mut now = Duration::ZERO;
        for (accident, victim, progresses, pause) in accidents {
            now += Duration::from_millis(pause);
            for action in decide(&desired, &observed, now).actions {
                apply(&mut observed, &action);
            }
            if progresses {
                progress(&mut observed);
            }
            strike(&mut observed, now, accident, victim);
        }
        // Starting, setting up, then one registration after the other.
        for _ in 0..workers + 5 {
            now += MAX_PAUSE;
            for action in decide(&desired, &observed, now).actions {
                apply(&mut observed, &action);
            }
            progress(&mut observed);
        }
        let last = decide(&desired, &observed, now);
        prop_assert_eq!(last.actions, vec![]);
        prop_assert_eq!(last.phase, Phase::Ready);
    }
}
