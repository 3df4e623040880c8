//! A real server group for a test: `howdah local up` in a directory of its own, taken down when dropped.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, ensure};
use serde::Deserialize;
use tempfile::TempDir;

use crate::client::Client;

/// What a test may choose of its group.
#[derive(Clone, Debug)]
pub struct Options {
    pub workers: u32,
    /// `citus.shard_count` of the database.
    pub shard_count: u32,
    pub parameters: Vec<(String, String)>,
    /// Where the servers' programs are; `$HOWDAH_POSTGRES_BIN` else, as for single servers.
    pub postgres_bin: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        let postgres_bin = std::env::var_os("HOWDAH_POSTGRES_BIN").map(PathBuf::from);
        Self { workers: 2, shard_count: 32, parameters: Vec::new(), postgres_bin }
    }
}

impl Options {
    /// The same with PostgreSQL 18; `None`, and said aloud, where it is not installed.
    pub fn on_postgres_18(self) -> Option<Self> {
        let Some(bin) = std::env::var_os("HOWDAH_POSTGRES_18") else {
            eprintln!("skipped: HOWDAH_POSTGRES_18 names no PostgreSQL 18");
            return None;
        };
        Some(Self { postgres_bin: Some(bin.into()), ..self })
    }
}

pub struct LocalGroup {
    binary: PathBuf,
    dir: TempDir,
    port: u16,
    postgres_bin: Option<PathBuf>,
    /// The application's URI, as `howdah local up` printed it.
    pub uri: String,
    pub superuser_uri: String,
}

/// One line of `howdah local status -o json`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    pub name: String,
    pub role: String,
    pub state: String,
    pub pid: Option<u32>,
    pub postgres_pid: Option<u32>,
    pub port: Option<u16>,
}

#[derive(Debug, Deserialize)]
struct Status {
    phase: String,
    members: Vec<Member>,
}

impl LocalGroup {
    /// Starts a group with the `howdah` binary of the test run and waits until it answers.
    pub fn start(binary: &str, options: &Options) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("howdah-test-").tempdir()?;
        // Postgres runs as another user when the tests run as root, and must be able to enter.
        std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        std::fs::write(dir.path().join("group.yaml"), manifest(options))?;
        let port = free_port()?;
        let mut group = Self {
            binary: binary.into(),
            dir,
            port,
            postgres_bin: options.postgres_bin.clone(),
            uri: String::new(),
            superuser_uri: String::new(),
        };
        group.up()?;
        Ok(group)
    }

    /// `howdah local up`: starts the group, or continues with what its directory holds.
    pub fn up(&mut self) -> anyhow::Result<()> {
        let manifest = self.dir.path().join("group.yaml");
        let port = self.port.to_string();
        let mut arguments =
            vec!["up", "--detach", "--port", &port, "-f", manifest.to_str().context("a path in UTF-8")?];
        if let Some(bin) = &self.postgres_bin {
            arguments.extend(["--postgres-bin", bin.to_str().context("a path in UTF-8")?]);
        }
        self.uri = last_line(&self.howdah(&arguments)?);
        self.superuser_uri = last_line(&self.howdah(&["uri", "--superuser"])?);
        Ok(())
    }

    /// Runs `howdah local ARGUMENTS --dir …`; failing is an error with what it printed.
    pub fn howdah(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self.try_howdah(arguments)?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "howdah local {arguments:?}: {errors}");
        Ok(String::from_utf8(output.stdout)?)
    }

    pub fn try_howdah(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let (command, rest) = arguments.split_first().context("a subcommand")?;
        let mut howdah = Command::new(&self.binary);
        howdah.args(["local", command, "--dir"]).arg(self.directory()).args(rest);
        howdah.output().context("running howdah")
    }

    pub fn directory(&self) -> PathBuf {
        self.dir.path().join("group")
    }

    /// A connection through the router as the application's user.
    pub fn connect(&self) -> anyhow::Result<Client> {
        connect(&self.uri)
    }

    /// A connection through the router as superuser.
    pub fn connect_superuser(&self) -> anyhow::Result<Client> {
        connect(&self.superuser_uri)
    }

    /// Where and as whom an application connects.
    pub fn address(&self) -> anyhow::Result<Address> {
        Address::parse(&self.uri)
    }

    pub fn members(&self) -> anyhow::Result<Vec<Member>> {
        Ok(self.status()?.members)
    }

    pub fn phase(&self) -> anyhow::Result<String> {
        Ok(self.status()?.phase)
    }

    pub fn member(&self, name: &str) -> anyhow::Result<Member> {
        let found = self.members()?.into_iter().find(|member| member.name == name);
        found.with_context(|| format!("member {name}"))
    }

    /// What a member has in memory now, in bytes.
    pub fn memory(&self, member: &str) -> anyhow::Result<u64> {
        self.memory_line(member, "VmRSS:")
    }

    /// The most that a member ever had.
    pub fn peak_memory(&self, member: &str) -> anyhow::Result<u64> {
        self.memory_line(member, "VmHWM:")
    }

    fn memory_line(&self, member: &str, name: &str) -> anyhow::Result<u64> {
        let pid = self.member(member)?.pid.context("it runs")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|it| it.strip_prefix(name)).context("a line of its status")?;
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kilobytes << 10)
    }

    /// A connection to a node's own socket, past the router.
    pub fn connect_member(&self, name: &str, user: &str) -> anyhow::Result<Client> {
        let port = self.member(name)?.port.context("a port")?;
        let socket = self.directory().join("run").join(name).join(format!(".s.PGSQL.{port}"));
        Client::connect_unix(&socket, user, &self.address()?.database)
    }

    fn status(&self) -> anyhow::Result<Status> {
        Ok(serde_json::from_str(&self.howdah(&["status", "-o", "json"])?)?)
    }

    /// Runs psql as the application's user: what it printed, with the exit status unchecked.
    pub fn psql(&self, arguments: &[&str], script: &str) -> anyhow::Result<Output> {
        psql(&self.uri, arguments, script)
    }
}

impl Drop for LocalGroup {
    fn drop(&mut self) {
        let _ = self.try_howdah(&["down", "--wipe"]);
    }
}

/// Runs psql on a connection URI with a script as standard input.
pub fn psql(uri: &str, arguments: &[&str], script: &str) -> anyhow::Result<Output> {
    use std::io::Write;
    use std::process::Stdio;
    let mut command = Command::new("psql");
    command
        .args(["-X", uri])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().context("starting psql")?;
    child.stdin.take().context("psql's input")?.write_all(script.as_bytes())?;
    Ok(child.wait_with_output()?)
}

fn connect(uri: &str) -> anyhow::Result<Client> {
    let Address { host, port, user, password, database } = Address::parse(uri)?;
    Client::connect_tcp(&format!("{host}:{port}"), &user, &password, &database)
}

/// The parts of `postgresql://user:password@host:port/database?…`.
#[derive(Clone, Debug)]
pub struct Address {
    pub host: String,
    pub port: u16,
    pub user: String,
    pub password: String,
    pub database: String,
}

impl Address {
    fn parse(uri: &str) -> anyhow::Result<Self> {
        let rest = uri.strip_prefix("postgresql://").context("a postgresql:// URI")?;
        let (credentials, rest) = rest.split_once('@').context("a URI with a user")?;
        let (user, password) = credentials.split_once(':').context("a URI with a password")?;
        let (address, rest) = rest.split_once('/').context("a URI with a database")?;
        let (host, port) = address.rsplit_once(':').context("a URI with a port")?;
        let database = rest.split('?').next().unwrap_or_default();
        let port = port.parse().context("a port number")?;
        Ok(Self {
            host: host.into(),
            port,
            user: user.into(),
            password: password.into(),
            database: database.into(),
        })
    }
}

fn manifest(options: &Options) -> String {
    let mut text = format!(
        "apiVersion: howdah.dev/v1alpha1\nkind: ServerGroup\nmetadata: {{name: test}}\nspec:\n  \
         workers: {{count: {}}}\n  parameters:\n    citus.shard_count: \"{}\"\n",
        options.workers, options.shard_count
    );
    for (name, value) in &options.parameters {
        text.push_str(&format!("    {name}: \"{value}\"\n"));
    }
    text
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn last_line(text: &str) -> String {
    text.trim_end().lines().last().unwrap_or_default().to_owned()
}

/// The repository's root, for files that tests share.
pub fn repository_root() -> PathBuf {
    let harness = Path::new(env!("CARGO_MANIFEST_DIR"));
    harness.ancestors().nth(2).unwrap_or(harness).to_owned()
}
