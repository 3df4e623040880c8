//! What a router is told when it starts. Parsed once, then handed down in parts; every default is here.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The file that `howdah router --config` reads, as JSON.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RouterConfig {
    /// Addresses for clients.
    pub listen: Vec<SocketAddr>,
    /// Certificate shown to clients; without it `SSLRequest` is answered with `N`.
    #[serde(default)]
    pub tls: Option<ServerTls>,
    pub coordinator: NodeAddress,
    /// The only database that has distributed tables.
    pub database: String,
    /// Role of the control connection and of the pieces of work that clients may not do themselves.
    #[serde(default = "default_superuser")]
    pub superuser: String,
    /// Where `howdah instance` delivers the loopback connections of live tables.
    #[serde(default)]
    pub loopback_socket: Option<PathBuf>,
    /// Where the instance of a coordinator in another pod delivers them, by TLS in which both ends show certificates: the
    /// router that of `node_tls`, the instance the coordinator's.
    #[serde(default)]
    pub loopback_listen: Option<SocketAddr>,
    /// How the router proves itself to nodes that it reaches over TCP.
    #[serde(default)]
    pub node_tls: Option<NodeTls>,
    /// The group's certificate authority: whoever shows the operator's certificate of it is the superuser, without password.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
    /// Refuse clients that do not ask for TLS.
    #[serde(default)]
    pub require_tls: bool,
    /// Plain HTTP: `/livez`, `/readyz`, `/metrics`.
    #[serde(default)]
    pub probes: Option<SocketAddr>,
    /// How long transactions may go on once the router was asked to stop.
    #[serde(default = "shutdown_grace", with = "seconds")]
    pub shutdown_grace: Duration,
    #[serde(default)]
    pub pool: PoolConfig,
    #[serde(default)]
    pub limits: Limits,
    /// Threads that serve sessions; by default one for each processor that the router may use.
    #[serde(default = "default_cores")]
    pub cores: NonZeroUsize,
}

/// Where a PostgreSQL listens: a host that starts with `/` is the directory of a Unix socket.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NodeAddress {
    pub host: String,
    pub port: u16,
}

/// PEM files; replaced ones count for new connections.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ServerTls {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// PEM files of the client side towards the nodes.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NodeTls {
    /// The group's certificate authority: the only one that a node is believed by.
    pub ca: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct PoolConfig {
    /// Connections to one node as one role.
    pub max_per_node: usize,
    /// Statements of one role that are sent to one worker at a time, as long as they are short; the others wait for their turn.
    /// Two to four times the processors that the worker has: more only wait there, and push each other out of its caches.
    pub busy_per_node: usize,
    /// Sessions that may wait for one of them; the next is refused at once.
    pub max_waiting: usize,
    #[serde(with = "seconds")]
    pub idle_timeout: Duration,
    #[serde(with = "seconds")]
    pub acquire_timeout: Duration,
    #[serde(with = "seconds")]
    pub connect_timeout: Duration,
    /// Statements kept prepared on one server connection.
    pub max_prepared: usize,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    pub clients: usize,
    /// Body of one message of a client. PostgreSQL itself allows 1 GiB less a byte.
    pub message_bytes: usize,
    /// Statements longer than 1 MB of all sessions together that are being planned: tree and plan take a hundred times the text.
    pub planned_bytes: usize,
    /// Extended-protocol messages gathered before they are executed without waiting for Sync.
    pub pipeline_bytes: usize,
    pub pipeline_messages: usize,
    /// Named prepared statements, and portals, of one session.
    pub statements_per_session: usize,
    /// Plans of all sessions together.
    pub cached_plans: usize,
    #[serde(with = "seconds")]
    pub authentication_timeout: Duration,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            max_per_node: 50,
            busy_per_node: 32,
            max_waiting: 10_000,
            idle_timeout: Duration::from_secs(60),
            acquire_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            max_prepared: 256,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            clients: 10_000,
            message_bytes: 0x3fff_ffff,
            planned_bytes: 64 << 20,
            pipeline_bytes: 4 << 20,
            pipeline_messages: 10_000,
            statements_per_session: 10_000,
            cached_plans: 10_000,
            authentication_timeout: Duration::from_secs(60),
        }
    }
}

fn default_cores() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

fn shutdown_grace() -> Duration {
    Duration::from_secs(5)
}

fn default_superuser() -> String {
    "postgres".to_owned()
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
