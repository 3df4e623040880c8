//! How the operator and the kubelet reach an instance manager: HTTPS for whoever shows the operator's certificate, and
//! two plain answers for probes, which tell nothing else.
mod api;
mod client;
mod server;
mod tls_listener;

pub use self::api::{
    CertificateStatus, Failure, SettingsApplied, SettingsError, SettingsRequest, State, Status,
};
pub use self::client::{ControlClient, ControlError};
pub(crate) use self::server::Server;
