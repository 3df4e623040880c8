//! The Kubernetes driver of server groups.
