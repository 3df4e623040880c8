//! Workers come and go.
use anyhow::{Result, ensure};

use crate::group::Group;
use crate::scene::Scene;
use crate::wait::{eventually, seconds};

const OBJECTS: &str = "
CREATE SCHEMA shop;
CREATE TYPE shop.state AS ENUM ('new', 'paid');
CREATE FUNCTION shop.twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
CREATE EXTENSION IF NOT EXISTS pg_trgm;
";
const WORKERS: &str = "SELECT count(*) FROM pg_dist_node WHERE groupid > 0 AND isactive AND shouldhaveshards";

pub(super) async fn scale_out_and_in(scene: &Scene) -> Result<()> {
    let group = scene.group("demo", serde_json::json!({})).await?;
    group.ready_within(seconds(120)).await?;
    group.fill().await?;
    group.sql(OBJECTS).await?;
    group.scale(3).await?;
    group.ready_within(seconds(120)).await?;
    group.answers(WORKERS, "3").await?;
    the_new_worker_has_everything(&group).await?;
    new_tables_use_it(&group).await?;
    group.has_its_data().await?;
    // Empty again, it may go.
    group.sql("DROP TABLE spread").await?;
    group.scale(2).await?;
    group.ready_within(seconds(120)).await?;
    group.answers(WORKERS, "2").await?;
    let sets = scene.stateful_sets().await?;
    ensure!(sets.len() == 3, "{} StatefulSets are left", sets.len());
    group.has_its_data().await
}

async fn the_new_worker_has_everything(group: &Group<'_>) -> Result<()> {
    for (what, query) in [
        ("type", "SELECT count(*) FROM pg_type WHERE typname = $$state$$ AND typtype = $$e$$"),
        ("function", "SELECT count(*) FROM pg_proc WHERE proname = $$twice$$"),
        ("extension", "SELECT count(*) FROM pg_extension WHERE extname = $$pg_trgm$$"),
        ("role", "SELECT count(*) FROM pg_roles WHERE rolname = $$citus$$"),
    ] {
        let everywhere =
            format!("SELECT string_agg(result, ' ') FROM run_command_on_workers($run${query}$run$)");
        let answer = group.sql(&everywhere).await?;
        ensure!(answer == "1 1 1", "the {what} on three workers: {answer}");
    }
    let copies = "SELECT count(*) FROM pg_dist_shard_placement JOIN pg_dist_shard USING (shardid) WHERE logicalrelid = 'codes'::regclass";
    let nodes: u32 = group.sql(copies).await?.parse()?;
    ensure!(nodes >= 3, "the reference table has {nodes} placements");
    Ok(())
}

async fn new_tables_use_it(group: &Group<'_>) -> Result<()> {
    group.sql("CREATE TABLE spread (id int PRIMARY KEY); SELECT create_distributed_table('spread', 'id', colocate_with => 'none'); INSERT INTO spread SELECT generate_series(1, 300)").await?;
    group
        .answers(
            "SELECT count(DISTINCT nodename) FROM citus_shards WHERE table_name = 'spread'::regclass",
            "3",
        )
        .await?;
    group.answers("SELECT count(*) FROM spread", "300").await
}

pub(super) async fn scale_in_of_a_worker_with_shards_is_refused(scene: &Scene) -> Result<()> {
    let group = scene.group("demo", serde_json::json!({"workers": {"count": 2}})).await?;
    group.ready_within(seconds(120)).await?;
    group.fill().await?;
    group.scale(1).await?;
    group.complains(&["w1", "shard"], seconds(60)).await?;
    group.has_its_data().await?;
    ensure!(scene.stateful_sets().await?.len() == 3, "a worker with shards was taken away");
    group.scale(2).await?;
    group.ready_within(seconds(60)).await?;
    eventually("all data", seconds(10), async || group.has_its_data().await).await
}
