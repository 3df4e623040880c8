-- The distributed catalog, as tables of ours: pg_dump and pg_upgrade carry them. What users read are the
-- views of the same names in pg_catalog (views.sql).
CREATE SCHEMA IF NOT EXISTS howdah;
GRANT USAGE ON SCHEMA howdah TO PUBLIC;
CREATE SCHEMA IF NOT EXISTS howdah_live;
REVOKE ALL ON SCHEMA howdah_live FROM PUBLIC;

CREATE SEQUENCE IF NOT EXISTS howdah.pg_dist_node_nodeid_seq AS int;
CREATE SEQUENCE IF NOT EXISTS howdah.pg_dist_groupid_seq AS int;
CREATE SEQUENCE IF NOT EXISTS howdah.pg_dist_colocationid_seq AS int;
CREATE SEQUENCE IF NOT EXISTS howdah.pg_dist_shardid_seq MINVALUE 102008;
CREATE SEQUENCE IF NOT EXISTS howdah.pg_dist_placement_placementid_seq;
CREATE SEQUENCE IF NOT EXISTS howdah.pg_dist_cleanup_recordid_seq;
CREATE SEQUENCE IF NOT EXISTS howdah.pg_dist_operationid_seq;

CREATE TABLE IF NOT EXISTS howdah.pg_dist_node (
    nodeid int PRIMARY KEY DEFAULT nextval('howdah.pg_dist_node_nodeid_seq'),
    groupid int NOT NULL DEFAULT nextval('howdah.pg_dist_groupid_seq'),
    nodename text NOT NULL,
    nodeport int NOT NULL,
    -- Where to connect if not to nodename; one that starts with "/" is the directory of a Unix socket.
    address text,
    noderack text NOT NULL DEFAULT 'default',
    hasmetadata boolean NOT NULL DEFAULT false,
    isactive boolean NOT NULL DEFAULT true,
    noderole text NOT NULL DEFAULT 'primary' CHECK (noderole IN ('primary', 'secondary', 'unavailable')),
    nodecluster name NOT NULL DEFAULT 'default',
    metadatasynced boolean NOT NULL DEFAULT false,
    shouldhaveshards boolean NOT NULL DEFAULT true,
    UNIQUE (nodename, nodeport)
);
CREATE UNIQUE INDEX IF NOT EXISTS pg_dist_node_primary ON howdah.pg_dist_node (groupid) WHERE noderole = 'primary';

CREATE TABLE IF NOT EXISTS howdah.pg_dist_colocation (
    colocationid int PRIMARY KEY DEFAULT nextval('howdah.pg_dist_colocationid_seq'),
    -- 1 and no type for the group of all reference tables.
    shardcount int NOT NULL CHECK (shardcount > 0),
    replicationfactor int NOT NULL,
    distributioncolumntype regtype,
    distributioncolumncollation regcollation,
    -- Whether colocate_with => 'default' finds this group.
    isdefault boolean NOT NULL DEFAULT false
);

CREATE TABLE IF NOT EXISTS howdah.pg_dist_partition (
    logicalrelid regclass PRIMARY KEY,
    -- 'h' distributed by hash, 'n' reference table.
    partmethod "char" NOT NULL CHECK (partmethod IN ('h', 'n')),
    -- attnum of the distribution column.
    partcolumn smallint,
    colocationid int NOT NULL REFERENCES howdah.pg_dist_colocation,
    repmodel "char" NOT NULL,
    autoconverted boolean NOT NULL DEFAULT false,
    CHECK ((partmethod = 'h') = (partcolumn IS NOT NULL))
);
CREATE INDEX IF NOT EXISTS pg_dist_partition_colocationid ON howdah.pg_dist_partition (colocationid);

CREATE TABLE IF NOT EXISTS howdah.pg_dist_shard (
    shardid bigint PRIMARY KEY DEFAULT nextval('howdah.pg_dist_shardid_seq'),
    logicalrelid regclass NOT NULL REFERENCES howdah.pg_dist_partition ON DELETE CASCADE,
    shardstorage "char" NOT NULL DEFAULT 't',
    -- Both ends included; none for the shard of a reference table.
    shardminvalue int,
    shardmaxvalue int,
    UNIQUE (logicalrelid, shardminvalue)
);

CREATE TABLE IF NOT EXISTS howdah.pg_dist_placement (
    placementid bigint PRIMARY KEY DEFAULT nextval('howdah.pg_dist_placement_placementid_seq'),
    shardid bigint NOT NULL REFERENCES howdah.pg_dist_shard ON DELETE CASCADE,
    shardstate int NOT NULL DEFAULT 1,
    shardlength bigint NOT NULL DEFAULT 0,
    groupid int NOT NULL,
    UNIQUE (shardid, groupid)
);
CREATE INDEX IF NOT EXISTS pg_dist_placement_groupid ON howdah.pg_dist_placement (groupid);

-- (0, gid): the transaction is decided, commit it everywhere. (-1, gid): nobody may decide it any more, roll it back.
-- The uniqueness of gid alone makes the second wait for a first that is in flight.
CREATE TABLE IF NOT EXISTS howdah.pg_dist_transaction (
    groupid int NOT NULL,
    gid text NOT NULL UNIQUE
);

CREATE TABLE IF NOT EXISTS howdah.pg_dist_rebalance_strategy (
    name name PRIMARY KEY,
    default_strategy boolean NOT NULL DEFAULT false,
    shard_cost_function text NOT NULL,
    node_capacity_function text NOT NULL,
    shard_allowed_on_node_function text NOT NULL,
    default_threshold float4 NOT NULL,
    minimum_threshold float4 NOT NULL DEFAULT 0,
    improvement_threshold float4 NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX IF NOT EXISTS pg_dist_rebalance_strategy_default
    ON howdah.pg_dist_rebalance_strategy (default_strategy) WHERE default_strategy;

CREATE TABLE IF NOT EXISTS howdah.pg_dist_cleanup (
    record_id bigint PRIMARY KEY DEFAULT nextval('howdah.pg_dist_cleanup_recordid_seq'),
    operation_id bigint NOT NULL,
    object_type int NOT NULL,
    object_name text NOT NULL,
    node_group_id int NOT NULL,
    policy_type int NOT NULL
);

-- Which group this is: its nodes keep it, so that no other group takes one of them for its own.
CREATE TABLE IF NOT EXISTS howdah.server_group (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    id uuid NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO howdah.server_group DEFAULT VALUES ON CONFLICT DO NOTHING;

-- Functions that the workers have as well.
CREATE TABLE IF NOT EXISTS howdah.distributed_function (function regprocedure PRIMARY KEY);

INSERT INTO howdah.pg_dist_rebalance_strategy VALUES
    ('by_shard_count', false, 'citus_shard_cost_1', 'citus_node_capacity_1', 'citus_shard_allowed_on_node_true', 0, 0, 0),
    ('by_disk_size', true, 'citus_shard_cost_by_disk_size', 'citus_node_capacity_1', 'citus_shard_allowed_on_node_true', 0.1, 0.01, 0.5)
    ON CONFLICT DO NOTHING;
-- The coordinator is a node of its own: reference tables have a placement on it.
INSERT INTO howdah.pg_dist_node (groupid, nodename, nodeport, shouldhaveshards)
    SELECT 0, 'localhost', current_setting('port')::int, false
    WHERE NOT EXISTS (SELECT FROM howdah.pg_dist_node WHERE groupid = 0);
GRANT SELECT ON ALL TABLES IN SCHEMA howdah TO PUBLIC;
