//! The workers of a group, as its catalog knows them: what there is, one more, one less.

use tokio_postgres::{Client, Error};

/// Where a worker's server is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Worker {
    /// As the catalog shows it to people.
    pub host: String,
    pub port: u16,
    /// Where it is really reached, if not there: the directory of its socket.
    pub address: Option<String>,
}

/// A row of the catalog.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RegisteredNode {
    pub group_id: i32,
    pub host: String,
    pub port: u16,
    pub active: bool,
    /// Shards of distributed tables; copies of reference tables are not counted.
    pub shards: i64,
}

/// All nodes of the catalog, the coordinator (group 0) first. `client` is a superuser's on the coordinator, past the router.
pub async fn registered_nodes(client: &Client) -> Result<Vec<RegisteredNode>, Error> {
    let rows = client.query(NODES, &[]).await?;
    let node = |row: &tokio_postgres::Row| RegisteredNode {
        group_id: row.get(0),
        host: row.get(1),
        port: u16::try_from(row.get::<_, i32>(2)).unwrap_or_default(),
        active: row.get(3),
        shards: row.get(4),
    };
    Ok(rows.iter().map(node).collect())
}

/// Of the catalog as a whole; changes with every change of it.
pub async fn catalog_version(client: &Client) -> Result<i64, Error> {
    Ok(client.query_one("SELECT howdah.catalog_version()::bigint", &[]).await?.get(0))
}

/// Makes a worker a node of the group with all that a node must have, or tells the catalog about its new port or socket.
/// `router` is a superuser's connection *through the router*, which does the work on the worker.
pub async fn register(router: &Client, worker: &Worker) -> Result<(), Error> {
    patient(router).await?;
    let add = "SELECT howdah.add_node($1, $2, address => $3)";
    router.execute(add, &[&worker.host, &i32::from(worker.port), &worker.address]).await?;
    Ok(())
}

/// Takes a worker out of the catalog, if it is there. Refused with 55000 while it holds shards. `router` as for [`register`].
pub async fn remove(router: &Client, worker: &Worker) -> Result<(), Error> {
    patient(router).await?;
    let reached = worker.address.as_ref().unwrap_or(&worker.host);
    router.execute(REMOVE, &[reached]).await?;
    Ok(())
}

/// Copying reference tables takes as long as it takes.
async fn patient(router: &Client) -> Result<(), Error> {
    router.batch_execute("SET statement_timeout = 0; SET lock_timeout = 0").await
}

const NODES: &str = "SELECT groupid::int, nodename::text, nodeport::int, isactive, \
        (SELECT count(*) FROM howdah.pg_dist_placement p JOIN howdah.pg_dist_shard s USING (shardid) \
            JOIN howdah.pg_dist_partition t USING (logicalrelid) WHERE p.groupid = n.groupid AND t.partmethod = 'h') \
    FROM howdah.pg_dist_node n WHERE noderole = 'primary' ORDER BY groupid";

const REMOVE: &str = "SELECT citus_remove_node(nodename, nodeport) FROM howdah.pg_dist_node \
    WHERE groupid <> 0 AND coalesce(address, nodename) = $1";
