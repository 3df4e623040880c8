//! How clients and nodes reach the group: Service, NetworkPolicies, TLS.
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Networking {
    pub service: Service,
    /// Strict: workers are reachable by routers, members and the operator only.
    pub network_policy: NetworkPolicyMode,
}

impl Default for Networking {
    fn default() -> Self {
        Self { service: Service::default(), network_policy: NetworkPolicyMode::Strict }
    }
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Service {
    #[serde(rename = "type")]
    pub kind: ServiceType,
    pub annotations: BTreeMap<String, String>,
    pub load_balancer_source_ranges: Vec<String>,
}

impl Default for Service {
    fn default() -> Self {
        Self {
            kind: ServiceType::ClusterIp,
            annotations: BTreeMap::new(),
            load_balancer_source_ranges: Vec::new(),
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum ServiceType {
    #[serde(rename = "ClusterIP")]
    ClusterIp,
    NodePort,
    LoadBalancer,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum NetworkPolicyMode {
    Strict,
    Off,
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Tls {
    pub mode: TlsMode,
    /// A cert-manager issuer; empty means the group's own CA, rotated by the operator.
    pub issuer_ref: IssuerRef,
    pub server_secret_name: String,
    pub min_version: String,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            mode: TlsMode::Require,
            issuer_ref: IssuerRef::default(),
            server_secret_name: String::new(),
            min_version: "1.2".into(),
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum TlsMode {
    Require,
    Prefer,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IssuerRef {
    pub name: String,
    pub kind: String,
    pub group: String,
}
