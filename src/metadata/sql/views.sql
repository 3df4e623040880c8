-- The public names of the catalog, in pg_catalog so that they resolve without a prefix. Columns and types as in Citus.
DO $$
BEGIN
    IF to_regtype('pg_catalog.noderole') IS NULL THEN
        CREATE TYPE pg_catalog.noderole AS ENUM ('primary', 'secondary', 'unavailable');
    END IF;
    IF to_regtype('pg_catalog.distribution_type') IS NULL THEN
        CREATE TYPE pg_catalog.distribution_type AS ENUM ('hash', 'range', 'append');
    END IF;
END $$;

-- `WHERE table_name = 'events'`: with an operator of its own a regclass is compared as one; else the literal would be read as a number.
CREATE OR REPLACE FUNCTION pg_catalog.regclasseq(regclass, regclass) RETURNS boolean
LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'oideq';
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_operator WHERE oprname = '=' AND oprleft = 'regclass'::regtype AND oprright = 'regclass'::regtype) THEN
        CREATE OPERATOR pg_catalog.= (LEFTARG = regclass, RIGHTARG = regclass, FUNCTION = pg_catalog.regclasseq,
            COMMUTATOR = OPERATOR(pg_catalog.=), RESTRICT = eqsel, JOIN = eqjoinsel);
    END IF;
END $$;

CREATE OR REPLACE VIEW pg_catalog.pg_dist_node AS
    SELECT nodeid, groupid, nodename, nodeport, noderack, hasmetadata, isactive, noderole::noderole, nodecluster,
        metadatasynced, shouldhaveshards
    FROM howdah.pg_dist_node;

-- partkey is the tree of a Var, which column_to_column_name() reads.
CREATE OR REPLACE VIEW pg_catalog.pg_dist_partition AS
    SELECT p.logicalrelid, p.partmethod,
        CASE WHEN a.attnum IS NOT NULL THEN
            format('{VAR :varno 1 :varattno %1$s :vartype %2$s :vartypmod %3$s :varcollid %4$s :varlevelsup 0 :varnosyn 1 :varattnosyn %1$s :location -1}',
                a.attnum, a.atttypid::oid, a.atttypmod, a.attcollation) END AS partkey,
        p.colocationid, p.repmodel, p.autoconverted
    FROM howdah.pg_dist_partition p
    LEFT JOIN pg_attribute a ON a.attrelid = p.logicalrelid AND a.attnum = p.partcolumn;

CREATE OR REPLACE VIEW pg_catalog.pg_dist_shard AS
    SELECT logicalrelid, shardid, shardstorage, shardminvalue::text, shardmaxvalue::text FROM howdah.pg_dist_shard;

CREATE OR REPLACE VIEW pg_catalog.pg_dist_placement AS
    SELECT placementid, shardid, shardstate, shardlength, groupid FROM howdah.pg_dist_placement;

CREATE OR REPLACE VIEW pg_catalog.pg_dist_shard_placement AS
    SELECT shardid, shardstate, shardlength, nodename, nodeport, placementid
    FROM howdah.pg_dist_placement JOIN howdah.pg_dist_node USING (groupid)
    WHERE noderole = 'primary';

CREATE OR REPLACE VIEW pg_catalog.pg_dist_colocation AS
    SELECT colocationid, shardcount, replicationfactor,
        coalesce(distributioncolumntype, 0)::oid AS distributioncolumntype,
        coalesce(distributioncolumncollation, 0)::oid AS distributioncolumncollation
    FROM howdah.pg_dist_colocation;

CREATE OR REPLACE VIEW pg_catalog.pg_dist_transaction AS SELECT groupid, gid FROM howdah.pg_dist_transaction;

CREATE OR REPLACE VIEW pg_catalog.pg_dist_rebalance_strategy AS
    SELECT name, default_strategy, shard_cost_function, node_capacity_function, shard_allowed_on_node_function,
        default_threshold, minimum_threshold, improvement_threshold
    FROM howdah.pg_dist_rebalance_strategy;

CREATE OR REPLACE VIEW pg_catalog.pg_dist_cleanup AS
    SELECT record_id, operation_id, object_type, object_name, node_group_id, policy_type FROM howdah.pg_dist_cleanup;

CREATE OR REPLACE VIEW pg_catalog.pg_dist_local_group AS SELECT 0 AS groupid;

CREATE OR REPLACE VIEW pg_catalog.citus_nodes AS
    SELECT nodename, nodeport, CASE groupid WHEN 0 THEN 'coordinator' ELSE 'worker' END AS role, isactive AS active
    FROM howdah.pg_dist_node;

-- The sizes are those of the moment of reading, asked of all nodes at once for all tables.
CREATE OR REPLACE VIEW pg_catalog.citus_tables AS
    SELECT p.logicalrelid AS table_name,
        CASE p.partmethod WHEN 'h' THEN 'distributed' ELSE 'reference' END AS citus_table_type,
        coalesce(a.attname::text, '<none>') AS distribution_column,
        p.colocationid AS colocation_id,
        pg_size_pretty(coalesce(sizes.size, 0)) AS table_size,
        (SELECT count(*) FROM howdah.pg_dist_shard s WHERE s.logicalrelid::oid = p.logicalrelid::oid) AS shard_count,
        pg_get_userbyid(c.relowner) AS table_owner,
        am.amname AS access_method
    FROM howdah.pg_dist_partition p
    JOIN pg_class c ON c.oid = p.logicalrelid
    LEFT JOIN pg_am am ON am.oid = c.relam
    LEFT JOIN pg_attribute a ON a.attrelid = p.logicalrelid AND a.attnum = p.partcolumn
    LEFT JOIN (SELECT s.logicalrelid::oid AS relation, sum(z.total_size)::bigint AS size
        FROM howdah.shard_sizes() z JOIN howdah.pg_dist_shard s USING (shardid) GROUP BY 1) sizes ON sizes.relation = p.logicalrelid::oid
    ORDER BY p.logicalrelid::text;

CREATE OR REPLACE VIEW pg_catalog.citus_shards AS
    SELECT p.logicalrelid AS table_name,
        s.shardid,
        CASE WHEN l.groupid = 0 THEN quote_ident(c.relname)
            ELSE quote_ident(howdah.shard_name(c.relname, s.shardid)) END AS shard_name,
        CASE p.partmethod WHEN 'h' THEN 'distributed' ELSE 'reference' END AS citus_table_type,
        p.colocationid AS colocation_id,
        node.nodename,
        node.nodeport,
        coalesce(z.total_size, 0) AS shard_size
    FROM howdah.pg_dist_partition p
    JOIN pg_class c ON c.oid = p.logicalrelid
    JOIN howdah.pg_dist_shard s ON s.logicalrelid::oid = p.logicalrelid::oid
    JOIN howdah.pg_dist_placement l USING (shardid)
    JOIN howdah.pg_dist_node node ON node.groupid = l.groupid AND node.noderole = 'primary'
    LEFT JOIN howdah.shard_sizes() z ON z.shardid = s.shardid AND z.groupid = l.groupid
    ORDER BY p.logicalrelid::text, s.shardid;

-- Schema-based sharding does not exist yet: no rows.
CREATE OR REPLACE VIEW pg_catalog.citus_schemas AS
    SELECT oid::regnamespace AS schema_name, 0 AS colocation_id, ''::text AS schema_size, pg_get_userbyid(nspowner) AS schema_owner
    FROM pg_namespace WHERE false;

CREATE OR REPLACE FUNCTION pg_catalog.column_to_column_name(table_name regclass, column_var_text text) RETURNS text
LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT attname::text FROM pg_attribute
    WHERE attrelid = table_name AND attnum = substring(column_var_text from ':varattno (\d+)')::smallint
$$;

DO $$
DECLARE
    view text;
BEGIN
    FOREACH view IN ARRAY ARRAY['pg_dist_node', 'pg_dist_partition', 'pg_dist_shard', 'pg_dist_placement',
        'pg_dist_shard_placement', 'pg_dist_colocation', 'pg_dist_transaction', 'pg_dist_rebalance_strategy',
        'pg_dist_cleanup', 'pg_dist_local_group', 'citus_nodes', 'citus_tables', 'citus_shards', 'citus_schemas'] LOOP
        EXECUTE format('GRANT SELECT ON pg_catalog.%I TO PUBLIC', view);
    END LOOP;
END $$;
