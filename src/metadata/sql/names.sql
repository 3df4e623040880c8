-- Names and rights that the other functions share.

-- Whom a SECURITY DEFINER function serves: the session's role, as SET ROLE left it. The rights of other definers
-- above it do not count.
CREATE OR REPLACE FUNCTION howdah.caller() RETURNS name
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE current_setting('role') WHEN 'none' THEN session_user ELSE current_setting('role')::name END
$$;

CREATE OR REPLACE FUNCTION howdah.caller_is_superuser() RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT rolsuper FROM pg_roles WHERE rolname = howdah.caller()
$$;

CREATE OR REPLACE FUNCTION howdah.check_owner(relation regclass) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    class pg_class;
BEGIN
    SELECT * INTO class FROM pg_class WHERE oid = relation;
    IF NOT FOUND THEN
        RAISE undefined_table USING MESSAGE = format('relation with OID %s does not exist', relation::oid);
    END IF;
    IF NOT pg_has_role(howdah.caller(), class.relowner, 'USAGE') THEN
        RAISE insufficient_privilege USING MESSAGE = format('must be owner of table %s', class.relname);
    END IF;
END $$;

-- Runs the body of a PL/pgSQL function with the rights of a role, and answers what it returns. Whatever evaluates what a user has
-- written (the function of a generated column, of a CHECK, of a default) goes through here: our functions have superuser rights. The
-- role's function lives only for the call, so that nothing depends on the role.
CREATE OR REPLACE FUNCTION howdah.run_as(role oid, body text) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET howdah.our_ddl = 'on' AS $$
DECLARE
    path constant text := current_setting('search_path');
    name constant text := 'howdah_owner.' || quote_ident('run_' || role || '_' || gen_random_uuid());
    answer text;
BEGIN
    EXECUTE format('CREATE FUNCTION %s() RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS %L', name, body);
    EXECUTE format('REVOKE ALL ON FUNCTION %s() FROM PUBLIC; ALTER FUNCTION %1$s() OWNER TO %I', name, pg_get_userbyid(role));
    EXECUTE 'SELECT ' || name || '()' INTO answer;
    -- A SET in a user's function outlives it, and what follows here must not resolve names in a path of his.
    IF pg_catalog.current_setting('search_path') OPERATOR(pg_catalog.<>) path THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = 'a function changed search_path while a table was being converted';
    END IF;
    EXECUTE format('DROP FUNCTION %s()', name);
    RETURN answer;
END $$;
REVOKE ALL ON FUNCTION howdah.run_as(oid, text) FROM PUBLIC;

CREATE OR REPLACE FUNCTION howdah.check_superuser(what text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT howdah.caller_is_superuser() THEN
        RAISE insufficient_privilege USING MESSAGE = format('permission denied for function %s', what);
    END IF;
END $$;

CREATE OR REPLACE FUNCTION howdah.qualified(relation oid) RETURNS text
LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('%I.%I', nspname, relname) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE c.oid = relation
$$;

-- The name of a shard, or of an index or constraint on one. The same as pg::ident::shard_name.
CREATE OR REPLACE FUNCTION howdah.shard_name(name text, shardid bigint) RETURNS text
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    suffix text := '_' || shardid;
    kept text := name;
BEGIN
    IF octet_length(name) + octet_length(suffix) < 64 THEN
        RETURN name || suffix;
    END IF;
    WHILE octet_length(kept) > 64 - octet_length(suffix) - 10 LOOP
        kept := left(kept, -1);
    END LOOP;
    RETURN kept || '_' || lpad(to_hex(hashtext(name COLLATE "C")::bigint & 4294967295), 8, '0') || suffix;
END $$;
