//! Makes the databases of a group what they should be: roles, rights, our SQL.
//!
//! Every step looks first and changes only what differs, so a set-up that was cut off is simply run again. Both
//! drivers use it, over connections of their own.

use std::path::PathBuf;

use tokio_postgres::{Client, Error};

use crate::install::{InstallConfig, install_coordinator, install_worker};
use crate::quote::{quote_identifier, quote_literal};

/// What the set-up of any node needs to know.
#[derive(Clone)]
pub struct SetUp {
    pub database: String,
    pub admin_user: String,
    pub kind: Kind,
}

/// What only one kind of node needs.
#[derive(Clone)]
pub enum Kind {
    Coordinator(Coordinator),
    /// Workers are reached with the group's certificates only: they know no passwords.
    Worker,
}

#[derive(Clone)]
pub struct Coordinator {
    /// Given to the administrator when the role is made; see [`set_password`] for a new one.
    pub admin_password: String,
    /// Where the superuser may log in with a password as well.
    pub superuser_password: Option<String>,
    /// The directory of the loopback socket, as the server sees it.
    pub loopback_dir: PathBuf,
    /// How the catalog shows the coordinator.
    pub host: String,
    pub port: u16,
}

/// The role that initdb makes.
pub const SUPERUSER: &str = "postgres";

/// The first half: roles and the database. `client` is a superuser's, in the database `postgres`.
pub async fn prepare_server(client: &Client, plan: &SetUp) -> Result<(), Error> {
    keep_quiet(client).await?;
    create_roles(client, plan).await?;
    create_database(client, plan).await
}

/// The second half: our SQL and rights. `client` is a superuser's, in the group's database.
pub async fn prepare_database(client: &Client, plan: &SetUp) -> Result<(), Error> {
    keep_quiet(client).await?;
    // Our SQL first: event triggers of an older version fire on whatever comes before it.
    match &plan.kind {
        Kind::Coordinator(it) => {
            let config = InstallConfig { loopback_dir: it.loopback_dir.clone() };
            install_coordinator(client, &config).await?;
            let set = "SELECT pg_catalog.citus_set_coordinator_host($1, $2)";
            client.execute(set, &[&it.host, &i32::from(it.port)]).await?;
        }
        Kind::Worker => install_worker(client).await?,
    }
    grant(client, plan).await
}

/// Gives a role of the coordinator a new password. Sessions go on; the next login needs the new one.
pub async fn set_password(client: &Client, role: &str, password: &str) -> Result<(), Error> {
    keep_quiet(client).await?;
    let (role, password) = (quote_identifier(role), quote_literal(password));
    client.batch_execute(&format!("ALTER ROLE {role} PASSWORD {password}")).await
}

/// Passwords travel in statements: they must not reach the log, whatever the settings are.
async fn keep_quiet(client: &Client) -> Result<(), Error> {
    client.batch_execute(QUIET).await
}

const QUIET: &str = "SET log_statement = none; SET log_min_duration_statement = -1; \
                     SET log_min_error_statement = panic; SET client_min_messages = warning; \
                     SET statement_timeout = 0; SET lock_timeout = 0";

async fn create_roles(client: &Client, plan: &SetUp) -> Result<(), Error> {
    let admin = quote_identifier(&plan.admin_user);
    let password = |it: &str| format!(" PASSWORD {}", quote_literal(it));
    if !exists(client, "SELECT FROM pg_roles WHERE rolname = $1", &plan.admin_user).await? {
        let password = match &plan.kind {
            Kind::Coordinator(it) => password(&it.admin_password),
            Kind::Worker => String::new(),
        };
        client.batch_execute(&format!("CREATE ROLE {admin} LOGIN{password}")).await?;
    }
    let Kind::Coordinator(Coordinator { superuser_password: Some(superuser_password), .. }) = &plan.kind
    else {
        return Ok(());
    };
    let has_password = "SELECT FROM pg_authid WHERE rolname = $1 AND rolpassword IS NOT NULL";
    if !exists(client, has_password, SUPERUSER).await? {
        client.batch_execute(&format!("ALTER ROLE {SUPERUSER}{}", password(superuser_password))).await?;
    }
    Ok(())
}

async fn create_database(client: &Client, plan: &SetUp) -> Result<(), Error> {
    let (database, admin) = (quote_identifier(&plan.database), quote_identifier(&plan.admin_user));
    if exists(client, "SELECT FROM pg_database WHERE datname = $1", &plan.database).await? {
        return client.batch_execute(&format!("ALTER DATABASE {database} OWNER TO {admin}")).await;
    }
    client.batch_execute(&format!("CREATE DATABASE {database} OWNER {admin}")).await
}

/// The administrator tunes the group with ALTER SYSTEM as documented, without being a superuser.
async fn grant(client: &Client, plan: &SetUp) -> Result<(), Error> {
    let admin = quote_identifier(&plan.admin_user);
    let parameters = TUNABLE.join(", ");
    client
        .batch_execute(&format!(
            "GRANT SET, ALTER SYSTEM ON PARAMETER {parameters} TO {admin}; \
             GRANT EXECUTE ON FUNCTION pg_catalog.pg_reload_conf() TO {admin}; \
             GRANT pg_read_all_settings, pg_read_all_stats, pg_stat_scan_tables TO {admin}"
        ))
        .await
}

async fn exists(client: &Client, query: &str, name: &str) -> Result<bool, Error> {
    Ok(client.query_opt(query, &[&name]).await?.is_some())
}

/// What an administrator may set for the whole server: performance, none that reaches files, programs,
/// authentication or durability.
const TUNABLE: &[&str] = &[
    "autovacuum_analyze_scale_factor",
    "autovacuum_max_workers",
    "autovacuum_naptime",
    "autovacuum_vacuum_cost_delay",
    "autovacuum_vacuum_cost_limit",
    "autovacuum_vacuum_scale_factor",
    "checkpoint_completion_target",
    "checkpoint_timeout",
    "cpu_index_tuple_cost",
    "cpu_operator_cost",
    "cpu_tuple_cost",
    "deadlock_timeout",
    "default_statistics_target",
    "effective_cache_size",
    "effective_io_concurrency",
    "hash_mem_multiplier",
    "idle_in_transaction_session_timeout",
    "jit",
    "lock_timeout",
    "log_lock_waits",
    "log_min_duration_statement",
    "log_statement",
    "maintenance_work_mem",
    "max_parallel_maintenance_workers",
    "max_parallel_workers",
    "max_parallel_workers_per_gather",
    "max_wal_size",
    "min_parallel_index_scan_size",
    "min_parallel_table_scan_size",
    "min_wal_size",
    "parallel_setup_cost",
    "parallel_tuple_cost",
    "random_page_cost",
    "seq_page_cost",
    "shared_buffers",
    "statement_timeout",
    "synchronous_commit",
    "temp_buffers",
    "wal_buffers",
    "work_mem",
    "citus.enable_repartition_joins",
    "citus.executor_slow_start_interval",
    "citus.log_remote_commands",
    "citus.max_adaptive_executor_pool_size",
    "citus.max_shared_pool_size",
    "citus.multi_shard_modify_mode",
    "citus.node_connection_timeout",
    "citus.shard_count",
    "citus.shard_replication_factor",
];
