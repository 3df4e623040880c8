-- DDL on a distributed or reference table: PostgreSQL has run it on the coordinator's table, whatever the statement and
-- wherever it stood; what the shards then lack is found by comparing the table with the shape that its shards
-- have, and is sent to them in the same transaction.
--
-- Invariant: howdah.shard_shape describes the shards as this transaction leaves them.

CREATE TABLE IF NOT EXISTS howdah.shard_shape (
    logicalrelid regclass PRIMARY KEY REFERENCES howdah.pg_dist_partition ON DELETE CASCADE,
    shape jsonb NOT NULL
);

-- What of a table its shards have too.
CREATE OR REPLACE FUNCTION howdah.shape_of(relation oid) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object(
        'schema', c.relnamespace::bigint, 'schema_name', n.nspname, 'name', c.relname, 'owner', c.relowner::bigint, 'persistence', c.relpersistence,
        'options', coalesce(to_jsonb(c.reloptions), '[]'), 'acl', c.relacl::text,
        'row_security', howdah.row_security(relation), 'policies', howdah.shard_policies(relation), 'partition', howdah.partition_of(relation),
        'columns', (SELECT coalesce(jsonb_object_agg(a.attnum, jsonb_build_object('name', a.attname,
                'type', a.atttypid::bigint, 'typmod', a.atttypmod, 'collation', a.attcollation::bigint, 'not_null', a.attnotnull, 'generated', a.attgenerated,
                'default', CASE WHEN a.attgenerated <> '' OR howdah.expression_class(d.adbin::text) = 'immutable' THEN pg_get_expr(d.adbin, d.adrelid) END,
                'acl', a.attacl::text)), '{}')
            FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
            WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped),
        'constraints', (SELECT coalesce(jsonb_object_agg(oid::text, jsonb_build_object('name', conname, 'type', contype, 'validated', convalidated,
                'deferrable', condeferrable, 'deferred', condeferred, 'origin', howdah.check_origin(con)::bigint)), '{}')
            FROM pg_constraint con WHERE conrelid = relation AND contype IN ('p', 'u', 'x', 'c', 'f') AND NOT howdah.is_clone(con)),
        'indexes', (SELECT coalesce(jsonb_object_agg(i.indexrelid::text, jsonb_build_object('name', x.relname)), '{}')
            FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
            WHERE i.indrelid = relation AND i.indisvalid
              AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.indexrelid AND contype IN ('p', 'u', 'x'))))
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = relation
$$;

CREATE OR REPLACE FUNCTION howdah.keep_shape(relation oid) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO howdah.shard_shape VALUES (relation, howdah.shape_of(relation))
    ON CONFLICT (logicalrelid) DO UPDATE SET shape = excluded.shape
$$;
REVOKE ALL ON FUNCTION howdah.keep_shape(oid) FROM PUBLIC;

-- What a distributed or reference table must not become.
CREATE OR REPLACE FUNCTION howdah.check_shape(relation oid, old jsonb, new jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    part howdah.pg_dist_partition;
    in_tree constant boolean := (SELECT relispartition OR relkind = 'p' FROM pg_class WHERE oid = relation);
    what text;
BEGIN
    SELECT * INTO STRICT part FROM howdah.pg_dist_partition WHERE logicalrelid = relation;
    PERFORM howdah.check_partition(relation);
    what := CASE
        WHEN part.partmethod = 'h' AND (new #> ARRAY['columns', part.partcolumn::text, 'type']) IS DISTINCT FROM (old #> ARRAY['columns', part.partcolumn::text, 'type'])
          OR part.partmethod = 'h' AND (new #> ARRAY['columns', part.partcolumn::text, 'collation']) IS DISTINCT FROM (old #> ARRAY['columns', part.partcolumn::text, 'collation'])
            THEN 'Changing or dropping the distribution column'
        WHEN EXISTS (SELECT FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
                WHERE t.tgrelid = relation AND NOT t.tgisinternal AND p.pronamespace = 'howdah'::regnamespace AND t.tgenabled <> 'A')
          OR (SELECT count(*) FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
                WHERE t.tgrelid = relation AND NOT t.tgisinternal AND p.pronamespace = 'howdah'::regnamespace)
            <> CASE WHEN part.partmethod <> 'h' THEN 4 WHEN in_tree THEN 1 ELSE 2 END
            THEN 'Disabling or dropping the triggers that keep it in step with its shards'
        WHEN EXISTS (SELECT FROM pg_rewrite WHERE ev_class = relation) THEN 'A rule'
        WHEN (SELECT reloftype <> 0 FROM pg_class WHERE oid = relation) THEN 'A row type of its own'
        WHEN NOT in_tree AND (EXISTS (SELECT FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                WHERE i.inhrelid = relation OR i.inhparent = relation AND c.relnamespace <> 'howdah_live'::regnamespace)
          OR part.partmethod = 'h' AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhparent = relation)) THEN 'Inheritance' END;
    IF what IS NOT NULL THEN
        RAISE feature_not_supported USING
            MESSAGE = format('cannot alter %s table "%s" this way', CASE part.partmethod WHEN 'h' THEN 'distributed' ELSE 'reference' END, new ->> 'name'),
            DETAIL = format('%s is not supported for it yet.', what);
    END IF;
    IF part.partmethod = 'h' THEN
        PERFORM howdah.check_triggers(relation);
        PERFORM howdah.check_unique(relation, part.partcolumn);
    END IF;
    PERFORM howdah.check_foreign_keys(relation);
END $$;

-- Whether any row is stored in the table. Asked only where a column's new values could not be the same on every node.
CREATE OR REPLACE FUNCTION howdah.has_rows(relation oid, shape jsonb) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    node record;
    found boolean;
BEGIN
    FOR node IN
        SELECT p.groupid, string_agg(format('EXISTS (SELECT FROM %I.%I)', shape ->> 'schema_name', howdah.shard_name(shape ->> 'name', s.shardid)), ' OR ') AS any_row
        FROM howdah.pg_dist_shard s JOIN howdah.pg_dist_placement p USING (shardid)
        WHERE s.logicalrelid = relation AND p.groupid <> 0 GROUP BY p.groupid
    LOOP
        found := (howdah.call(jsonb_build_object('op', 'query', 'group', node.groupid, 'sql', 'SELECT (' || node.any_row || ')::int'))::jsonb #>> '{rows,0,0}')::int = 1;
        IF found THEN
            RETURN true;
        END IF;
    END LOOP;
    RETURN false;
END $$;
REVOKE ALL ON FUNCTION howdah.has_rows(oid, jsonb) FROM PUBLIC;

-- Whether a column's default calls nothing but PostgreSQL's own functions.
CREATE OR REPLACE FUNCTION howdah.is_builtin(relation oid, attnum smallint) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT bool_and(match[1]::bigint < 16384) FROM pg_attrdef, regexp_matches(adbin::text, ':(?:funcid|opfuncid) (\d+)', 'g') match
    WHERE adrelid = relation AND adnum = attnum
$$;

-- A new column with what existing rows get. A default that is not immutable leaves the shards again, by a second command: the
-- router sends its values.
CREATE OR REPLACE FUNCTION howdah.add_column_ddl(relation oid, old jsonb, attnum smallint, OUT command text, OUT later text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    definition constant text := howdah.column_ddl(relation, attnum);
    attribute pg_attribute;
    expression text;
    class text;
    value text;
BEGIN
    SELECT * INTO STRICT attribute FROM pg_attribute a WHERE a.attrelid = relation AND a.attnum = add_column_ddl.attnum;
    IF attribute.attgenerated = '' THEN
        SELECT pg_get_expr(adbin, adrelid), howdah.expression_class(adbin::text) INTO expression, class FROM pg_attrdef
            WHERE adrelid = relation AND adnum = attnum;
    END IF;
    IF attribute.attidentity <> '' THEN
        class := 'sequence';
    END IF;
    command := 'ADD COLUMN ' || definition;
    IF coalesce(class, 'immutable') = 'immutable' THEN
        RETURN;
    ELSIF class = 'volatile' AND howdah.is_builtin(relation, attnum)
        AND EXISTS (SELECT FROM howdah.pg_dist_partition WHERE logicalrelid = relation AND partmethod = 'h') THEN
        -- A value of its own for each row, as gen_random_uuid() gives anywhere.
        command := format('ADD COLUMN %s DEFAULT %s', definition, expression);
        later := format('ALTER COLUMN %I DROP DEFAULT', attribute.attname);
        RETURN;
    ELSIF class <> 'stable' THEN
        IF howdah.has_rows(relation, old) THEN
            RAISE feature_not_supported USING
                MESSAGE = format('cannot add column "%s" with a volatile default to table "%s", which has rows', attribute.attname, old ->> 'name'),
                HINT = 'Add the column without the default, update the rows, and set the default then.';
        END IF;
        RETURN;
    END IF;
    -- One value for all rows, as PostgreSQL computes it once.
    value := howdah.run_as((SELECT relowner FROM pg_class WHERE oid = relation),
        format('BEGIN RETURN (%s)::%s; END', expression, format_type(attribute.atttypid, attribute.atttypmod)));
    IF value IS NOT NULL THEN
        command := format('ADD COLUMN %s DEFAULT %L', definition, value);
        later := format('ALTER COLUMN %I DROP DEFAULT', attribute.attname);
    END IF;
END $$;
REVOKE ALL ON FUNCTION howdah.add_column_ddl(oid, jsonb, smallint) FROM PUBLIC;

-- Changes of columns, as commands of ALTER TABLE that are the same for every shard: each of `renames` and `later` stands alone, `changes`
-- go together, because PostgreSQL then checks only the end of them. Columns of a partition come and go with those of the whole table.
CREATE OR REPLACE FUNCTION howdah.alter_columns_ddl(relation oid, old jsonb, new jsonb, OUT renames text[], OUT changes text[], OUT later text[])
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    num text;
    o jsonb;
    n jsonb;
    conversions constant jsonb := (SELECT t.conversions FROM howdah.type_change t WHERE t.logicalrelid = relation);
    -- RENAME stands alone, and changes how expressions read.
    renamed constant boolean := EXISTS (SELECT FROM jsonb_each(old -> 'columns') o JOIN jsonb_each(new -> 'columns') n USING (key)
        WHERE o.value -> 'name' <> n.value -> 'name');
    inherited constant boolean := coalesce(old ->> 'partition', new ->> 'partition') IS NOT NULL;
BEGIN
    renames := '{}';
    changes := '{}';
    later := '{}';
    FOR num, o, n IN
        SELECT k, old -> 'columns' -> k, new -> 'columns' -> k
        FROM (SELECT jsonb_object_keys(old -> 'columns') UNION SELECT jsonb_object_keys(new -> 'columns')) keys (k)
        ORDER BY old -> 'columns' -> k IS NULL, new -> 'columns' -> k IS NOT NULL, k::int
    LOOP
        IF inherited AND (o IS NULL OR n IS NULL OR (o -> 'name', o -> 'type', o -> 'typmod', o -> 'collation') <> (n -> 'name', n -> 'type', n -> 'typmod', n -> 'collation')) THEN
            CONTINUE;
        ELSIF n IS NULL THEN
            changes := changes || format('DROP COLUMN IF EXISTS %I CASCADE', o ->> 'name');
            CONTINUE;
        ELSIF o IS NULL THEN
            SELECT changes || a.command, CASE WHEN a.later IS NULL THEN alter_columns_ddl.later ELSE alter_columns_ddl.later || a.later END
                INTO changes, later FROM howdah.add_column_ddl(relation, old, num::smallint) a;
            CONTINUE;
        END IF;
        IF o ->> 'name' <> n ->> 'name' THEN
            renames := renames || format('RENAME COLUMN %I TO %I', o ->> 'name', n ->> 'name');
        END IF;
        IF (o -> 'type', o -> 'typmod', o -> 'collation') IS DISTINCT FROM (n -> 'type', n -> 'typmod', n -> 'collation') THEN
            IF conversions IS NULL THEN
                RAISE feature_not_supported USING
                    MESSAGE = format('cannot change the type of column "%s" here', n ->> 'name'),
                    HINT = 'Send the statement on its own, outside of functions and DO blocks.';
            END IF;
            changes := changes || concat_ws(' ', format('ALTER COLUMN %I DROP DEFAULT, ALTER COLUMN %1$I TYPE %s', n ->> 'name',
                    format_type((n ->> 'type')::oid, (n ->> 'typmod')::int)),
                (SELECT format('COLLATE %I.%I', nspname, collname) FROM pg_collation c JOIN pg_namespace s ON s.oid = collnamespace
                 WHERE c.oid = (n ->> 'collation')::oid),
                'USING ' || (conversions ->> (n ->> 'name')));
            o := o || '{"default": null}';
        END IF;
        CONTINUE WHEN renamed;
        IF o -> 'generated' IS DISTINCT FROM n -> 'generated' THEN
            changes := changes || format('ALTER COLUMN %I DROP EXPRESSION', n ->> 'name');
        ELSIF o -> 'default' IS DISTINCT FROM n -> 'default' AND n ->> 'generated' = '' THEN
            changes := changes || format('ALTER COLUMN %I %s', n ->> 'name', coalesce('SET DEFAULT ' || (n ->> 'default'), 'DROP DEFAULT'));
        ELSIF o -> 'default' IS DISTINCT FROM n -> 'default' THEN
            changes := changes || format('ALTER COLUMN %I SET EXPRESSION AS (%s)', n ->> 'name', n ->> 'default');
        END IF;
        IF o -> 'not_null' <> n -> 'not_null' THEN
            changes := changes || format('ALTER COLUMN %I %s NOT NULL', n ->> 'name', CASE WHEN (n -> 'not_null')::boolean THEN 'SET' ELSE 'DROP' END);
        END IF;
    END LOOP;
END $$;
REVOKE ALL ON FUNCTION howdah.alter_columns_ddl(oid, jsonb, jsonb) FROM PUBLIC;

-- Constraints and indexes by what became of them. A change of type makes PostgreSQL build them anew under the same name: those are the same.
CREATE OR REPLACE FUNCTION howdah.compare_objects(old jsonb, new jsonb, OUT dropped jsonb, OUT added text[], OUT kept jsonb)
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH o AS (SELECT key, value FROM jsonb_each(old)), n AS (SELECT key, value FROM jsonb_each(new)),
        same AS (
            SELECT o.key AS old_key, n.key AS new_key, o.value AS was, n.value AS became FROM o JOIN n ON n.key = o.key
            OR n.value ->> 'name' = o.value ->> 'name' AND n.value -> 'type' IS NOT DISTINCT FROM o.value -> 'type')
    SELECT (SELECT coalesce(jsonb_agg(value), '[]') FROM o WHERE key NOT IN (SELECT old_key FROM same)),
        (SELECT coalesce(array_agg(key ORDER BY value ->> 'type' = 'f', key::bigint), '{}') FROM n WHERE key NOT IN (SELECT new_key FROM same)),
        (SELECT coalesce(jsonb_agg(jsonb_build_object('was', was, 'is', became)), '[]') FROM same WHERE was <> became)
$$;

-- What a statement has changed of a table; the texts are those of howdah.alter_columns_ddl.
DO $$
BEGIN
    IF to_regtype('howdah.shape_change') IS NULL THEN
        CREATE TYPE howdah.shape_change AS (old jsonb, new jsonb, renames text[], changes text[], later text[], path text);
    END IF;
END $$;

-- All statements that bring one shard from its old shape to the new one. PostgreSQL changes a partition together with the whole: `take`
-- goes first for the whole table, and finds nothing left to do in its partitions; `give` goes first for the partitions, whose keys and
-- indexes then become parts of those of the whole.
CREATE OR REPLACE FUNCTION howdah.alter_shard_ddl(relation oid, shard bigint, change howdah.shape_change, OUT take text, OUT give text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target constant text := howdah.shard_relation(relation, shard);
    old constant jsonb := change.old;
    new constant jsonb := change.new;
    constraints record;
    indexes record;
    s text[] := '{}';
BEGIN
    IF old -> 'schema' <> new -> 'schema' THEN
        s := s || format('CREATE SCHEMA IF NOT EXISTS %I', new ->> 'schema_name')
            || format('ALTER TABLE %I.%I SET SCHEMA %I', old ->> 'schema_name', howdah.shard_name(old ->> 'name', shard), new ->> 'schema_name');
    END IF;
    IF old -> 'name' <> new -> 'name' THEN
        s := s || format('ALTER TABLE %I.%I RENAME TO %I', new ->> 'schema_name', howdah.shard_name(old ->> 'name', shard), howdah.shard_name(new ->> 'name', shard));
    END IF;
    IF old ->> 'partition' IS NOT NULL AND old -> 'partition' <> new -> 'partition' THEN
        s := s || howdah.partition_ddl(shard, target, old -> 'partition', 'DETACH');
    END IF;
    SELECT * INTO constraints FROM howdah.compare_objects(old -> 'constraints', new -> 'constraints');
    SELECT * INTO indexes FROM howdah.compare_objects(old -> 'indexes', new -> 'indexes');
    s := s
        || array(SELECT format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I CASCADE', target, howdah.shard_constraint(d ->> 'name', (d ->> 'origin')::oid, shard)) FROM jsonb_array_elements(constraints.dropped) d)
        || array(SELECT format('DROP INDEX IF EXISTS %I.%I', new ->> 'schema_name', howdah.shard_name(d ->> 'name', shard)) FROM jsonb_array_elements(indexes.dropped) d
            -- ADD CONSTRAINT … USING INDEX made a constraint of it.
            WHERE NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = relation AND conname = d ->> 'name'))
        || array(SELECT format('ALTER TABLE %s %s', target, r) FROM unnest(change.renames) r)
        || CASE WHEN change.changes <> '{}' THEN ARRAY[howdah.as_owner_ddl(target, format('ALTER TABLE %s %s', target, array_to_string(change.changes, ', ')), change.path)] ELSE '{}' END
        || array(SELECT format('ALTER TABLE %s %s', target, l) FROM unnest(change.later) l)
        || array(SELECT format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I', target, was, became)
            FROM jsonb_array_elements(constraints.kept) k, howdah.shard_constraint(k #>> '{was,name}', (k #>> '{was,origin}')::oid, shard) was,
                howdah.shard_constraint(k #>> '{is,name}', (k #>> '{is,origin}')::oid, shard) became
            WHERE was <> became AND (k #>> '{was,origin}' IS NULL OR k #>> '{is,origin}' IS NULL))
        || array(SELECT format('ALTER TABLE %s ALTER CONSTRAINT %I %s %s', target, howdah.shard_name(k #>> '{is,name}', shard),
                CASE WHEN (k #> '{is,deferrable}')::boolean THEN 'DEFERRABLE' ELSE 'NOT DEFERRABLE' END,
                CASE WHEN (k #> '{is,deferred}')::boolean THEN 'INITIALLY DEFERRED' ELSE 'INITIALLY IMMEDIATE' END)
            FROM jsonb_array_elements(constraints.kept) k
            WHERE (k #> '{was,deferrable}', k #> '{was,deferred}') <> (k #> '{is,deferrable}', k #> '{is,deferred}'))
        || array(SELECT howdah.as_owner_ddl(target, format('ALTER TABLE %s VALIDATE CONSTRAINT %I', target, howdah.shard_constraint(k #>> '{is,name}', (k #>> '{is,origin}')::oid, shard)))
            FROM jsonb_array_elements(constraints.kept) k WHERE (k #> '{is,validated}')::boolean AND NOT (k #> '{was,validated}')::boolean)
        || array(SELECT format('ALTER INDEX %I.%I RENAME TO %I', new ->> 'schema_name', howdah.shard_name(k #>> '{was,name}', shard), howdah.shard_name(k #>> '{is,name}', shard))
            FROM jsonb_array_elements(indexes.kept) k WHERE k #> '{was,name}' <> k #> '{is,name}');
    take := array_to_string(s, E';\n');
    s := array(SELECT howdah.constraint_ddl(a::oid, shard) FROM unnest(constraints.added) WITH ORDINALITY x (a, n)
            WHERE NOT EXISTS (SELECT FROM pg_constraint c WHERE c.oid = a::oid AND c.contype IN ('p', 'u')
                AND old -> 'indexes' ? c.conindid::text)
              AND NOT (old ->> 'partition' IS NOT NULL AND new -> 'constraints' -> a ->> 'origin' IS NOT NULL) ORDER BY n)
        || array(SELECT format('ALTER TABLE %s ADD CONSTRAINT %I %s USING INDEX %I%s', target, howdah.shard_name(c.conname, shard),
                CASE c.contype WHEN 'p' THEN 'PRIMARY KEY' ELSE 'UNIQUE' END,
                howdah.shard_name(old -> 'indexes' -> c.conindid::text ->> 'name', shard),
                CASE WHEN c.condeferred THEN ' DEFERRABLE INITIALLY DEFERRED' WHEN c.condeferrable THEN ' DEFERRABLE' ELSE '' END)
            FROM unnest(constraints.added) a JOIN pg_constraint c ON c.oid = a::oid
            WHERE c.contype IN ('p', 'u') AND old -> 'indexes' ? c.conindid::text)
        || array(SELECT howdah.index_ddl(a::oid, shard) FROM unnest(indexes.added) a);
    IF (old -> 'row_security', old -> 'policies') IS DISTINCT FROM (new -> 'row_security', new -> 'policies') THEN
        s := s || array(SELECT howdah.change_row_security_ddl(target, old, new));
    END IF;
    IF old -> 'options' <> new -> 'options' THEN
        s := s || array(SELECT format('ALTER TABLE %s RESET (%I)', target, split_part(o, '=', 1)) FROM jsonb_array_elements_text(old -> 'options') o)
            || array(SELECT format('ALTER TABLE %s SET (%I = %L)', target, split_part(o, '=', 1), substr(o, strpos(o, '=') + 1)) FROM jsonb_array_elements_text(new -> 'options') o);
    END IF;
    IF old -> 'persistence' <> new -> 'persistence' THEN
        s := s || format('ALTER TABLE %s SET %s', target, CASE new ->> 'persistence' WHEN 'u' THEN 'UNLOGGED' ELSE 'LOGGED' END);
    END IF;
    IF old -> 'owner' <> new -> 'owner' THEN
        s := s || format('ALTER TABLE %s OWNER TO %I', target, pg_get_userbyid((new ->> 'owner')::oid));
    END IF;
    IF (old -> 'owner', old -> 'acl', howdah.column_acls(old)) IS DISTINCT FROM (new -> 'owner', new -> 'acl', howdah.column_acls(new)) THEN
        s := s || array(SELECT howdah.revoke_ddl(target, old)) || array(SELECT howdah.grant_ddl(relation, target));
    END IF;
    IF new ->> 'partition' IS NOT NULL AND old -> 'partition' <> new -> 'partition' THEN
        s := s || howdah.partition_ddl(shard, target, new -> 'partition', 'ATTACH');
    END IF;
    give := array_to_string(s, E';\n');
END $$;


CREATE OR REPLACE FUNCTION howdah.column_acls(shape jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_object_agg(key, value -> 'acl') FROM jsonb_each(shape -> 'columns') WHERE value ->> 'acl' IS NOT NULL
$$;

-- Takes back every right that the shape gives to roles that still exist: REVOKE of a table's takes the columns' as well.
CREATE OR REPLACE FUNCTION howdah.revoke_ddl(target text, shape jsonb) RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT DISTINCT format('REVOKE ALL ON TABLE %s FROM %s CASCADE', target, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE format('%I', rolname) END)
    FROM (SELECT shape ->> 'acl' UNION ALL SELECT value #>> '{}' FROM jsonb_each(howdah.column_acls(shape))) acls (acl),
        aclexplode(acl::aclitem[]) LEFT JOIN pg_roles ON pg_roles.oid = grantee
    WHERE grantee = 0 OR rolname IS NOT NULL
$$;

-- ALTER COLUMN … TYPE … USING: only the statement's text has the expressions. The router announces them, by column; the live
-- child, which PostgreSQL would refuse to convert, goes away and comes back after the statement.
CREATE TABLE IF NOT EXISTS howdah.type_change (
    logicalrelid regclass PRIMARY KEY,
    conversions jsonb NOT NULL,
    -- The search path under which the expressions were written.
    path text NOT NULL
);

CREATE OR REPLACE FUNCTION howdah.announce_type_change(relation regclass, conversions jsonb, path text) RETURNS void
LANGUAGE plpgsql STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET howdah.our_ddl = 'on' AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM howdah.pg_dist_partition WHERE logicalrelid = relation) THEN
        RETURN;
    END IF;
    PERFORM howdah.check_owner(relation);
    PERFORM howdah.lock_whole(relation);
    PERFORM howdah.drop_live(relation);
    INSERT INTO howdah.type_change VALUES (relation, conversions, path);
END $$;

-- A transaction that announced a change of types and made none must not leave a shell without its child.
CREATE OR REPLACE FUNCTION howdah.check_type_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM howdah.type_change WHERE logicalrelid = NEW.logicalrelid) THEN
        RAISE object_not_in_prerequisite_state USING MESSAGE = format('the announced ALTER TABLE of "%s" did not follow', NEW.logicalrelid);
    END IF;
    RETURN NULL;
END $$;

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'howdah.type_change'::regclass AND tgname = 'check_type_change') THEN
        CREATE CONSTRAINT TRIGGER check_type_change AFTER INSERT ON howdah.type_change
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION howdah.check_type_change();
        ALTER TABLE howdah.type_change ENABLE ALWAYS TRIGGER check_type_change;
    END IF;
END $$;

-- What a statement has changed of one table; null if its shards need not know. The coordinator's own part is done here.
CREATE OR REPLACE FUNCTION howdah.shape_change(relation oid) RETURNS howdah.shape_change
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    change howdah.shape_change;
    class pg_class;
    distributed constant boolean := (SELECT partmethod = 'h' FROM howdah.pg_dist_partition WHERE logicalrelid = relation);
BEGIN
    SELECT * INTO STRICT class FROM pg_class WHERE oid = relation;
    change.path := (SELECT t.path FROM howdah.type_change t WHERE t.logicalrelid = relation);
    change.new := howdah.shape_of(relation);
    SELECT shape INTO STRICT change.old FROM howdah.shard_shape WHERE logicalrelid = relation FOR UPDATE;
    IF change.old -> 'partition' IS NULL THEN
        change.old := change.old || '{"partition": null}';
    END IF;
    IF distributed AND class.relkind = 'r' AND NOT class.relispartition AND to_regclass(format('howdah_live.t%s', relation)) IS NULL
        AND (change.path IS NOT NULL OR change.old ->> 'partition' IS NOT NULL) THEN
        PERFORM howdah.attach_live(relation);
    END IF;
    IF distributed AND change.old ->> 'partition' IS NULL <> (change.new ->> 'partition' IS NULL) THEN
        PERFORM howdah.drop_guards(relation);
        PERFORM howdah.guard_live(relation);
    END IF;
    PERFORM howdah.check_shape(relation, change.old, change.new);
    IF distributed THEN
        PERFORM howdah.copy_triggers(relation);
    END IF;
    IF change.old = change.new THEN
        DELETE FROM howdah.type_change WHERE logicalrelid = relation;
        RETURN NULL;
    END IF;
    IF change.old -> 'schema' = change.new -> 'schema' AND change.old -> 'schema_name' <> change.new -> 'schema_name' THEN
        -- The schema itself was renamed, on the workers by the router.
        change.old := change.old || jsonb_build_object('schema_name', change.new -> 'schema_name');
    END IF;
    SELECT * INTO change.renames, change.changes, change.later FROM howdah.alter_columns_ddl(relation, change.old, change.new);
    DELETE FROM howdah.type_change WHERE logicalrelid = relation;
    RETURN change;
END $$;
REVOKE ALL ON FUNCTION howdah.shape_change(oid) FROM PUBLIC;

-- Brings the shards of a table and of its partitions to its shape.
CREATE OR REPLACE FUNCTION howdah.alter_shards(relation oid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET howdah.our_ddl = 'on' AS $$
DECLARE
    member oid;
    new_partitions oid[] := '{}';
    tables oid[] := '{}';
    changes howdah.shape_change[] := '{}';
    change howdah.shape_change;
    node record;
BEGIN
    FOREACH member IN ARRAY howdah.family(relation) LOOP
        IF NOT EXISTS (SELECT FROM howdah.pg_dist_partition WHERE logicalrelid = member) THEN
            new_partitions := new_partitions || member;
            CONTINUE;
        END IF;
        change := howdah.shape_change(member);
        IF change.new IS NOT NULL THEN
            tables := tables || member;
            changes := changes || change;
        END IF;
    END LOOP;
    FOR node IN
        SELECT p.groupid, concat_ws(E';\n', string_agg(nullif(ddl.take, ''), E';\n' ORDER BY t.place, s.shardid),
            string_agg(nullif(ddl.give, ''), E';\n' ORDER BY t.place DESC, s.shardid)) AS ddl
        FROM unnest(tables) WITH ORDINALITY t (member, place)
        JOIN howdah.pg_dist_shard s ON s.logicalrelid = t.member
        JOIN howdah.pg_dist_placement p USING (shardid),
            howdah.alter_shard_ddl(t.member, s.shardid, changes[t.place]) ddl
        WHERE p.groupid <> 0 GROUP BY p.groupid ORDER BY p.groupid
    LOOP
        IF node.ddl <> '' THEN
            PERFORM howdah.on_node(node.groupid, node.ddl);
        END IF;
    END LOOP;
    FOREACH member IN ARRAY tables LOOP
        IF to_regclass(format('howdah_live.t%s', member)) IS NOT NULL THEN
            EXECUTE format('ALTER FOREIGN TABLE howdah_live.t%s OWNER TO %I', member, (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = member));
        END IF;
        PERFORM howdah.disable_foreign_keys(member);
        PERFORM howdah.keep_shape(member);
    END LOOP;
    FOREACH member IN ARRAY new_partitions LOOP
        PERFORM howdah.adopt_partition(member);
    END LOOP;
END $$;
REVOKE ALL ON FUNCTION howdah.alter_shards(oid) FROM PUBLIC;
