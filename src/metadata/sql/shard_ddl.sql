-- What a shard is made of: the columns, constraints, indexes, owner and rights of the table on the coordinator, never
-- its sequences (nextval is drawn on the coordinator), nor defaults that are not immutable (the router sends their values).
-- Statements are put together from the catalog, each name quoted on its own: they run with superuser rights.

-- Whether an exclusion or unique constraint, or a unique index, keeps its promise when rows are spread by `column_number`.
CREATE OR REPLACE FUNCTION howdah.check_unique(relation oid, column_number smallint) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    index record;
BEGIN
    FOR index IN
        SELECT i.indexrelid, c.relname
        FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
        WHERE i.indrelid = relation AND i.indisvalid AND (i.indisunique OR i.indisexclusion)
          AND NOT EXISTS (
            SELECT FROM unnest(i.indkey::smallint[]) WITH ORDINALITY k (attnum, n)
            WHERE k.attnum = column_number AND k.n <= i.indnkeyatts
              AND (NOT i.indisexclusion OR EXISTS (
                SELECT FROM pg_constraint o JOIN pg_amop p ON p.amopopr = o.conexclop[k.n] AND p.amopstrategy = 3
                JOIN pg_am am ON am.oid = p.amopmethod AND am.amname = 'btree' WHERE o.conindid = i.indexrelid AND o.contype = 'x')))
    LOOP
        RAISE feature_not_supported USING
            MESSAGE = format('cannot create constraint on "%s"', (SELECT relname FROM pg_class WHERE oid = relation)),
            DETAIL = 'Distributed relations cannot have UNIQUE, EXCLUDE, or PRIMARY KEY constraints that do not include the '
                'partition column (with an equality operator if EXCLUDE).';
    END LOOP;
END $$;

-- The shard that lies on the same nodes as `shardid` and belongs to `relation`; null if there is none.
CREATE OR REPLACE FUNCTION howdah.colocated_shard(shardid bigint, relation oid) RETURNS bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT other.shardid
    FROM howdah.pg_dist_shard mine
    JOIN howdah.pg_dist_partition my ON my.logicalrelid = mine.logicalrelid
    JOIN howdah.pg_dist_partition its ON its.logicalrelid = relation
    JOIN howdah.pg_dist_shard other ON other.logicalrelid = relation
    WHERE mine.shardid = colocated_shard.shardid
      AND (its.partmethod = 'n' OR my.colocationid = its.colocationid AND other.shardminvalue = mine.shardminvalue)
$$;

CREATE OR REPLACE FUNCTION howdah.shard_relation(relation oid, shardid bigint) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('%I.%I', nspname, howdah.shard_name(relname, shardid))
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE c.oid = relation
$$;

CREATE OR REPLACE FUNCTION howdah.column_ddl(relation oid, attnum smallint) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT concat_ws(' ', format('%I', a.attname), format_type(a.atttypid, a.atttypmod),
        CASE WHEN a.attcompression <> '' THEN 'COMPRESSION ' || CASE a.attcompression WHEN 'l' THEN 'lz4' ELSE 'pglz' END END,
        CASE WHEN a.attcollation <> t.typcollation THEN
            (SELECT format('COLLATE %I.%I', nspname, collname) FROM pg_collation c JOIN pg_namespace n ON n.oid = collnamespace
             WHERE c.oid = a.attcollation) END,
        CASE WHEN a.attgenerated <> '' THEN
            format('GENERATED ALWAYS AS (%s) %s', pg_get_expr(d.adbin, d.adrelid), CASE a.attgenerated WHEN 's' THEN 'STORED' ELSE 'VIRTUAL' END)
        WHEN d.adbin IS NOT NULL AND howdah.expression_class(d.adbin::text) = 'immutable' THEN
            'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid) END,
        CASE WHEN a.attnotnull THEN 'NOT NULL' END)
    FROM pg_attribute a
    JOIN pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = relation AND a.attnum = column_ddl.attnum
$$;

-- A foreign key to a partitioned table has a constraint for each of its partitions as well: PostgreSQL makes those.
CREATE OR REPLACE FUNCTION howdah.is_clone(con pg_constraint) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM pg_constraint whole WHERE whole.oid = con.conparentid AND whole.conrelid = con.conrelid)
$$;

-- FOREIGN KEY … REFERENCES <shard> …, for one shard.
CREATE OR REPLACE FUNCTION howdah.foreign_key_ddl(con pg_constraint, shardid bigint) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target bigint;
    actions constant jsonb := '{"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}';
    facts jsonb := to_jsonb(con);
BEGIN
    target := CASE WHEN con.confrelid = con.conrelid THEN shardid ELSE howdah.colocated_shard(shardid, con.confrelid) END;
    IF target IS NULL THEN
        RAISE feature_not_supported USING
            MESSAGE = 'cannot create foreign key constraint since relations are not colocated or not referencing a reference table',
            DETAIL = 'A distributed table can only have foreign keys if it is referencing another colocated hash distributed '
                'table or a reference table';
    END IF;
    RETURN concat_ws(' ',
        format('FOREIGN KEY (%s) REFERENCES %s (%s)',
            (SELECT string_agg(format('%I', attname), ', ' ORDER BY n) FROM unnest(con.conkey) WITH ORDINALITY k (num, n)
             JOIN pg_attribute ON attrelid = con.conrelid AND attnum = num),
            howdah.shard_relation(con.confrelid, target),
            (SELECT string_agg(format('%I', attname), ', ' ORDER BY n) FROM unnest(con.confkey) WITH ORDINALITY k (num, n)
             JOIN pg_attribute ON attrelid = con.confrelid AND attnum = num)),
        CASE con.confmatchtype WHEN 'f' THEN 'MATCH FULL' END,
        'ON UPDATE ' || (actions ->> con.confupdtype::text),
        'ON DELETE ' || (actions ->> con.confdeltype::text),
        (SELECT '(' || string_agg(format('%I', attname), ', ' ORDER BY n) || ')' FROM unnest(con.confdelsetcols) WITH ORDINALITY k (num, n)
         JOIN pg_attribute ON attrelid = con.conrelid AND attnum = num),
        CASE WHEN con.condeferrable THEN 'DEFERRABLE' END,
        CASE WHEN con.condeferred THEN 'INITIALLY DEFERRED' END,
        CASE WHEN facts ->> 'conenforced' = 'false' THEN 'NOT ENFORCED' WHEN NOT con.convalidated THEN 'NOT VALID' END);
END $$;

-- A statement that may call code of users, and therefore runs with the rights of the shard's owner.
CREATE OR REPLACE FUNCTION howdah.as_owner_ddl(shard text, statement text, path text DEFAULT NULL) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('SELECT howdah.as_owner(%L, %L, %L)', shard, statement, coalesce(path, 'pg_catalog, pg_temp'))
$$;

-- ALTER TABLE … ADD CONSTRAINT for a constraint on one shard. PostgreSQL builds indexes with the rights of the table's owner
-- by itself, but checks a CHECK or a foreign key with those of whoever adds it.
CREATE OR REPLACE FUNCTION howdah.constraint_ddl(constraint_oid oid, shardid bigint) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN con.contype IN ('c', 'f') THEN howdah.as_owner_ddl(shard, ddl) ELSE ddl END
    FROM pg_constraint con, howdah.shard_relation(con.conrelid, shardid) shard,
        format('ALTER TABLE %s ADD CONSTRAINT %I %s', shard, howdah.shard_constraint(con.conname, howdah.check_origin(con), shardid),
            CASE con.contype WHEN 'f' THEN howdah.foreign_key_ddl(con, shardid) ELSE pg_get_constraintdef(con.oid) END) ddl
    WHERE con.oid = constraint_oid
$$;

-- CREATE INDEX for an index on one shard. pg_get_indexdef() begins with the names, which are replaced as a whole. Of a partitioned
-- table it says ONLY: here those of the partitions, which are made first, become parts of it.
CREATE OR REPLACE FUNCTION howdah.index_ddl(index_oid oid, shardid bigint) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    definition text := pg_get_indexdef(index_oid);
    index record;
    head text;
BEGIN
    SELECT i.indrelid, c.relname, c.relkind, CASE WHEN i.indisunique THEN 'CREATE UNIQUE INDEX' ELSE 'CREATE INDEX' END AS verb INTO STRICT index
        FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indexrelid = index_oid;
    head := format('%s %I ON %s%s USING ', index.verb, index.relname, CASE index.relkind WHEN 'I' THEN 'ONLY ' END, howdah.qualified(index.indrelid));
    ASSERT starts_with(definition, head), definition;
    RETURN format('%s %I ON %s USING %s', index.verb, howdah.shard_name(index.relname, shardid),
        howdah.shard_relation(index.indrelid, shardid), substr(definition, length(head) + 1));
END $$;

-- GRANTs of a relation's and its columns' ACLs, on one shard of it.
CREATE OR REPLACE FUNCTION howdah.grant_ddl(relation oid, shard text) RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('REVOKE ALL ON TABLE %s FROM %I', shard, pg_get_userbyid(relowner)) FROM pg_class WHERE oid = relation AND relacl IS NOT NULL
    UNION ALL
    SELECT format('GRANT %s ON TABLE %s TO %s%s', privilege_type, shard,
        CASE grantee WHEN 0 THEN 'PUBLIC' ELSE format('%I', pg_get_userbyid(grantee)) END, CASE WHEN is_grantable THEN ' WITH GRANT OPTION' END)
    FROM pg_class, aclexplode(relacl) WHERE oid = relation
    UNION ALL
    SELECT format('GRANT %s (%I) ON TABLE %s TO %s%s', privilege_type, attname, shard,
        CASE grantee WHEN 0 THEN 'PUBLIC' ELSE format('%I', pg_get_userbyid(grantee)) END, CASE WHEN is_grantable THEN ' WITH GRANT OPTION' END)
    FROM pg_attribute, aclexplode(attacl) WHERE attrelid = relation AND NOT attisdropped
$$;

-- Everything that makes one shard but its foreign keys.
CREATE OR REPLACE FUNCTION howdah.shard_table_ddl(relation oid, shardid bigint) RETURNS text[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    shard constant text := howdah.shard_relation(relation, shardid);
    class pg_class;
    statements text[];
BEGIN
    SELECT * INTO STRICT class FROM pg_class WHERE oid = relation;
    statements := ARRAY[
        format('CREATE SCHEMA IF NOT EXISTS %I', class.relnamespace::regnamespace::name),
        concat_ws(' ', CASE class.relpersistence WHEN 'u' THEN 'CREATE UNLOGGED TABLE' ELSE 'CREATE TABLE' END, shard,
            (SELECT '(' || coalesce(string_agg(howdah.column_ddl(relation, attnum), ', ' ORDER BY attnum), '') || ')'
             FROM pg_attribute WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped),
            'PARTITION BY ' || pg_get_partkeydef(relation),
            (SELECT 'WITH (' || string_agg(format('%s = %L', option_name, option_value), ', ') || ')'
             FROM pg_options_to_table(class.reloptions)))];
    -- The owner first: what a constraint or an index calls runs with his rights.
    statements := statements || format('ALTER TABLE %s OWNER TO %I', shard, pg_get_userbyid(class.relowner));
    statements := statements || array(
        SELECT howdah.constraint_ddl(oid, shardid) FROM pg_constraint
        WHERE conrelid = relation AND contype IN ('p', 'u', 'x', 'c') ORDER BY contype DESC, conname);
    statements := statements || array(
        SELECT howdah.index_ddl(indexrelid, shardid) FROM pg_index
        WHERE indrelid = relation AND indisvalid
          AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u', 'x')) ORDER BY indexrelid);
    RETURN statements || array(SELECT howdah.grant_ddl(relation, shard)) || array(SELECT howdah.row_security_ddl(shard,
        jsonb_build_object('row_security', howdah.row_security(relation), 'policies', howdah.shard_policies(relation))));
END $$;

CREATE OR REPLACE FUNCTION howdah.shard_foreign_keys_ddl(relation oid, shardid bigint) RETURNS text[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT array(SELECT howdah.constraint_ddl(oid, shardid) FROM pg_constraint con
        WHERE conrelid = relation AND contype = 'f' AND NOT howdah.is_clone(con) ORDER BY conname)
$$;

-- Everything that makes one shard, as statements separated by semicolons. A partition finds its keys and indexes in place when it is attached.
CREATE OR REPLACE FUNCTION howdah.shard_ddl(relation oid, shardid bigint) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT array_to_string(howdah.shard_table_ddl(relation, shardid) || howdah.shard_foreign_keys_ddl(relation, shardid)
        || array(SELECT howdah.partition_ddl(shardid, howdah.shard_relation(relation, shardid), partition, 'ATTACH')
            FROM howdah.partition_of(relation) partition WHERE partition IS NOT NULL), E';\n')
$$;

-- Makes all shards of a table that have a placement on a worker: one request a worker.
CREATE OR REPLACE FUNCTION howdah.create_shards(relation oid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    node record;
BEGIN
    FOR node IN
        SELECT p.groupid, string_agg(howdah.shard_ddl(relation, s.shardid), E';\n' ORDER BY s.shardid) AS ddl
        FROM howdah.pg_dist_shard s JOIN howdah.pg_dist_placement p USING (shardid)
        WHERE s.logicalrelid = relation AND p.groupid <> 0
        GROUP BY p.groupid ORDER BY p.groupid
    LOOP
        PERFORM howdah.on_node(node.groupid, node.ddl);
    END LOOP;
END $$;
REVOKE ALL ON FUNCTION howdah.create_shards(oid) FROM PUBLIC;
