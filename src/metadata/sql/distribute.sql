-- create_distributed_table and create_reference_table. The functions that users call resolve names in their search
-- path; what they call works with OIDs and the owner's consent.

-- What a table and its partitions must not be or have, for now, to be given shards. `parent` is the distributed table of which it is a new partition.
CREATE OR REPLACE FUNCTION howdah.check_distributable(relation oid, parent oid DEFAULT NULL) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    class pg_class;
    schema name;
    what text;
BEGIN
    IF parent IS NULL THEN
        PERFORM howdah.check_owner(relation);
    END IF;
    FOR class IN SELECT c.* FROM unnest(howdah.family(relation)) WITH ORDINALITY f (member, n) JOIN pg_class c ON c.oid = member ORDER BY n LOOP
        schema := class.relnamespace::regnamespace;
        IF class.relkind NOT IN ('r', 'p') AND NOT class.relispartition OR schema IN ('pg_catalog', 'information_schema', 'howdah', 'howdah_live', 'pg_toast') THEN
            RAISE wrong_object_type USING MESSAGE = format('%s is not a regular, foreign or partitioned table', class.relname);
        END IF;
        IF EXISTS (SELECT FROM howdah.pg_dist_partition WHERE logicalrelid = class.oid) THEN
            RAISE invalid_table_definition USING MESSAGE = format('table "%s" is already distributed', class.relname);
        END IF;
        IF class.relispartition AND class.oid = relation AND parent IS NULL THEN
            RAISE feature_not_supported USING MESSAGE = format('cannot distribute relation "%s", which is a partition', class.relname),
                HINT = format('Distribute the partitioned table "%s" instead: its partitions follow.',
                    (SELECT c.relname FROM pg_inherits JOIN pg_class c ON c.oid = inhparent WHERE inhrelid = class.oid));
        END IF;
        what := CASE
            WHEN class.relkind NOT IN ('r', 'p') THEN 'partitions that are foreign tables'
            WHEN class.relpersistence = 't' THEN 'temporary tables'
            WHEN NOT class.relispartition AND class.relkind <> 'p' AND EXISTS (SELECT FROM pg_inherits WHERE class.oid IN (inhrelid, inhparent)) THEN 'tables with inheritance'
            WHEN class.reloftype <> 0 THEN 'typed tables'
            WHEN class.relhasrules AND EXISTS (SELECT FROM pg_rewrite WHERE ev_class = class.oid) THEN 'tables with rules'
            WHEN EXISTS (SELECT FROM pg_constraint con WHERE conrelid = class.oid AND to_jsonb(con) ->> 'conperiod' = 'true') THEN
                'tables with WITHOUT OVERLAPS or PERIOD constraints' END;
        IF what IS NOT NULL THEN
            RAISE feature_not_supported USING MESSAGE = format('cannot distribute relation "%s"', class.relname),
                DETAIL = format('Distributing %s is not supported yet.', what),
                HINT = 'A later version will distribute them; until then keep the table local, or remove what stands in the way.';
        END IF;
    END LOOP;
END $$;

-- LOCK TABLE of a table, and of all its partitions.
CREATE OR REPLACE FUNCTION howdah.lock_whole(relation oid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('LOCK TABLE %s %s IN ACCESS EXCLUSIVE MODE', CASE WHEN (SELECT relkind <> 'p' FROM pg_class WHERE oid = relation) THEN 'ONLY' END,
        howdah.qualified(relation));
END $$;
REVOKE ALL ON FUNCTION howdah.lock_whole(oid) FROM PUBLIC;

-- Locks a table that is about to get shards, the colocation groups and the nodes, in this order.
CREATE OR REPLACE FUNCTION howdah.lock_distributable(relation oid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM howdah.check_distributable(relation);
    PERFORM howdah.lock_whole(relation);
    LOCK TABLE howdah.pg_dist_colocation IN EXCLUSIVE MODE;
    LOCK TABLE howdah.pg_dist_node IN SHARE MODE;
    -- Again, now that nobody can change it.
    PERFORM howdah.check_distributable(relation);
END $$;
REVOKE ALL ON FUNCTION howdah.lock_distributable(oid) FROM PUBLIC;

-- Foreign keys that the shards of `relation` could not enforce.
CREATE OR REPLACE FUNCTION howdah.check_foreign_keys(relation oid) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    con record;
BEGIN
    FOR con IN
        SELECT c.conname, c.conrelid, c.confrelid, f.logicalrelid IS NOT NULL AS from_known, t.logicalrelid IS NOT NULL AS to_known,
            f.partmethod AS from_method, t.partmethod AS to_method, f.colocationid = t.colocationid AS colocated,
            -- The distribution columns stand at the same place of both column lists.
            array_position(c.conkey, f.partcolumn) = array_position(c.confkey, t.partcolumn) AS aligned,
            f.partcolumn = ANY (c.conkey) AND (c.confupdtype IN ('n', 'd', 'c') OR c.confdeltype IN ('n', 'd')
                AND (c.confdelsetcols IS NULL OR f.partcolumn = ANY (c.confdelsetcols))) AS changes_column
        FROM pg_constraint c
        LEFT JOIN howdah.pg_dist_partition f ON f.logicalrelid = c.conrelid
        LEFT JOIN howdah.pg_dist_partition t ON t.logicalrelid = c.confrelid
        WHERE c.contype = 'f' AND relation IN (c.conrelid, c.confrelid)
    LOOP
        CONTINUE WHEN con.from_known AND con.to_method = 'n' AND NOT coalesce(con.changes_column, false);
        CONTINUE WHEN con.from_method = 'h' AND con.to_method = 'h' AND con.colocated AND con.aligned
            AND NOT coalesce(con.changes_column, false);
        -- A local table may refer to a reference table, which is whole on the coordinator. One that refers to a
        -- distributed table waits to be distributed itself: until then its own check finds an empty shell, and refuses.
        CONTINUE WHEN NOT con.from_known;
        IF con.from_known AND con.changes_column THEN
            RAISE feature_not_supported USING MESSAGE = 'cannot create foreign key constraint',
                DETAIL = 'SET NULL, SET DEFAULT or CASCADE is not supported in ON DELETE or ON UPDATE operation when distribution '
                    'key is included in the foreign key constraint';
        ELSIF con.from_method = 'h' AND con.to_method = 'h' AND con.colocated THEN
            RAISE feature_not_supported USING MESSAGE = 'cannot create foreign key constraint',
                DETAIL = 'Foreign keys are supported in two cases, either in between two colocated tables including partition '
                    'column in the same ordinal in the both tables or from distributed to reference tables';
        ELSIF con.from_method = 'n' THEN
            RAISE feature_not_supported USING
                MESSAGE = 'cannot create foreign key constraint since foreign keys from reference tables to distributed or local '
                    'tables are not supported',
                DETAIL = 'A reference table can only have foreign keys to reference tables.';
        ELSE
            RAISE feature_not_supported USING
                MESSAGE = 'cannot create foreign key constraint since relations are not colocated or not referencing a reference table',
                DETAIL = 'A distributed table can only have foreign keys if it is referencing another colocated hash distributed '
                    'table or a reference table';
        END IF;
    END LOOP;
END $$;

-- The shards enforce foreign keys. The coordinator's own checks would look into empty shells.
CREATE OR REPLACE FUNCTION howdah.disable_foreign_keys(relation oid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    t record;
BEGIN
    FOR t IN
        SELECT howdah.qualified(tgrelid) AS relation, tgname
        FROM pg_constraint c JOIN pg_trigger ON tgconstraint = c.oid
        WHERE c.contype = 'f' AND disable_foreign_keys.relation IN (c.conrelid, c.confrelid) AND tgisinternal AND tgenabled <> 'D'
          AND EXISTS (SELECT FROM howdah.pg_dist_partition p WHERE p.logicalrelid IN (c.conrelid, c.confrelid) AND p.partmethod = 'h')
          AND (tgrelid <> c.conrelid OR EXISTS (SELECT FROM howdah.pg_dist_partition p WHERE p.logicalrelid = c.conrelid))
    LOOP
        EXECUTE format('ALTER TABLE ONLY %s DISABLE TRIGGER %I', t.relation, t.tgname);
    END LOOP;
END $$;
REVOKE ALL ON FUNCTION howdah.disable_foreign_keys(oid) FROM PUBLIC;

-- Takes the rows out of a shell whose rows are in the shards. TRUNCATE where no foreign key forbids it.
CREATE OR REPLACE FUNCTION howdah.empty_shell(relation oid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET session_replication_role = replica AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' AND confrelid = relation AND conrelid <> relation) THEN
        EXECUTE format('DELETE FROM ONLY %s', howdah.qualified(relation));
    ELSE
        EXECUTE format('TRUNCATE ONLY %s', howdah.qualified(relation));
    END IF;
END $$;
REVOKE ALL ON FUNCTION howdah.empty_shell(oid) FROM PUBLIC;

-- Workers that may receive shards: those that hold a copy of every reference table, which joins and keys rely on.
CREATE OR REPLACE FUNCTION howdah.shard_groups() RETURNS int[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT array_agg(groupid ORDER BY groupid) FROM howdah.pg_dist_node n
    WHERE groupid <> 0 AND isactive AND shouldhaveshards AND noderole = 'primary' AND NOT EXISTS (
        SELECT FROM howdah.pg_dist_partition p JOIN howdah.pg_dist_shard s USING (logicalrelid)
        WHERE p.partmethod = 'n' AND NOT EXISTS (
            SELECT FROM howdah.pg_dist_placement l WHERE l.shardid = s.shardid AND l.groupid = n.groupid))
$$;

-- The hash function that PostgreSQL itself would use for a type's hash partitions.
CREATE OR REPLACE FUNCTION howdah.hash_function(column_type oid) RETURNS regproc
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    base oid := column_type;
    found regproc;
BEGIN
    WHILE (SELECT typtype FROM pg_type WHERE oid = base) = 'd' LOOP
        base := (SELECT typbasetype FROM pg_type WHERE oid = base);
    END LOOP;
    SELECT p.amproc INTO found
        FROM pg_opclass o JOIN pg_am am ON am.oid = o.opcmethod AND am.amname = 'hash'
        JOIN pg_amproc p ON p.amprocfamily = o.opcfamily AND p.amproclefttype = o.opcintype AND p.amprocrighttype = o.opcintype AND p.amprocnum = 1
        LEFT JOIN pg_cast c ON c.castsource = base AND c.casttarget = o.opcintype AND c.castmethod = 'b' AND c.castcontext = 'i'
        WHERE o.opcdefault AND (o.opcintype = base OR c.oid IS NOT NULL
            OR o.opcintype = 'anyenum'::regtype AND (SELECT typtype FROM pg_type WHERE oid = base) = 'e'
            OR o.opcintype = 'anyarray'::regtype AND (SELECT typcategory FROM pg_type WHERE oid = base) = 'A'
            OR o.opcintype = 'anyrange'::regtype AND (SELECT typtype FROM pg_type WHERE oid = base) = 'r')
        ORDER BY o.opcintype <> base LIMIT 1;
    RETURN found;
END $$;

CREATE OR REPLACE FUNCTION howdah.check_distribution_column(relation oid, column_name text) RETURNS smallint
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    attribute pg_attribute;
    table_name name := (SELECT relname FROM pg_class WHERE oid = relation);
BEGIN
    -- The name itself, as Citus takes it, or else as it is written in SQL: folded unless it is quoted.
    SELECT * INTO attribute FROM pg_attribute
        WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped AND attname IN (column_name::name,
            (CASE WHEN column_name LIKE '"_%"' THEN replace(substr(column_name, 2, length(column_name) - 2), '""', '"')
                ELSE lower(column_name) END)::name)
        ORDER BY attname = column_name::name DESC LIMIT 1;
    IF NOT FOUND THEN
        RAISE undefined_column USING MESSAGE = format('column "%s" of relation "%s" does not exist', column_name, table_name);
    END IF;
    IF attribute.attgenerated <> '' THEN
        RAISE feature_not_supported USING MESSAGE = format('cannot distribute relation: %s', table_name),
            DETAIL = 'Distribution column must not use GENERATED ALWAYS AS (...) STORED.';
    END IF;
    IF howdah.hash_function(attribute.atttypid) IS NULL THEN
        RAISE undefined_function USING
            MESSAGE = format('could not identify a hash function for type %s', format_type(attribute.atttypid, NULL)),
            DETAIL = 'Partition column types must have a hash function defined to use hash partitioning.';
    END IF;
    IF EXISTS (SELECT FROM pg_collation WHERE oid = attribute.attcollation AND NOT collisdeterministic) THEN
        RAISE feature_not_supported USING MESSAGE = 'Hash distributed partition columns may not use a non deterministic collation';
    END IF;
    RETURN attribute.attnum;
END $$;

-- The colocation group of a new table, made if need be. `colocate_with` is null for 'none', 0 for 'default'.
CREATE OR REPLACE FUNCTION howdah.choose_colocation(relation oid, column_number smallint, colocate_with oid, shard_count int) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    column_type oid;
    column_collation oid;
    wanted constant int := coalesce(shard_count, current_setting('citus.shard_count', true)::int, 32);
    other record;
    chosen int;
BEGIN
    SELECT atttypid, attcollation INTO column_type, column_collation FROM pg_attribute WHERE attrelid = relation AND attnum = column_number;
    IF colocate_with <> 0 THEN
        SELECT p.colocationid, p.partmethod, c.relname, a.atttypid, a.attcollation INTO other
            FROM howdah.pg_dist_partition p JOIN pg_class c ON c.oid = p.logicalrelid
            LEFT JOIN pg_attribute a ON a.attrelid = p.logicalrelid AND a.attnum = p.partcolumn
            WHERE p.logicalrelid = colocate_with;
        IF NOT FOUND THEN
            RAISE invalid_table_definition USING MESSAGE =
                format('relation %s is not distributed', (SELECT relname FROM pg_class WHERE oid = colocate_with));
        END IF;
        IF other.partmethod <> 'h' OR other.atttypid <> column_type OR other.attcollation <> column_collation THEN
            RAISE EXCEPTION USING
                MESSAGE = format('cannot colocate tables %s and %s', other.relname, (SELECT relname FROM pg_class WHERE oid = relation)),
                DETAIL = format(CASE WHEN other.partmethod <> 'h' THEN 'Distribution methods don''t match for %s and %s.'
                    ELSE 'Distribution column types don''t match for %s and %s.' END, other.relname, (SELECT relname FROM pg_class WHERE oid = relation));
        END IF;
        RETURN other.colocationid;
    END IF;
    IF wanted NOT BETWEEN 1 AND 64000 THEN
        RAISE invalid_parameter_value USING MESSAGE = format('%s is outside the valid range for parameter "shard_count" (1 .. 64000)', wanted);
    END IF;
    IF colocate_with IS NOT NULL THEN
        SELECT min(colocationid) INTO chosen FROM howdah.pg_dist_colocation
            WHERE isdefault AND shardcount = wanted AND distributioncolumntype = column_type
              AND coalesce(distributioncolumncollation, 0) = column_collation;
        IF chosen IS NOT NULL THEN
            RETURN chosen;
        END IF;
    END IF;
    INSERT INTO howdah.pg_dist_colocation (shardcount, replicationfactor, distributioncolumntype, distributioncolumncollation, isdefault)
        VALUES (wanted, 1, column_type, nullif(column_collation, 0), colocate_with IS NOT NULL)
        RETURNING colocationid INTO chosen;
    RETURN chosen;
END $$;
REVOKE ALL ON FUNCTION howdah.choose_colocation(oid, smallint, oid, int) FROM PUBLIC;

-- Shards and placements of a table whose row in pg_dist_partition is there: where the group's other tables have theirs, or,
-- for the first of a group, the hash space cut evenly and dealt out to the workers in turn.
CREATE OR REPLACE FUNCTION howdah.place_shards(relation oid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    colocation howdah.pg_dist_colocation;
    sibling oid;
    groups int[];
    width bigint;
BEGIN
    SELECT c.* INTO STRICT colocation FROM howdah.pg_dist_colocation c JOIN howdah.pg_dist_partition p USING (colocationid) WHERE p.logicalrelid = relation;
    SELECT min(logicalrelid::oid) INTO sibling FROM howdah.pg_dist_partition p WHERE p.colocationid = colocation.colocationid
        AND EXISTS (SELECT FROM howdah.pg_dist_shard s WHERE s.logicalrelid = p.logicalrelid);
    IF sibling IS NULL THEN
        groups := howdah.shard_groups();
        IF groups IS NULL THEN
            RAISE object_not_in_prerequisite_state USING MESSAGE = 'replication_factor (1) exceeds number of worker nodes (0)',
                HINT = 'Add more worker nodes or try again with a lower replication factor.';
        END IF;
        width := 4294967296 / colocation.shardcount;
    END IF;
    WITH ranges AS (
        SELECT shardminvalue, shardmaxvalue, groupid
        FROM howdah.pg_dist_shard JOIN howdah.pg_dist_placement USING (shardid) WHERE logicalrelid = sibling
        UNION ALL
        SELECT (-2147483648 + i * width)::int, CASE WHEN i = colocation.shardcount - 1 THEN 2147483647 ELSE -2147483648 + (i + 1) * width - 1 END::int,
            groups[i % cardinality(groups) + 1]
        FROM generate_series(0, colocation.shardcount - 1) i WHERE sibling IS NULL
    ), numbered AS MATERIALIZED (
        SELECT nextval('howdah.pg_dist_shardid_seq') AS shardid, r.* FROM (SELECT * FROM ranges ORDER BY shardminvalue) r
    ), made AS (
        INSERT INTO howdah.pg_dist_shard (shardid, logicalrelid, shardminvalue, shardmaxvalue)
        SELECT shardid, relation, shardminvalue, shardmaxvalue FROM numbered
    )
    INSERT INTO howdah.pg_dist_placement (shardid, groupid) SELECT shardid, groupid FROM numbered ORDER BY shardid;
END $$;
REVOKE ALL ON FUNCTION howdah.place_shards(oid) FROM PUBLIC;

-- The columns that are stored as they were given.
CREATE OR REPLACE FUNCTION howdah.given_columns(relation oid) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(format('%I', c), ', ' ORDER BY n) FROM unnest(howdah.reference_columns(relation)) WITH ORDINALITY given (c, n)
$$;

-- The parts in which the rows of a shell are given to the router: all of them, where it knows the hash function of the distribution
-- column's type. Else the coordinator hashes, and the router is told for each shard in turn that the table has no other: `as_one`.
CREATE OR REPLACE FUNCTION howdah.row_parts(relation oid, OUT condition text, OUT as_one jsonb) RETURNS SETOF record
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    attribute pg_attribute;
    facts jsonb;
BEGIN
    SELECT a.* INTO STRICT attribute FROM howdah.pg_dist_partition JOIN pg_attribute a ON a.attrelid = logicalrelid AND a.attnum = partcolumn
        WHERE logicalrelid = relation;
    -- As pg::hash::hash_text_value.
    IF attribute.atttypid IN ('bool'::regtype, 'int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'oid'::regtype, 'float4'::regtype,
            'float8'::regtype, 'numeric'::regtype, 'text'::regtype, 'varchar'::regtype, 'bpchar'::regtype, 'name'::regtype, '"char"'::regtype,
            'bytea'::regtype, 'uuid'::regtype, 'date'::regtype, 'time'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype) THEN
        condition := 'true';
        RETURN NEXT;
        RETURN;
    END IF;
    SELECT jsonb_set(t, '{columns}', (SELECT jsonb_agg(CASE WHEN (c -> 'number')::int = attribute.attnum THEN c || '{"type_oid": 25}' ELSE c END) FROM jsonb_array_elements(t -> 'columns') c))
        INTO facts FROM to_jsonb(howdah.table_json(relation)) t;
    RETURN QUERY
        SELECT format('hash_record(ROW(%I)) BETWEEN %s AND %s', attribute.attname, s.shardminvalue, s.shardmaxvalue),
            jsonb_set(facts, '{distribution}', jsonb_build_object('kind', 'hash', 'column', attribute.attnum, 'colocation', -1, 'shards',
                jsonb_build_array(jsonb_build_object('id', s.shardid, 'min', -2147483648, 'max', 2147483647, 'group', l.groupid))))
        FROM howdah.pg_dist_shard s JOIN howdah.pg_dist_placement l USING (shardid) WHERE s.logicalrelid = relation ORDER BY s.shardid;
END $$;

-- Moves the rows of a shell into its shards. The owner writes them, because generated columns are computed here; what lets him do so
-- is a view of his live child that is there for the moment.
CREATE OR REPLACE FUNCTION howdah.move_rows(relation oid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET session_replication_role = replica AS $$
DECLARE
    columns constant text := howdah.given_columns(relation);
    owner constant oid := (SELECT relowner FROM pg_class WHERE oid = relation);
    -- The owner must see all of the rows.
    forced constant boolean := (SELECT relforcerowsecurity FROM pg_class WHERE oid = relation);
    part record;
    filled boolean;
BEGIN
    IF (SELECT relkind = 'p' FROM pg_class WHERE oid = relation) THEN
        RETURN;
    END IF;
    EXECUTE format('SELECT EXISTS (SELECT FROM ONLY %s)', howdah.qualified(relation)) INTO filled;
    IF NOT filled THEN
        RETURN;
    END IF;
    RAISE NOTICE 'Copying data from local table...';
    IF forced THEN
        EXECUTE format('ALTER TABLE ONLY %s NO FORCE ROW LEVEL SECURITY', howdah.qualified(relation));
    END IF;
    EXECUTE format('CREATE VIEW howdah.child_%s AS SELECT %s FROM howdah_live.t%1$s', relation, columns);
    EXECUTE format('GRANT INSERT ON howdah.child_%s TO %I', relation, pg_get_userbyid(owner));
    FOR part IN SELECT * FROM howdah.row_parts(relation) LOOP
        IF part.as_one IS NOT NULL THEN
            PERFORM howdah.call(jsonb_build_object('op', 'register', 'table', part.as_one));
        END IF;
        PERFORM howdah.run_as(owner, format('BEGIN INSERT INTO howdah.child_%s (%s) SELECT %2$s FROM ONLY %3$s WHERE %4$s; RETURN NULL; END',
            relation, columns, howdah.qualified(relation), part.condition));
    END LOOP;
    PERFORM howdah.register(relation);
    EXECUTE format('DROP VIEW howdah.child_%s', relation);
    PERFORM howdah.empty_shell(relation);
    IF forced THEN
        EXECUTE format('ALTER TABLE ONLY %s FORCE ROW LEVEL SECURITY', howdah.qualified(relation));
    END IF;
    RAISE NOTICE 'copying the data has completed';
END $$;
REVOKE ALL ON FUNCTION howdah.move_rows(oid) FROM PUBLIC;

CREATE OR REPLACE FUNCTION howdah.register(relation oid) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT howdah.call(jsonb_build_object('op', 'register', 'table', howdah.table_json(relation)))
$$;
REVOKE ALL ON FUNCTION howdah.register(oid) FROM PUBLIC;

-- Gives tables their shards, each after the one that it is a partition of.
CREATE OR REPLACE FUNCTION howdah.distribute(tables oid[], column_name name, colocation int) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    relation oid;
BEGIN
    INSERT INTO howdah.pg_dist_partition (logicalrelid, partmethod, partcolumn, colocationid, repmodel)
        SELECT t, 'h', attnum, colocation, 's' FROM unnest(tables) t JOIN pg_attribute ON attrelid = t AND attname = column_name;
    FOREACH relation IN ARRAY tables LOOP
        PERFORM howdah.check_code(relation);
        PERFORM howdah.check_triggers(relation);
        PERFORM howdah.check_unique(relation, partcolumn) FROM howdah.pg_dist_partition WHERE logicalrelid = relation;
        PERFORM howdah.place_shards(relation);
        PERFORM howdah.check_foreign_keys(relation);
        PERFORM howdah.create_shards(relation);
        PERFORM howdah.register(relation);
        PERFORM howdah.disable_foreign_keys(relation);
    END LOOP;
    FOREACH relation IN ARRAY tables LOOP
        IF howdah.is_leaf(relation) THEN
            PERFORM howdah.make_twin(relation);
            PERFORM howdah.move_rows(relation);
            PERFORM howdah.drop_live(relation);
            PERFORM howdah.guard_live(relation);
            PERFORM howdah.attach_live(relation);
        ELSE
            PERFORM howdah.attach_live(relation);
            PERFORM howdah.move_rows(relation);
            PERFORM howdah.guard_live(relation);
        END IF;
        PERFORM howdah.copy_triggers(relation);
        PERFORM howdah.keep_shape(relation);
    END LOOP;
END $$;
REVOKE ALL ON FUNCTION howdah.distribute(oid[], name, int) FROM PUBLIC;

CREATE OR REPLACE FUNCTION howdah.create_distributed_table(relation oid, column_name text, colocate_with oid, shard_count int) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET howdah.our_ddl = 'on' AS $$
DECLARE
    column_number smallint;
BEGIN
    PERFORM howdah.lock_distributable(relation);
    column_number := howdah.check_distribution_column(relation, column_name);
    PERFORM howdah.check_unique(relation, column_number);
    PERFORM howdah.distribute(howdah.family(relation), attname, howdah.choose_colocation(relation, column_number, colocate_with, shard_count))
        FROM pg_attribute WHERE attrelid = relation AND attnum = column_number;
END $$;

CREATE OR REPLACE FUNCTION pg_catalog.create_distributed_table(table_name regclass, distribution_column text,
    distribution_type distribution_type DEFAULT 'hash', colocate_with text DEFAULT 'default', shard_count int DEFAULT NULL) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF table_name IS NULL OR distribution_column IS NULL OR distribution_type IS NULL OR colocate_with IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'table_name, distribution_column, distribution_type and colocate_with cannot be NULL';
    END IF;
    IF distribution_type::pg_catalog.text OPERATOR(pg_catalog.<>) 'hash' THEN
        RAISE EXCEPTION USING ERRCODE = 'feature_not_supported',
            MESSAGE = pg_catalog.format('distribution type "%s" is not supported', distribution_type),
            HINT = 'Distribute the table by hash.';
    END IF;
    IF shard_count IS NOT NULL AND pg_catalog.lower(colocate_with) OPERATOR(pg_catalog.<>) ALL (ARRAY['default', 'none']) THEN
        RAISE EXCEPTION 'Cannot use colocate_with with a table and shard_count at the same time';
    END IF;
    PERFORM howdah.create_distributed_table(table_name, distribution_column,
        CASE pg_catalog.lower(colocate_with) WHEN 'none' THEN NULL WHEN 'default' THEN 0 ELSE colocate_with::pg_catalog.regclass END, shard_count);
END $$;

CREATE OR REPLACE FUNCTION pg_catalog.create_reference_table(table_name regclass) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET howdah.our_ddl = 'on' AS $$
DECLARE
    colocation int;
    shard bigint;
BEGIN
    IF table_name IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'table_name cannot be NULL';
    END IF;
    PERFORM howdah.lock_distributable(table_name);
    IF (SELECT relkind = 'p' FROM pg_class WHERE oid = table_name) THEN
        RAISE feature_not_supported USING MESSAGE = format('partitioned table "%s" cannot be a reference table', (SELECT relname FROM pg_class WHERE oid = table_name)),
            HINT = 'Distribute it by a column, or use a table without partitions.';
    END IF;
    SELECT colocationid INTO colocation FROM howdah.pg_dist_colocation WHERE distributioncolumntype IS NULL;
    IF NOT FOUND THEN
        INSERT INTO howdah.pg_dist_colocation (shardcount, replicationfactor) VALUES (1, -1) RETURNING colocationid INTO colocation;
    END IF;
    INSERT INTO howdah.pg_dist_partition (logicalrelid, partmethod, colocationid, repmodel) VALUES (table_name, 'n', colocation, 't');
    INSERT INTO howdah.pg_dist_shard (logicalrelid) VALUES (table_name) RETURNING shardid INTO shard;
    INSERT INTO howdah.pg_dist_placement (shardid, groupid)
        SELECT shard, groupid FROM howdah.pg_dist_node WHERE isactive AND noderole = 'primary' ORDER BY groupid;
    PERFORM howdah.check_foreign_keys(table_name);
    PERFORM howdah.create_shards(table_name);
    PERFORM howdah.register(table_name);
    PERFORM howdah.copy_reference(table_name, howdah.copies(table_name));
    PERFORM howdah.attach_reference(table_name);
    PERFORM howdah.keep_shape(table_name);
END $$;
