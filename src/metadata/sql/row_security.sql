-- Row-level security. A statement that runs on workers meets the policies of the shards, as the session's own role with its
-- settings; one that the coordinator runs meets the policies of the shell, and reads the shards with the owner's rights, past theirs.
-- Where workers could not evaluate a policy, or the owner is subject to it, every statement goes over the coordinator, and the shards
-- let nobody pass but their owner.
--
-- Invariant: the shards of a table with row-level security have it too, so that a role that reaches a shard sees no more than by the table.

-- Whether the functions and operators of an expression's tree are those that workers have, and mean the same there whoever
-- asks: immutable ones, and those that depend on nothing but the session's role and settings.
CREATE OR REPLACE FUNCTION howdah.runs_on_workers(tree text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT tree !~ '\{(SUBLINK|QUERY|NEXTVALUEEXPR|CURRENTOFEXPR|ROWCOMPARE|XMLEXPR|JSON|WINDOWFUNC|AGGREF)'
        -- The whole row is of the table's own type, which workers do not know by that name; and system columns differ.
        AND tree !~ ':varattno (0|-)'
        -- current_role, current_user, user and session_user are the session's on every node.
        AND tree !~ '\{SQLVALUEFUNCTION :op ([0-8]|13|14) '
        -- Names of objects, which are others on workers.
        AND NOT EXISTS (SELECT FROM regexp_matches(tree, ':(?:consttype|vartype|resulttype|funcresulttype) (\d+)', 'g') used (match)
            JOIN pg_type t ON t.oid = match[1]::oid WHERE t.oid < 16384 AND t.typname LIKE 'reg%')
        AND NOT EXISTS (
            SELECT FROM regexp_matches(tree, ':(?:funcid|opfuncid|elemfuncid) ([1-9]\d*)', 'g') called (match)
            LEFT JOIN pg_proc p ON p.oid = match[1]::oid
            WHERE p.oid IS NULL OR CASE
                WHEN p.oid >= 16384 THEN p.provolatile <> 'i' OR NOT EXISTS (SELECT FROM howdah.distributed_function WHERE function = p.oid)
                WHEN p.provolatile = 'i' THEN false
                ELSE p.proname NOT IN ('current_setting', 'pg_has_role', 'concat', 'concat_ws', 'format', 'textanycat', 'anytextcat', 'array_to_string',
                    'to_char', 'to_date', 'to_number', 'to_timestamp', 'date_part', 'extract', 'date_trunc', 'timezone', 'timestamptz', 'timestamp', 'date', 'time',
                    'to_json', 'to_jsonb', 'row_to_json') END)
$$;

-- What the shards of a table have: 'off', 'on' with the table's policies, or 'deny' without any.
CREATE OR REPLACE FUNCTION howdah.row_security(relation oid) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN NOT relrowsecurity THEN 'off'
        WHEN relforcerowsecurity OR EXISTS (SELECT FROM pg_policy WHERE polrelid = relation
            AND NOT (howdah.runs_on_workers(coalesce(polqual::text, '')) AND howdah.runs_on_workers(coalesce(polwithcheck::text, '')))) THEN 'deny'
        ELSE 'on' END
    FROM pg_class WHERE oid = relation
$$;

CREATE OR REPLACE FUNCTION howdah.shard_policies(relation oid) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_object_agg(polname, jsonb_build_object('permissive', polpermissive, 'command', polcmd, 'roles', polroles::bigint[],
        'using', pg_get_expr(polqual, polrelid), 'check', pg_get_expr(polwithcheck, polrelid))), '{}')
    FROM pg_policy WHERE polrelid = relation AND howdah.row_security(relation) = 'on'
$$;

-- Gives a shard what its table's shape says.
CREATE OR REPLACE FUNCTION howdah.row_security_ddl(shard text, shape jsonb) RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', shard) WHERE shape ->> 'row_security' <> 'off'
    UNION ALL
    SELECT concat_ws(' ', format('CREATE POLICY %I ON %s AS', key, shard),
        CASE WHEN (value -> 'permissive')::boolean THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
        'FOR ' || CASE value ->> 'command' WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
        'TO ' || (SELECT string_agg(CASE role::bigint WHEN 0 THEN 'PUBLIC' ELSE format('%I', pg_get_userbyid(role::oid)) END, ', ')
            FROM jsonb_array_elements_text(value -> 'roles') role),
        'USING (' || (value ->> 'using') || ')', 'WITH CHECK (' || (value ->> 'check') || ')')
    FROM jsonb_each(shape -> 'policies')
$$;

-- Takes what a shard has by its old shape, and gives it what it is to have.
CREATE OR REPLACE FUNCTION howdah.change_row_security_ddl(shard text, old jsonb, new jsonb) RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('DROP POLICY IF EXISTS %I ON %s', key, shard) FROM jsonb_each(old -> 'policies')
    UNION ALL
    SELECT format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', shard) WHERE new ->> 'row_security' = 'off'
    UNION ALL
    SELECT howdah.row_security_ddl(shard, new)
$$;
