//! What an instance manager is told, and what it tells.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Everything that one instance manager needs to know, as the JSON file that `howdah instance --config` reads.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceConfig {
    /// For logs and `cluster_name`, which `ps` shows: `demo/w0`.
    pub name: String,
    /// Where `postgres` and `initdb` are.
    pub bin_dir: PathBuf,
    /// Holds `data`, `postgres.log` and the lock; exists, and belongs to the user that runs this.
    pub member_dir: PathBuf,
    /// Holds the Unix socket; only the user that runs Postgres may enter it, which is what authenticates.
    pub socket_dir: PathBuf,
    pub port: u16,
    pub tls: TlsFiles,
    /// postgresql.conf beyond what this crate sets itself.
    pub settings: BTreeMap<String, String>,
    /// On the coordinator: the socket through which its backends reach their own sessions.
    pub loopback: Option<LoopbackConfig>,
}

impl InstanceConfig {
    pub fn data_dir(&self) -> PathBuf {
        data_dir(&self.member_dir)
    }

    pub fn log_file(&self) -> PathBuf {
        self.member_dir.join("postgres.log")
    }
}

/// Where Postgres keeps its data in a member's directory.
pub(crate) fn data_dir(member_dir: &Path) -> PathBuf {
    member_dir.join("data")
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Clients over TCP must show a certificate of this CA.
    pub ca: PathBuf,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LoopbackConfig {
    /// The directory whose `.s.PGSQL.5432` postgres_fdw connects to.
    pub listen_dir: PathBuf,
    /// The router's end.
    pub router_socket: PathBuf,
}

/// What the instance manager reports, one JSON object a line.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", tag = "event")]
pub enum Event {
    /// The data directory is being made.
    Initialising,
    Starting,
    /// Postgres accepts connections.
    #[serde(rename_all = "camelCase")]
    Ready {
        postgres_pid: i32,
    },
    /// Postgres went away or did not start; it will be started again.
    Exited {
        reason: String,
    },
    /// The instance manager ends because it cannot do its work.
    GaveUp {
        reason: String,
    },
}
