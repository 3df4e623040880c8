-- The objects of this database that every node must have, or may have, as statements for howdah.make_objects on a worker.
-- They are those whose DDL the router sends to all nodes: roles, rights and settings, extensions, schemas, types, domains,
-- collations, functions.

-- Made by users: not PostgreSQL's, not ours, not an extension's.
CREATE OR REPLACE FUNCTION howdah.is_of_user(class regclass, object oid, schema oid DEFAULT NULL) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT object >= 16384
        AND (schema IS NULL OR schema NOT IN (SELECT oid FROM pg_namespace
            WHERE nspname IN ('pg_catalog', 'information_schema', 'howdah', 'howdah_live', 'howdah_intermediate', 'howdah_owner', 'pg_toast') OR nspname ~ '^pg_(toast_)?temp_'))
        AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = class AND objid = object AND deptype = 'e')
$$;

CREATE OR REPLACE FUNCTION howdah.role_objects() RETURNS TABLE (name text, sql text, needed boolean)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    -- The password goes along as its hash: a member of a group may be asked for it some day.
    (SELECT 'role ' || quote_ident(rolname), format('SELECT howdah.make_role(%L, %L)', rolname, concat_ws(' ',
        CASE WHEN rolsuper THEN 'SUPERUSER' ELSE 'NOSUPERUSER' END, CASE WHEN rolinherit THEN 'INHERIT' ELSE 'NOINHERIT' END,
        CASE WHEN rolcreaterole THEN 'CREATEROLE' ELSE 'NOCREATEROLE' END, CASE WHEN rolcreatedb THEN 'CREATEDB' ELSE 'NOCREATEDB' END,
        CASE WHEN rolcanlogin THEN 'LOGIN' ELSE 'NOLOGIN' END, CASE WHEN rolreplication THEN 'REPLICATION' ELSE 'NOREPLICATION' END,
        CASE WHEN rolbypassrls THEN 'BYPASSRLS' ELSE 'NOBYPASSRLS' END, format('CONNECTION LIMIT %s', rolconnlimit),
        format('VALID UNTIL %L', coalesce(rolvaliduntil, 'infinity')), format('PASSWORD %L', rolpassword))), true
    FROM pg_authid WHERE oid >= 16384 ORDER BY oid)
    UNION ALL
    (SELECT format('membership of %I in %I', member.rolname, granted.rolname),
        format('GRANT %I TO %I', granted.rolname, member.rolname) || CASE
            WHEN fact ? 'inherit_option' THEN format(' WITH ADMIN %s, INHERIT %s, SET %s', fact ->> 'admin_option', fact ->> 'inherit_option', fact ->> 'set_option')
            -- Before PostgreSQL 16.
            WHEN admin_option THEN ' WITH ADMIN OPTION' ELSE '' END, true
    FROM pg_auth_members m JOIN pg_authid granted ON granted.oid = roleid JOIN pg_authid member ON member.oid = m.member, to_jsonb(m) fact
    WHERE granted.oid >= 16384 OR member.oid >= 16384)
    UNION ALL
    (SELECT 'rights on parameter ' || parname, howdah.rights_ddl('PARAMETER', parname, 10, paracl), true FROM pg_parameter_acl)
    UNION ALL
    (SELECT 'owner of the database', format('ALTER DATABASE %I OWNER TO %I; %s', datname, pg_get_userbyid(datdba),
        howdah.rights_ddl('DATABASE', quote_ident(datname), datdba, datacl)), true
    FROM pg_database WHERE datname = current_database())
$$;
REVOKE ALL ON FUNCTION howdah.role_objects() FROM PUBLIC;

-- ALTER ROLE … SET and ALTER DATABASE … SET.
CREATE OR REPLACE FUNCTION howdah.setting_objects() RETURNS TABLE (name text, sql text, needed boolean)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT 'settings of ' || target, format('ALTER %s RESET ALL; ', target) || string_agg(format('ALTER %s SET %s TO %s', target,
            split_part(setting, '=', 1),
            -- A list is kept as it was written, its names quoted where they must be.
            CASE WHEN split_part(setting, '=', 1) IN ('search_path', 'temp_tablespaces', 'session_preload_libraries', 'local_preload_libraries')
                AND value <> '' THEN value ELSE quote_literal(value) END), '; '), true
    FROM pg_db_role_setting s, unnest(setconfig) setting, substr(setting, strpos(setting, '=') + 1) value,
        concat(CASE WHEN setrole <> 0 THEN format('ROLE %I ', pg_get_userbyid(setrole)) WHEN setdatabase = 0 THEN 'ROLE ALL ' END,
            CASE WHEN setdatabase <> 0 THEN format('%sDATABASE %I', CASE WHEN setrole <> 0 THEN 'IN ' END, current_database()) END) target
    WHERE setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
    GROUP BY target
$$;
REVOKE ALL ON FUNCTION howdah.setting_objects() FROM PUBLIC;

CREATE OR REPLACE FUNCTION howdah.function_ddl(function pg_proc) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT concat(CASE WHEN function.oid >= 16384 THEN
            format('%s; ALTER ROUTINE %s OWNER TO %I; ', pg_get_functiondef(function.oid), function.oid::regprocedure, pg_get_userbyid(function.proowner)) END,
        howdah.rights_ddl('ROUTINE', function.oid::regprocedure::text, function.proowner, function.proacl))
$$;
REVOKE ALL ON FUNCTION howdah.function_ddl(pg_proc) FROM PUBLIC;

-- Types, domains, collations and functions need one another: in the order in which they were made. The workers must have
-- the functions that they are said to have; others are of use where they happen to find all that they need.
CREATE OR REPLACE FUNCTION howdah.database_objects() RETURNS TABLE (name text, sql text, needed boolean, clear text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT o.name, o.sql, o.needed, o.clear FROM (
        SELECT oid, 'type ' || oid::regtype AS name, format('SELECT howdah.make_object(''TYPE'', %L, %L); ALTER TYPE %1$s OWNER TO %3$I; %4$s',
                oid::regtype::text, howdah.type_ddl(oid), pg_get_userbyid(typowner),
                howdah.rights_ddl(CASE typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END, oid::regtype::text, typowner, typacl)) AS sql, true AS needed,
                format('SELECT howdah.clear_object(''TYPE'', %L, %L)', oid::regtype, howdah.type_ddl(oid)) AS clear
            FROM pg_type WHERE howdah.is_of_user('pg_type', oid, typnamespace) AND howdah.type_ddl(oid) IS NOT NULL
        UNION ALL
        SELECT oid, 'collation ' || oid::regcollation, format('SELECT howdah.make_object(''COLLATION'', %L, %L); ALTER COLLATION %1$s OWNER TO %3$I',
                oid::regcollation::text, howdah.collation_ddl(oid), pg_get_userbyid(collowner)), true,
                format('SELECT howdah.clear_object(''COLLATION'', %L, %L)', oid::regcollation, howdah.collation_ddl(oid))
            FROM pg_collation WHERE howdah.is_of_user('pg_collation', oid, collnamespace)
        UNION ALL
        SELECT p.oid, 'function ' || p.oid::regprocedure, howdah.function_ddl(p), EXISTS (SELECT FROM howdah.distributed_function WHERE function = p.oid), NULL
            FROM pg_proc p WHERE prokind <> 'a' AND howdah.is_of_user('pg_proc', p.oid, pronamespace)
        UNION ALL
        -- Rights on functions of PostgreSQL itself.
        SELECT p.oid, 'rights on function ' || p.oid::regprocedure, howdah.function_ddl(p), false, NULL
            FROM pg_proc p LEFT JOIN pg_init_privs i ON i.classoid = 'pg_proc'::regclass AND i.objoid = p.oid
            WHERE p.oid < 16384 AND p.proacl IS NOT NULL AND p.proacl::text IS DISTINCT FROM i.initprivs::text) o
    ORDER BY o.oid
$$;
REVOKE ALL ON FUNCTION howdah.database_objects() FROM PUBLIC;

-- postgres_fdw leads back to the router, and is of no use on workers.
CREATE OR REPLACE FUNCTION howdah.node_objects() RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_agg(to_jsonb(o)) FROM (
        SELECT name, sql, needed, NULL AS clear FROM howdah.role_objects()
        UNION ALL
        (SELECT 'schema ' || quote_ident(nspname), format('CREATE SCHEMA IF NOT EXISTS %I; ALTER SCHEMA %1$I OWNER TO %I; %s', nspname,
            pg_get_userbyid(nspowner), howdah.rights_ddl('SCHEMA', quote_ident(nspname), nspowner, nspacl)), true, NULL
        FROM pg_namespace WHERE nspname = 'public' OR howdah.is_of_user('pg_namespace', oid, oid) ORDER BY oid)
        UNION ALL
        (SELECT 'extension ' || quote_ident(extname), format('SELECT howdah.make_extension(%L, %L, %L)', extname, nspname, extversion), true, NULL
        FROM pg_extension e JOIN pg_namespace n ON n.oid = extnamespace WHERE extname NOT IN ('plpgsql', 'postgres_fdw') ORDER BY e.oid)
        UNION ALL
        SELECT * FROM howdah.database_objects()
        UNION ALL
        SELECT name, sql, needed, NULL FROM howdah.setting_objects()) o
$$;
REVOKE ALL ON FUNCTION howdah.node_objects() FROM PUBLIC;
