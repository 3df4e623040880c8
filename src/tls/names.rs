//! Common names in the certificates of a group's own CA: who somebody is, and so what he may do.

/// A router: nodes let it log in as any role, and deliver loopback connections to whoever shows it. Also the DNS name
/// in that certificate, for routers have no other; for both ends of connections.
pub const ROUTER: &str = "howdah-router";
/// The operator: it may log in as superuser, through a router too, and use the control API. For clients.
pub const OPERATOR: &str = "howdah-operator";
/// The coordinator's node, for both ends: it shows its certificate to routers in other pods. Those of workers (`w0`, …)
/// are for servers only, so that a worker can log in nowhere.
pub const COORDINATOR: &str = "coordinator";
