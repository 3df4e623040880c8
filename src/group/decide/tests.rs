use std::fmt::Write as _;

use super::*;

/// A scenario is a text: each line changes what is observed; `decide` prints the answer.
fn check(scenario: &str, expect: &expect_test::Expect) {
    let mut desired = Desired { workers: 2 };
    let mut observed = Observed::default();
    let mut now = Duration::ZERO;
    let mut output = String::new();
    for line in scenario.lines().map(str::trim).filter(|it| !it.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["workers", count] => desired.workers = count.parse().unwrap(),
            ["at", millis] => now = Duration::from_millis(millis.parse().unwrap()),
            ["set-up", node] => drop(observed.setup.insert(node.parse().unwrap(), Setup::Done)),
            ["setting-up", node] => drop(observed.setup.insert(node.parse().unwrap(), Setup::Running)),
            ["registered", node] => drop(observed.registered.insert(node.parse().unwrap())),
            ["leaving", node] => drop(observed.leaving.insert(node.parse().unwrap())),
            ["left", node] => drop(observed.leaving.remove(&node.parse().unwrap())),
            ["was-ready"] => observed.was_ready = true,
            ["decide"] => print(&decide(&desired, &observed, now), &mut output),
            ["down", name, failures] => {
                let failures = failures.parse().unwrap();
                let member = Member { life: Life::Down { since: now }, failures };
                observed.members.insert(name.parse().unwrap(), member);
            }
            [life @ ("starting" | "ready"), names @ ..] => {
                let life = if *life == "ready" { Life::Ready } else { Life::Starting };
                for name in names {
                    observed.members.insert(name.parse().unwrap(), Member { life, failures: 0 });
                }
            }
            _ => panic!("unknown line: {line}"),
        }
    }
    expect.assert_eq(&output);
}

fn print(decision: &Decision, output: &mut String) {
    let actions: Vec<String> = decision
        .actions
        .iter()
        .map(|it| match it {
            Action::Start(name) => format!("start {name}"),
            Action::SetUp(node) => format!("set up {node}"),
            Action::Register(node) => format!("register {node}"),
            Action::Remove(node) => format!("remove {node}"),
            Action::Stop(name) => format!("stop {name}"),
        })
        .collect();
    let again = decision.check_again_in.as_millis();
    writeln!(output, "{:?} [{}] again in {again} ms", decision.phase, actions.join(", ")).unwrap();
}

#[test]
fn a_new_group_comes_up() {
    check(
        "decide
         starting coordinator w0 w1
         decide
         ready w0
         decide
         setting-up w0
         ready coordinator
         decide
         set-up w0
         set-up coordinator
         decide
         starting router
         ready w1
         set-up w1
         decide
         ready router
         decide
         registered w0
         decide
         registered w1
         decide",
        &expect_test::expect![[r#"
            Provisioning [start coordinator, start w0, start w1] again in 5000 ms
            Provisioning [] again in 5000 ms
            Provisioning [set up w0] again in 5000 ms
            Provisioning [set up coordinator] again in 5000 ms
            Provisioning [start router] again in 5000 ms
            Provisioning [] again in 5000 ms
            Provisioning [register w0] again in 5000 ms
            Provisioning [register w1] again in 5000 ms
            Ready [] again in 5000 ms
        "#]],
    );
}

#[test]
fn workers_leave_one_after_the_other_before_the_group_is_ready() {
    check(
        "workers 1
         leaving w1
         leaving w2
         ready coordinator w0
         set-up coordinator
         set-up w0
         starting router
         decide
         ready router
         registered w0
         decide
         left w2
         decide
         left w1
         decide",
        &expect_test::expect![[r#"
            Provisioning [] again in 5000 ms
            Provisioning [remove w2] again in 5000 ms
            Provisioning [remove w1] again in 5000 ms
            Ready [] again in 5000 ms
        "#]],
    );
}

const READY: &str = "ready coordinator w0 w1 router
    set-up coordinator
    set-up w0
    set-up w1
    registered w0
    registered w1
    was-ready\n";

#[test]
fn a_dead_member_is_started_at_once_and_then_slower() {
    check(
        &format!(
            "{READY} decide
             at 1000
             down w1 1
             decide
             starting w1
             decide
             at 2000
             down w1 3
             decide
             at 2150
             decide
             at 2200
             decide
             down router 20
             at 4199
             decide
             at 4200
             decide"
        ),
        &expect_test::expect![[r#"
            Ready [] again in 5000 ms
            Degraded [start w1] again in 5000 ms
            Degraded [] again in 5000 ms
            Degraded [] again in 200 ms
            Degraded [] again in 50 ms
            Degraded [start w1] again in 5000 ms
            Degraded [start w1] again in 1 ms
            Degraded [start w1, start router] again in 5000 ms
        "#]],
    );
}

#[test]
fn a_worker_is_added_and_an_unwanted_one_stops() {
    check(
        &format!(
            "{READY} workers 3
             decide
             ready w2
             set-up w2
             decide
             registered w2
             decide
             workers 2
             decide"
        ),
        &expect_test::expect![[r#"
            Degraded [start w2] again in 5000 ms
            Degraded [register w2] again in 5000 ms
            Ready [] again in 5000 ms
            Ready [stop w2] again in 5000 ms
        "#]],
    );
}

#[test]
fn a_worker_is_registered_only_while_the_coordinator_answers() {
    check(
        "ready w0
         set-up w0
         set-up coordinator
         down coordinator 1
         decide",
        &expect_test::expect![[r#"
            Provisioning [start coordinator, start w1, start router] again in 5000 ms
        "#]],
    );
}
