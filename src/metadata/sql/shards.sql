-- Which shard a value belongs to, and commands that run on shards or nodes.

-- As PostgreSQL hashes the value in the type of the distribution column.
CREATE OR REPLACE FUNCTION howdah.shard_for_value(relation oid, value text) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    part howdah.pg_dist_partition;
    attribute pg_attribute;
    hash int;
BEGIN
    SELECT * INTO part FROM howdah.pg_dist_partition WHERE logicalrelid = relation;
    IF NOT FOUND THEN
        RAISE invalid_table_definition USING MESSAGE = format('relation %s is not distributed', (SELECT relname FROM pg_class WHERE oid = relation));
    END IF;
    IF part.partmethod = 'n' THEN
        RETURN (SELECT shardid FROM howdah.pg_dist_shard WHERE logicalrelid = relation);
    END IF;
    IF value IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'distribution value cannot be NULL for tables other than reference tables.';
    END IF;
    SELECT * INTO STRICT attribute FROM pg_attribute WHERE attrelid = relation AND attnum = part.partcolumn;
    -- The hash of a row of one value is that value's own. Hash functions cannot all be called by themselves: those of date
    -- and bool, for instance, are declared for other types.
    EXECUTE format('SELECT pg_catalog.hash_record(ROW(%L::%s%s))', value,
            format_type(attribute.atttypid, attribute.atttypmod),
            (SELECT format(' COLLATE %I.%I', nspname, collname) FROM pg_collation c JOIN pg_namespace n ON n.oid = collnamespace
             WHERE c.oid = attribute.attcollation))
        INTO hash;
    RETURN (SELECT shardid FROM howdah.pg_dist_shard WHERE logicalrelid = relation AND hash BETWEEN shardminvalue AND shardmaxvalue);
END $$;

-- Two functions, so that both a literal of unknown type and a value of any type find one.
CREATE OR REPLACE FUNCTION pg_catalog.get_shard_id_for_distribution_column(table_name regclass, distribution_value text DEFAULT NULL) RETURNS bigint
LANGUAGE sql STABLE AS $$ SELECT howdah.shard_for_value(table_name, distribution_value) $$;
CREATE OR REPLACE FUNCTION pg_catalog.get_shard_id_for_distribution_column(table_name regclass, distribution_value anyelement) RETURNS bigint
LANGUAGE sql STABLE AS $$ SELECT howdah.shard_for_value(table_name, distribution_value::text) $$;

-- Runs a command on one node as the session's own role; on the coordinator in a subtransaction of its own.
CREATE OR REPLACE FUNCTION howdah.run_on_worker(groupid int, command text, OUT success boolean, OUT result text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    SELECT (answer ->> 'success')::boolean, answer ->> 'result' INTO STRICT success, result
        FROM CAST(howdah.call(jsonb_build_object('op', 'run', 'group', groupid, 'sql', command)) AS jsonb) answer;
END $$;

-- Not SECURITY DEFINER: the command has the rights of the caller.
CREATE OR REPLACE FUNCTION howdah.run_here(command text, OUT success boolean, OUT result text)
LANGUAGE plpgsql AS $$
DECLARE
    row record;
    n bigint;
BEGIN
    success := true;
    BEGIN
        EXECUTE command INTO row;
        GET DIAGNOSTICS n = ROW_COUNT;
        IF row IS NULL AND n OPERATOR(pg_catalog.=) 0 THEN
            result := '';
        ELSE
            SELECT field.value INTO result FROM pg_catalog.json_each_text(pg_catalog.row_to_json(row)) WITH ORDINALITY field (key, value, n)
                WHERE field.n OPERATOR(pg_catalog.=) 1;
        END IF;
    EXCEPTION WHEN OTHERS THEN
        success := false;
        result := 'ERROR:  ' OPERATOR(pg_catalog.||) SQLERRM;
    END;
END $$;

CREATE OR REPLACE FUNCTION howdah.run_on_group(groupid int, command text, OUT success boolean, OUT result text)
LANGUAGE plpgsql AS $$
BEGIN
    IF groupid OPERATOR(pg_catalog.=) 0 THEN
        SELECT r.success, r.result INTO success, result FROM howdah.run_here(command) r;
    ELSE
        SELECT r.success, r.result INTO success, result FROM howdah.run_on_worker(groupid, command) r;
    END IF;
END $$;

CREATE OR REPLACE FUNCTION pg_catalog.run_command_on_workers(command text, parallel boolean DEFAULT true,
    OUT nodename text, OUT nodeport int, OUT success boolean, OUT result text) RETURNS SETOF record
LANGUAGE sql VOLATILE AS $$
    SELECT n.nodename, n.nodeport, r.success, r.result
    FROM (SELECT * FROM howdah.pg_dist_node WHERE groupid OPERATOR(pg_catalog.<>) 0 AND isactive AND noderole OPERATOR(pg_catalog.=) 'primary' ORDER BY groupid) n,
        howdah.run_on_group(n.groupid, command) r
$$;

CREATE OR REPLACE FUNCTION pg_catalog.run_command_on_all_nodes(command text, parallel boolean DEFAULT true,
    give_warning_for_connection_errors boolean DEFAULT false, OUT nodeid int, OUT success boolean, OUT result text) RETURNS SETOF record
LANGUAGE sql VOLATILE AS $$
    SELECT n.nodeid, r.success, r.result
    FROM (SELECT * FROM howdah.pg_dist_node WHERE isactive AND noderole OPERATOR(pg_catalog.=) 'primary' ORDER BY groupid) n,
        howdah.run_on_group(n.groupid, command) r
$$;

-- Every placement of a table with the name of its shard as %s stands for it.
CREATE OR REPLACE FUNCTION howdah.placements(relation oid, OUT nodename text, OUT nodeport int, OUT groupid int, OUT shardid bigint, OUT shard text) RETURNS SETOF record
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM howdah.check_distributed(relation);
    RETURN QUERY SELECT n.nodename, n.nodeport, n.groupid, s.shardid,
            CASE n.groupid WHEN 0 THEN howdah.qualified(relation) ELSE howdah.shard_relation(relation, s.shardid) END
        FROM howdah.pg_dist_shard s JOIN howdah.pg_dist_placement p USING (shardid)
        JOIN howdah.pg_dist_node n ON n.groupid = p.groupid AND n.noderole = 'primary'
        WHERE s.logicalrelid = relation ORDER BY s.shardid, n.groupid;
END $$;

CREATE OR REPLACE FUNCTION pg_catalog.run_command_on_placements(table_name regclass, command text, parallel boolean DEFAULT true,
    OUT nodename text, OUT nodeport int, OUT shardid bigint, OUT success boolean, OUT result text) RETURNS SETOF record
LANGUAGE sql VOLATILE AS $$
    SELECT p.nodename, p.nodeport, p.shardid, r.success, r.result
    FROM howdah.placements(table_name) p, howdah.run_on_group(p.groupid, pg_catalog.replace(command, '%s', p.shard)) r
$$;

CREATE OR REPLACE FUNCTION pg_catalog.run_command_on_shards(table_name regclass, command text, parallel boolean DEFAULT true,
    OUT shardid bigint, OUT success boolean, OUT result text) RETURNS SETOF record
LANGUAGE sql VOLATILE AS $$
    SELECT p.shardid, r.success, r.result
    FROM (SELECT DISTINCT ON (shardid) * FROM howdah.placements(table_name) ORDER BY shardid, groupid DESC) p,
        howdah.run_on_group(p.groupid, pg_catalog.replace(command, '%s', p.shard)) r
$$;

-- Commits on the workers what the coordinator has decided. The router does this by itself, and rolls back the rest; for
-- who cannot wait.
CREATE OR REPLACE FUNCTION pg_catalog.recover_prepared_transactions() RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    node record;
    decided text;
    recovered int := 0;
    committed boolean;
BEGIN
    PERFORM howdah.check_superuser('recover_prepared_transactions');
    FOR node IN SELECT groupid FROM howdah.pg_dist_node WHERE groupid <> 0 AND isactive AND noderole = 'primary' ORDER BY groupid LOOP
        FOR decided IN
            SELECT prepared ->> 0 FROM howdah.pg_dist_transaction t
            JOIN jsonb_array_elements(howdah.call(jsonb_build_object('op', 'query', 'group', node.groupid,
                'sql', 'SELECT gid FROM pg_catalog.pg_prepared_xacts'))::jsonb -> 'rows') prepared
                ON prepared ->> 0 = t.gid || '_' || node.groupid
            WHERE t.groupid = 0
        LOOP
            -- On a connection of its own; its owner may be faster.
            SELECT r.success INTO committed FROM howdah.run_on_worker(node.groupid, format('COMMIT PREPARED %L', decided)) r;
            recovered := recovered + committed::int;
        END LOOP;
    END LOOP;
    RETURN recovered;
END $$;
REVOKE ALL ON FUNCTION pg_catalog.recover_prepared_transactions() FROM PUBLIC;
