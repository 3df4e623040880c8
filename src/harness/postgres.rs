//! A plain PostgreSQL of one's own for a test: in a temporary directory, on a Unix socket, gone when dropped.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, User};
use tempfile::TempDir;

use crate::client::Client;

/// How long initdb plus start may take on a busy machine.
const START_DEADLINE: Duration = Duration::from_secs(60);

/// The only server in its socket directory, so the port never clashes.
const PORT: u16 = 5432;

/// A running server: superuser `postgres` without password, UTF8 with the C.UTF-8 locale, no TCP, and no
/// durability.
#[derive(Debug)]
pub struct PostgresServer {
    process: Child,
    dir: TempDir,
}

impl PostgresServer {
    pub fn start() -> anyhow::Result<Self> {
        Self::start_with(&[])
    }

    /// With settings for its postgresql.conf.
    pub fn start_with(settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        Self::start_from(&bin_dir()?, settings)
    }

    /// With the programs of another version.
    pub fn start_from(bin: &Path, settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        let account = unprivileged_account()?;
        let dir = tempfile::Builder::new().prefix("howdah-pg-").tempdir()?;
        if let Some(account) = &account {
            chown(dir.path(), Some(account.uid.as_raw()), Some(account.gid.as_raw()))?;
        }
        // The server needs the directory, and whoever runs the test its socket.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711))?;

        let data = dir.path().join("data");
        let initdb = command(&bin.join("initdb"), account.as_ref(), dir.path())
            .args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"])
            .arg("--pgdata")
            .arg(&data)
            .output()
            .context("could not run initdb")?;
        ensure!(initdb.status.success(), "initdb failed: {}", String::from_utf8_lossy(&initdb.stderr));

        let log = File::create(dir.path().join("log"))?;
        let mut postgres = command(&bin.join("postgres"), account.as_ref(), dir.path());
        postgres.arg("-D").arg(&data).arg("-k").arg(dir.path()).args(["-p", &PORT.to_string()]);
        let own = [("listen_addresses", ""), ("fsync", "off"), ("max_connections", "50")];
        for (name, value) in own.iter().chain(settings) {
            postgres.args(["-c", &format!("{name}={value}")]);
        }
        let process =
            postgres.stdout(log.try_clone()?).stderr(log).spawn().context("could not run postgres")?;
        let mut server = Self { process, dir };
        server.wait_until_ready()?;
        Ok(server)
    }

    /// The directory of its socket, which libpq takes as host.
    pub fn socket_dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub fn port(&self) -> u16 {
        PORT
    }

    /// Connects the client of this crate as the superuser.
    pub fn client(&self, database: &str) -> anyhow::Result<Client> {
        let socket = self.socket_dir().join(format!(".s.PGSQL.{PORT}"));
        Client::connect_unix(&socket, "postgres", database)
    }

    /// Connects tokio-postgres as the superuser. The connection's task ends with the client.
    pub async fn connect(&self, database: &str) -> anyhow::Result<tokio_postgres::Client> {
        let mut config = tokio_postgres::Config::new();
        config.host_path(self.socket_dir()).port(PORT).user("postgres").dbname(database);
        let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// What the server wrote to its log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + START_DEADLINE;
        let pid_file = self.dir.path().join("data/postmaster.pid");
        while Instant::now() < deadline {
            // The eighth line is the state, written by the server itself.
            let state = fs::read_to_string(&pid_file).unwrap_or_default();
            if state.lines().nth(7).is_some_and(|it| it.trim_end() == "ready") {
                return Ok(());
            }
            if let Some(status) = self.process.try_wait()? {
                bail!("postgres ended with {status}: {}", self.log());
            }
            thread::sleep(Duration::from_millis(20));
        }
        bail!("postgres was not ready in {} s: {}", START_DEADLINE.as_secs(), self.log());
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        // SIGQUIT is the immediate shutdown; a server that has gone already is as good.
        if let Ok(pid) = i32::try_from(self.process.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGQUIT);
        }
        let _ = self.process.wait();
    }
}

/// Whom to become to run PostgreSQL, which refuses to run as root. `None` when not root.
fn unprivileged_account() -> anyhow::Result<Option<User>> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    for name in ["postgres", "nobody"] {
        if let Some(user) = User::from_name(name)? {
            return Ok(Some(user));
        }
    }
    bail!("PostgreSQL cannot run as root, and there is no user postgres or nobody")
}

/// Where initdb and postgres are: `$HOWDAH_POSTGRES_BIN`, else the newest that Debian installed.
fn bin_dir() -> anyhow::Result<PathBuf> {
    if let Some(dir) = std::env::var_os("HOWDAH_POSTGRES_BIN") {
        return Ok(dir.into());
    }
    let versions = fs::read_dir("/usr/lib/postgresql").context("PostgreSQL is not installed")?;
    versions
        .filter_map(|it| it.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|it| Path::new(&format!("/usr/lib/postgresql/{it}/bin/initdb")).exists())
        .max()
        .map(|it| format!("/usr/lib/postgresql/{it}/bin").into())
        .context("PostgreSQL is not installed")
}

fn command(program: &Path, account: Option<&User>, dir: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(dir).stdin(Stdio::null());
    // A locale or connection defaults of whoever runs the test must not change the server.
    command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
    if let Some(account) = account {
        command.uid(account.uid.as_raw()).gid(account.gid.as_raw());
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_comes_and_goes() {
        let server = PostgresServer::start_with(&[("work_mem", "1MB")]).expect("starts");
        let mut client = server.client("postgres").expect("connects");
        let rows = client.rows("SHOW work_mem").expect("answers");
        assert_eq!(rows, [[Some("1MB".to_owned())]]);
        let dir = server.socket_dir().to_owned();
        drop(server);
        assert!(!dir.exists());
    }
}
