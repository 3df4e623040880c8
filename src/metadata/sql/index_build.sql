-- CREATE INDEX CONCURRENTLY: PostgreSQL has built the index on the coordinator; here it is taken back to invalid, until the router
-- has built it on each shard, one after the other outside of any transaction, and says so. What fails or is killed in between leaves an
-- invalid index, as on one PostgreSQL: DROP INDEX takes it away from all shards, REINDEX INDEX goes on with those that lack it.
--
-- Invariant: an index that is listed here is invalid on the coordinator and not part of the shape of its table.

CREATE TABLE IF NOT EXISTS howdah.index_build (
    indexrelid oid PRIMARY KEY,
    logicalrelid regclass NOT NULL REFERENCES howdah.pg_dist_partition ON DELETE CASCADE,
    -- Whose router session builds it: the backend of its coordinator connection.
    backend int NOT NULL,
    backend_start timestamptz NOT NULL
);

-- Whether the statement of the client is CREATE INDEX CONCURRENTLY, which is never part of another. If its text hides that, the
-- shards' indexes are built in one transaction, as by CREATE INDEX.
CREATE OR REPLACE FUNCTION howdah.builds_concurrently() RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT current_query() ~* '^(\s|--[^\n]*\n|/\*([^*]|\*+[^*/])*\*+/)*create\s+(unique\s+)?index\s+concurrently\y'
$$;

CREATE OR REPLACE FUNCTION howdah.begin_index_build(index oid, relation oid) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    UPDATE pg_index SET indisvalid = false WHERE indexrelid = index;
    INSERT INTO howdah.index_build SELECT index, relation, pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()
$$;
REVOKE ALL ON FUNCTION howdah.begin_index_build(oid, oid) FROM PUBLIC;

-- The builds that this session began, or goes on with.
CREATE OR REPLACE FUNCTION howdah.my_index_builds() RETURNS SETOF howdah.index_build
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT b.* FROM howdah.index_build b JOIN pg_stat_activity a ON a.pid = b.backend AND a.backend_start = b.backend_start WHERE a.pid = pg_backend_pid()
$$;

-- What this session began before and did not end is no longer its own.
CREATE OR REPLACE FUNCTION howdah.leave_index_builds() RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    UPDATE howdah.index_build SET backend = 0 WHERE backend = pg_backend_pid()
$$;

-- Takes over a build that another session has left. False if the index is none of that kind.
CREATE OR REPLACE FUNCTION howdah.resume_index_build(index regclass) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    relation regclass := (SELECT logicalrelid FROM howdah.index_build WHERE indexrelid = index);
BEGIN
    IF relation IS NULL THEN
        RETURN false;
    END IF;
    PERFORM howdah.check_owner(relation);
    PERFORM howdah.leave_index_builds();
    UPDATE howdah.index_build b SET backend = a.pid, backend_start = a.backend_start FROM pg_stat_activity a
        WHERE a.pid = pg_backend_pid() AND b.indexrelid = index;
    RETURN true;
END $$;

-- For each shard: what tells whether its index is there ('t' valid, 'f' invalid, no row), what removes it, what makes it.
CREATE OR REPLACE FUNCTION howdah.index_build_steps(OUT groupid int, OUT probe text, OUT removal text, OUT command text) RETURNS SETOF record
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT p.groupid,
        format('SELECT indisvalid FROM pg_catalog.pg_index WHERE indexrelid = pg_catalog.to_regclass(%L)', shard_index),
        'DROP INDEX CONCURRENTLY ' || shard_index,
        regexp_replace(howdah.index_ddl(b.indexrelid, s.shardid), '^CREATE (UNIQUE )?INDEX', 'CREATE \1INDEX CONCURRENTLY')
    FROM howdah.my_index_builds() b
    JOIN pg_class c ON c.oid = b.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN howdah.pg_dist_shard s ON s.logicalrelid = b.logicalrelid
    JOIN howdah.pg_dist_placement p USING (shardid),
        format('%I.%I', n.nspname, howdah.shard_name(c.relname, s.shardid)) shard_index
    WHERE p.groupid <> 0 ORDER BY p.groupid, s.shardid
$$;

-- The index counts from now on. Asked of the workers again, because anybody may call this.
CREATE OR REPLACE FUNCTION howdah.finish_index_builds() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    build howdah.index_build;
    node record;
BEGIN
    FOR build IN SELECT * FROM howdah.my_index_builds() LOOP
        FOR node IN
            SELECT p.groupid, count(*) AS expected, array_agg(format('%I.%I', n.nspname, howdah.shard_name(c.relname, s.shardid))) AS names
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, howdah.pg_dist_shard s JOIN howdah.pg_dist_placement p USING (shardid)
            WHERE c.oid = build.indexrelid AND s.logicalrelid = build.logicalrelid AND p.groupid <> 0 GROUP BY p.groupid
        LOOP
            IF (howdah.call(jsonb_build_object('op', 'query', 'group', node.groupid, 'sql', format(
                    'SELECT count(*) FROM unnest(%L::text[]) AS n JOIN pg_catalog.pg_index ON indexrelid = pg_catalog.to_regclass(n) WHERE indisvalid',
                    node.names)))::jsonb #>> '{rows,0,0}')::bigint <> node.expected THEN
                RAISE object_not_in_prerequisite_state USING MESSAGE = format('index "%s" is not valid on all shards', (SELECT relname FROM pg_class WHERE oid = build.indexrelid));
            END IF;
        END LOOP;
        DELETE FROM howdah.index_build WHERE indexrelid = build.indexrelid;
        UPDATE pg_index SET indisvalid = true WHERE indexrelid = build.indexrelid;
        PERFORM howdah.check_unique(build.logicalrelid, partcolumn) FROM howdah.pg_dist_partition WHERE logicalrelid = build.logicalrelid AND partmethod = 'h';
        PERFORM howdah.keep_shape(build.logicalrelid);
        PERFORM howdah.catalog_changed();
    END LOOP;
END $$;

-- An index that was dropped before it was built everywhere.
CREATE OR REPLACE FUNCTION howdah.drop_index_build(index oid, schema_name text, index_name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    node record;
BEGIN
    FOR node IN
        SELECT p.groupid, string_agg(format('DROP INDEX IF EXISTS %I.%I', schema_name, howdah.shard_name(index_name, s.shardid)), '; ') AS ddl
        FROM howdah.index_build b JOIN howdah.pg_dist_shard s USING (logicalrelid) JOIN howdah.pg_dist_placement p USING (shardid)
        WHERE b.indexrelid = index AND p.groupid <> 0 GROUP BY p.groupid ORDER BY p.groupid
    LOOP
        PERFORM howdah.on_node(node.groupid, node.ddl);
    END LOOP;
    DELETE FROM howdah.index_build WHERE indexrelid = index;
END $$;
REVOKE ALL ON FUNCTION howdah.drop_index_build(oid, text, text) FROM PUBLIC;

-- The shards of a table or of an index on workers, for commands that each of them needs; with the index by which the table is clustered.
CREATE OR REPLACE FUNCTION howdah.shard_objects(object regclass, OUT groupid int, OUT schema_name text, OUT name text, OUT clustered text) RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT p.groupid, n.nspname, howdah.shard_name(c.relname, s.shardid),
        (SELECT howdah.shard_name(x.relname, s.shardid) FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = c.oid AND i.indisclustered)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN howdah.pg_dist_shard s ON s.logicalrelid = coalesce((SELECT indrelid FROM pg_index WHERE indexrelid = c.oid), c.oid)
    JOIN howdah.pg_dist_placement p USING (shardid)
    WHERE c.oid = object AND p.groupid <> 0 ORDER BY p.groupid, s.shardid
$$;
