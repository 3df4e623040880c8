-- What a worker gives to live tables: a way to read and write shards with the rights of the table's owner, on the
-- connection of the session's own role.
--
-- The coordinator has checked the rights of the statement already (as the view's owner, the SECURITY DEFINER's owner, …),
-- and the session's role may well lack them. A superuser connection with SET ROLE would be a hole: SET ROLE NONE undoes it.
-- So the session's role calls functions that are SECURITY DEFINER and ask for a key that only superusers can read.
--
-- Nothing of the user's runs as a superuser: planning a query folds IMMUTABLE functions of index expressions and CHECK
-- constraints, and a write evaluates them. Both happen as the shard's owner, through functions of each owner.
--
-- Invariants: howdah.live_key has one row; a function in howdah_owner is owned by the role whose oid is in its name.

CREATE SCHEMA IF NOT EXISTS howdah;
GRANT USAGE ON SCHEMA howdah TO PUBLIC;
CREATE SCHEMA IF NOT EXISTS howdah_owner;
REVOKE ALL ON SCHEMA howdah_owner FROM PUBLIC;

CREATE TABLE IF NOT EXISTS howdah.live_key (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    key text NOT NULL
);
REVOKE ALL ON howdah.live_key FROM PUBLIC;
INSERT INTO howdah.live_key (key)
    SELECT replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '')
    ON CONFLICT DO NOTHING;

CREATE OR REPLACE FUNCTION howdah.check_key(key text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    -- Digests are compared, so that the time taken tells nothing about the key.
    IF key IS NULL OR sha256(convert_to(key, 'UTF8')) <> (SELECT sha256(convert_to(k.key, 'UTF8')) FROM howdah.live_key k) THEN
        RAISE EXCEPTION 'permission denied for live tables' USING ERRCODE = 'insufficient_privilege';
    END IF;
END
$function$;
REVOKE ALL ON FUNCTION howdah.check_key(text) FROM PUBLIC;

-- The functions of an owner, by what they may do: a STABLE one reads with its caller's snapshot, a VOLATILE one locks rows.
CREATE OR REPLACE FUNCTION howdah.make_owned(owner oid) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    reader record;
BEGIN
    FOR reader IN SELECT * FROM (VALUES ('open', 'STABLE'), ('open_locking', 'VOLATILE')) readers (name, volatility) LOOP
        EXECUTE format($create$
            CREATE OR REPLACE FUNCTION howdah_owner.%1$s_%2$s(cursor_name text, query text) RETURNS void
                LANGUAGE plpgsql %3$s SECURITY DEFINER
            AS $body$
            DECLARE c refcursor := cursor_name;
            BEGIN
                OPEN c NO SCROLL FOR EXECUTE query;
            END
            $body$;
            REVOKE ALL ON FUNCTION howdah_owner.%1$s_%2$s(text, text) FROM PUBLIC;
            ALTER FUNCTION howdah_owner.%1$s_%2$s(text, text) OWNER TO %4$I;
        $create$, reader.name, owner, reader.volatility, pg_get_userbyid(owner));
    END LOOP;
    EXECUTE format($create$
        CREATE OR REPLACE FUNCTION howdah_owner.exec_%1$s(query text) RETURNS bigint
            LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        AS $body$
        DECLARE n bigint;
        BEGIN
            EXECUTE query;
            GET DIAGNOSTICS n = ROW_COUNT;
            RETURN n;
        END
        $body$;
        CREATE OR REPLACE FUNCTION howdah_owner.returning_%1$s(query text) RETURNS SETOF text
            LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        AS $body$
        DECLARE r record;
        BEGIN
            FOR r IN EXECUTE query LOOP
                RETURN NEXT pg_catalog.format('%%s', r);
            END LOOP;
        END
        $body$;
        REVOKE ALL ON FUNCTION howdah_owner.exec_%1$s(text), howdah_owner.returning_%1$s(text) FROM PUBLIC;
        ALTER FUNCTION howdah_owner.exec_%1$s(text) OWNER TO %2$I;
        ALTER FUNCTION howdah_owner.returning_%1$s(text) OWNER TO %2$I;
    $create$, owner, pg_get_userbyid(owner));
END
$function$;
REVOKE ALL ON FUNCTION howdah.make_owned(oid) FROM PUBLIC;

-- Those that an older version has made.
SELECT howdah.make_owned(owner) FROM (
    SELECT DISTINCT proowner AS owner FROM pg_proc WHERE pronamespace = 'howdah_owner'::regnamespace) owners;

-- Makes sure that the functions of an owner exist. Run in a transaction of its own where possible, because a second
-- caller waits for the first one's commit.
CREATE OR REPLACE FUNCTION howdah.own(key text, owner_name text) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    owner oid;
BEGIN
    PERFORM howdah.check_key(key);
    SELECT r.oid INTO owner FROM pg_roles r WHERE r.rolname = owner_name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'role "%" does not exist', owner_name USING ERRCODE = 'undefined_object';
    END IF;
    IF howdah.owned(owner) THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('howdah.own', owner::bigint));
    IF howdah.owned(owner) THEN
        RETURN;
    END IF;
    PERFORM howdah.make_owned(owner);
END
$function$;

-- Asks the system caches, not the catalogs: they may have been made after the snapshot of the transaction that asks. Only their owner
-- may execute them, as long as nobody has given them to another role.
CREATE OR REPLACE FUNCTION howdah.owned(owner oid) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT bool_and(coalesce(has_function_privilege(owner, to_regprocedure(
        format('howdah_owner.%s_%s(%s)', made.name, owner, made.arguments)), 'EXECUTE'), false))
    FROM (VALUES ('open', 'text, text'), ('open_locking', 'text, text'), ('exec', 'text'), ('returning', 'text')) made (name, arguments)
$function$;
REVOKE ALL ON FUNCTION howdah.owned(oid) FROM PUBLIC;

-- The owner of a shard, whose functions must exist (howdah.own).
CREATE OR REPLACE FUNCTION howdah.shard_owner(shard text) RETURNS oid
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    owner oid;
BEGIN
    SELECT c.relowner INTO STRICT owner FROM pg_class c WHERE c.oid = shard::regclass;
    IF NOT howdah.owned(owner) THEN
        RAISE EXCEPTION 'owner of relation "%" changed meanwhile', shard USING ERRCODE = 'serialization_failure';
    END IF;
    RETURN owner;
END
$function$;
REVOKE ALL ON FUNCTION howdah.shard_owner(text) FROM PUBLIC;

-- howdah.open opens a cursor over a query of shards. STABLE, so that the cursor reads with the snapshot of the statement that
-- calls it: a keeper cursor that calls it once a row opens all cursors of one statement with one snapshot. The settings are
-- those under which postgres_fdw wrote the query; the rows come out with the settings of the FETCH. howdah.open_locking is the
-- same for SELECT … FOR UPDATE and its like, which a STABLE function may not run: it reads with a snapshot of its own.
DO $block$
DECLARE
    reader record;
BEGIN
    FOR reader IN SELECT * FROM (VALUES ('open', 'STABLE'), ('open_locking', 'VOLATILE')) readers (name, volatility) LOOP
        EXECUTE format($create$
            CREATE OR REPLACE FUNCTION howdah.%1$s(key text, cursor_name text, query text, shard text) RETURNS void
                LANGUAGE plpgsql %2$s SECURITY DEFINER
                SET search_path = pg_catalog, pg_temp
                SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET standard_conforming_strings = on SET transform_null_equals = off
            AS $function$
            BEGIN
                PERFORM howdah.check_key(key);
                EXECUTE format('SELECT howdah_owner.%1$s_%%s($1, $2)', howdah.shard_owner(shard)) USING cursor_name, query;
            END
            $function$
        $create$, reader.name, reader.volatility);
    END LOOP;
END
$block$;

-- Writes to a shard as its owner; answers how many rows. Several statements may be given, the count is the sum.
CREATE OR REPLACE FUNCTION howdah.write(key text, statements text[], shard text) RETURNS bigint
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET standard_conforming_strings = on
AS $function$
DECLARE
    owner oid;
    statement text;
    n bigint;
    total bigint := 0;
BEGIN
    PERFORM howdah.check_key(key);
    owner := howdah.shard_owner(shard);
    FOREACH statement IN ARRAY statements LOOP
        EXECUTE format('SELECT howdah_owner.exec_%s($1)', owner) INTO n USING statement;
        total := total + n;
    END LOOP;
    RETURN total;
END
$function$;

-- The same for statements with RETURNING: each row as the text of a record.
CREATE OR REPLACE FUNCTION howdah.write_returning(key text, statements text[], shard text) RETURNS SETOF text
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET standard_conforming_strings = on SET extra_float_digits = 3
AS $function$
DECLARE
    owner oid;
    statement text;
BEGIN
    PERFORM howdah.check_key(key);
    owner := howdah.shard_owner(shard);
    FOREACH statement IN ARRAY statements LOOP
        RETURN QUERY EXECUTE format('SELECT howdah_owner.returning_%s($1)', owner) USING statement;
    END LOOP;
END
$function$;

-- Writes what the coordinator's table of a reference table has got already. A count that differs from the coordinator's means
-- that the copies differ, and is an error before it can spread; howdah.forward on the coordinator says when fewer rows are right.
CREATE OR REPLACE FUNCTION howdah.forward(key text, statements text[], shard text, expected bigint, verify text) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET extra_float_digits = 3
AS $function$
DECLARE
    n bigint := howdah.write(key, statements, shard);
BEGIN
    IF n = expected OR expected IS NULL OR (n < expected AND verify = '') THEN
        RETURN;
    END IF;
    IF n < expected AND verify <> '' AND howdah.write(key, ARRAY[verify], shard) > 0 THEN
        RETURN;
    END IF;
    RAISE EXCEPTION 'a copy of the reference table differs from the coordinator''s: % rows instead of %', n, expected
        USING ERRCODE = 'data_corrupted';
END
$function$;

-- Runs our own SQL (DDL on shards, …) with superuser rights.
CREATE OR REPLACE FUNCTION howdah.exec(key text, query text) RETURNS bigint
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET standard_conforming_strings = on
AS $function$
DECLARE
    n bigint;
BEGIN
    PERFORM howdah.check_key(key);
    EXECUTE query;
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
END
$function$;

-- The same for a query: each row as the text of a record.
CREATE OR REPLACE FUNCTION howdah.query(key text, query text) RETURNS SETOF text
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET standard_conforming_strings = on
AS $function$
DECLARE
    r record;
BEGIN
    PERFORM howdah.check_key(key);
    FOR r IN EXECUTE query LOOP
        RETURN NEXT format('%s', r);
    END LOOP;
END
$function$;
