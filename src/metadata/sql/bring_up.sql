-- A server becomes a node: checked, given our SQL, every object and a copy of every reference table, in the transaction of
-- whoever adds it. If anything fails, nothing was there.

-- What must be alike on all nodes for one answer to be as good as another, as one query for either side.
CREATE OR REPLACE FUNCTION howdah.node_facts_query() RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $facts$
    SELECT $query$SELECT pg_catalog.jsonb_build_object(
        'alike', pg_catalog.jsonb_build_object(
            'major version', pg_catalog.current_setting('server_version_num')::int / 10000,
            'encoding', pg_catalog.pg_encoding_to_char(d.encoding),
            'locale provider', d.datlocprovider,
            'collation', d.datcollate,
            'character type', d.datctype,
            'locale', coalesce(pg_catalog.to_jsonb(d) ->> 'datlocale', pg_catalog.to_jsonb(d) ->> 'daticulocale'),
            'collation version', pg_catalog.pg_database_collation_actual_version(d.oid)),
        'settings', (SELECT pg_catalog.jsonb_object_agg(s.name, s.reset_val) FROM pg_catalog.pg_settings s
            WHERE s.name IN ('TimeZone', 'DateStyle', 'IntervalStyle', 'timezone_abbreviations', 'default_text_search_config', 'lc_monetary',
                'lc_numeric', 'lc_time', 'bytea_output', 'extra_float_digits', 'standard_conforming_strings', 'xmlbinary', 'array_nulls')),
        'standby', pg_catalog.pg_is_in_recovery(),
        'wal_level', pg_catalog.current_setting('wal_level'),
        'max_connections', pg_catalog.current_setting('max_connections')::int,
        'max_prepared_transactions', pg_catalog.current_setting('max_prepared_transactions')::int,
        'is_coordinator', pg_catalog.to_regclass('howdah.pg_dist_partition') IS NOT NULL,
        'is_member', pg_catalog.to_regclass('howdah.membership') IS NOT NULL)
    FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()$query$
$facts$;

-- Runs a query that returns one value on a server that no catalog has yet.
CREATE OR REPLACE FUNCTION howdah.introduce(node howdah.pg_dist_node, query text) RETURNS text
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT howdah.call(jsonb_build_object('op', 'introduce', 'group', node.groupid, 'host', coalesce(node.address, node.nodename),
        'port', node.nodeport, 'sql', query))::jsonb #>> '{rows,0,0}'
$$;
REVOKE ALL ON FUNCTION howdah.introduce(howdah.pg_dist_node, text) FROM PUBLIC;

CREATE OR REPLACE FUNCTION howdah.refuse_node(node howdah.pg_dist_node, detail text, hint text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE object_not_in_prerequisite_state USING MESSAGE = format('cannot add node %s:%s', node.nodename, node.nodeport),
        DETAIL = detail, HINT = hint;
END $$;

-- True if the server has been this group's node before.
CREATE OR REPLACE FUNCTION howdah.check_node(node howdah.pg_dist_node) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    its jsonb := howdah.introduce(node, howdah.node_facts_query());
    ours jsonb;
    different record;
BEGIN
    EXECUTE howdah.node_facts_query() INTO ours;
    SELECT key, o.value AS wanted, i.value AS found INTO different
        FROM jsonb_each_text(ours -> 'alike') o JOIN jsonb_each_text(its -> 'alike') i USING (key) WHERE o.value IS DISTINCT FROM i.value ORDER BY key LIMIT 1;
    IF FOUND THEN
        PERFORM howdah.refuse_node(node, format('Its %s is %s, but the coordinator''s is %s.', different.key,
                coalesce(different.found, 'not set'), coalesce(different.wanted, 'not set')),
            'All nodes of a server group have the same major version, encoding and locale.');
    END IF;
    -- What ALTER ROLE and ALTER DATABASE say is brought later.
    SELECT key, o.value AS wanted, i.value AS found INTO different
        FROM jsonb_each_text(ours -> 'settings') o JOIN jsonb_each_text(its -> 'settings') i USING (key) WHERE o.value IS DISTINCT FROM i.value
          AND NOT EXISTS (SELECT FROM pg_db_role_setting, unnest(setconfig) s WHERE lower(split_part(s, '=', 1)) = lower(key)) ORDER BY key LIMIT 1;
    IF FOUND THEN
        PERFORM howdah.refuse_node(node, format('Its %s is "%s", but the coordinator''s is "%s".', different.key, different.found, different.wanted),
            'Give the setting the same value in the configuration of all nodes.');
    END IF;
    IF (its -> 'standby')::boolean THEN
        PERFORM howdah.refuse_node(node, 'The server is a standby.', 'Add its primary.');
    END IF;
    IF its ->> 'wal_level' <> 'logical' THEN
        PERFORM howdah.refuse_node(node, format('Its wal_level is %s.', its ->> 'wal_level'), 'Set wal_level to logical and restart the server: shards are moved by logical replication.');
    END IF;
    IF (its -> 'max_prepared_transactions')::int < (its -> 'max_connections')::int THEN
        PERFORM howdah.refuse_node(node,
            format('Its max_prepared_transactions is %s, which is less than its max_connections, %s.', its -> 'max_prepared_transactions', its -> 'max_connections'),
            'Raise max_prepared_transactions and restart the server: each connection may have to prepare a transaction.');
    END IF;
    IF (its -> 'is_coordinator')::boolean THEN
        PERFORM howdah.refuse_node(node, 'The server is the coordinator of a server group.', 'Add a server of its own.');
    END IF;
    RETURN (its -> 'is_member')::boolean
        AND howdah.check_membership(node, howdah.introduce(node, 'SELECT pg_catalog.to_jsonb(m) FROM howdah.membership m')::jsonb);
END $$;
REVOKE ALL ON FUNCTION howdah.check_node(howdah.pg_dist_node) FROM PUBLIC;

-- One server is one node of one group. A node that was removed may come back.
CREATE OR REPLACE FUNCTION howdah.check_membership(node howdah.pg_dist_node, membership jsonb) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    other howdah.pg_dist_node;
BEGIN
    IF membership IS NULL THEN
        RETURN false;
    END IF;
    IF NOT EXISTS (SELECT FROM howdah.server_group WHERE id::text = membership ->> 'server_group') THEN
        PERFORM howdah.refuse_node(node, 'The server belongs to another server group.',
            'Remove it there first. If that group does not exist any more, run DROP TABLE howdah.membership on the server.');
    END IF;
    SELECT * INTO other FROM howdah.pg_dist_node n WHERE n.groupid = (membership -> 'groupid')::int AND n.nodeid <> node.nodeid;
    IF FOUND THEN
        PERFORM howdah.refuse_node(node, format('The server is node %s:%s already.', other.nodename, other.nodeport), 'Add a server of its own.');
    END IF;
    RETURN true;
END $$;

-- Copies of all reference tables, for joins with shards and for their foreign keys. Their writers wait until the node is there: from
-- then on they write to it as well.
CREATE OR REPLACE FUNCTION howdah.bring_reference_tables(node howdah.pg_dist_node) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    shard record;
BEGIN
    FOR shard IN SELECT logicalrelid AS relation FROM howdah.pg_dist_partition WHERE partmethod = 'n' ORDER BY logicalrelid::oid LOOP
        EXECUTE format('LOCK TABLE ONLY %s IN SHARE MODE', howdah.qualified(shard.relation));
    END LOOP;
    -- Transactions with an older snapshot learn by this that there is one copy more.
    UPDATE howdah.pg_dist_shard SET shardstorage = shardstorage
        WHERE logicalrelid IN (SELECT p.logicalrelid FROM howdah.pg_dist_partition p WHERE p.partmethod = 'n');
    INSERT INTO howdah.pg_dist_placement (shardid, groupid)
        SELECT s.shardid, node.groupid FROM howdah.pg_dist_shard s JOIN howdah.pg_dist_partition p USING (logicalrelid)
        WHERE p.partmethod = 'n' ON CONFLICT DO NOTHING;
    FOR shard IN
        SELECT s.logicalrelid AS relation, s.shardid FROM howdah.pg_dist_shard s JOIN howdah.pg_dist_partition p USING (logicalrelid) WHERE p.partmethod = 'n' ORDER BY s.shardid
    LOOP
        PERFORM howdah.on_node(node.groupid, array_to_string(howdah.shard_table_ddl(shard.relation, shard.shardid), E';\n'));
        PERFORM howdah.copy_reference(shard.relation, ARRAY[node.groupid]);
    END LOOP;
    -- When all rows are there.
    PERFORM howdah.on_node(node.groupid, key) FROM howdah.pg_dist_shard s JOIN howdah.pg_dist_partition p USING (logicalrelid),
        unnest(howdah.shard_foreign_keys_ddl(s.logicalrelid, s.shardid)) key WHERE p.partmethod = 'n';
END $$;
REVOKE ALL ON FUNCTION howdah.bring_reference_tables(howdah.pg_dist_node) FROM PUBLIC;

CREATE OR REPLACE FUNCTION howdah.bring_up(node howdah.pg_dist_node) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    returns boolean := howdah.check_node(node);
BEGIN
    PERFORM howdah.call(jsonb_build_object('op', 'install', 'group', node.groupid));
    IF returns THEN
        -- Copies that nobody has written to meanwhile.
        PERFORM howdah.on_node(node.groupid, format('DROP TABLE IF EXISTS %s CASCADE', howdah.shard_relation(s.logicalrelid, s.shardid)))
            FROM howdah.pg_dist_shard s JOIN howdah.pg_dist_partition p USING (logicalrelid) WHERE p.partmethod = 'n';
    END IF;
    PERFORM howdah.on_node(node.groupid, format('INSERT INTO howdah.membership VALUES (true, %L, %s) '
        'ON CONFLICT (one) DO UPDATE SET server_group = excluded.server_group, groupid = excluded.groupid', g.id, node.groupid)) FROM howdah.server_group g;
    PERFORM howdah.on_node(node.groupid, format('SELECT howdah.make_objects(%L, %L)', howdah.node_objects(), returns));
    PERFORM howdah.bring_reference_tables(node);
    UPDATE howdah.pg_dist_node n SET isactive = true WHERE n.nodeid = node.nodeid;
END $$;
REVOKE ALL ON FUNCTION howdah.bring_up(howdah.pg_dist_node) FROM PUBLIC;
