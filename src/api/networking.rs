//! How clients and nodes reach the group: Service, NetworkPolicies, TLS.
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rules;

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
#[schemars(extend("x-kubernetes-validations" = rules::service()))]
pub struct Service {
    #[serde(rename = "type")]
    pub kind: ServiceType,
    #[schemars(extend("maxProperties" = 64))]
    pub annotations: BTreeMap<String, String>,
    /// CIDRs that may connect; for type LoadBalancer.
    #[schemars(length(max = 64), inner(length(max = 49)))]
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
#[schemars(extend("x-kubernetes-validations" = rules::tls()))]
pub struct Tls {
    pub mode: TlsMode,
    /// A cert-manager issuer; empty means the group's own CA, rotated by the operator.
    pub issuer_ref: IssuerRef,
    /// A secret with tls.crt and tls.key for what clients see.
    #[schemars(length(max = 253), regex(pattern = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$"))]
    pub server_secret_name: String,
    /// 1.2 or 1.3.
    #[schemars(extend("enum" = ["1.2", "1.3"]))]
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
#[schemars(extend("x-kubernetes-validations" = rules::issuer()))]
pub struct IssuerRef {
    #[schemars(length(max = 253))]
    pub name: String,
    #[schemars(extend("enum" = ["", "Issuer", "ClusterIssuer"]))]
    pub kind: String,
    #[schemars(length(max = 253))]
    pub group: String,
}
