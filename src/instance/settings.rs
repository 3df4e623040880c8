//! The settings of a node: our defaults and those of the ServerGroup, one over the other. Pure.
use std::collections::BTreeMap;

use crate::citus_settings::CITUS;

/// postgresql.conf of a node: defaults, then each layer over those before it. Names become lower case.
pub fn layered<'a>(layers: impl IntoIterator<Item = (&'a str, &'a str)>) -> BTreeMap<String, String> {
    let mut settings: BTreeMap<String, String> =
        DEFAULTS.iter().chain(CITUS).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    for (name, value) in layers {
        settings.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    // Each write of a transaction may have to be prepared, on every connection at once.
    let connections = settings.get("max_connections").cloned().unwrap_or_default();
    settings.insert("max_prepared_transactions".into(), connections);
    settings
}

/// Refuses what would break the group. That a name is misspelt is found by Postgres itself before it starts.
pub fn check(name: &str, value: &str) -> Result<(), String> {
    let known_form = |it: char| it.is_ascii_alphanumeric() || it == '_' || it == '.';
    if name.is_empty() || !name.chars().all(known_form) {
        return Err(format!("\"{name}\" is not the name of a setting"));
    }
    if is_reserved(name) {
        return Err("this setting is reserved".to_owned());
    }
    if value.contains(['\n', '\0']) {
        return Err("a setting is one line".to_owned());
    }
    Ok(())
}

/// Whether a setting is the instance manager's own, or relied upon by the router.
pub fn is_reserved(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    RESERVED.contains(&lower.as_str()) || RESERVED_PREFIXES.iter().any(|it| lower.starts_with(it))
}

/// Names settings in few characters, the same for ever and everywhere: 64 bits of FNV-1a, in hexadecimal.
pub fn hash(settings: &BTreeMap<String, String>) -> String {
    let bytes = settings.iter().flat_map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes(), b"\n"]);
    let hash = bytes.flatten().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// What suits several servers on a developer's machine. Durability is not traded for speed.
const DEFAULTS: [(&str, &str); 9] = [
    ("max_connections", "200"),
    ("shared_buffers", "128MB"),
    ("max_wal_size", "1GB"),
    ("max_locks_per_transaction", "256"),
    ("wal_compression", "on"),
    ("jit", "off"),
    ("log_line_prefix", "%m [%p] %q%u@%d "),
    ("log_checkpoints", "off"),
    ("lc_messages", "C"),
];

/// Set by the instance manager, or relied upon by the router.
pub const RESERVED: [&str; 24] = [
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
pub const RESERVED_PREFIXES: [&str; 5] = ["ssl", "archive_", "recovery_", "howdah.", "krb_"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_layers_win() {
        let group = [("work_mem", "8MB"), ("Max_Connections", "300")];
        let settings = layered(group.into_iter().chain([("work_mem", "16MB")]));
        assert_eq!(settings["work_mem"], "16MB");
        assert_eq!(settings["max_connections"], "300");
        assert_eq!(settings["max_prepared_transactions"], "300");
        assert_eq!(settings["citus.shard_count"], "32");
    }

    #[test]
    fn what_is_ours_is_refused() {
        assert!(check("SSL_cert_file", "x").is_err());
        assert!(check("wal_level", "minimal").is_err());
        assert!(check("work_mem; drop", "1").is_err());
        assert!(check("work_mem", "1MB\nport = 1").is_err());
        assert_eq!(check("work_mem", "1MB"), Ok(()));
    }

    #[test]
    fn the_hash_is_that_of_names_and_values() {
        let hash_of = |it: &[(&str, &str)]| {
            hash(&it.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
        };
        assert_eq!(hash_of(&[]), "cbf29ce484222325");
        assert_ne!(hash_of(&[("a", "1")]), hash_of(&[("a", "2")]));
        assert_ne!(hash_of(&[("a", "b")]), hash_of(&[("a=b", "")]));
    }
}
