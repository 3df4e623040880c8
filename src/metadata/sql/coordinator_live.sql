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
CREATE FOREIGN TABLE IF NOT EXISTS howdah_live.boundary (gid text)
    SERVER howdah_loopback OPTIONS (schema_name 'howdah_live', table_name 'boundary');

-- Asks the router for work on the workers, inside the session's transaction. Only our own SECURITY DEFINER functions may.
CREATE OR REPLACE FUNCTION howdah.call(request jsonb) RETURNS text
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    answer text;
BEGIN
    IF request ->> 'op' IN ('exec', 'run') THEN
        PERFORM howdah.begin_write();
    END IF;
    SELECT c.response INTO STRICT answer FROM howdah_live.call c WHERE c.request = call.request::text;
    RETURN answer;
END
$function$;
REVOKE ALL ON FUNCTION howdah.call(jsonb) FROM PUBLIC;

-- Runs our own statements on one worker.
CREATE OR REPLACE FUNCTION howdah.on_node(groupid int, sql text) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    PERFORM howdah.call(jsonb_build_object('op', 'exec', 'group', groupid, 'sql', sql));
END
$function$;
REVOKE ALL ON FUNCTION howdah.on_node(int, text) FROM PUBLIC;

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

-- Makes a table live: the foreign child that leads to the router. Owned by the table's owner, else his ALTER TABLE fails. A partition
-- leads there itself, a partitioned table by its partitions (partitions.sql).
CREATE OR REPLACE FUNCTION howdah.attach_live(shell regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF howdah.is_leaf(shell) THEN
        PERFORM howdah.close_partition(shell);
        RETURN;
    ELSIF (SELECT relkind = 'p' FROM pg_class WHERE oid = shell) THEN
        RETURN;
    END IF;
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

-- The child, without which DDL may convert the shell.
CREATE OR REPLACE FUNCTION howdah.drop_live(shell oid) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET howdah.our_ddl = 'on'
AS $function$
BEGIN
    IF to_regclass(format('howdah_live.t%s', shell)) IS NOT NULL THEN
        EXECUTE format('DROP FOREIGN TABLE howdah_live.t%s', shell);
    END IF;
END
$function$;
REVOKE ALL ON FUNCTION howdah.drop_live(oid) FROM PUBLIC;

-- Our triggers on a table, by the functions that they call.
CREATE OR REPLACE FUNCTION howdah.drop_guards(relation regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    guard name;
BEGIN
    FOR guard IN SELECT tgname FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
        WHERE t.tgrelid = relation AND NOT t.tgisinternal AND p.pronamespace = 'howdah'::regnamespace LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', guard, howdah.qualified(relation));
    END LOOP;
END
$function$;
REVOKE ALL ON FUNCTION howdah.drop_guards(regclass) FROM PUBLIC;

CREATE OR REPLACE FUNCTION howdah.detach_live(shell regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    PERFORM howdah.drop_guards(shell);
    PERFORM howdah.drop_live(shell);
END
$function$;
REVOKE ALL ON FUNCTION howdah.detach_live(regclass) FROM PUBLIC;

-- Announces a write to the router. Cursors of statements that began before it must not see it: the loopback knows them by the
-- number of this function's own cursor. Where the coordinator may commit by itself (CALL and DO), the router answers with the
-- gid under which the workers will prepare, and the commit record is written here, to commit with whatever is being done.
CREATE OR REPLACE FUNCTION howdah.begin_write() RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    transaction_gid text;
BEGIN
    SELECT b.gid INTO transaction_gid FROM howdah_live.boundary b;
    IF transaction_gid IS NOT NULL THEN
        INSERT INTO howdah.pg_dist_transaction (groupid, gid) VALUES (0, transaction_gid) ON CONFLICT DO NOTHING;
    END IF;
END
$function$;
REVOKE ALL ON FUNCTION howdah.begin_write() FROM PUBLIC;

-- Before a statement inside PostgreSQL writes to a distributed table. The write itself reaches the shards by the shell's child.
CREATE OR REPLACE FUNCTION howdah.before_write() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    -- PostgreSQL asks policies which rows a statement may touch here as well, but not what a row of a foreign table may become.
    IF TG_OP IN ('INSERT', 'UPDATE') AND (SELECT relrowsecurity FROM pg_class WHERE oid = TG_RELID) THEN
        RAISE feature_not_supported USING MESSAGE = format('cannot %s table "%s" here, which has row-level security',
                CASE TG_OP WHEN 'UPDATE' THEN 'update' ELSE 'insert into' END, TG_TABLE_NAME),
            HINT = format('Send the %s on its own, where its policies can be evaluated by workers%s.', TG_OP,
                CASE TG_OP WHEN 'UPDATE' THEN ', or delete and insert the rows' END);
    END IF;
    PERFORM howdah.begin_write();
    RETURN NULL;
END
$function$;

-- Whether it is howdah.insert_live that deletes. The setting alone would not do: users can set it.
CREATE OR REPLACE FUNCTION howdah.is_forwarding() RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT current_setting('howdah.forwarding', true) IS NOT DISTINCT FROM 'on'
        AND EXISTS (SELECT FROM pg_roles WHERE rolname = current_user AND rolsuper)
$function$;

-- Rows that a statement inside PostgreSQL has inserted into a shell go on to the shards. A row goes through the shell because
-- there PostgreSQL gives it its defaults and numbers, checks it, and returns it to the statement.
--
-- Taken from the shell, not from a transition table: a trigger of the user's may have changed a row since it was inserted. What one that
-- fires in between inserts there itself goes along.
--
-- Nothing of the user's runs here with superuser rights: values become text by their types' output functions only (format), and are
-- not inserted into the child, whose generated columns would be computed once more; triggers do not fire (session_replication_role).
CREATE OR REPLACE FUNCTION howdah.insert_live() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET howdah.forwarding = 'on' SET session_replication_role = replica
    SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET extra_float_digits = 3
AS $function$
DECLARE
    columns text[];
    fields text;
    filled boolean;
    chunk record;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM ONLY %s)', TG_RELID::regclass) INTO filled;
    IF NOT filled THEN
        RETURN NULL;
    END IF;
    PERFORM howdah.begin_write();
    SELECT array_agg(c), string_agg(format('CASE WHEN n.%1$I IS DISTINCT FROM NULL THEN format(''%%s'', n.%1$I) END', c), ', ') INTO columns, fields
        FROM unnest(howdah.reference_columns(TG_RELID)) c;
    FOR chunk IN EXECUTE format('WITH gone AS (DELETE FROM ONLY %s RETURNING %s)
        SELECT jsonb_agg(to_jsonb(ARRAY[%s]::text[]) ORDER BY n.howdah_number) AS rows
        FROM (SELECT *, row_number() OVER () AS howdah_number FROM gone) n
        GROUP BY (n.howdah_number - 1) / 500 ORDER BY (n.howdah_number - 1) / 500', TG_RELID::regclass, howdah.given_columns(TG_RELID), fields)
    LOOP
        PERFORM howdah.call(jsonb_build_object('op', 'insert', 'table', TG_RELID::bigint, 'columns', columns, 'rows', chunk.rows));
    END LOOP;
    RETURN NULL;
END
$function$;

-- What the rows of an INSERT reach by themselves is not sent on: partitions.
CREATE OR REPLACE FUNCTION howdah.guard_live(shell regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    kind constant "char" := (SELECT relkind FROM pg_class WHERE oid = shell);
    guard record;
BEGIN
    IF kind = 'f' THEN
        -- Not every version takes TRUNCATE triggers of foreign tables.
        PERFORM howdah.open_partition(shell);
    END IF;
    IF kind = 'p' OR howdah.is_leaf(shell) THEN
        EXECUTE format('CREATE OR REPLACE TRIGGER howdah_write BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON %s
            FOR EACH STATEMENT EXECUTE FUNCTION howdah.before_write()', shell);
    ELSE
        EXECUTE format('CREATE OR REPLACE TRIGGER howdah_write BEFORE UPDATE OR DELETE OR TRUNCATE ON %s
            FOR EACH STATEMENT WHEN (NOT howdah.is_forwarding()) EXECUTE FUNCTION howdah.before_write()', shell);
        EXECUTE format('CREATE OR REPLACE TRIGGER howdah_insert AFTER INSERT ON %s
            FOR EACH STATEMENT EXECUTE FUNCTION howdah.insert_live()', shell);
    END IF;
    FOR guard IN SELECT tgname FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
        WHERE t.tgrelid = shell AND NOT t.tgisinternal AND p.pronamespace = 'howdah'::regnamespace LOOP
        EXECUTE format('ALTER TABLE ONLY %s ENABLE ALWAYS TRIGGER %I', shell, guard.tgname);
    END LOOP;
    IF kind = 'f' THEN
        PERFORM howdah.close_partition(shell);
    END IF;
END
$function$;
REVOKE ALL ON FUNCTION howdah.guard_live(regclass) FROM PUBLIC;
