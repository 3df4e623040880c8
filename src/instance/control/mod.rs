//! The control API of an instance manager, and what the kubelet asks.
mod api;

pub use self::api::{
    CertificateStatus, Failure, SettingsApplied, SettingsError, SettingsRequest, State, Status,
};
