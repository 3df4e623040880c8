-- Sizes, live: asked of every node that holds a placement, one request a node.

CREATE OR REPLACE FUNCTION howdah.shard_sizes(relation regclass DEFAULT NULL,
    OUT shardid bigint, OUT groupid int, OUT main_size bigint, OUT table_size bigint, OUT total_size bigint) RETURNS SETOF record
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    node record;
    -- A shard that is not there has no size; the statistics of a moment may race with DROP. A partitioned one has that of its partitions.
    measure constant text := 'SELECT s.id::bigint, m.a, m.b, m.c '
        'FROM unnest(%L::bigint[], %L::name[], %L::name[]) s(id, nsp, rel) '
        'JOIN pg_catalog.pg_namespace n ON n.nspname = s.nsp '
        'JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = s.rel, '
        'LATERAL (SELECT sum(pg_relation_size(t))::bigint, sum(pg_table_size(t))::bigint, sum(pg_total_relation_size(t))::bigint '
        'FROM (SELECT c.oid UNION SELECT relid FROM pg_catalog.pg_partition_tree(c.oid)) tree (t)) m (a, b, c)';
BEGIN
    FOR node IN
        SELECT l.groupid, array_agg(s.shardid ORDER BY s.shardid) AS ids, array_agg(n.nspname ORDER BY s.shardid) AS schemas,
            array_agg(CASE WHEN l.groupid = 0 THEN c.relname ELSE howdah.shard_name(c.relname, s.shardid)::name END ORDER BY s.shardid) AS names
        FROM howdah.pg_dist_shard s
        JOIN howdah.pg_dist_placement l USING (shardid)
        JOIN pg_class c ON c.oid = s.logicalrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE relation IS NULL OR s.logicalrelid = relation
        GROUP BY l.groupid ORDER BY l.groupid
    LOOP
        IF node.groupid = 0 THEN
            RETURN QUERY EXECUTE format('SELECT id, 0, a, b, c FROM (' || measure || ') m(id, a, b, c)', node.ids, node.schemas, node.names);
        ELSE
            RETURN QUERY
                SELECT (r->>0)::bigint, node.groupid, (r->>1)::bigint, (r->>2)::bigint, (r->>3)::bigint
                FROM jsonb_array_elements(howdah.call(jsonb_build_object('op', 'query', 'group', node.groupid,
                    'sql', format(measure, node.ids, node.schemas, node.names)))::jsonb -> 'rows') r;
        END IF;
    END LOOP;
END $$;

CREATE OR REPLACE FUNCTION howdah.check_distributed(relation regclass) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM howdah.pg_dist_partition WHERE logicalrelid = relation) THEN
        RAISE invalid_table_definition USING MESSAGE =
            format('relation %s is not distributed', (SELECT relname FROM pg_class WHERE oid = relation));
    END IF;
END $$;

CREATE OR REPLACE FUNCTION pg_catalog.citus_table_size(logicalrelid regclass) RETURNS bigint
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM howdah.check_distributed(logicalrelid);
    RETURN (SELECT coalesce(sum(table_size), 0) FROM howdah.shard_sizes(logicalrelid));
END $$;

CREATE OR REPLACE FUNCTION pg_catalog.citus_relation_size(logicalrelid regclass) RETURNS bigint
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM howdah.check_distributed(logicalrelid);
    RETURN (SELECT coalesce(sum(main_size), 0) FROM howdah.shard_sizes(logicalrelid));
END $$;

CREATE OR REPLACE FUNCTION pg_catalog.citus_total_relation_size(logicalrelid regclass, fail_on_error boolean DEFAULT true) RETURNS bigint
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM howdah.check_distributed(logicalrelid);
    RETURN (SELECT coalesce(sum(total_size), 0) FROM howdah.shard_sizes(logicalrelid));
END $$;
