-- DDL that PostgreSQL runs: what it means for the catalog, and for the shards of the tables that it touches. The event
-- triggers fire wherever the statement stands, also inside functions and DO blocks.

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

-- Whether our own functions run this DDL. The setting alone would not do: users can set it.
CREATE OR REPLACE FUNCTION howdah.is_our_ddl() RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT current_setting('howdah.our_ddl', true) = 'on' AND rolsuper FROM pg_roles WHERE rolname = current_user
$$;

-- Not SECURITY DEFINER, to see whose DDL it is; what it calls is.
CREATE OR REPLACE FUNCTION howdah.on_ddl() RETURNS event_trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF coalesce(howdah.is_our_ddl(), false) THEN
        RETURN;
    END IF;
    CASE TG_EVENT
        WHEN 'ddl_command_end' THEN PERFORM howdah.ddl_command_end();
        WHEN 'sql_drop' THEN PERFORM howdah.sql_drop();
    END CASE;
END $$;

-- Does nothing outside of the event: PostgreSQL refuses the function that lists the commands.
CREATE OR REPLACE FUNCTION howdah.ddl_command_end() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed boolean := false;
    touched regclass[] := '{}';
    command record;
    relation regclass;
BEGIN
    FOR command IN SELECT classid, objid, command_tag, object_type, schema_name FROM pg_event_trigger_ddl_commands() LOOP
        relation := howdah.table_of_object(command.classid, command.objid);
        IF relation IS NOT NULL AND command.object_type = 'index' AND command.command_tag = 'CREATE INDEX' AND howdah.builds_concurrently() THEN
            PERFORM howdah.begin_index_build(command.objid, relation);
        END IF;
        changed := changed OR relation IS NOT NULL OR (howdah.is_planned_with(command.command_tag) AND command.schema_name IS DISTINCT FROM 'pg_temp');
        IF command.classid = 'pg_class'::regclass THEN
            PERFORM howdah.check_view(command.objid);
            -- A name that may hide a distributed table's, or may have done so.
            changed := changed OR EXISTS (SELECT FROM pg_class mine JOIN pg_class its USING (relname)
                JOIN howdah.pg_dist_partition p ON p.logicalrelid = its.oid WHERE mine.oid = command.objid);
        ELSIF command.classid = 'pg_proc'::regclass THEN
            PERFORM howdah.note_function(command.objid);
            PERFORM howdah.check_function(command.objid);
            PERFORM howdah.check_triggers(t.tgrelid) FROM pg_trigger t JOIN howdah.pg_dist_partition p ON p.logicalrelid = t.tgrelid
                WHERE t.tgfoid = command.objid AND NOT t.tgisinternal AND p.partmethod = 'h';
        END IF;
        IF command.command_tag IN ('GRANT', 'REVOKE') AND command.object_type = 'TABLE' THEN
            touched := touched || array(SELECT howdah.tables_with_new_rights());
        ELSIF command.command_tag = 'ALTER SCHEMA' THEN
            touched := touched || array(SELECT logicalrelid FROM howdah.shard_shape s WHERE s.shape ->> 'schema' = command.objid::text);
        ELSIF relation IS NOT NULL AND command.command_tag <> 'COMMENT' THEN
            touched := touched || relation;
        ELSIF command.classid = 'pg_class'::regclass AND howdah.distributed_parent(command.objid) IS NOT NULL THEN
            touched := touched || howdah.distributed_parent(command.objid)::regclass;
        ELSIF command.classid = 'pg_class'::regclass THEN
            PERFORM howdah.check_relation(command.objid);
        END IF;
        IF command.command_tag = 'ALTER TABLE' AND relation IS NOT NULL THEN
            -- What is no longer a partition of it.
            touched := touched || array(SELECT logicalrelid FROM howdah.shard_shape JOIN pg_class c ON c.oid = logicalrelid
                WHERE shape #>> '{partition,parent}' = relation::oid::text AND NOT c.relispartition);
        END IF;
    END LOOP;
    -- A partition changes with the whole.
    PERFORM howdah.alter_shards(t) FROM (SELECT DISTINCT t, (SELECT count(*) FROM pg_partition_ancestors(t)) AS level FROM unnest(touched) t ORDER BY level, t) touched_tables;
    PERFORM howdah.close_partitions();
    IF changed OR touched <> '{}' THEN
        PERFORM howdah.catalog_changed();
    END IF;
END $$;

-- Functions that the workers have been given as well, as the router says, and that mean the same there.
CREATE OR REPLACE FUNCTION howdah.note_function(function oid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF current_setting('howdah.on_all_nodes', true) = 'on' AND (SELECT provolatile = 'i' FROM pg_proc WHERE oid = function) THEN
        INSERT INTO howdah.distributed_function VALUES (function) ON CONFLICT DO NOTHING;
    ELSE
        DELETE FROM howdah.distributed_function d WHERE d.function = note_function.function;
    END IF;
END $$;
REVOKE ALL ON FUNCTION howdah.note_function(oid) FROM PUBLIC;

-- GRANT and REVOKE do not tell what they changed.
CREATE OR REPLACE FUNCTION howdah.tables_with_new_rights() RETURNS SETOF regclass
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT s.logicalrelid FROM howdah.shard_shape s JOIN pg_class c ON c.oid = s.logicalrelid
    WHERE c.relacl::text IS DISTINCT FROM s.shape ->> 'acl'
       OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            AND a.attacl::text IS DISTINCT FROM s.shape #>> ARRAY['columns', a.attnum::text, 'acl'])
$$;

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
CREATE OR REPLACE FUNCTION howdah.sql_drop() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    dropped record;
    changed boolean := false;
    touched regclass[] := '{}';
BEGIN
    FOR dropped IN SELECT * FROM pg_event_trigger_dropped_objects() LOOP
        IF dropped.classid = 'pg_class'::regclass AND dropped.objsubid = 0 AND EXISTS (
                SELECT FROM howdah.pg_dist_partition WHERE logicalrelid = dropped.objid) THEN
            PERFORM howdah.drop_shards(dropped.objid, dropped.schema_name, dropped.object_name);
            DELETE FROM pg_foreign_table WHERE ftrelid = dropped.objid;
        ELSIF dropped.object_type IN ('table column', 'table constraint', 'default value', 'trigger', 'rule', 'policy') THEN
            touched := touched || to_regclass(format('%I.%I', dropped.address_names[1], dropped.address_names[2]));
        ELSIF dropped.object_type = 'index' AND EXISTS (SELECT FROM howdah.index_build WHERE indexrelid = dropped.objid) THEN
            PERFORM howdah.drop_index_build(dropped.objid, dropped.schema_name, dropped.object_name);
        ELSIF dropped.object_type = 'index' THEN
            -- By name: REINDEX CONCURRENTLY has given it another number.
            touched := touched || array(SELECT logicalrelid FROM howdah.shard_shape WHERE shape ->> 'schema_name' = dropped.schema_name
                AND EXISTS (SELECT FROM jsonb_each(shape -> 'indexes') WHERE value ->> 'name' = dropped.object_name));
        ELSIF dropped.object_type IN ('table', 'view', 'materialized view', 'foreign table', 'sequence') THEN
            changed := changed OR EXISTS (SELECT FROM pg_class c JOIN howdah.pg_dist_partition p ON p.logicalrelid = c.oid
                WHERE c.relname = dropped.object_name);
        ELSIF dropped.object_type IN ('function', 'procedure', 'aggregate') THEN
            DELETE FROM howdah.distributed_function WHERE function = dropped.objid;
        END IF;
        changed := changed OR NOT dropped.is_temporary AND howdah.is_planned_with(upper(dropped.object_type))
            AND (dropped.original OR dropped.object_type NOT IN ('type', 'trigger'));
    END LOOP;
    PERFORM howdah.alter_shards(logicalrelid) FROM (
        SELECT logicalrelid FROM howdah.shard_shape WHERE logicalrelid = ANY (touched)
        ORDER BY (SELECT count(*) FROM pg_partition_ancestors(logicalrelid)), logicalrelid) touched_tables;
    IF changed OR EXISTS (SELECT FROM howdah.shard_shape WHERE logicalrelid = ANY (touched)) THEN
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
        PERFORM howdah.on_node(node.groupid, format('DROP TABLE IF EXISTS %s CASCADE', node.shards));
    END LOOP;
    DELETE FROM howdah.pg_dist_partition WHERE logicalrelid = relation RETURNING colocationid INTO colocation;
    PERFORM howdah.drop_empty_colocation(colocation);
END $$;
REVOKE ALL ON FUNCTION howdah.drop_shards(oid, text, text) FROM PUBLIC;

CREATE OR REPLACE FUNCTION howdah.drop_empty_colocation(colocation int) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    DELETE FROM howdah.pg_dist_colocation c WHERE colocationid = colocation AND distributioncolumntype IS NOT NULL
        AND NOT EXISTS (SELECT FROM howdah.pg_dist_partition p WHERE p.colocationid = c.colocationid)
$$;
REVOKE ALL ON FUNCTION howdah.drop_empty_colocation(int) FROM PUBLIC;

DO $$
DECLARE
    event text;
BEGIN
    FOREACH event IN ARRAY ARRAY['ddl_command_end', 'sql_drop'] LOOP
        EXECUTE format('CREATE EVENT TRIGGER howdah_%1$s ON %1$s EXECUTE FUNCTION howdah.on_ddl()', event);
        EXECUTE format('ALTER EVENT TRIGGER howdah_%s ENABLE ALWAYS', event);
    END LOOP;
    CREATE EVENT TRIGGER howdah_ddl_command_start ON ddl_command_start
        WHEN TAG IN ('ALTER TABLE', 'CREATE TABLE', 'CREATE INDEX', 'DROP TABLE', 'CREATE POLICY', 'ALTER POLICY', 'DROP POLICY', 'CREATE TRIGGER', 'DROP TRIGGER', 'COMMENT')
        EXECUTE FUNCTION howdah.on_ddl_start();
    ALTER EVENT TRIGGER howdah_ddl_command_start ENABLE ALWAYS;
END $$;
