//! What an instance manager is told, and what it tells.
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Everything that one instance manager needs to know, as the JSON file that `howdah instance --config` reads.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceConfig {
    /// For logs and `cluster_name`, which `ps` shows: `demo/w0`.
    pub name: String,
    /// Where `postgres` and `initdb` are; looked for in the usual places if not given.
    #[serde(default)]
    pub bin_dir: Option<PathBuf>,
    /// The version that a new data directory is made with, where there are several; the newest if not given.
    #[serde(default)]
    pub postgres_major: Option<u32>,
    /// Holds `data`, the lock and what is remembered; exists, and belongs to the user that runs this or to its group.
    pub member_dir: PathBuf,
    /// Holds the Unix socket; only the user that runs Postgres may enter it, which is what authenticates.
    pub socket_dir: PathBuf,
    /// As in postgresql.conf.
    #[serde(default = "this_machine")]
    pub listen_addresses: String,
    pub port: u16,
    pub tls: TlsFiles,
    /// postgresql.conf beyond what this crate sets itself. See [`settings`](crate::settings).
    pub settings: BTreeMap<String, String>,
    /// Of how many servers' memory a percentage in `settings` is a part: those that share this machine or container.
    #[serde(default = "one")]
    pub servers_sharing_memory: NonZeroU32,
    /// On the coordinator: the socket through which its backends reach their own sessions.
    #[serde(default)]
    pub loopback: Option<LoopbackConfig>,
    /// Where somebody asks over the network. Without it, events go to standard output and an error ends the process.
    #[serde(default)]
    pub control: Option<ControlConfig>,
    #[serde(default)]
    pub log: LogTarget,
    /// How long a fast shutdown may take before an immediate one follows. In a pod: some seconds less than its grace period.
    #[serde(default = "stop_patience", with = "seconds")]
    pub stop_patience: Duration,
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

fn this_machine() -> String {
    "127.0.0.1".to_owned()
}

fn one() -> NonZeroU32 {
    NonZeroU32::MIN
}

/// A fast shutdown writes a checkpoint, which may take a while on a slow disk.
fn stop_patience() -> Duration {
    Duration::from_secs(30)
}

/// PEM files. Replaced ones are noticed and taken over.
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
    /// The end of the router that reaches this server through its Unix socket.
    pub router_socket: PathBuf,
    /// The port of the end of every router that comes over TCP, at the address that it comes from.
    #[serde(default)]
    pub remote_port: Option<u16>,
}

/// The two servers of [`crate::control`].
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ControlConfig {
    /// HTTPS for the operator.
    pub api: SocketAddr,
    /// Plain HTTP, `/livez` and `/readyz` only, for the kubelet.
    pub probes: SocketAddr,
}

/// Where Postgres writes its log.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogTarget {
    /// `postgres.log` in the member's directory.
    #[default]
    File,
    /// Standard error, where a container's log is taken from.
    Stderr,
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

/// Durations in the file are seconds, fractions allowed.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(value.as_secs_f64())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(from)?).map_err(D::Error::custom)
    }
}
