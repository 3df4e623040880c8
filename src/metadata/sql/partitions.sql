-- Partitioned tables. Each table of a partition tree is a distributed table of its own, colocated with the others; the shards of one
-- hash range make a tree of the same shape on their worker.
--
-- A partition cannot have a child by inheritance, so the partition itself leads to the router: between DDL commands its row in
-- pg_class says that it is a foreign table. Its indexes, keys and OID stay: shards are made by them, and statements are
-- analysed by them. relhasindex is false meanwhile, because PostgreSQL's planner expects no index of a foreign table; and relhassubclass is
-- true, so that it reads the partition as one of several children, and postgres_fdw sends no joins and aggregates. DDL meets the
-- plain table that it expects, within its own transaction (on_ddl_start, close_partitions): others never see it.
--
-- Invariant: in what is committed, a partition that holds rows and is in pg_dist_partition has relkind 'f', and no storage that is read.

-- A table with all partitions below it, each after the one that it belongs to.
CREATE OR REPLACE FUNCTION howdah.family(relation oid) RETURNS oid[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT array_agg(member ORDER BY level, member)
    FROM (SELECT relation, 0 UNION SELECT relid::oid, level FROM pg_partition_tree(relation)) members (member, level)
$$;

-- The distributed table that this one is a partition of.
CREATE OR REPLACE FUNCTION howdah.distributed_parent(relation oid) RETURNS oid
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT i.inhparent FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid JOIN howdah.pg_dist_partition p ON p.logicalrelid = i.inhparent
    WHERE c.oid = relation AND c.relispartition
$$;

-- Whether a table has rows of its own and is a partition.
CREATE OR REPLACE FUNCTION howdah.is_leaf(relation oid) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT relispartition AND relkind <> 'p' FROM pg_class WHERE oid = relation
$$;

CREATE OR REPLACE FUNCTION howdah.close_partition(relation oid) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO pg_foreign_table (ftrelid, ftserver, ftoptions)
        SELECT relation, oid, ARRAY['schema_name=howdah_live', 'table_name=t' || relation] FROM pg_foreign_server WHERE srvname = 'howdah_loopback';
    UPDATE pg_class SET relkind = 'f', relhasindex = false, relhassubclass = true WHERE oid = relation
$$;
REVOKE ALL ON FUNCTION howdah.close_partition(oid) FROM PUBLIC;

-- Nothing is in its storage, so that any age of it is right, and VACUUM has not looked at it.
CREATE OR REPLACE FUNCTION howdah.open_partition(relation oid) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    DELETE FROM pg_foreign_table WHERE ftrelid = relation;
    UPDATE pg_class c SET relkind = 'r', relhassubclass = false, relhasindex = EXISTS (SELECT FROM pg_index WHERE indrelid = relation),
            relfrozenxid = catalog.relfrozenxid, relminmxid = catalog.relminmxid
        FROM pg_class catalog WHERE c.oid = relation AND catalog.oid = 'pg_class'::regclass
$$;
REVOKE ALL ON FUNCTION howdah.open_partition(oid) FROM PUBLIC;

-- What DDL has opened or made.
CREATE OR REPLACE FUNCTION howdah.close_partitions() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM howdah.close_partition(c.oid) FROM howdah.pg_dist_partition p JOIN pg_class c ON c.oid = p.logicalrelid
        WHERE c.relispartition AND c.relkind = 'r' AND p.partmethod = 'h' ORDER BY c.oid;
END $$;
REVOKE ALL ON FUNCTION howdah.close_partitions() FROM PUBLIC;

-- Before DDL runs: opens the partitions that it may mean, by the words of the statement. What stays closed by mistake is an error of
-- PostgreSQL's, not a wrong answer. CONCURRENTLY commits in between, and must leave them closed.
--
-- An event trigger by itself, and not a function that one calls: nobody can call it. Users can set the setting, and only harm their own DDL.
CREATE OR REPLACE FUNCTION howdah.on_ddl_start() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    context text;
    said text[];
BEGIN
    IF current_setting('howdah.our_ddl', true) = 'on' OR NOT EXISTS (
            SELECT FROM howdah.pg_dist_partition p JOIN pg_class c ON c.oid = p.logicalrelid WHERE c.relkind IN ('p', 'f')) THEN
        RETURN;
    END IF;
    -- With the statements of functions.
    GET DIAGNOSTICS context = PG_CONTEXT;
    said := howdah.words(lower(concat(current_query(), ' ', context)));
    IF 'concurrently' = ANY (said) THEN
        RETURN;
    END IF;
    PERFORM howdah.open_partition(c.oid)
        FROM howdah.pg_dist_partition p JOIN pg_class c ON c.oid = p.logicalrelid
        WHERE c.relispartition AND c.relkind = 'f' AND EXISTS (
            SELECT FROM pg_partition_ancestors(c.oid) JOIN pg_class named ON named.oid = relid WHERE howdah.words(lower(named.relname)) <@ said)
        ORDER BY c.oid;
    -- What becomes a partition must have no child.
    IF TG_TAG = 'ALTER TABLE' AND said @> ARRAY['attach', 'partition'] THEN
        PERFORM howdah.drop_live(c.oid)
            FROM howdah.pg_dist_partition p JOIN pg_class c ON c.oid = p.logicalrelid
            WHERE p.partmethod = 'h' AND c.relkind = 'r' AND NOT c.relispartition AND howdah.words(lower(c.relname)) <@ said
            ORDER BY c.oid;
    END IF;
END $$;

-- The topmost table that has a CHECK constraint which a partition inherits: the shards of a tree must agree on its name.
CREATE OR REPLACE FUNCTION howdah.check_origin(con pg_constraint) RETURNS oid
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT a.relid::oid FROM pg_partition_ancestors(con.conrelid) WITH ORDINALITY a (relid, n)
    WHERE con.contype = 'c' AND con.coninhcount > 0 AND a.relid <> con.conrelid
      AND EXISTS (SELECT FROM pg_constraint WHERE conrelid = a.relid AND contype = 'c' AND conname = con.conname)
    ORDER BY n DESC LIMIT 1
$$;

-- The name of a constraint on a shard. `origin` is that of check_origin.
CREATE OR REPLACE FUNCTION howdah.shard_constraint(name text, origin oid, shardid bigint) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN howdah.shard_name(name, CASE WHEN origin IS NULL THEN shardid ELSE coalesce(howdah.colocated_shard(shardid, origin), shardid) END);
END $$;

-- What tells a partition from other tables: null for those.
CREATE OR REPLACE FUNCTION howdah.partition_of(relation oid) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET extra_float_digits = 3 AS $$
    SELECT jsonb_build_object('parent', howdah.distributed_parent(relation)::bigint, 'bound', pg_get_expr(relpartbound, oid))
    FROM pg_class WHERE oid = relation AND howdah.distributed_parent(relation) IS NOT NULL
$$;

-- Makes one shard a partition of the shard that belongs to it, or no more. The owner does it, because a key may call his functions.
CREATE OR REPLACE FUNCTION howdah.partition_ddl(shardid bigint, shard text, partition jsonb, verb text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    parent constant oid := (partition ->> 'parent')::oid;
    whole constant text := howdah.shard_relation(parent, howdah.colocated_shard(shardid, parent));
    ddl constant text := format('ALTER TABLE %s %s PARTITION %s %s', whole, verb, shard, CASE verb WHEN 'ATTACH' THEN partition ->> 'bound' END);
BEGIN
    IF (SELECT count(DISTINCT relowner) FROM pg_class WHERE oid IN (parent, (SELECT logicalrelid FROM howdah.pg_dist_shard s WHERE s.shardid = partition_ddl.shardid))) = 1 THEN
        RETURN howdah.as_owner_ddl(whole, ddl);
    ELSIF EXISTS (SELECT FROM pg_partitioned_table WHERE partrelid = parent AND partexprs IS NOT NULL) THEN
        RAISE feature_not_supported USING MESSAGE = format('cannot attach a partition of another owner to "%s"', (SELECT relname FROM pg_class WHERE oid = parent)),
            DETAIL = 'Its partition key is an expression.', HINT = 'Give both tables the same owner.';
    END IF;
    RETURN ddl;
END $$;

-- A foreign table beside a partition, by which its rows are moved: the partition itself is being read or written.
CREATE OR REPLACE FUNCTION howdah.make_twin(relation oid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('CREATE FOREIGN TABLE howdah_live.t%1$s (%2$s) SERVER howdah_loopback OPTIONS (schema_name ''howdah_live'', table_name ''t%1$s'')', relation,
        (SELECT string_agg(concat_ws(' ', format('%I', a.attname), format_type(a.atttypid, a.atttypmod),
            (SELECT format('COLLATE %I.%I', nspname, collname) FROM pg_collation c JOIN pg_namespace n ON n.oid = collnamespace WHERE c.oid = a.attcollation)), ', ' ORDER BY a.attnum)
         FROM pg_attribute a WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''));
END $$;
REVOKE ALL ON FUNCTION howdah.make_twin(oid) FROM PUBLIC;

-- A partition that has come to a distributed table becomes distributed as it is.
CREATE OR REPLACE FUNCTION howdah.adopt_partition(relation oid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    parent constant oid := howdah.distributed_parent(relation);
BEGIN
    PERFORM howdah.check_distributable(relation, parent);
    PERFORM howdah.distribute(ARRAY[relation], attname, colocationid) FROM howdah.pg_dist_partition
        JOIN pg_attribute ON attrelid = logicalrelid AND attnum = partcolumn WHERE logicalrelid = parent;
END $$;
REVOKE ALL ON FUNCTION howdah.adopt_partition(oid) FROM PUBLIC;

-- A distributed table that has become a partition must be distributed as the whole is.
CREATE OR REPLACE FUNCTION howdah.check_partition(relation oid) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    whole regclass := howdah.distributed_parent(relation);
BEGIN
    IF NOT (SELECT relispartition FROM pg_class WHERE oid = relation) THEN
        RETURN;
    ELSIF whole IS NULL OR NOT EXISTS (
            SELECT FROM howdah.pg_dist_partition mine JOIN howdah.pg_dist_partition its ON its.colocationid = mine.colocationid
            JOIN pg_attribute m ON m.attrelid = mine.logicalrelid AND m.attnum = mine.partcolumn
            JOIN pg_attribute i ON i.attrelid = its.logicalrelid AND i.attnum = its.partcolumn
            WHERE mine.logicalrelid = relation AND its.logicalrelid = whole AND m.attname = i.attname) THEN
        RAISE feature_not_supported USING
            MESSAGE = format('cannot attach table "%s" as a partition', (SELECT relname FROM pg_class WHERE oid = relation)),
            DETAIL = 'Distributed tables can only be attached to a table that is colocated with them and distributed by the same column.',
            HINT = 'Use undistribute_table, or alter_distributed_table with colocate_with, first.';
    END IF;
END $$;
