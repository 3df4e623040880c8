-- Reference tables: the coordinator's own table is written first, then these triggers forward what was written to the copies
-- on the workers, in the same distributed transaction. They build statements out of literals, so that every type works, and
-- hand them to the router (howdah.call), which runs them on each worker as the table's owner.
--
-- The order of events is PostgreSQL's own: a row is inserted into or deleted from the workers after the coordinator's foreign
-- keys have acted, but an UPDATE is forwarded row by row before them (triggers of one row fire in the order of their
-- names, and "RI_…" comes after "Howdah…"), because a cascade on a worker needs the new key there first.
--
-- Values become text only by their types' output functions (format), never by a cast that a user could define: this code
-- runs with superuser rights.

-- A row as the literals of its stored columns, a column list or a condition that finds it: one per purpose.
CREATE OR REPLACE FUNCTION howdah.reference_columns(relation regclass) RETURNS text[]
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a
    WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
$function$;
REVOKE ALL ON FUNCTION howdah.reference_columns(regclass) FROM PUBLIC;

-- The columns of the primary key, or null.
CREATE OR REPLACE FUNCTION howdah.reference_key(relation regclass) RETURNS text[]
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT array_agg(a.attname::text ORDER BY k.n)
    FROM pg_index i, unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, n), pg_attribute a
    WHERE i.indrelid = relation AND i.indisprimary AND k.n <= i.indnkeyatts AND a.attrelid = relation AND a.attnum = k.attnum
$function$;
REVOKE ALL ON FUNCTION howdah.reference_key(regclass) FROM PUBLIC;

-- SQL text of an expression over the composite value `variable` that gives the condition by which a worker finds that row:
-- by primary key, else by the text of the whole row (one of the equal rows, if there are several).
CREATE OR REPLACE FUNCTION howdah.reference_condition(relation regclass, variable text) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT CASE WHEN howdah.reference_key(relation) IS NOT NULL THEN
        (SELECT format('format(%L, %s)', string_agg(replace(format('%I', c), '%', '%%') || ' = %L', ' AND '), string_agg(format('%s.%I', variable, c), ', '))
         FROM unnest(howdah.reference_key(relation)) c)
    ELSE
        (SELECT format('format(%L, ROW(%s))',
            format('ctid = (SELECT x.ctid FROM howdah_reference x WHERE format(''%%%%s'', ROW(%s)) = %%L LIMIT 1)', replace(string_agg(format('x.%I', c), ', '), '%', '%%')),
            string_agg(format('%s.%I', variable, c), ', '))
         FROM unnest(howdah.reference_columns(relation)) c)
    END
$function$;
REVOKE ALL ON FUNCTION howdah.reference_condition(regclass, text) FROM PUBLIC;

-- Hands statements to the router and writes the commit record, if the router asks for one: where it cannot write the record itself
-- before the coordinator's COMMIT (CALL and DO, which may commit on their own), it answers with the gid of the transaction.
-- `expected` is the number of rows; null asks for no check. Fewer rows are right where a foreign key of the worker has acted
-- already: always for a DELETE, for an UPDATE if `verify` then finds the new row.
CREATE OR REPLACE FUNCTION howdah.forward_to(groups int[], relation regclass, statements text[], expected bigint, verify text) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    transaction_gid text;
BEGIN
    transaction_gid := howdah.call(jsonb_build_object('op', 'forward', 'table', relation::oid::bigint, 'groups', to_jsonb(groups),
        'sql', to_jsonb(statements), 'expected', expected, 'verify', verify))::jsonb ->> 'gid';
    IF transaction_gid IS NOT NULL THEN
        INSERT INTO howdah.pg_dist_transaction (groupid, gid) VALUES (0, transaction_gid) ON CONFLICT DO NOTHING;
    END IF;
END
$function$;
REVOKE ALL ON FUNCTION howdah.forward_to(int[], regclass, text[], bigint, text) FROM PUBLIC;

-- The same to all workers that have a copy. A node that was added while this statement waited for the table's lock is seen by
-- the snapshot of this query, but not by that of a transaction with one snapshot: there the lock tells, because adding a node
-- changes the row.
CREATE OR REPLACE FUNCTION howdah.forward(relation regclass, statements text[], expected bigint, verify text) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        PERFORM FROM howdah.pg_dist_shard WHERE logicalrelid = relation FOR SHARE;
    END IF;
    PERFORM howdah.forward_to(howdah.copies(relation), relation, statements, expected, verify);
END
$function$;
REVOKE ALL ON FUNCTION howdah.forward(regclass, text[], bigint, text) FROM PUBLIC;

-- The workers with a copy of a reference table.
CREATE OR REPLACE FUNCTION howdah.copies(relation regclass) RETURNS int[]
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT coalesce(array_agg(groupid ORDER BY groupid), '{}')
    FROM howdah.pg_dist_placement JOIN howdah.pg_dist_shard USING (shardid) WHERE logicalrelid = relation AND groupid <> 0
$function$;
REVOKE ALL ON FUNCTION howdah.copies(regclass) FROM PUBLIC;

-- A query over the rows of `source` that gives, for 500 rows at a time, the statements to forward and the number of rows.
-- `statements` is SQL that aggregates rows named r into a text[].
CREATE OR REPLACE FUNCTION howdah.chunks(source text, statements text) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT format('SELECT %s AS statements, count(*) AS n
        FROM (SELECT *, row_number() OVER () AS howdah_number FROM %s) r
        GROUP BY (r.howdah_number - 1) / 500 ORDER BY (r.howdah_number - 1) / 500', statements, source)
$function$;
REVOKE ALL ON FUNCTION howdah.chunks(text, text) FROM PUBLIC;

-- The chunks of INSERTs that make the rows of `source`: the table itself, or a transition table of it.
CREATE OR REPLACE FUNCTION howdah.insert_chunks(relation regclass, source text) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT howdah.chunks(source, format('ARRAY[%L || string_agg(format(%L, %s), '', '' ORDER BY r.howdah_number)]',
        'INSERT INTO howdah_reference (' || string_agg(format('%I', c), ', ') || ') VALUES ',
        '(' || string_agg('%L', ', ') || ')', string_agg(format('r.%I', c), ', ')))
    FROM unnest(howdah.reference_columns(relation)) c
$function$;
REVOKE ALL ON FUNCTION howdah.insert_chunks(regclass, text) FROM PUBLIC;

CREATE OR REPLACE FUNCTION howdah.forward_insert() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET extra_float_digits = 3 SET session_replication_role = replica
AS $function$
DECLARE
    chunk record;
BEGIN
    FOR chunk IN EXECUTE howdah.insert_chunks(TG_RELID, 'howdah_new') LOOP
        PERFORM howdah.forward(TG_RELID, chunk.statements, chunk.n, NULL);
    END LOOP;
    RETURN NULL;
END
$function$;

-- Sends the rows that are there already to copies that are empty.
CREATE OR REPLACE FUNCTION howdah.copy_reference(relation regclass, groups int[]) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
    SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET extra_float_digits = 3
AS $function$
DECLARE
    chunk record;
BEGIN
    FOR chunk IN EXECUTE howdah.insert_chunks(relation, 'ONLY ' || howdah.qualified(relation)) LOOP
        PERFORM howdah.forward_to(groups, relation, chunk.statements, chunk.n, NULL);
    END LOOP;
END
$function$;
REVOKE ALL ON FUNCTION howdah.copy_reference(regclass, int[]) FROM PUBLIC;

CREATE OR REPLACE FUNCTION howdah.forward_delete() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET extra_float_digits = 3 SET session_replication_role = replica
AS $function$
DECLARE
    chunk record;
BEGIN
    FOR chunk IN EXECUTE howdah.chunks('howdah_old', format('array_agg(''DELETE FROM howdah_reference WHERE '' || %s ORDER BY r.howdah_number)',
            howdah.reference_condition(TG_RELID, 'r'))) LOOP
        PERFORM howdah.forward(TG_RELID, chunk.statements, chunk.n, '');
    END LOOP;
    RETURN NULL;
END
$function$;

CREATE OR REPLACE FUNCTION howdah.forward_update() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET extra_float_digits = 3 SET session_replication_role = replica
AS $function$
DECLARE
    columns text[] := howdah.reference_columns(TG_RELID);
    statement text;
    verify text;
BEGIN
    EXECUTE format('SELECT %s || %s, %s',
            (SELECT format('format(%L, %s)', 'UPDATE howdah_reference SET ' || string_agg(replace(format('%I', c), '%', '%%') || ' = %L', ', ') || ' WHERE ',
                string_agg(format('($2).%I', c), ', ')) FROM unnest(columns) c),
            howdah.reference_condition(TG_RELID, '($1)'), howdah.reference_condition(TG_RELID, '($2)'))
        INTO statement, verify USING OLD, NEW;
    PERFORM howdah.forward(TG_RELID, ARRAY[statement], 1, 'SELECT FROM howdah_reference WHERE ' || verify);
    RETURN NULL;
END
$function$;

CREATE OR REPLACE FUNCTION howdah.forward_truncate() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET session_replication_role = replica
AS $function$
BEGIN
    -- CASCADE: the coordinator has seen to it that the tables which refer to this one are truncated too.
    PERFORM howdah.forward(TG_RELID, ARRAY['TRUNCATE howdah_reference CASCADE'], NULL, NULL);
    RETURN NULL;
END
$function$;

CREATE OR REPLACE FUNCTION howdah.attach_reference(relation regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    trigger_name text;
BEGIN
    EXECUTE format('CREATE TRIGGER "Howdah_insert" AFTER INSERT ON %s REFERENCING NEW TABLE AS howdah_new
        FOR EACH STATEMENT EXECUTE FUNCTION howdah.forward_insert()', relation);
    EXECUTE format('CREATE TRIGGER "Howdah_delete" AFTER DELETE ON %s REFERENCING OLD TABLE AS howdah_old
        FOR EACH STATEMENT EXECUTE FUNCTION howdah.forward_delete()', relation);
    EXECUTE format('CREATE TRIGGER "Howdah_update" AFTER UPDATE ON %s
        FOR EACH ROW EXECUTE FUNCTION howdah.forward_update()', relation);
    EXECUTE format('CREATE TRIGGER "Howdah_truncate" AFTER TRUNCATE ON %s
        FOR EACH STATEMENT EXECUTE FUNCTION howdah.forward_truncate()', relation);
    FOREACH trigger_name IN ARRAY ARRAY['Howdah_insert', 'Howdah_delete', 'Howdah_update', 'Howdah_truncate'] LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', relation, trigger_name);
    END LOOP;
END
$function$;
REVOKE ALL ON FUNCTION howdah.attach_reference(regclass) FROM PUBLIC;
