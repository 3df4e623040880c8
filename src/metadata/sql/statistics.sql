-- What the coordinator's planner knows of a distributed table. ANALYZE of the shell samples its live child, and keeps what it
-- finds for both together; the child by itself, which is what is scanned, gets the same columns' statistics here, and the sizes of the
-- shards. The router calls this behind ANALYZE and VACUUM, null meaning all tables of the caller's.
CREATE OR REPLACE FUNCTION howdah.keep_statistics(relation oid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    shell oid;
    child oid;
BEGIN
    FOR shell, child IN
        SELECT c.oid, CASE c.relkind WHEN 'f' THEN c.oid ELSE to_regclass(format('howdah_live.t%s', c.oid)) END FROM howdah.pg_dist_partition p JOIN pg_class c ON c.oid = p.logicalrelid
        WHERE p.partmethod = 'h' AND (relation IS NULL OR c.oid = ANY (howdah.family(relation))) AND pg_has_role(howdah.caller(), c.relowner, 'USAGE') ORDER BY c.oid
    LOOP
        -- A partition is scanned itself, a partitioned table never. ANALYZE has found that a partition has no children (partitions.sql).
        UPDATE pg_class c SET reltuples = s.tuples, relpages = s.pages, relhassubclass = child = shell FROM howdah.shard_statistics(shell) s
            WHERE c.oid = child AND (c.reltuples, c.relpages, c.relhassubclass) IS DISTINCT FROM (s.tuples, s.pages, child = shell);
        CONTINUE WHEN child IS NULL OR child = shell;
        DELETE FROM pg_statistic WHERE starelid = child;
        EXECUTE (SELECT format('INSERT INTO pg_statistic SELECT %s FROM pg_statistic s
                JOIN pg_attribute a ON a.attrelid = s.starelid AND a.attnum = s.staattnum
                JOIN pg_attribute c ON c.attrelid = $2 AND c.attname = a.attname
                WHERE s.starelid = $1 AND s.stainherit', string_agg(CASE attname
                    WHEN 'starelid' THEN '$2' WHEN 'staattnum' THEN 'c.attnum' WHEN 'stainherit' THEN 'false' ELSE 's.' || attname END, ', ' ORDER BY attnum))
            FROM pg_attribute WHERE attrelid = 'pg_statistic'::regclass AND attnum > 0 AND NOT attisdropped) USING shell, child;
    END LOOP;
END $$;

-- As VACUUM and ANALYZE left them on the shards. -1 if no shard has been looked at yet.
CREATE OR REPLACE FUNCTION howdah.shard_statistics(relation oid, OUT tuples real, OUT pages int)
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(sum((r->>0)::float8), -1)::real, least(coalesce(sum((r->>1)::bigint), 0), 2147483647)::int
    FROM (SELECT l.groupid, array_agg(n.nspname) AS schemas, array_agg(howdah.shard_name(c.relname, s.shardid)::name) AS names
            FROM howdah.pg_dist_shard s JOIN howdah.pg_dist_placement l USING (shardid)
            JOIN pg_class c ON c.oid = s.logicalrelid JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE s.logicalrelid = relation AND l.groupid <> 0 GROUP BY l.groupid) node,
        jsonb_array_elements(howdah.call(jsonb_build_object('op', 'query', 'group', node.groupid, 'sql', format(
            'SELECT sum(c.reltuples) FILTER (WHERE c.reltuples >= 0), sum(c.relpages) FROM unnest(%L::name[], %L::name[]) s(nsp, rel) '
            'JOIN pg_catalog.pg_namespace n ON n.nspname = s.nsp JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = s.rel',
            node.schemas, node.names)))::jsonb -> 'rows') r
$$;
REVOKE ALL ON FUNCTION howdah.shard_statistics(oid) FROM PUBLIC;
