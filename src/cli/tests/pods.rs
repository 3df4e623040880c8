//! What runs inside the pods of a server group, as processes of this machine: instance managers with their control API, a
//! router beside the coordinator and one that reaches everything by mTLS, set up as the operator does it.

#[path = "pods/certificates.rs"]
mod certificates;
#[path = "pods/group.rs"]
mod group;

use std::collections::BTreeMap;

use howdah_harness::client::Client;
use howdah_harness::expect::run;
use howdah_instance::control::{ControlError, State};
use howdah_instance::pods::COORDINATOR_NAME;
use howdah_instance::settings;

use self::certificates::For;
use self::group::Group;

#[test]
fn a_group_runs_as_in_pods() {
    let mut group = Group::start();
    routers_wait_for_the_coordinator(&mut group);
    workers_come_in_by_certificate(&group);
    two_routers_read_their_own_writes(&group);
    settings_are_checked_before_they_are_applied(&group);
    a_restart_brings_what_waited_for_it(&group);
    only_the_operator_is_heard(&group);
    a_killed_server_is_back(&group);
    certificates_are_replaced_under_open_sessions(&group);
    a_wrong_setting_at_the_start_is_put_aside(&mut group);
    what_alter_system_breaks_is_put_aside(&group);
    a_router_that_stops_lets_transactions_end(&mut group);
}

fn routers_wait_for_the_coordinator(group: &mut Group) {
    group.wait_for("routers live", || group.near.readyz() == 503 && group.far.readyz() == 503);
    group.start_nodes();
    assert_eq!((group.coordinator.readyz(), group.worker.readyz()), (200, 200));
    assert_eq!((group.near.readyz(), group.far.readyz()), (503, 503), "there is no database yet");
    group.set_up();
    group.wait_for("routers are ready", || group.near.readyz() == 200 && group.far.readyz() == 200);
}

/// The operator adds it through a router as superuser, who has no password at all.
fn workers_come_in_by_certificate(group: &Group) {
    let add = format!("SELECT howdah.add_node('localhost', {})", group.worker.config.port);
    let stranger = group.psql_as("client", group.near.port, "app", &add);
    let errors = String::from_utf8_lossy(&stranger.stderr).into_owned();
    assert!(errors.contains("password authentication failed"), "{errors}");
    let added = group.psql_as("operator", group.near.port, "app", &add);
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    let mut client = group.connect(&group.far);
    assert_eq!(value(&mut client, "SELECT count(*) FROM pg_dist_node WHERE isactive"), "2");
}

/// What PostgreSQL itself runs on the coordinator leads back to the router of each session.
fn two_routers_read_their_own_writes(group: &Group) {
    let (mut near, mut far) = (group.connect(&group.near), group.connect(&group.far));
    run(
        &mut near,
        "CREATE TABLE events (id int PRIMARY KEY, v int); SELECT create_distributed_table('events', 'id', shard_count => 4); \
         CREATE FUNCTION total() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM events); END'; \
         CREATE FUNCTION put(i int) RETURNS bigint LANGUAGE plpgsql AS \
         'BEGIN INSERT INTO events VALUES (i, i); RETURN (SELECT count(*) FROM events); END'",
    );
    group.wait_for("the other router knows the table", || {
        let answer = group.connect(&group.far).simple("SELECT count(*) FROM events");
        answer.is_ok_and(|it| it.error.is_none())
    });
    for round in 0..3 {
        for client in [&mut near, &mut far] {
            run(client, "BEGIN");
        }
        let before = 4 * round;
        for (client, offset) in [(&mut near, 1), (&mut far, 3)] {
            let id = before + offset;
            run(client, &format!("INSERT INTO events VALUES ({id}, 0)"));
            assert_eq!(value(client, "SELECT total()"), (before + 1).to_string());
            assert_eq!(value(client, &format!("SELECT put({})", id + 1)), (before + 2).to_string());
        }
        for client in [&mut far, &mut near] {
            assert_eq!(value(client, "SELECT total()"), (before + 2).to_string());
        }
        for client in [&mut far, &mut near] {
            run(client, "COMMIT");
        }
        assert_eq!(value(&mut near, "SELECT total()"), (before + 4).to_string());
        assert_eq!(value(&mut far, "SELECT total()"), (before + 4).to_string());
    }
    let metrics = group.far.metrics();
    assert!(metrics.contains("\nhowdah_router_tables 1\n"), "{metrics}");
    assert!(metrics.contains("howdah_router_server_connections{group=\"1\"}"), "{metrics}");
}

fn settings_are_checked_before_they_are_applied(group: &Group) {
    let control = group.control("w0");
    let before = group.runtime.block_on(control.status()).expect("a status");
    assert_eq!((before.state, before.settings_error), (State::Ready, None));
    assert_eq!(before.settings_hash, settings::hash(&group.worker.config.settings));
    for (name, wrong, parameter) in [
        ("work_mem", "8XB", "work_mem"),
        ("wrok_mem", "8MB", "wrok_mem"),
        ("shared_preload_libraries", "nothing_of_that_name", ""),
        ("shared_buffers", "900GB", "shared_buffers"),
        ("ssl", "off", "ssl"),
    ] {
        let asked = with(group, &[(name, wrong)]);
        let refused = group.runtime.block_on(control.put_settings(&asked)).expect("an answer");
        let refused = refused.expect_err("it is wrong");
        assert_eq!(refused.parameter.unwrap_or_default(), parameter, "{}", refused.error);
        assert_eq!(refused.settings_hash, settings::hash(&asked));
    }
    let after = group.runtime.block_on(control.status()).expect("a status");
    assert_eq!(after.settings_hash, before.settings_hash, "nothing has changed");
    assert!(after.settings_error.is_some());
    let applied = put(group, &[("work_mem", "9MB")]);
    assert!(applied.is_empty());
    assert_eq!(on_worker(group, "SHOW work_mem"), "9MB");
}

fn a_restart_brings_what_waited_for_it(group: &Group) {
    let pending = put(group, &[("max_connections", "70")]);
    assert_eq!(pending, ["max_connections", "max_prepared_transactions"]);
    assert_eq!(
        (on_worker(group, "SHOW max_connections"), on_worker(group, "SHOW work_mem")),
        ("60".into(), "4MB".into())
    );
    let status = group.runtime.block_on(group.control("w0").restart()).expect("it restarts");
    assert_eq!((status.state, status.pending_restart.len(), status.restarts), (State::Ready, 0, 0));
    assert_eq!(on_worker(group, "SHOW max_connections"), "70");
    let mut client = group.connect(&group.near);
    assert_eq!(value(&mut client, "SELECT count(*) FROM events"), "12");
}

fn only_the_operator_is_heard(group: &Group) {
    for identity in ["client", COORDINATOR_NAME, "w0"] {
        let refused = group.runtime.block_on(group.control_as("w0", identity).status());
        assert!(matches!(refused, Err(ControlError::Unreachable { .. })), "{identity}: {refused:?}");
    }
    // Nor may a worker log in to a server with what it has.
    let port = group.coordinator.config.port;
    for (identity, may) in [("w0", false), ("operator", true), ("client", true)] {
        let output = group.psql_as(identity, port, "postgres", "SELECT 1");
        assert_eq!(output.status.success(), may, "{identity}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

fn a_killed_server_is_back(group: &Group) {
    let data = group.worker.config.data_dir();
    let pid = std::fs::read_to_string(data.join("postmaster.pid")).expect("a pid file");
    let pid = pid.lines().next().and_then(|it| it.parse().ok()).expect("a pid");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL)
        .expect("it lives");
    group.wait_for("the server was started again", || {
        let status = group.runtime.block_on(group.control("w0").status());
        status.is_ok_and(|it| it.restarts == 1 && it.state == State::Ready)
    });
    group.wait_for("its rows are read", || {
        let answer = group.connect(&group.far).simple("SELECT count(*) FROM events");
        answer.is_ok_and(|it| it.error.is_none())
    });
}

fn certificates_are_replaced_under_open_sessions(group: &Group) {
    let mut session = group.connect(&group.far);
    run(&mut session, "BEGIN; INSERT INTO events VALUES (100, 0)");
    let serial = |name: &str| {
        let status = group.runtime.block_on(group.control(name).status()).expect("a status");
        status.certificate.map(|it| it.serial)
    };
    let before = serial("coordinator");
    group.authority.issue("coordinator", COORDINATOR_NAME, For::Both);
    group.authority.issue("client", howdah_instance::pods::ROUTER_NAME, For::Both);
    group.authority.issue("server", "server", For::Servers);
    group.wait_for("the new certificate is shown", || serial("coordinator") != before);
    run(&mut session, "SELECT total(); ROLLBACK");
    assert_eq!(value(&mut group.connect(&group.far), "SELECT total()"), "12");
    assert!(group.psql_as("operator", group.far.port, "app", "SELECT 1").status.success());
}

fn a_wrong_setting_at_the_start_is_put_aside(group: &mut Group) {
    put(group, &[("work_mem", "11MB"), ("max_connections", "70")]);
    group.stop_node("w0");
    group.worker.config.settings = with(group, &[("wrok_mem", "8MB")]);
    // As a kubelet does to a volume's files, unless it is told otherwise.
    let data = group.worker.config.data_dir();
    std::fs::set_permissions(&data, std::os::unix::fs::PermissionsExt::from_mode(0o2770)).expect("rights");
    group.start_node("w0");
    let status = group.runtime.block_on(group.control("w0").status()).expect("a status");
    let refused = status.settings_error.expect("it says so");
    assert_eq!(refused.parameter.as_deref(), Some("wrok_mem"), "{}", refused.error);
    assert_eq!(refused.settings_hash, settings::hash(&group.worker.config.settings));
    assert_eq!(on_worker(group, "SHOW work_mem"), "11MB");
    put(group, &[("work_mem", "12MB")]);
    let status = group.runtime.block_on(group.control("w0").status()).expect("a status");
    assert_eq!(status.settings_error, None);
}

/// Postgres takes it, and would not start with it.
fn what_alter_system_breaks_is_put_aside(group: &Group) {
    let client = group.runtime.block_on(group.worker.connect("postgres"));
    let set = "ALTER SYSTEM SET shared_preload_libraries = 'nothing_of_that_name'";
    group.runtime.block_on(client.batch_execute(set)).expect("it is taken");
    let status = group.runtime.block_on(group.control("w0").restart()).expect("it restarts");
    assert_eq!(status.state, State::Ready);
    let error = status.settings_error.expect("it says so").error;
    assert!(error.contains("ALTER SYSTEM") && error.contains("nothing_of_that_name"), "{error}");
    assert_eq!(on_worker(group, "SHOW work_mem"), "12MB");
}

fn a_router_that_stops_lets_transactions_end(group: &mut Group) {
    let (mut idle, mut busy) = (group.connect(&group.far), group.connect(&group.far));
    run(&mut busy, "BEGIN; INSERT INTO events VALUES (200, 0)");
    group.far.terminate();
    group.wait_for("it says that it stops", || group.far.readyz() == 503);
    let told = idle.simple("SELECT 1");
    let told = told.map(|it| it.error.map(|it| it.sqlstate)).unwrap_or(Some("57P01".into()));
    assert_eq!(told.as_deref(), Some("57P01"));
    run(&mut busy, "SELECT total(); COMMIT");
    group.far.wait();
    assert_eq!(value(&mut group.connect(&group.near), "SELECT count(*) FROM events WHERE id = 200"), "1");
}

fn with(group: &Group, changes: &[(&str, &str)]) -> BTreeMap<String, String> {
    let base = &group.coordinator.config.settings;
    let base = base.iter().filter(|it| it.0 != "max_prepared_transactions");
    settings::layered(
        base.map(|(name, value)| (name.as_str(), value.as_str())).chain(changes.iter().copied()),
    )
}

/// Applies them to the worker; which ones wait for a restart?
fn put(group: &Group, changes: &[(&str, &str)]) -> Vec<String> {
    let answer = group.runtime.block_on(group.control("w0").put_settings(&with(group, changes)));
    answer.expect("an answer").expect("they are right").pending_restart
}

fn on_worker(group: &Group, sql: &str) -> String {
    let client = group.runtime.block_on(group.worker.connect("postgres"));
    group.runtime.block_on(client.query_one(sql, &[])).expect("an answer").get(0)
}

fn value(client: &mut Client, sql: &str) -> String {
    let rows = client.rows(sql).unwrap_or_else(|error| panic!("{sql}: {error:#}"));
    rows.first().and_then(|it| it[0].clone()).unwrap_or_default()
}

/// As process 1 of a container it is a parent that looks after another, whose end is its own.
#[test]
fn process_1_is_a_parent_of_the_instance_manager() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: only root makes a pid namespace");
        return;
    }
    // The shell, process 1, leaves orphans behind when it becomes howdah.
    let script = "(sleep 0.1 &); exec \"$0\" instance --config /nonexistent";
    let output = std::process::Command::new("unshare")
        .args(["--pid", "--fork", "sh", "-c", script, env!("CARGO_BIN_EXE_howdah")])
        .output()
        .expect("unshare runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nonexistent"));
}
