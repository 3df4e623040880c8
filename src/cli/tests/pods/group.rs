//! A group as the operator makes it, without Kubernetes: the same processes with the same kind of configuration, set up over
//! the same calls.
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use howdah_harness::client::Client;
use howdah_instance::control::{ControlClient, State};
use howdah_instance::pods::{COORDINATOR_NAME, OPERATOR_NAME, ROUTER_NAME};
use howdah_instance::{ControlConfig, InstanceConfig, LogTarget, LoopbackConfig, TlsFiles, settings};
use howdah_metadata::setup::{self, Coordinator, Kind, SetUp};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, geteuid};
use serde_json::json;
use tempfile::TempDir;

use super::certificates::{Authority, For};

pub(crate) struct Group {
    dir: TempDir,
    pub(crate) authority: Authority,
    pub(crate) runtime: tokio::runtime::Runtime,
    user: (u32, u32),
    pub(crate) coordinator: Node,
    pub(crate) worker: Node,
    /// Reaches the coordinator by its socket.
    pub(crate) near: Router,
    /// Reaches it as from another pod.
    pub(crate) far: Router,
}

pub(crate) struct Node {
    name: &'static str,
    pub(crate) config: InstanceConfig,
    process: Option<Child>,
}

pub(crate) struct Router {
    name: &'static str,
    pub(crate) port: u16,
    probes: u16,
    process: Option<Child>,
}

pub(crate) const PASSWORD: &str = "secret";

impl Group {
    pub(crate) fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("howdah-pods-").tempdir().expect("a directory");
        std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711))
            .expect("open");
        install_binary(&dir.path().join("bin"));
        let user = unprivileged();
        let authority = Authority::new(&dir.path().join("tls"), user.0);
        let far_loopback = free_port();
        let coordinator = Node::new(&dir, &authority, "coordinator", user, Some(far_loopback));
        let worker = Node::new(&dir, &authority, "w0", user, None);
        authority.issue("client", ROUTER_NAME, For::Both);
        authority.issue("operator", OPERATOR_NAME, For::Clients);
        authority.issue("server", "server", For::Servers);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let (near, far) = (Router::new("near"), Router::new("far"));
        let mut group = Self { dir, authority, runtime, user, coordinator, worker, near, far };
        group.start_routers(far_loopback);
        group
    }

    fn start_routers(&mut self, far_loopback: u16) {
        let tls = self.dir.path().join("tls");
        let files = |it: &str| {
            let dir = tls.join(it);
            json!({"ca": dir.join("ca.crt"), "certificate": dir.join("tls.crt"), "key": dir.join("tls.key")})
        };
        let server = tls.join("server");
        let config = |router: &Router| {
            json!({
                "listen": [format!("127.0.0.1:{}", router.port)],
                "tls": {"certificate": server.join("tls.crt"), "key": server.join("tls.key")},
                "database": "app",
                "node_tls": files("client"),
                "client_ca": tls.join("client/ca.crt"),
                "probes": format!("127.0.0.1:{}", router.probes),
                "shutdown_grace": 10,
                "cores": 1,
            })
        };
        let coordinator = &self.coordinator.config;
        let mut near = config(&self.near);
        near["coordinator"] = json!({"host": coordinator.socket_dir, "port": coordinator.port});
        near["loopback_socket"] = json!(coordinator.loopback.as_ref().expect("it has one").router_socket);
        let mut far = config(&self.far);
        far["coordinator"] = json!({"host": "localhost", "port": coordinator.port});
        far["loopback_listen"] = json!(format!("127.0.0.1:{far_loopback}"));
        self.near.process = Some(self.spawn("router", self.near.name, &near));
        self.far.process = Some(self.spawn("router", self.far.name, &far));
    }

    fn spawn(&self, subcommand: &str, name: &str, config: &serde_json::Value) -> Child {
        let file = self.dir.path().join(format!("{name}.json"));
        std::fs::write(&file, config.to_string()).expect("a configuration");
        let log = std::fs::File::options().create(true).append(true).open(self.log(name)).expect("a log");
        let mut command = Command::new(self.dir.path().join("bin/howdah"));
        command.arg0("howdah").arg(subcommand).arg("--config").arg(file);
        command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        if geteuid().is_root() {
            command.uid(self.user.0).gid(self.user.1);
        }
        command.spawn().expect("howdah starts")
    }

    fn log(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("{name}.log"))
    }

    pub(crate) fn start_nodes(&mut self) {
        for name in ["coordinator", "w0"] {
            self.start_node(name);
        }
    }

    pub(crate) fn start_node(&mut self, name: &str) {
        let config = serde_json::to_value(&self.node(name).config).expect("plain data");
        let process = self.spawn("instance", name, &config);
        let node = if name == "w0" { &mut self.worker } else { &mut self.coordinator };
        node.process = Some(process);
        self.wait_for(&format!("{name} is ready"), || {
            let status = self.runtime.block_on(self.control(name).status());
            status.is_ok_and(|it| it.state == State::Ready)
        });
    }

    pub(crate) fn stop_node(&mut self, name: &str) {
        let node = if name == "w0" { &mut self.worker } else { &mut self.coordinator };
        let mut process = node.process.take().expect("it runs");
        terminate(&process);
        assert!(process.wait().expect("it ends").success());
    }

    pub(crate) fn node(&self, name: &str) -> &Node {
        if name == "w0" { &self.worker } else { &self.coordinator }
    }

    /// As the operator asks.
    pub(crate) fn control(&self, name: &str) -> ControlClient {
        self.control_as(name, "operator")
    }

    pub(crate) fn control_as(&self, name: &str, identity: &str) -> ControlClient {
        let dir = self.dir.path().join("tls").join(identity);
        let (certificate, key) = (dir.join("tls.crt"), dir.join("tls.key"));
        let tls = howdah_tls::client(&dir.join("ca.crt"), howdah_tls::Identity::new(&certificate, &key));
        let port = self.node(name).config.control.as_ref().expect("it has one").api.port();
        ControlClient::new("localhost", port, Arc::new(tls.expect("certificates"))).expect("a name")
    }

    /// Roles, database, catalog, and the worker in it: what the operator does.
    pub(crate) fn set_up(&self) {
        for (node, kind) in [(&self.coordinator, self.coordinator_kind()), (&self.worker, Kind::Worker)] {
            let plan = SetUp { database: "app".into(), admin_user: "citus".into(), kind };
            self.runtime.block_on(async {
                setup::prepare_server(&node.connect("postgres").await, &plan)
                    .await
                    .expect("the server is set up");
                setup::prepare_database(&node.connect("app").await, &plan)
                    .await
                    .expect("the database is set up");
            });
        }
    }

    fn coordinator_kind(&self) -> Kind {
        Kind::Coordinator(Coordinator {
            admin_password: PASSWORD.into(),
            superuser_password: None,
            loopback_dir: self.coordinator.config.loopback.as_ref().expect("it has one").listen_dir.clone(),
            host: "localhost".into(),
            port: self.coordinator.config.port,
        })
    }

    /// psql with a certificate instead of a password.
    pub(crate) fn psql_as(&self, identity: &str, port: u16, database: &str, sql: &str) -> Output {
        let dir = self.dir.path().join("tls").join(identity);
        let file = |it: &str| dir.join(it).display().to_string();
        let conninfo = format!(
            "host=localhost port={port} user=postgres dbname={database} sslmode=verify-full sslrootcert={} sslcert={} sslkey={}",
            file("ca.crt"),
            file("tls.crt"),
            file("tls.key")
        );
        Command::new("psql")
            .args(["-XAtc", sql, &conninfo])
            .env("PGPASSWORD", "wrong")
            .output()
            .expect("psql runs")
    }

    pub(crate) fn connect(&self, router: &Router) -> Client {
        Client::connect_tcp(&format!("127.0.0.1:{}", router.port), "citus", PASSWORD, "app")
            .unwrap_or_else(|error| panic!("{error:#}\n{}", self.logs()))
    }

    pub(crate) fn wait_for(&self, what: &str, condition: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(120);
        while !condition() {
            assert!(Instant::now() < end, "waited in vain: {what}\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    pub(crate) fn logs(&self) -> String {
        let tail = |name: &str| {
            let text = std::fs::read_to_string(self.log(name)).unwrap_or_default();
            let lines: Vec<&str> = text.lines().rev().take(15).collect();
            format!("== {name}\n{}\n", lines.into_iter().rev().collect::<Vec<_>>().join("\n"))
        };
        ["coordinator", "w0", "near", "far"].map(tail).concat()
    }
}

impl Node {
    fn new(
        dir: &TempDir,
        authority: &Authority,
        name: &'static str,
        user: (u32, u32),
        far_loopback: Option<u16>,
    ) -> Self {
        let (common_name, purpose) = match far_loopback {
            Some(_) => (COORDINATOR_NAME, For::Both),
            None => (name, For::Servers),
        };
        let tls = authority.issue(name, common_name, purpose);
        let (volume, run) =
            (dir.path().join(format!("{name}-volume")), dir.path().join(format!("{name}-run")));
        for directory in [&volume, &run] {
            // As a kubelet leaves them with fsGroup.
            std::fs::create_dir(directory).expect("a directory");
            chown(directory, Some(user.0), Some(user.1)).expect("an owner");
            std::fs::set_permissions(directory, std::os::unix::fs::PermissionsExt::from_mode(0o2775))
                .expect("rights");
        }
        std::fs::create_dir(volume.join("lost+found")).expect("a directory");
        let loopback = far_loopback.map(|port| LoopbackConfig {
            listen_dir: run.join("loopback"),
            router_socket: run.join("router/loopback.sock"),
            remote_port: Some(port),
        });
        let config = InstanceConfig {
            name: format!("test/{name}"),
            bin_dir: std::env::var_os("HOWDAH_POSTGRES_BIN").map(PathBuf::from),
            postgres_major: None,
            member_dir: volume,
            socket_dir: run.join("postgres"),
            listen_addresses: "127.0.0.1".into(),
            port: free_port(),
            tls: TlsFiles {
                certificate: tls.join("tls.crt"),
                key: tls.join("tls.key"),
                ca: tls.join("ca.crt"),
            },
            settings: settings::layered([("max_connections", "60"), ("shared_buffers", "1%")]),
            servers_sharing_memory: std::num::NonZeroU32::MIN,
            loopback,
            control: Some(ControlConfig {
                api: ([127, 0, 0, 1], free_port()).into(),
                probes: ([127, 0, 0, 1], free_port()).into(),
            }),
            log: LogTarget::Stderr,
            stop_patience: Duration::from_secs(30),
        };
        Self { name, config, process: None }
    }

    pub(crate) fn readyz(&self) -> u16 {
        http_status(self.config.control.as_ref().expect("it has one").probes.port(), "/readyz")
    }

    pub(crate) async fn connect(&self, database: &str) -> tokio_postgres::Client {
        let mut config = tokio_postgres::Config::new();
        config.host_path(&self.config.socket_dir).port(self.config.port).user("postgres").dbname(database);
        let (client, connection) = config.connect(tokio_postgres::NoTls).await.expect("a connection");
        tokio::spawn(connection);
        client
    }
}

impl Router {
    fn new(name: &'static str) -> Self {
        Self { name, port: free_port(), probes: free_port(), process: None }
    }

    pub(crate) fn readyz(&self) -> u16 {
        http_status(self.probes, "/readyz")
    }

    pub(crate) fn metrics(&self) -> String {
        http(self.probes, "/metrics").unwrap_or_default()
    }

    pub(crate) fn terminate(&self) {
        terminate(self.process.as_ref().expect("it runs"));
    }

    pub(crate) fn wait(&mut self) {
        assert!(self.process.take().expect("it runs").wait().expect("it ends").success());
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.logs());
        }
        let processes = [&mut self.near.process, &mut self.far.process];
        let nodes = [&mut self.coordinator, &mut self.worker].map(|it| (it.name, &mut it.process).1);
        for process in processes.into_iter().chain(nodes).flatten() {
            terminate(process);
            let end = Instant::now() + Duration::from_secs(20);
            while process.try_wait().is_ok_and(|it| it.is_none()) && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(20));
            }
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn terminate(process: &Child) {
    let _ = kill(Pid::from_raw(process.id().cast_signed()), Signal::SIGTERM);
}

pub(crate) fn http_status(port: u16, path: &str) -> u16 {
    let answer = http(port, path).unwrap_or_default();
    answer.split(' ').nth(1).and_then(|it| it.parse().ok()).unwrap_or(0)
}

fn http(port: u16, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// What the init container does.
fn install_binary(directory: &Path) {
    let output = Command::new(env!("CARGO_BIN_EXE_howdah")).arg("install-binary").arg(directory).output();
    let output = output.expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Who runs the processes: Postgres refuses root.
fn unprivileged() -> (u32, u32) {
    if !geteuid().is_root() {
        return (geteuid().as_raw(), nix::unistd::getegid().as_raw());
    }
    let found = ["postgres", "nobody"].into_iter().find_map(|it| User::from_name(it).ok().flatten());
    let found = found.expect("postgres or nobody is a user of this machine");
    (found.uid.as_raw(), found.gid.as_raw())
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a free port").port()
}
