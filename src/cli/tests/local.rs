//! Local mode on real processes: it comes up, survives kill -9 of anything, continues with its data, leaves
//! nothing behind, and says clearly why it does not start.
#![allow(clippy::unwrap_used)] // clippy knows `#[test]` functions, not their helpers

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

const HOWDAH: &str = env!("CARGO_BIN_EXE_howdah");
/// The promise is 5 s on an idle machine; tests share two cores.
const REPAIR: Duration = Duration::from_secs(20);

/// A group directory that is taken down at the end, also when the test fails.
struct Group {
    base: tempfile::TempDir,
    port: u16,
}

impl Group {
    fn new() -> Self {
        let base = tempfile::Builder::new().prefix("howdah-local-").tempdir().unwrap();
        std::fs::set_permissions(base.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        Self { base, port: free_port() }
    }

    fn up(workers: u32) -> Self {
        let group = Self::new();
        let output = group.run(&["up", "--detach", "--workers", &workers.to_string()]);
        assert!(output.status.success(), "{}", stderr(&output));
        group
    }

    fn dir(&self) -> PathBuf {
        self.base.path().join("group")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(HOWDAH);
        command.arg("local").arg(arguments[0]).arg("--dir").arg(self.dir());
        if arguments[0] == "up" {
            command.args(["--port", &self.port.to_string()]);
        }
        command.args(&arguments[1..]);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    fn status(&self) -> Value {
        serde_json::from_str(&self.ok(&["status", "-o", "json"])).unwrap()
    }

    fn member(&self, name: &str, field: &str) -> Value {
        let status = self.status();
        let members = status["members"].as_array().unwrap();
        members.iter().find(|it| it["name"] == name).unwrap_or_else(|| panic!("{name} in {status}"))[field]
            .clone()
    }

    fn query(&self, sql: &str) -> Result<String, String> {
        let output = self.run(&["psql", "-XAtq", "-c", sql]);
        let text = |bytes| String::from_utf8(bytes).unwrap().trim().to_owned();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    /// Until the query answers through all members again; how long that took.
    fn repaired(&self) -> Duration {
        let begin = Instant::now();
        loop {
            let ready = self.status()["phase"] == "Ready";
            if ready && self.query("SELECT 1").as_deref() == Ok("1") {
                return begin.elapsed();
            }
            assert!(begin.elapsed() < REPAIR, "not repaired: {}", self.status());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The processes that work in the group's directory.
    fn processes(&self) -> Vec<String> {
        let dir = self.dir();
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let cwd = std::fs::read_link(entry.path().join("cwd")).unwrap_or_default();
            if cwd.starts_with(&dir) {
                let command = std::fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
                found.push(format!("{} {}", entry.file_name().display(), command.replace('\0', " ")));
            }
        }
        found
    }

    fn wait_for_no_processes(&self) {
        let begin = Instant::now();
        while !self.processes().is_empty() {
            assert!(begin.elapsed() < REPAIR, "left behind: {:#?}", self.processes());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn supervisor(&self) -> i64 {
        let state = std::fs::read_to_string(self.dir().join("state.json")).unwrap();
        serde_json::from_str::<Value>(&state).unwrap()["supervisor"].as_i64().unwrap()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = self.run(&["down", "--wipe"]);
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn kill_9(pid: &Value) {
    let pid = pid.as_i64().unwrap_or_else(|| panic!("a pid, not {pid}")).to_string();
    assert!(Command::new("kill").args(["-9", &pid]).status().unwrap().success());
}

#[test]
fn a_group_lives_through_kills_and_restarts_with_its_data() {
    let group = Group::new();
    let output = group.run(&["up", "--detach", "--workers", "2"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let uri = String::from_utf8(output.stdout).unwrap();
    assert_eq!(uri.lines().last(), Some(group.ok(&["uri"]).trim()));
    assert!(uri.starts_with("postgresql://citus:") && uri.contains("sslmode=require"), "{uri}");
    assert!(group.ok(&["uri", "--superuser"]).starts_with("postgresql://postgres:"));
    check_status(&group);

    group.query("CREATE TABLE t (id int PRIMARY KEY, v text)").unwrap();
    group.query("SELECT create_distributed_table('t', 'id')").unwrap();
    group.query("INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 100) i").unwrap();

    for member in ["router", "w0", "w1", "coordinator"] {
        group.ok(&["kill", member]);
        let took = group.repaired();
        println!("{member} was back after {took:?}");
        assert_eq!(group.query("SELECT count(*) FROM t").as_deref(), Ok("100"), "after kill {member}");
    }
    for (member, field) in [("w0", "pid"), ("w1", "postgresPid"), ("coordinator", "pid")] {
        let before = group.member(member, field);
        kill_9(&before);
        while group.member(member, field) == before {
            std::thread::sleep(Duration::from_millis(20));
        }
        group.repaired();
        assert_eq!(
            group.query("SELECT count(*) FROM t").as_deref(),
            Ok("100"),
            "after kill -9 {field} of {member}"
        );
    }

    // The supervisor alone: everything ends by itself, and the next `up` goes on.
    kill_9(&Value::from(group.supervisor()));
    group.wait_for_no_processes();
    assert_eq!(group.status()["phase"], "Stopped");
    group.ok(&["up", "--detach"]);
    assert_eq!(group.query("SELECT count(*) FROM t").as_deref(), Ok("100"));

    // Everything at once, and `up` without a pause.
    let supervisor = Value::from(group.supervisor());
    let status = group.status();
    kill_9(&supervisor);
    for member in status["members"].as_array().unwrap() {
        for pid in [&member["pid"], &member["postgresPid"]] {
            if let Some(pid) = pid.as_i64() {
                let _ = Command::new("kill").args(["-9", &pid.to_string()]).stderr(Stdio::null()).status();
            }
        }
    }
    group.ok(&["up", "--detach"]);
    assert_eq!(group.query("SELECT count(*) FROM t").as_deref(), Ok("100"));

    // A worker more.
    group.ok(&["down"]);
    assert!(group.processes().is_empty());
    group.ok(&["up", "--detach", "--workers", "3"]);
    assert_eq!(group.query("SELECT count(*) FROM pg_dist_node WHERE groupid > 0").as_deref(), Ok("3"));
    group.ok(&["down"]);

    // It leaves again, because no table has a shard on it; the others stay.
    group.ok(&["up", "--detach", "--workers", "2"]);
    assert_eq!(group.query("SELECT count(*) FROM pg_dist_node WHERE groupid > 0").as_deref(), Ok("2"));
    assert!(!group.dir().join("members/w2").exists());
    group.ok(&["down"]);
    for (workers, reason) in [("1", "only shard placement"), ("0", "needs a worker")] {
        let refused = group.run(&["up", "--detach", "--workers", workers]);
        assert_eq!(refused.status.code(), Some(1));
        assert!(stderr(&refused).contains(reason), "{}", stderr(&refused));
    }
    group.ok(&["up", "--detach"]);
    assert_eq!(group.query("SELECT count(*) FROM t").as_deref(), Ok("100"));

    group.ok(&["down", "--wipe"]);
    assert!(!group.dir().exists());
}

fn check_status(group: &Group) {
    let status = group.status();
    let keys = |it: &Value| it.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(keys(&status), "members phase uri");
    assert_eq!(status["phase"], "Ready");
    let members = status["members"].as_array().unwrap();
    assert_eq!(keys(&members[0]), "name node pid port postgresPid role state");
    let summary: Vec<String> = members
        .iter()
        .map(|it| {
            format!(
                "{} {} {}",
                it["name"].as_str().unwrap(),
                it["role"].as_str().unwrap(),
                it["state"].as_str().unwrap()
            )
        })
        .collect();
    let expected =
        ["coordinator primary running", "w0 primary running", "w1 primary running", "router router running"];
    assert_eq!(summary, expected);
    assert!(group.ok(&["status"]).contains("coordinator"));
    assert!(group.ok(&["logs", "w0"]).contains("database system is ready"));
    assert!(group.ok(&["logs"]).contains("supervisor.log"));
}

#[test]
fn only_loopback_is_listened_on() {
    let group = Group::up(1);
    for member in group.status()["members"].as_array().unwrap() {
        let port = format!("{:04X}", member["port"].as_u64().unwrap());
        for (file, loopback) in
            [("/proc/net/tcp", "0100007F"), ("/proc/net/tcp6", "00000000000000000000000001000000")]
        {
            let listening = std::fs::read_to_string(file).unwrap_or_default();
            for line in listening.lines().skip(1) {
                let fields: Vec<&str> = line.split_whitespace().collect();
                if fields[3] == "0A" && fields[1].ends_with(&format!(":{port}")) {
                    assert!(fields[1].starts_with(loopback), "{member} listens on {}", fields[1]);
                }
            }
        }
    }
    // Nobody without a certificate of the group comes in by a server's own port, TLS or not.
    let port = group.member("coordinator", "port").to_string();
    for sslmode in ["disable", "require"] {
        let uri = format!("postgresql://postgres@127.0.0.1:{port}/app?sslmode={sslmode}");
        let output = Command::new("psql").args(["-Xc", "SELECT 1", &uri]).output().unwrap();
        assert!(!output.status.success(), "sslmode={sslmode} came in");
    }
}

#[test]
fn tls_from_disable_to_verify_full() {
    let group = Group::up(1);
    let uri = group.ok(&["uri"]).trim().to_owned();
    let ca = group.base.path().join("ca.crt");
    std::fs::copy(group.dir().join("pki/ca.crt"), &ca).unwrap();
    for sslmode in ["disable", "prefer", "require", "verify-ca", "verify-full"] {
        let uri = uri.replace("sslmode=require", &format!("sslmode={sslmode}&sslrootcert={}", ca.display()));
        let output = Command::new("psql").args(["-XAtc", "SELECT 1", &uri]).output().unwrap();
        assert!(output.status.success(), "{sslmode}: {}", stderr(&output));
    }
    let wrong = uri.replacen(":", "://x", 1).replace("citus:", "citus:wrong");
    assert!(!Command::new("psql").args(["-XAtc", "SELECT 1", &wrong]).output().unwrap().status.success());
}

#[test]
fn two_groups_and_a_foreground_one() {
    let first = Group::up(1);
    let second = Group::new();
    let mut front = second
        .command(&["up", "--workers", "1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut reader = std::io::BufReader::new(front.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut reader, &mut line).unwrap();
    assert_eq!(line.trim(), second.ok(&["uri"]).trim());

    second.query("CREATE TABLE only_here (a int)").unwrap();
    assert!(first.query("SELECT * FROM only_here").unwrap_err().contains("does not exist"));
    first.ok(&["kill", "coordinator"]);
    assert_eq!(second.query("SELECT count(*) FROM only_here").as_deref(), Ok("0"));
    first.repaired();

    // Ctrl-C: the front stops the group and ends well.
    assert!(Command::new("kill").args(["-INT", &front.id().to_string()]).status().unwrap().success());
    assert!(front.wait().unwrap().success());
    second.wait_for_no_processes();
    assert_eq!(second.status()["phase"], "Stopped");
    assert_eq!(first.query("SELECT 1").as_deref(), Ok("1"));

    // kill -9 of the front: the same, and `up` may come at once.
    let mut front = second.command(&["up"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut reader = std::io::BufReader::new(front.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut reader, &mut line).unwrap();
    front.kill().unwrap();
    front.wait().unwrap();
    second.ok(&["up", "--detach"]);
    assert_eq!(second.query("SELECT count(*) FROM only_here").as_deref(), Ok("0"));
}

/// What went wrong, in one message on standard error, and exit code 1.
fn refused(output: &Output, message: &str) {
    assert_eq!(output.status.code(), Some(1), "{}", stderr(output));
    let errors = stderr(output);
    let lines: Vec<&str> = errors.lines().filter(|it| it.contains(message)).collect();
    assert_eq!(lines.len(), 1, "no \"{message}\" in:\n{errors}");
    assert!(errors.matches("No such file").count() < 2, "said twice:\n{errors}");
    assert!(output.stdout.is_empty(), "printed {:?}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn each_failure_is_one_message() {
    let group = Group::up(1);
    refused(&group.run(&["up", "--detach"]), "is running already");
    refused(&group.run(&["kill", "w9"]), "there is no member \"w9\"");
    refused(&group.run(&["logs", "nobody"]), "there is no member \"nobody\"");

    let mut other = Group::new();
    let port = std::mem::replace(&mut other.port, group.port);
    refused(&other.run(&["up", "--detach"]), &format!("port {} is taken", group.port));
    other.port = port;
    refused(
        &other.run(&["up", "--detach", "--postgres-bin", "/usr/games"]),
        "no PostgreSQL 15 to 18 found: looked in /usr/games",
    );
    refused(&other.run(&["status"]), "there is no server group in");
    refused(&other.run(&["down"]), "there is no server group in");

    let file = |name: &str, text: &str| {
        let path = other.base.path().join(name);
        std::fs::write(
            &path,
            format!("apiVersion: howdah.dev/v1alpha1\nkind: ServerGroup\nmetadata: {{name: x}}\n{text}"),
        )
        .unwrap();
        path.display().to_string()
    };
    let up = |file: String| other.run(&["up", "--detach", "-f", &file]);
    refused(&up(file("broken.yaml", "spec:\n  database: app\n adminUser: x\n")), "at line 6 column 2");
    refused(
        &up(file("unknown.yaml", "spec:\n  workers: {cuont: 2}\n")),
        "spec.workers: unknown field `cuont`",
    );
    refused(
        &up(file("version.yaml", "spec: {postgresVersion: \"14\"}\n")),
        "is not a major version from 15 to 18",
    );
    refused(&up(file("reserved.yaml", "spec: {parameters: {ssl: off}}\n")), "this setting is reserved");
    let typo = file("typo.yaml", "spec: {workers: {count: 1}, parameters: {work_mme: 1MB}}\n");
    refused(&up(typo.clone()), "unrecognized configuration parameter \"work_mme\"");
    refused(&up("/nowhere.yaml".into()), "/nowhere.yaml: No such file");

    // Of the start that failed nothing is left by the next one that fails, and there is still no group.
    let mut unlucky = Group::new();
    refused(&unlucky.run(&["up", "--detach", "-f", &typo]), "unrecognized configuration parameter");
    unlucky.port = group.port;
    refused(&unlucky.run(&["up", "--detach"]), "is taken");
    refused(&unlucky.run(&["status"]), "there is no server group in");

    let theirs = Group::new();
    std::fs::create_dir(theirs.dir()).unwrap();
    std::fs::write(theirs.dir().join("file"), "mine").unwrap();
    refused(&theirs.run(&["up", "--detach"]), "not a directory of howdah");
    assert_eq!(std::fs::read_to_string(theirs.dir().join("file")).unwrap(), "mine");

    // What a failed start leaves is no obstacle to the next.
    other.ok(&["up", "--detach", "--workers", "1"]);
    assert_eq!(other.query("SELECT 1").as_deref(), Ok("1"));
    refused(
        &other.run(&["up", "--detach", "-f", &file("fixed.yaml", "spec: {database: other}\n")]),
        "is running already",
    );
    other.ok(&["down"]);
    refused(
        &other.run(&["up", "--detach", "-f", &file("fixed.yaml", "spec: {database: other}\n")]),
        "cannot become",
    );
}

#[test]
fn a_taken_member_port_moves() {
    let group = Group::up(1);
    group.query("CREATE TABLE t (id int)").unwrap();
    group.query("SELECT create_distributed_table('t', 'id')").unwrap();
    group.query("INSERT INTO t SELECT generate_series(1, 10)").unwrap();
    let port = u16::try_from(group.member("w0", "port").as_u64().unwrap()).unwrap();
    group.ok(&["down"]);
    let _thief = TcpListener::bind(("127.0.0.1", port)).unwrap();
    group.ok(&["up", "--detach"]);
    assert_ne!(group.member("w0", "port"), port);
    assert_eq!(group.query("SELECT count(*) FROM t").as_deref(), Ok("10"));
    let shown = group.query("SELECT nodeport FROM pg_dist_node WHERE groupid = 1").unwrap();
    assert_eq!(shown, group.member("w0", "port").to_string());
}

#[test]
fn a_router_that_hangs_is_replaced() {
    let group = Group::up(1);
    group.query("CREATE TABLE t AS SELECT 7 AS a").unwrap();
    let before = group.member("router", "pid");
    let stopped = Command::new("kill").args(["-STOP", &before.to_string()]).status().unwrap();
    assert!(stopped.success());
    let begin = Instant::now();
    while group.member("router", "pid") == before {
        assert!(begin.elapsed() < 3 * REPAIR, "still the same router: {}", group.status());
        std::thread::sleep(Duration::from_millis(100));
    }
    group.repaired();
    assert_eq!(group.query("SELECT a FROM t").as_deref(), Ok("7"));
    println!("replaced after {:?}", begin.elapsed());
}

#[test]
fn postgres_18_serves_too() {
    let Some(bin) =
        std::env::var_os("HOWDAH_POSTGRES_18").filter(|it| Path::new(it).join("postgres").exists())
    else {
        eprintln!("skipped: HOWDAH_POSTGRES_18 names no PostgreSQL 18 (`make test` does)");
        return;
    };
    let group = Group::new();
    group.ok(&["up", "--detach", "--workers", "2", "--postgres-bin", bin.to_str().unwrap()]);
    assert!(group.query("SHOW server_version").unwrap().starts_with("18"));
    group.query("CREATE TABLE t (id int PRIMARY KEY, v text)").unwrap();
    group.query("SELECT create_distributed_table('t', 'id')").unwrap();
    group.query("INSERT INTO t SELECT i, 'v' FROM generate_series(1, 100) i").unwrap();
    assert_eq!(group.query("SELECT count(*), count(DISTINCT v) FROM t").as_deref(), Ok("100|1"));
    group.ok(&["kill", "w1"]);
    group.repaired();
    assert_eq!(group.query("SELECT v FROM t WHERE id = 7").as_deref(), Ok("v"));
}
