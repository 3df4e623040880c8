-- The way back: a distributed or reference table becomes a local one, with its rows, under the same OID; and the changes of a
-- table's distribution that need its rows to move, as the way back and forth.

-- The coordinator's own checks of foreign keys, where both ends are whole on the coordinator again.
CREATE OR REPLACE FUNCTION howdah.enable_foreign_keys(relation oid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    t record;
BEGIN
    FOR t IN
        SELECT howdah.qualified(tgrelid) AS relation, tgname
        FROM pg_constraint c JOIN pg_trigger ON tgconstraint = c.oid
        WHERE c.contype = 'f' AND enable_foreign_keys.relation IN (c.conrelid, c.confrelid) AND tgisinternal AND tgenabled = 'D'
          AND NOT EXISTS (SELECT FROM howdah.pg_dist_partition p WHERE p.logicalrelid IN (c.conrelid, c.confrelid) AND p.partmethod = 'h')
    LOOP
        EXECUTE format('ALTER TABLE ONLY %s ENABLE TRIGGER %I', t.relation, t.tgname);
    END LOOP;
END $$;
REVOKE ALL ON FUNCTION howdah.enable_foreign_keys(oid) FROM PUBLIC;

-- Moves the rows of the shards into the shell, which reads them by itself; for a partition its twin does. Triggers and foreign keys have
-- seen them already.
CREATE OR REPLACE FUNCTION howdah.fetch_rows(relation oid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET session_replication_role = replica AS $$
DECLARE
    columns constant text := howdah.given_columns(relation);
    class pg_class;
    source text := howdah.qualified(relation);
BEGIN
    SELECT * INTO STRICT class FROM pg_class WHERE oid = relation;
    IF howdah.is_leaf(relation) THEN
        PERFORM howdah.open_partition(relation);
        PERFORM howdah.make_twin(relation);
        source := format('howdah.child_%s', relation);
        EXECUTE format('CREATE VIEW %s AS SELECT * FROM howdah_live.t%s', source, relation);
        EXECUTE format('GRANT SELECT ON %s TO %I', source, pg_get_userbyid(class.relowner));
    END IF;
    IF columns IS NULL OR class.relkind = 'p' THEN
        RETURN;
    END IF;
    -- The owner must see all of the rows.
    IF class.relforcerowsecurity THEN
        EXECUTE format('ALTER TABLE ONLY %s NO FORCE ROW LEVEL SECURITY', howdah.qualified(relation));
    END IF;
    PERFORM howdah.run_as(class.relowner, format('BEGIN INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %2$s FROM %3$s; RETURN NULL; END',
        howdah.qualified(relation), columns, source));
    IF howdah.is_leaf(relation) THEN
        EXECUTE format('DROP VIEW %s', source);
    END IF;
    IF class.relforcerowsecurity THEN
        EXECUTE format('ALTER TABLE ONLY %s FORCE ROW LEVEL SECURITY', howdah.qualified(relation));
    END IF;
END $$;
REVOKE ALL ON FUNCTION howdah.fetch_rows(oid) FROM PUBLIC;

CREATE OR REPLACE FUNCTION howdah.undistribute(relation oid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET howdah.our_ddl = 'on' AS $$
DECLARE
    members constant oid[] := howdah.family(relation);
    member oid;
    method "char" := (SELECT partmethod FROM howdah.pg_dist_partition WHERE logicalrelid = relation);
BEGIN
    FOREACH member IN ARRAY members LOOP
        PERFORM howdah.drop_guards(member);
        IF method = 'h' THEN
            PERFORM howdah.fetch_rows(member);
            PERFORM howdah.drop_live(member);
        END IF;
    END LOOP;
    FOREACH member IN ARRAY members LOOP
        PERFORM howdah.drop_shards(member, n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = member;
    END LOOP;
    FOREACH member IN ARRAY members LOOP
        PERFORM howdah.enable_foreign_keys(member);
    END LOOP;
END $$;
REVOKE ALL ON FUNCTION howdah.undistribute(oid) FROM PUBLIC;

-- Tables in an order in which each comes after those to which its foreign keys refer.
CREATE OR REPLACE FUNCTION howdah.referred_first(tables oid[]) RETURNS oid[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    sorted oid[] := '{}';
    ready oid[];
BEGIN
    WHILE cardinality(sorted) < cardinality(tables) LOOP
        SELECT array_agg(t ORDER BY t) INTO ready FROM unnest(tables) t
            WHERE t <> ALL (sorted) AND NOT EXISTS (
                SELECT FROM pg_constraint WHERE contype = 'f' AND conrelid = t AND confrelid <> t
                  AND confrelid = ANY (tables) AND confrelid <> ALL (sorted));
        IF ready IS NULL THEN
            RAISE feature_not_supported USING MESSAGE = 'cannot convert tables whose foreign keys form a circle',
                DETAIL = format('Table "%s" is part of it.', (SELECT relname FROM pg_class c, unnest(tables) t WHERE c.oid = t AND t <> ALL (sorted) LIMIT 1)),
                HINT = 'Drop one of the foreign keys first, and add it again afterwards.';
        END IF;
        sorted := sorted || ready;
    END LOOP;
    RETURN sorted;
END $$;

-- The distributed and reference tables that foreign keys tie to this one, itself included; those that are referred to come first.
CREATE OR REPLACE FUNCTION howdah.tied_by_foreign_keys(relation oid) RETURNS oid[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH RECURSIVE key AS (
        SELECT conrelid AS mine, confrelid AS other FROM pg_constraint
        WHERE contype = 'f' AND conrelid <> confrelid AND conparentid = 0
          AND EXISTS (SELECT FROM howdah.pg_dist_partition WHERE logicalrelid = conrelid)
          AND EXISTS (SELECT FROM howdah.pg_dist_partition WHERE logicalrelid = confrelid)
    ), tied AS (
        SELECT tied_by_foreign_keys.relation AS member
        UNION
        SELECT CASE WHEN key.mine = tied.member THEN key.other ELSE key.mine END FROM tied JOIN key ON tied.member IN (key.mine, key.other)
    )
    SELECT howdah.referred_first(array_agg(member)) FROM tied
$$;

-- The owner's consent to a change of each table, and nobody else beside it.
CREATE OR REPLACE FUNCTION howdah.lock_to_convert(tables oid[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    relation oid;
BEGIN
    FOREACH relation IN ARRAY tables LOOP
        PERFORM howdah.check_owner(relation);
    END LOOP;
    FOR relation IN SELECT t FROM unnest(tables) t ORDER BY t LOOP
        PERFORM howdah.lock_whole(relation);
    END LOOP;
    LOCK TABLE howdah.pg_dist_colocation IN EXCLUSIVE MODE;
    LOCK TABLE howdah.pg_dist_node IN SHARE MODE;
    FOREACH relation IN ARRAY tables LOOP
        IF NOT EXISTS (SELECT FROM howdah.pg_dist_partition WHERE logicalrelid = relation) THEN
            RAISE object_not_in_prerequisite_state USING MESSAGE = 'the distribution of a table changed meanwhile';
        END IF;
    END LOOP;
END $$;
REVOKE ALL ON FUNCTION howdah.lock_to_convert(oid[]) FROM PUBLIC;

-- Partitions stay with the table that they are part of.
CREATE OR REPLACE FUNCTION howdah.check_whole(relation oid) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF howdah.distributed_parent(relation) IS NOT NULL THEN
        RAISE feature_not_supported USING
            MESSAGE = format('cannot complete operation because table "%s" is a partition', (SELECT relname FROM pg_class WHERE oid = relation)),
            HINT = format('Use the partitioned table "%s" instead, or detach the partition first.', (SELECT relname FROM pg_class WHERE oid = howdah.distributed_parent(relation)));
    END IF;
END $$;

CREATE OR REPLACE FUNCTION pg_catalog.undistribute_table(table_name regclass, cascade_via_foreign_keys boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tables oid[];
    method "char";
    name constant name := (SELECT relname FROM pg_class WHERE oid = table_name);
BEGIN
    IF table_name IS NULL OR cascade_via_foreign_keys IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'table_name and cascade_via_foreign_keys cannot be NULL';
    END IF;
    PERFORM howdah.check_owner(table_name);
    SELECT partmethod INTO method FROM howdah.pg_dist_partition WHERE logicalrelid = table_name;
    IF NOT FOUND THEN
        RAISE invalid_table_definition USING MESSAGE = format('cannot undistribute table "%s" because the table is not distributed', name);
    END IF;
    PERFORM howdah.check_whole(table_name);
    tables := CASE WHEN cascade_via_foreign_keys THEN howdah.tied_by_foreign_keys(table_name) ELSE ARRAY[table_name::oid] END;
    -- A local table may refer to a reference table; all else must go together.
    IF NOT cascade_via_foreign_keys AND EXISTS (
            SELECT FROM pg_constraint c JOIN howdah.pg_dist_partition f ON f.logicalrelid = c.conrelid
            JOIN howdah.pg_dist_partition t ON t.logicalrelid = c.confrelid
            WHERE c.contype = 'f' AND c.conrelid <> c.confrelid AND table_name IN (c.conrelid, c.confrelid)
              AND (t.partmethod = 'h' OR c.confrelid = table_name)) THEN
        RAISE feature_not_supported USING
            MESSAGE = format('cannot complete operation because table "%s" has a foreign key to or from another distributed table', name),
            HINT = format('Use cascade_via_foreign_keys option to undistribute all the relations involved in a foreign key relationship with it: '
                'SELECT undistribute_table(%L, cascade_via_foreign_keys => true)', table_name::text);
    END IF;
    PERFORM howdah.lock_to_convert(tables);
    PERFORM howdah.undistribute(t) FROM unnest(tables) t;
END $$;

-- Changes what a table is distributed by, into how many shards, or with which other table. The rows come to the coordinator and
-- go out again, in one transaction.
CREATE OR REPLACE FUNCTION howdah.redistribute(tables oid[], column_name text, colocate_with oid, shard_count int) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    relation oid;
    columns jsonb;
    first oid;
BEGIN
    SELECT jsonb_object_agg(logicalrelid::oid, attname) INTO columns FROM howdah.pg_dist_partition
        JOIN pg_attribute ON attrelid = logicalrelid AND attnum = partcolumn WHERE logicalrelid = ANY (tables);
    PERFORM howdah.undistribute(t) FROM unnest(tables) t;
    FOREACH relation IN ARRAY tables LOOP
        PERFORM howdah.create_distributed_table(relation, coalesce(column_name, columns ->> relation::text),
            coalesce(first, colocate_with), CASE WHEN first IS NULL THEN shard_count END);
        first := coalesce(first, relation);
    END LOOP;
END $$;
REVOKE ALL ON FUNCTION howdah.redistribute(oid[], text, oid, int) FROM PUBLIC;

-- `colocate_with` is null if not asked for, 0 for 'default'; `alone` is 'none'.
CREATE OR REPLACE FUNCTION howdah.alter_distributed_table(relation oid, column_name text, shard_count int, colocate_with oid, alone boolean, cascade boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    part howdah.pg_dist_partition;
    old howdah.pg_dist_colocation;
    name constant name := (SELECT relname FROM pg_class WHERE oid = relation);
    siblings oid[];
    tables oid[];
    other name;
BEGIN
    PERFORM howdah.check_owner(relation);
    SELECT * INTO part FROM howdah.pg_dist_partition WHERE logicalrelid = relation;
    IF NOT FOUND OR part.partmethod <> 'h' THEN
        RAISE invalid_table_definition USING MESSAGE = format('cannot alter table %s because it is not a distributed table', name);
    END IF;
    PERFORM howdah.check_whole(relation);
    SELECT * INTO STRICT old FROM howdah.pg_dist_colocation WHERE colocationid = part.colocationid;
    siblings := array(SELECT logicalrelid::oid FROM howdah.pg_dist_partition WHERE colocationid = part.colocationid AND logicalrelid <> relation
        AND howdah.distributed_parent(logicalrelid) IS NULL);
    IF cascade AND column_name IS NOT NULL THEN
        RAISE invalid_parameter_value USING MESSAGE = 'distribution_column changes cannot be cascaded to colocated tables';
    ELSIF cascade IS NULL AND column_name IS NULL AND shard_count IS NOT NULL AND siblings <> '{}' THEN
        RAISE invalid_parameter_value USING MESSAGE = 'cascade_to_colocated parameter is necessary',
            DETAIL = 'this table is colocated with some other tables',
            HINT = 'cascade_to_colocated := false will break the current colocation, cascade_to_colocated := true will change the '
                'shard count of colocated tables too.';
    ELSIF colocate_with <> 0 AND shard_count <> (SELECT shardcount FROM howdah.pg_dist_colocation JOIN howdah.pg_dist_partition USING (colocationid)
            WHERE logicalrelid = colocate_with) THEN
        RAISE invalid_parameter_value USING MESSAGE = 'shard_count cannot be different than the shard count of the table in colocate_with';
    ELSIF (column_name IS NULL OR howdah.check_distribution_column(relation, column_name) = part.partcolumn)
        AND (shard_count IS NULL OR shard_count = old.shardcount)
        AND (colocate_with IS NULL OR colocate_with = ANY (siblings)) AND NOT (alone AND siblings <> '{}') THEN
        RAISE invalid_parameter_value USING MESSAGE = 'this call doesn''t change any properties of the table',
            HINT = 'check citus_tables view to see current properties of the table';
    END IF;
    tables := ARRAY[relation];
    IF cascade THEN
        tables := howdah.referred_first(tables || siblings);
    END IF;
    SELECT c.relname INTO other FROM pg_constraint k
        JOIN howdah.pg_dist_partition p ON p.logicalrelid = CASE WHEN k.conrelid = ANY (tables) THEN k.confrelid ELSE k.conrelid END
        JOIN pg_class c ON c.oid = p.logicalrelid
        WHERE k.contype = 'f' AND k.conparentid = 0 AND (k.conrelid = ANY (tables)) <> (k.confrelid = ANY (tables)) AND p.partmethod = 'h' LIMIT 1;
    IF FOUND THEN
        RAISE feature_not_supported USING MESSAGE = format('cannot alter table %s because a foreign key ties it to table %s', name, other),
            HINT = 'Drop the foreign key, or change the colocated tables together with cascade_to_colocated => true.';
    END IF;
    PERFORM howdah.lock_to_convert(tables);
    IF colocate_with IS NULL AND NOT alone AND old.isdefault THEN
        colocate_with := 0;
    END IF;
    PERFORM howdah.redistribute(tables, column_name, colocate_with, coalesce(shard_count, old.shardcount));
END $$;

CREATE OR REPLACE FUNCTION pg_catalog.alter_distributed_table(table_name regclass, distribution_column text DEFAULT NULL, shard_count int DEFAULT NULL,
    colocate_with text DEFAULT NULL, cascade_to_colocated boolean DEFAULT NULL) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF table_name IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'table_name cannot be NULL';
    ELSIF distribution_column IS NULL AND shard_count IS NULL AND colocate_with IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'you have to specify at least one of the distribution_column, shard_count or colocate_with parameters';
    END IF;
    PERFORM howdah.alter_distributed_table(table_name, distribution_column, shard_count,
        CASE pg_catalog.lower(colocate_with) WHEN 'none' THEN NULL WHEN 'default' THEN 0 ELSE colocate_with::pg_catalog.regclass END,
        pg_catalog.lower(colocate_with) IS NOT DISTINCT FROM 'none', cascade_to_colocated);
END $$;

-- Says that a table's shards lie where those of another do, or that it no longer matters. No row moves.
CREATE OR REPLACE FUNCTION howdah.update_colocation(relation oid, colocate_with oid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    part howdah.pg_dist_partition;
    chosen int;
BEGIN
    PERFORM howdah.check_owner(relation);
    PERFORM howdah.check_whole(relation);
    LOCK TABLE howdah.pg_dist_colocation IN EXCLUSIVE MODE;
    SELECT * INTO part FROM howdah.pg_dist_partition WHERE logicalrelid = relation FOR UPDATE;
    IF NOT FOUND OR part.partmethod <> 'h' THEN
        RAISE invalid_table_definition USING MESSAGE =
            format('relation %s should be a hash distributed table', (SELECT relname FROM pg_class WHERE oid = relation));
    END IF;
    IF colocate_with IS NULL THEN
        INSERT INTO howdah.pg_dist_colocation (shardcount, replicationfactor, distributioncolumntype, distributioncolumncollation)
            SELECT shardcount, replicationfactor, distributioncolumntype, distributioncolumncollation FROM howdah.pg_dist_colocation
            WHERE colocationid = part.colocationid RETURNING colocationid INTO chosen;
    ELSE
        PERFORM howdah.check_owner(colocate_with);
        chosen := howdah.choose_colocation(relation, part.partcolumn, colocate_with, NULL);
        IF EXISTS (
                SELECT FROM (SELECT shardminvalue, shardmaxvalue, groupid FROM howdah.pg_dist_shard JOIN howdah.pg_dist_placement USING (shardid) WHERE logicalrelid = relation) mine
                FULL JOIN (SELECT shardminvalue, shardmaxvalue, groupid FROM howdah.pg_dist_shard JOIN howdah.pg_dist_placement USING (shardid) WHERE logicalrelid = colocate_with) its
                USING (shardminvalue, shardmaxvalue, groupid) WHERE mine.groupid IS NULL OR its.groupid IS NULL) THEN
            RAISE object_not_in_prerequisite_state USING
                MESSAGE = format('cannot colocate tables %s and %s', (SELECT relname FROM pg_class WHERE oid = colocate_with), (SELECT relname FROM pg_class WHERE oid = relation)),
                DETAIL = 'Their shards do not have the same ranges on the same nodes.',
                HINT = 'Use alter_distributed_table with colocate_with, which moves the rows.';
        END IF;
    END IF;
    UPDATE howdah.pg_dist_partition SET colocationid = chosen WHERE logicalrelid = ANY (howdah.family(relation));
    PERFORM howdah.check_foreign_keys(relation);
    PERFORM howdah.drop_empty_colocation(part.colocationid);
END $$;

CREATE OR REPLACE FUNCTION pg_catalog.update_distributed_table_colocation(table_name regclass, colocate_with text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF table_name IS NULL OR colocate_with IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'table_name and colocate_with cannot be NULL';
    END IF;
    PERFORM howdah.update_colocation(table_name, CASE pg_catalog.lower(colocate_with) WHEN 'none' THEN NULL ELSE colocate_with::pg_catalog.regclass END);
END $$;

-- What is left on the coordinator of a table that was filled when it was distributed: nothing, since create_distributed_table moves the
-- rows. The function stands here for scripts that call it.
CREATE OR REPLACE FUNCTION pg_catalog.truncate_local_data_after_distributing_table(function_name regclass) RETURNS void
LANGUAGE plpgsql STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM howdah.check_owner(function_name);
    IF NOT EXISTS (SELECT FROM howdah.pg_dist_partition WHERE logicalrelid = function_name) THEN
        RAISE invalid_parameter_value USING MESSAGE = 'supplied parameter is not a distributed relation',
            DETAIL = 'This UDF only truncates local data after distributing a table.';
    END IF;
END $$;
