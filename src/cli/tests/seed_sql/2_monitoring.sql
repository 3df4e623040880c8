-- Section 2: monitoring and catalog.
SELECT nodename, count(*) as shard_count, pg_size_pretty(sum(shard_size)) as total_size FROM citus_shards GROUP BY nodename;
SELECT table_name, shardid, shard_size, nodename FROM citus_shards
WHERE table_name = 'events' ORDER BY shard_size DESC LIMIT 10;   -- also 'events'::regclass
SELECT * FROM citus_tables;
SELECT * FROM pg_dist_shard;
SELECT shardid, nodename, nodeport FROM pg_dist_shard_placement
WHERE shardid IN (SELECT shardid FROM pg_dist_shard WHERE logicalrelid = 'events'::regclass);
SELECT shardid, node.nodename, node.nodeport
FROM pg_dist_placement placement
JOIN pg_dist_node node ON placement.groupid = node.groupid AND node.noderole = 'primary'::noderole
WHERE shardid = 102027;
