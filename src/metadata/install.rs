//! Puts our SQL into a node. Each file of `sql/` is one topic; the order below is their dependency.

use std::path::PathBuf;

use tokio_postgres::{Client, Error};

use crate::quote::quote_literal;

#[derive(Clone, Debug)]
pub struct InstallConfig {
    /// Where the coordinator's instance manager serves the loopback: the directory of a Unix socket
    /// `.s.PGSQL.5432`.
    pub loopback_dir: PathBuf,
}

const COORDINATOR: &[&str] = &[
    include_str!("sql/schema.sql"),
    include_str!("sql/worker_live.sql"),
    include_str!("sql/intermediate.sql"),
    include_str!("sql/coordinator_live.sql"),
    include_str!("sql/reference_live.sql"),
    include_str!("sql/live_functions.sql"),
    include_str!("sql/commit.sql"),
    include_str!("sql/version.sql"),
    include_str!("sql/names.sql"),
    include_str!("sql/row_security.sql"),
    include_str!("sql/user_triggers.sql"),
    include_str!("sql/code_guards.sql"),
    include_str!("sql/catalog_json.sql"),
    include_str!("sql/sizes.sql"),
    include_str!("sql/statistics.sql"),
    include_str!("sql/views.sql"),
    include_str!("sql/activity.sql"),
    include_str!("sql/object_ddl.sql"),
    include_str!("sql/partitions.sql"),
    include_str!("sql/shard_ddl.sql"),
    include_str!("sql/distribute.sql"),
    include_str!("sql/undistribute.sql"),
    include_str!("sql/node_objects.sql"),
    include_str!("sql/distributed_function.sql"),
    include_str!("sql/bring_up.sql"),
    include_str!("sql/nodes.sql"),
    include_str!("sql/shards.sql"),
    include_str!("sql/alter.sql"),
    include_str!("sql/index_build.sql"),
    include_str!("sql/time_partitions.sql"),
    include_str!("sql/upgrade.sql"),
    include_str!("sql/events.sql"),
];

const WORKER: &[&str] = &[
    include_str!("sql/worker_live.sql"),
    include_str!("sql/intermediate.sql"),
    include_str!("sql/worker.sql"),
    include_str!("sql/object_ddl.sql"),
    include_str!("sql/worker_objects.sql"),
];

/// Installs or upgrades our objects on the coordinator, in the database that `client` is connected to as superuser.
pub async fn install_coordinator(client: &Client, config: &InstallConfig) -> Result<(), Error> {
    let loopback_dir = config.loopback_dir.to_string_lossy();
    let script = COORDINATOR.concat().replace("{{socket_dir}}", &quote_literal(&loopback_dir));
    install(client, &script).await
}

/// The same for a worker.
pub async fn install_worker(client: &Client) -> Result<(), Error> {
    install(client, &WORKER.concat()).await
}

/// The same as statements of a transaction that a superuser has begun on the worker. Its settings are as before at the end.
pub fn worker_script() -> String {
    format!("{KEEP_SETTINGS}\n{SETTINGS}\n{CLEAR}\n{}\n{BRING_BACK_SETTINGS}", WORKER.concat())
}

async fn install(client: &Client, script: &str) -> Result<(), Error> {
    let result =
        client.batch_execute(&format!("BEGIN;\n{SETTINGS}\n{PROLOGUE}\n{CLEAR}\n{script}\nCOMMIT;")).await;
    if result.is_err() {
        client.batch_execute("ROLLBACK").await?;
    }
    result
}

/// The lock lets two installers wait for each other.
const SETTINGS: &str = "SET LOCAL client_min_messages = warning;
SET LOCAL search_path = pg_catalog, pg_temp;
SELECT pg_advisory_xact_lock(hashtext('howdah.install'));";

const KEEP_SETTINGS: &str =
    "SELECT pg_catalog.set_config('howdah.kept_' || name, pg_catalog.current_setting(name), true)
    FROM pg_catalog.unnest(ARRAY['client_min_messages', 'search_path']) name;";
const BRING_BACK_SETTINGS: &str =
    "SELECT pg_catalog.set_config(name, pg_catalog.current_setting('howdah.kept_' || name), true)
    FROM pg_catalog.unnest(ARRAY['client_min_messages', 'search_path']) name;";

/// Public names live in pg_catalog, hence `allow_system_table_mods`. The triggers of an older version would fire on what is new
/// here, and call what is there no more; the last file makes the event triggers again.
const PROLOGUE: &str = "SET LOCAL allow_system_table_mods = on;
SET LOCAL session_replication_role = replica;
DROP EVENT TRIGGER IF EXISTS howdah_ddl_command_start;
DROP EVENT TRIGGER IF EXISTS howdah_ddl_command_end;
DROP EVENT TRIGGER IF EXISTS howdah_sql_drop;";

/// What an older version left and nothing else needs: a function that is replaced must keep its result and the names of its
/// arguments, a view its columns. What triggers and users' views need stays and is replaced.
const CLEAR: &str = include_str!("sql/clear.sql");
