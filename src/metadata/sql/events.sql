-- DDL that PostgreSQL runs: what it means for the catalog, and what must not reach a shell behind the router's back.
--
-- The router sets howdah.announced_ddl for the statement that it also carries out on the shards. It is no secret: who sets
-- it by hand can only make his own table differ from its shards.

-- The distributed or reference table that an object of a DDL command is, or is part of; null for any other.
CREATE OR REPLACE FUNCTION howdah.table_of_object(class oid, object oid) RETURNS regclass
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT p.logicalrelid FROM howdah.pg_dist_partition p
    WHERE p.logicalrelid = CASE class
        WHEN 'pg_class'::regclass THEN coalesce((SELECT indrelid FROM pg_index WHERE indexrelid = object), object)
        WHEN 'pg_trigger'::regclass THEN (SELECT tgrelid FROM pg_trigger WHERE oid = object)
        WHEN 'pg_policy'::regclass THEN (SELECT polrelid FROM pg_policy WHERE oid = object)
        WHEN 'pg_rewrite'::regclass THEN (SELECT ev_class FROM pg_rewrite WHERE oid = object)
        WHEN 'pg_constraint'::regclass THEN (SELECT conrelid FROM pg_constraint WHERE oid = object)
        WHEN 'pg_statistic_ext'::regclass THEN (SELECT stxrelid FROM pg_statistic_ext WHERE oid = object) END
$$;

-- Whether what a DDL command made is part of what the router plans with: types, functions and what they are known by, and
-- the views, rules, triggers and policies that let a statement run user code.
CREATE OR REPLACE FUNCTION howdah.is_planned_with(command_tag text) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT command_tag <> 'REFRESH MATERIALIZED VIEW' AND command_tag ~ '(FUNCTION|PROCEDURE|ROUTINE|AGGREGATE|OPERATOR|TYPE|DOMAIN|CAST|COLLATION|SCHEMA|EXTENSION|VIEW|RULE|TRIGGER|POLICY)'
$$;

CREATE OR REPLACE FUNCTION howdah.on_ddl_command_end() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    announced constant boolean := current_setting('howdah.announced_ddl', true) = 'on';
    changed boolean := false;
    command record;
    touched regclass;
BEGIN
    FOR command IN SELECT classid, objid, command_tag, object_type, schema_name FROM pg_event_trigger_ddl_commands() LOOP
        touched := howdah.table_of_object(command.classid, command.objid);
        changed := changed OR touched IS NOT NULL OR (howdah.is_planned_with(command.command_tag) AND command.schema_name IS DISTINCT FROM 'pg_temp');
        CONTINUE WHEN announced OR command.command_tag = 'COMMENT';
        IF touched IS NOT NULL THEN
            RAISE feature_not_supported USING MESSAGE = format('cannot run %s on table "%s" here', command.command_tag,
                (SELECT relname FROM pg_class WHERE oid = touched)),
                DETAIL = 'The shards would not be changed with it.',
                HINT = 'Send the statement on its own, outside of functions and DO blocks.';
        END IF;
        IF command.classid = 'pg_class'::regclass THEN
            PERFORM howdah.check_relation(command.objid);
        END IF;
    END LOOP;
    IF changed THEN
        PERFORM howdah.catalog_changed();
    END IF;
END $$;

-- A table that is not distributed itself must not inherit from a shell.
CREATE OR REPLACE FUNCTION howdah.check_relation(relation oid) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    parent name;
BEGIN
    SELECT c.relname INTO parent FROM pg_inherits i JOIN howdah.pg_dist_partition p ON p.logicalrelid = i.inhparent
        JOIN pg_class c ON c.oid = i.inhparent WHERE i.inhrelid = relation;
    IF FOUND THEN
        RAISE feature_not_supported USING MESSAGE = format('cannot inherit from distributed table "%s"', parent),
            HINT = 'Create the table with LIKE instead, and distribute it.';
    END IF;
END $$;

-- Tables go with their shards, whatever dropped them: DROP TABLE, DROP SCHEMA … CASCADE, DROP OWNED.
CREATE OR REPLACE FUNCTION howdah.on_sql_drop() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    dropped record;
    changed boolean := false;
BEGIN
    FOR dropped IN SELECT classid, objid, objsubid, object_type, original, schema_name, object_name, is_temporary FROM pg_event_trigger_dropped_objects() LOOP
        IF dropped.classid = 'pg_class'::regclass AND dropped.objsubid = 0 AND EXISTS (
                SELECT FROM howdah.pg_dist_partition WHERE logicalrelid = dropped.objid) THEN
            PERFORM howdah.drop_shards(dropped.objid, dropped.schema_name, dropped.object_name);
        END IF;
        changed := changed OR (howdah.is_planned_with(upper(dropped.object_type)) AND dropped.object_type NOT IN ('type', 'trigger')
            OR dropped.object_type IN ('type', 'trigger') AND dropped.original) AND NOT dropped.is_temporary;
        IF dropped.classid = 'pg_proc'::regclass THEN
            DELETE FROM howdah.distributed_function WHERE function = dropped.objid;
        END IF;
    END LOOP;
    IF changed THEN
        PERFORM howdah.catalog_changed();
    END IF;
END $$;

-- Drops the shards of a table that is gone, and forgets it. CASCADE reaches the foreign keys of other shards, which went with
-- the table's own on the coordinator.
CREATE OR REPLACE FUNCTION howdah.drop_shards(relation oid, schema_name text, table_name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    node record;
    colocation int;
BEGIN
    FOR node IN
        SELECT p.groupid, string_agg(format('%I.%I', schema_name, howdah.shard_name(table_name, s.shardid)), ', ' ORDER BY s.shardid) AS shards
        FROM howdah.pg_dist_shard s JOIN howdah.pg_dist_placement p USING (shardid)
        WHERE s.logicalrelid = relation AND p.groupid <> 0 GROUP BY p.groupid ORDER BY p.groupid
    LOOP
        PERFORM howdah.call(jsonb_build_object('op', 'exec', 'group', node.groupid, 'sql', format('DROP TABLE IF EXISTS %s CASCADE', node.shards)));
    END LOOP;
    DELETE FROM howdah.pg_dist_partition WHERE logicalrelid = relation RETURNING colocationid INTO colocation;
    DELETE FROM howdah.pg_dist_colocation c WHERE colocationid = colocation AND distributioncolumntype IS NOT NULL
        AND NOT EXISTS (SELECT FROM howdah.pg_dist_partition p WHERE p.colocationid = c.colocationid);
END $$;
REVOKE ALL ON FUNCTION howdah.drop_shards(oid, text, text) FROM PUBLIC;

-- Called by the router before a DROP TABLE: the children would stand in its way. A transaction that does not drop the
-- tables then cannot commit.
CREATE TABLE IF NOT EXISTS howdah.dropping (relation oid NOT NULL);

CREATE OR REPLACE FUNCTION howdah.check_dropped() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_class WHERE oid = NEW.relation) THEN
        RAISE object_in_use USING MESSAGE = format('table "%s" was to be dropped, but still exists', (SELECT relname FROM pg_class WHERE oid = NEW.relation));
    END IF;
    DELETE FROM howdah.dropping WHERE relation = NEW.relation;
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION howdah.check_dropped() FROM PUBLIC;

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgname = 'check_dropped') THEN
        CREATE CONSTRAINT TRIGGER check_dropped AFTER INSERT ON howdah.dropping
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION howdah.check_dropped();
        ALTER TABLE howdah.dropping ENABLE ALWAYS TRIGGER check_dropped;
    END IF;
END $$;

CREATE OR REPLACE FUNCTION howdah.before_drop(relations oid[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET howdah.announced_ddl = 'on' AS $$
DECLARE
    relation oid;
BEGIN
    FOREACH relation IN ARRAY relations LOOP
        PERFORM howdah.check_owner(relation);
        IF EXISTS (SELECT FROM howdah.pg_dist_partition WHERE logicalrelid = relation AND partmethod = 'h') THEN
            EXECUTE format('LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE', howdah.qualified(relation));
            EXECUTE format('DROP FOREIGN TABLE IF EXISTS howdah_live.t%s', relation);
            INSERT INTO howdah.dropping VALUES (relation);
        END IF;
    END LOOP;
END $$;

-- Called by the router after a DDL statement on these tables that it has carried out: what the coordinator must hold besides.
CREATE OR REPLACE FUNCTION howdah.after_ddl(relations oid[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET howdah.announced_ddl = 'on' AS $$
DECLARE
    relation oid;
BEGIN
    FOREACH relation IN ARRAY relations LOOP
        CONTINUE WHEN NOT EXISTS (SELECT FROM howdah.pg_dist_partition WHERE logicalrelid = relation);
        PERFORM howdah.check_unique(relation, partcolumn) FROM howdah.pg_dist_partition WHERE logicalrelid = relation AND partmethod = 'h';
        PERFORM howdah.check_foreign_keys(relation);
        PERFORM howdah.disable_foreign_keys(relation);
    END LOOP;
    PERFORM howdah.catalog_changed();
END $$;

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_event_trigger WHERE evtname = 'howdah_ddl_command_end') THEN
        CREATE EVENT TRIGGER howdah_ddl_command_end ON ddl_command_end EXECUTE FUNCTION howdah.on_ddl_command_end();
        ALTER EVENT TRIGGER howdah_ddl_command_end ENABLE ALWAYS;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_event_trigger WHERE evtname = 'howdah_sql_drop') THEN
        CREATE EVENT TRIGGER howdah_sql_drop ON sql_drop EXECUTE FUNCTION howdah.on_sql_drop();
        ALTER EVENT TRIGGER howdah_sql_drop ENABLE ALWAYS;
    END IF;
END $$;
