//! postgresql.conf of a member: our defaults, then the spec's parameters.
use std::collections::BTreeMap;

use howdah_api::{Parameters, ServerGroupSpec};
use howdah_group::NodeName;

/// Refuses what would break the group. That a name is misspelt is found by Postgres itself before it starts.
pub(crate) fn check(field: &str, parameters: &Parameters) -> Result<(), String> {
    for (name, value) in parameters {
        let known_form = |it: char| it.is_ascii_alphanumeric() || it == '_' || it == '.';
        if name.is_empty() || !name.chars().all(known_form) {
            return Err(format!("{field}: \"{name}\" is not the name of a setting"));
        }
        let lower = name.to_ascii_lowercase();
        if RESERVED.contains(&lower.as_str()) || RESERVED_PREFIXES.iter().any(|it| lower.starts_with(it)) {
            return Err(format!("{field}.{name}: this setting is reserved"));
        }
        if value.0.contains(['\n', '\0']) {
            return Err(format!("{field}.{name}: a setting is one line"));
        }
    }
    Ok(())
}

/// The settings of one node.
pub(crate) fn settings(spec: &ServerGroupSpec, node: NodeName) -> BTreeMap<String, String> {
    let mut settings: BTreeMap<String, String> =
        DEFAULTS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let own = match node {
        NodeName::Coordinator => &spec.coordinator.parameters,
        NodeName::Worker(_) => &spec.workers.parameters,
    };
    for (name, value) in spec.parameters.iter().chain(own) {
        let name = name.to_ascii_lowercase();
        let value =
            share_of_memory(&name, &value.0, spec.workers.count + 1).unwrap_or_else(|| value.0.clone());
        settings.insert(name, value);
    }
    // Each write of a transaction may have to be prepared, on every connection at once.
    let connections = settings.get("max_connections").cloned().unwrap_or_default();
    settings.insert("max_prepared_transactions".into(), connections);
    settings
}

/// `shared_buffers: 25%` means of the memory of the node; the nodes of one machine share its memory.
fn share_of_memory(name: &str, value: &str, nodes: u32) -> Option<String> {
    let percent: u64 = value.strip_suffix('%')?.trim().parse().ok()?;
    if !["shared_buffers", "effective_cache_size"].contains(&name) {
        return None;
    }
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
    let total = meminfo.lines().find_map(|it| it.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = total.split_whitespace().next()?.parse().ok()?;
    Some(format!("{}kB", (kilobytes * percent / 100 / u64::from(nodes)).max(1024)))
}

/// What suits several servers on a developer's machine. Durability is not traded for speed.
const DEFAULTS: [(&str, &str); 17] = [
    ("max_connections", "200"),
    ("shared_buffers", "128MB"),
    ("max_wal_size", "1GB"),
    ("max_locks_per_transaction", "256"),
    ("wal_compression", "on"),
    ("jit", "off"),
    ("log_line_prefix", "%m [%p] %q%u@%d "),
    ("log_checkpoints", "off"),
    ("lc_messages", "C"),
    // Placeholders to Postgres; the router gives them meaning.
    ("citus.shard_count", "32"),
    ("citus.shard_replication_factor", "1"),
    ("citus.max_adaptive_executor_pool_size", "16"),
    ("citus.executor_slow_start_interval", "10"),
    ("citus.multi_shard_modify_mode", "parallel"),
    ("citus.enable_repartition_joins", "off"),
    ("citus.use_citus_managed_tables", "off"),
    ("citus.node_connection_timeout", "30000"),
];

/// Set by the instance manager, or relied upon by the router.
const RESERVED: [&str; 24] = [
    "port",
    "listen_addresses",
    "unix_socket_directories",
    "unix_socket_permissions",
    "unix_socket_group",
    "data_directory",
    "config_file",
    "hba_file",
    "ident_file",
    "external_pid_file",
    "cluster_name",
    "wal_level",
    "max_prepared_transactions",
    "primary_conninfo",
    "primary_slot_name",
    "synchronous_standby_names",
    "hot_standby",
    "restore_command",
    "password_encryption",
    "logging_collector",
    "log_destination",
    "allow_system_table_mods",
    "fsync",
    "full_page_writes",
];
const RESERVED_PREFIXES: [&str; 5] = ["ssl", "archive_", "recovery_", "howdah.", "krb_"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spec_wins_over_defaults_and_the_node_over_the_group() {
        let spec = crate::spec::parse(
            "{apiVersion: howdah.dev/v1alpha1, kind: ServerGroup, metadata: {name: a}, spec: {\
               parameters: {work_mem: 8MB, max_connections: 300, jit: true},\
               workers: {parameters: {work_mem: 16MB}}}}",
        )
        .unwrap()
        .spec;
        let coordinator = settings(&spec, NodeName::Coordinator);
        let worker = settings(&spec, NodeName::Worker(0));
        assert_eq!(coordinator["work_mem"], "8MB");
        assert_eq!(worker["work_mem"], "16MB");
        assert_eq!(worker["jit"], "on");
        assert_eq!(worker["max_prepared_transactions"], "300");
        assert_eq!(worker["citus.shard_count"], "32");
    }
}
