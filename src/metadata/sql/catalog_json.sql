-- The catalog as one JSON document, the form in which the router reads it: metadata::parse_catalog.

-- What must be known of an expression before it may run elsewhere. Built-in functions leave no dependency, so the
-- expression's tree is read: the functions it calls, and the nodes that are stable without being functions.
CREATE OR REPLACE FUNCTION howdah.expression_class(tree text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH called AS (
        SELECT p.oid, p.provolatile
        FROM regexp_matches(tree, ':(?:funcid|opfuncid|elemfuncid|aggfnoid|winfnoid) ([1-9]\d*)', 'g') AS called (match)
        LEFT JOIN pg_proc p ON p.oid = match[1]::oid)
    SELECT CASE
        WHEN tree ~ '\{NEXTVALUEEXPR' OR EXISTS (SELECT FROM called WHERE oid = 'nextval(regclass)'::regprocedure) THEN 'sequence'
        WHEN EXISTS (SELECT FROM called WHERE oid IS NULL OR provolatile = 'v') THEN 'volatile'
        WHEN tree ~ '\{(SQLVALUEFUNCTION|COERCEVIAIO|XMLEXPR|JSON)' OR EXISTS (SELECT FROM called WHERE provolatile = 's') THEN 'stable'
        ELSE 'immutable' END
$$;

CREATE OR REPLACE FUNCTION howdah.columns_json(relation oid) RETURNS json
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT json_agg(json_build_object(
        'number', a.attnum,
        'name', a.attname,
        'type_oid', a.atttypid::bigint,
        'typmod', a.atttypmod,
        'type_name', format_type(a.atttypid, a.atttypmod),
        'collation', CASE WHEN c.oid IS NOT NULL THEN json_build_object(
            'schema', c.collnamespace::regnamespace::name, 'name', c.collname, 'deterministic', c.collisdeterministic) END,
        'not_null', a.attnotnull,
        'default', CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END,
        'default_class', CASE WHEN a.attgenerated = '' AND d.adbin IS NOT NULL THEN howdah.expression_class(d.adbin::text) END,
        'identity', CASE a.attidentity WHEN 'a' THEN 'always' WHEN 'd' THEN 'by default' END,
        'generated', a.attgenerated <> '') ORDER BY a.attnum)
    FROM pg_attribute a
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    LEFT JOIN pg_collation c ON c.oid = a.attcollation
    WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped
$$;

CREATE OR REPLACE FUNCTION howdah.table_json(relation oid) RETURNS json
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT json_build_object(
        'oid', c.oid::bigint,
        'schema', n.nspname,
        'name', c.relname,
        'owner', pg_get_userbyid(c.relowner),
        'on_coordinator', howdah.on_coordinator(c.oid),
        'row_security', c.relrowsecurity,
        'cascades', EXISTS (SELECT FROM pg_constraint k WHERE k.contype = 'f' AND k.confrelid = c.oid
            AND (k.confupdtype IN ('c', 'n', 'd') OR k.confdeltype IN ('c', 'n', 'd'))),
        'columns', howdah.columns_json(c.oid),
        -- With these the name on a shard does not show what it was made of.
        'long_names', (
            SELECT coalesce(json_agg(name ORDER BY name), '[]') FROM (
                SELECT conname AS name FROM pg_constraint WHERE conrelid = c.oid
                UNION SELECT i.relname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid WHERE x.indrelid = c.oid) AS of_table
            WHERE octet_length(name) > 50),
        'distribution', CASE p.partmethod
            WHEN 'h' THEN json_build_object('kind', 'hash', 'column', p.partcolumn, 'colocation', p.colocationid, 'shards', (
                SELECT json_agg(json_build_object('id', s.shardid, 'min', s.shardminvalue, 'max', s.shardmaxvalue, 'group', l.groupid)
                    ORDER BY s.shardminvalue)
                FROM howdah.pg_dist_shard s JOIN howdah.pg_dist_placement l USING (shardid) WHERE s.logicalrelid = c.oid))
            ELSE (
                SELECT json_build_object('kind', 'reference', 'colocation', p.colocationid, 'shard', s.shardid, 'groups', (
                    SELECT json_agg(l.groupid ORDER BY l.groupid) FROM howdah.pg_dist_placement l WHERE l.shardid = s.shardid))
                FROM howdah.pg_dist_shard s WHERE s.logicalrelid = c.oid) END)
    FROM howdah.pg_dist_partition p
    JOIN pg_class c ON c.oid = p.logicalrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE p.logicalrelid = relation
$$;

-- Objects that are not PostgreSQL's own and not ours.
CREATE OR REPLACE FUNCTION howdah.objects_json() RETURNS json
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH schema AS (
        SELECT oid, nspname FROM pg_namespace
        WHERE nspname NOT IN ('pg_catalog', 'information_schema', 'howdah', 'howdah_live', 'howdah_intermediate', 'pg_toast'))
    SELECT json_build_object(
        'functions', (SELECT coalesce(json_agg(json_build_object('schema', nspname, 'name', proname, 'volatility', provolatile,
                'distributed', EXISTS (SELECT FROM howdah.distributed_function d WHERE d.function = p.oid)) ORDER BY proname, nspname, p.oid), '[]')
            FROM pg_proc p JOIN schema ON schema.oid = pronamespace),
        'operators', (SELECT coalesce(json_agg(json_build_object('name', oprname, 'left', oprleft::bigint, 'right', oprright::bigint) ORDER BY oprname, o.oid), '[]')
            FROM pg_operator o JOIN schema ON schema.oid = oprnamespace),
        'types', (SELECT coalesce(json_agg(json_build_object('oid', t.oid::bigint, 'schema', nspname, 'name', t.typname,
                -- Whether its binary form may hold OIDs of types that are not PostgreSQL's own.
                'embeds_oids', t.typcategory = 'A' OR t.typtype IN ('r', 'm') OR t.typbasetype >= 16384
                    OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND a.atttypid >= 16384)
                ) ORDER BY t.oid), '[]')
            FROM pg_type t JOIN schema ON schema.oid = t.typnamespace
            LEFT JOIN pg_type element ON element.oid = t.typelem AND t.typcategory = 'A'
            LEFT JOIN pg_class c ON c.oid = coalesce(nullif(t.typrelid, 0), element.typrelid)
            WHERE coalesce(c.relkind, 'c') = 'c'),
        -- What stands in a string like the name of a setting of users, or behind SET. More of them do no harm.
        'custom_settings', (SELECT coalesce(json_agg(name ORDER BY name), '[]') FROM (
            SELECT DISTINCT lower(found[1]) AS name FROM pg_proc p JOIN schema ON schema.oid = pronamespace,
                regexp_matches(prosrc, $re$(?:'|\mset\s+(?:local\s+|session\s+)?)([a-z_]\w*(?:\.[a-z_]\w*)+)$re$, 'gi') found
            WHERE prosrc ~* '(set_config|\mset\M)' ORDER BY name LIMIT 100) names),
        'casts', EXISTS (SELECT FROM pg_cast WHERE oid >= 16384))
$$;

CREATE OR REPLACE FUNCTION howdah.catalog_json() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT json_build_object(
        'version', howdah.catalog_version(),
        'database', (SELECT json_build_object('name', datname, 'default_collation', datcollate, 'encoding', pg_encoding_to_char(encoding))
            FROM pg_database WHERE datname = current_database()),
        'nodes', (SELECT coalesce(json_agg(json_build_object('id', nodeid, 'group', groupid, 'name', nodename, 'port', nodeport,
                'address', address, 'active', isactive, 'should_have_shards', shouldhaveshards) ORDER BY groupid), '[]')
            FROM howdah.pg_dist_node WHERE noderole = 'primary'),
        'tables', (SELECT coalesce(json_agg(howdah.table_json(logicalrelid) ORDER BY logicalrelid::oid), '[]')
            FROM howdah.pg_dist_partition),
        'objects', howdah.objects_json())::text
$$;
