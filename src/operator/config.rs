//! What the operator is told when it starts.
use std::net::SocketAddr;

/// Parsed from arguments and environment, once.
#[derive(Clone, Debug)]
pub struct OperatorConfig {
    /// The operator's own image: it brings the binary into pods.
    pub image: String,
    pub image_pull_policy: String,
    /// For groups that name no image; `{version}` in it stands for the group's PostgreSQL version.
    pub postgres_image: String,
    /// Empty: all namespaces.
    pub watch_namespaces: Vec<String>,
    /// Where the operator runs, and its lease is.
    pub namespace: String,
    /// Whether it runs as a pod in that namespace: NetworkPolicies then admit it.
    pub in_cluster: bool,
    /// For the lease and Events; the process adds what makes it unique.
    pub identity: String,
    /// `/livez`, `/readyz`, `/metrics`.
    pub listen: SocketAddr,
}

impl OperatorConfig {
    /// The default image for a group of that version.
    pub(crate) fn postgres_image_of(&self, version: &str) -> String {
        let version = if version.is_empty() { DEFAULT_VERSION } else { version };
        self.postgres_image.replace("{version}", version)
    }
}

const DEFAULT_VERSION: &str = "17";
