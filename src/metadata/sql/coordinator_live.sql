-- What the coordinator needs for live tables: the way back to the router, and the triggers on shells and reference tables.
--
-- Invariants: nobody but superusers has USAGE on howdah_live, so that nobody can redirect, read past the shell's rights or
-- write to a child; the child of table number N is howdah_live.tN and names its table by that number, never by name.

CREATE EXTENSION IF NOT EXISTS postgres_fdw;
CREATE SCHEMA IF NOT EXISTS howdah;
CREATE SCHEMA IF NOT EXISTS howdah_live;
REVOKE ALL ON SCHEMA howdah_live FROM PUBLIC;

-- One connection per backend, through the socket that the instance serves (it knows the backend by SO_PEERCRED).
-- async_capable stays off: there is one connection, so nothing to gain. fetch_size bounds the rows in the backend's memory.
DO $block$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_foreign_server WHERE srvname = 'howdah_loopback') THEN
        CREATE SERVER howdah_loopback FOREIGN DATA WRAPPER postgres_fdw
            OPTIONS (host {{socket_dir}}, port '5432', dbname 'howdah', fetch_size '1000', batch_size '500');
        CREATE USER MAPPING FOR PUBLIC SERVER howdah_loopback OPTIONS (user 'postgres', password_required 'false');
    ELSE
        ALTER SERVER howdah_loopback OPTIONS (SET host {{socket_dir}});
    END IF;
END
$block$;

CREATE FOREIGN TABLE IF NOT EXISTS howdah_live.call (request text, response text)
    SERVER howdah_loopback OPTIONS (schema_name 'howdah_live', table_name 'call');
CREATE FOREIGN TABLE IF NOT EXISTS howdah_live.probe (gid text)
    SERVER howdah_loopback OPTIONS (schema_name 'howdah_live', table_name 'probe');

-- Asks the router for work on the workers, inside the session's transaction. Only our own SECURITY DEFINER functions may.
CREATE OR REPLACE FUNCTION howdah.call(request jsonb) RETURNS text
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    answer text;
BEGIN
    SELECT c.response INTO STRICT answer FROM howdah_live.call c WHERE c.request = call.request::text;
    RETURN answer;
END
$function$;
REVOKE ALL ON FUNCTION howdah.call(jsonb) FROM PUBLIC;

-- A new boundary of snapshots: cursors opened by statements before it keep what they saw (the loopback notes the number of
-- the probe's own cursor). Harmless for anybody to call; the router does, before a statement that follows an open cursor.
CREATE OR REPLACE FUNCTION howdah.probe() RETURNS text
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    answer text;
BEGIN
    SELECT p.gid INTO answer FROM howdah_live.probe p;
    RETURN answer;
END
$function$;

-- Makes a table live: the foreign child that leads to the router. Owned by the table's owner, else his ALTER TABLE fails.
CREATE OR REPLACE FUNCTION howdah.attach_live(shell regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    EXECUTE format('CREATE FOREIGN TABLE howdah_live.t%1$s () INHERITS (%2$s) SERVER howdah_loopback
        OPTIONS (schema_name ''howdah_live'', table_name ''t%1$s'')', shell::oid, shell);
    EXECUTE format('ALTER FOREIGN TABLE howdah_live.t%s OWNER TO %s', shell::oid,
        (SELECT c.relowner::regrole FROM pg_class c WHERE c.oid = shell));
    -- The child goes with its shell, as a partition does: DROP TABLE needs no CASCADE and no help.
    UPDATE pg_depend SET deptype = 'a'
        WHERE classid = 'pg_class'::regclass AND objid = to_regclass(format('howdah_live.t%s', shell::oid))
          AND refclassid = 'pg_class'::regclass AND refobjid = shell AND refobjsubid = 0 AND deptype = 'n';
END
$function$;
REVOKE ALL ON FUNCTION howdah.attach_live(regclass) FROM PUBLIC;

CREATE OR REPLACE FUNCTION howdah.detach_live(shell regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    guard name;
BEGIN
    FOR guard IN SELECT tgname FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
        WHERE t.tgrelid = shell AND NOT t.tgisinternal AND p.pronamespace = 'howdah'::regnamespace LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', guard, shell);
    END LOOP;
    EXECUTE format('DROP FOREIGN TABLE howdah_live.t%s', shell::oid);
END
$function$;
REVOKE ALL ON FUNCTION howdah.detach_live(regclass) FROM PUBLIC;

-- A write that PostgreSQL itself runs on a shell would go to the shell. Refuse it. TRUNCATE reaches the child, and by it the shards.
CREATE OR REPLACE FUNCTION howdah.guard() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RAISE EXCEPTION 'cannot % distributed table "%" here',
        CASE TG_OP WHEN 'INSERT' THEN 'insert into' WHEN 'DELETE' THEN 'delete from' ELSE lower(TG_OP) END, TG_TABLE_NAME
        USING ERRCODE = 'feature_not_supported',
            DETAIL = 'Writes to distributed tables inside functions, and writes that cannot be sent to the shards, are not supported yet.',
            HINT = 'Send the statement on its own, as a top-level INSERT, UPDATE or DELETE without subqueries on other tables.';
END
$function$;

CREATE OR REPLACE FUNCTION howdah.guard_live(shell regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    EXECUTE format('CREATE TRIGGER howdah_guard BEFORE INSERT OR UPDATE OR DELETE ON %s
        FOR EACH STATEMENT EXECUTE FUNCTION howdah.guard()', shell);
    EXECUTE format('ALTER TABLE ONLY %s ENABLE ALWAYS TRIGGER howdah_guard', shell);
END
$function$;
REVOKE ALL ON FUNCTION howdah.guard_live(regclass) FROM PUBLIC;
