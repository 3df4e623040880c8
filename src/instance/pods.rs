//! How the pieces of a group find each other in pods: ports, paths, and names in certificates. What the operator
//! writes into pods and what runs inside must agree, so both read it here.

/// Postgres of a worker; and the router, also beside the coordinator.
pub const POSTGRES_PORT: u16 = 5432;
/// Postgres of the coordinator, whose pod has the router on 5432.
pub const COORDINATOR_PORT: u16 = 6432;
/// The instance manager's plain HTTP for the kubelet: `/livez`, `/readyz`.
pub const PROBES_PORT: u16 = 8008;
/// The instance manager's control API: HTTPS with client certificates.
pub const CONTROL_PORT: u16 = 8009;
/// The router's plain HTTP: `/livez`, `/readyz`, `/metrics`.
pub const ROUTER_PROBES_PORT: u16 = 8010;
/// Where a router takes the loopback connections of a coordinator in another pod.
pub const ROUTER_LOOPBACK_PORT: u16 = 8011;

/// The volume of a member; the data directory is `data` below it.
pub const MEMBER_DIR: &str = "/var/lib/howdah";
/// Shared by the containers of a pod: an emptyDir, in which each makes directories of its own.
pub const RUN_DIR: &str = "/run/howdah";
pub const SOCKET_DIR: &str = "/run/howdah/postgres";
pub const LOOPBACK_DIR: &str = "/run/howdah/loopback";
pub const ROUTER_LOOPBACK_SOCKET: &str = "/run/howdah/router/loopback.sock";

pub use howdah_tls::names::{
    COORDINATOR as COORDINATOR_NAME, OPERATOR as OPERATOR_NAME, ROUTER as ROUTER_NAME,
};

/// A passwd file for images that have no entry for the user of the pod: initdb wants a name for its own user.
/// Mount it at /etc/passwd.
pub fn passwd(uid: u32, gid: u32) -> String {
    format!("root:x:0:0:root:/root:/sbin/nologin\npostgres:x:{uid}:{gid}:PostgreSQL:{MEMBER_DIR}:/bin/sh\n")
}
