//! Makes the databases of a group what they should be: roles, rights, catalog, nodes.
//!
//! Every step looks first and changes only what differs, so a set-up that was cut off is simply run again.
use std::path::PathBuf;

use howdah_group::NodeName;
use howdah_metadata::InstallConfig;
use tokio_postgres::{Client, Config, Error, NoTls};

use crate::record::SUPERUSER;

/// What the set-up of any node needs to know.
#[derive(Clone)]
pub(crate) struct SetUp {
    pub(crate) database: String,
    pub(crate) admin_user: String,
    pub(crate) admin_password: String,
    pub(crate) superuser_password: String,
    pub(crate) loopback_dir: PathBuf,
}

/// Where a server is reached: through its socket, as superuser.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) socket_dir: PathBuf,
    pub(crate) port: u16,
}

impl Server {
    pub(crate) async fn connect(&self, database: &str) -> Result<Client, Error> {
        let mut config = Config::new();
        config.host_path(&self.socket_dir).port(self.port).user(SUPERUSER).dbname(database);
        config.application_name("howdah local").connect_timeout(std::time::Duration::from_secs(10));
        let (client, connection) = config.connect(NoTls).await?;
        // Ends with the client; an error shows in the client's own calls.
        tokio::spawn(connection);
        client.batch_execute(QUIET).await?;
        Ok(client)
    }
}

/// Passwords travel in statements: they must not reach the log, whatever the settings are.
const QUIET: &str = "SET log_statement = none; SET log_min_duration_statement = -1; \
                     SET log_min_error_statement = panic; SET client_min_messages = warning; SET statement_timeout = 0; SET lock_timeout = 0";

/// Roles, database, rights and the SQL of one node.
pub(crate) async fn set_up(node: NodeName, server: &Server, plan: &SetUp) -> Result<(), Error> {
    let client = server.connect("postgres").await?;
    create_roles(&client, node, plan).await?;
    create_database(&client, plan).await?;
    drop(client);
    let client = server.connect(&plan.database).await?;
    // Our SQL first: event triggers of an older version fire on whatever comes before it.
    match node {
        NodeName::Coordinator => {
            let config = InstallConfig { loopback_dir: plan.loopback_dir.clone() };
            howdah_metadata::install_coordinator(&client, &config).await?;
            let port = i32::from(server.port);
            client.execute("SELECT citus_set_coordinator_host('localhost', $1)", &[&port]).await?;
        }
        NodeName::Worker(_) => howdah_metadata::install_worker(&client).await?,
    }
    grant(&client, plan).await
}

/// The way that applications take: through the router.
#[derive(Clone)]
pub(crate) struct RouterLogin {
    pub(crate) port: u16,
    pub(crate) database: String,
    pub(crate) user: String,
    pub(crate) password: String,
}

impl RouterLogin {
    pub(crate) async fn connect(&self) -> Result<Client, Error> {
        let mut config = Config::new();
        config.host("127.0.0.1").port(self.port).user(&self.user).password(&self.password);
        config.dbname(&self.database).application_name("howdah local");
        config.connect_timeout(std::time::Duration::from_secs(10));
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Whether it answers a query.
    pub(crate) async fn answers(&self) -> bool {
        match self.connect().await {
            Ok(client) => client.simple_query("SELECT 1").await.is_ok(),
            Err(_) => false,
        }
    }
}

/// Makes a worker a node of the group, or tells the catalog about its new port or socket.
pub(crate) async fn register(router: &RouterLogin, worker: &Server) -> Result<(), Error> {
    let client = router.connect().await?;
    client.batch_execute("SET statement_timeout = 0; SET lock_timeout = 0").await?;
    let address = worker.socket_dir.to_string_lossy();
    let port = i32::from(worker.port);
    client
        .execute("SELECT howdah.add_node('localhost', $2, address => $1)", &[&address.as_ref(), &port])
        .await?;
    Ok(())
}

/// Takes a worker out of the catalog, if it is there.
pub(crate) async fn remove(router: &RouterLogin, worker: &Server) -> Result<(), Error> {
    let client = router.connect().await?;
    let address = worker.socket_dir.to_string_lossy();
    let remove = "SELECT citus_remove_node(nodename, nodeport) FROM howdah.pg_dist_node WHERE address = $1";
    client.execute(remove, &[&address.as_ref()]).await?;
    Ok(())
}

async fn create_roles(client: &Client, node: NodeName, plan: &SetUp) -> Result<(), Error> {
    let admin = quote_identifier(&plan.admin_user);
    // Workers are reached with the group's certificates only; passwords stay on the coordinator.
    let password = |it: &str| match node {
        NodeName::Coordinator => format!(" PASSWORD {}", quote_literal(it)),
        NodeName::Worker(_) => String::new(),
    };
    if !exists(client, "SELECT FROM pg_roles WHERE rolname = $1", &plan.admin_user).await? {
        client.batch_execute(&format!("CREATE ROLE {admin} LOGIN{}", password(&plan.admin_password))).await?;
    }
    let has_password = "SELECT FROM pg_authid WHERE rolname = $1 AND rolpassword IS NOT NULL";
    if node == NodeName::Coordinator && !exists(client, has_password, SUPERUSER).await? {
        let password = password(&plan.superuser_password);
        client.batch_execute(&format!("ALTER ROLE {SUPERUSER}{password}")).await?;
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

fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn quote_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
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
