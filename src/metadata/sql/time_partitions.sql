-- Partitions by time, as Citus makes and drops them: plain DDL on any table that is partitioned by one column of a time's type.

CREATE OR REPLACE VIEW pg_catalog.time_partitions AS
    SELECT p.partrelid::regclass AS parent_table, a.attname AS partition_column, c.oid::regclass AS partition,
        CASE WHEN bound = 'DEFAULT' THEN '' ELSE (regexp_match(bound, '^FOR VALUES FROM \(''?(.*?)''?\) TO \('))[1] END AS from_value,
        CASE WHEN bound = 'DEFAULT' THEN '' ELSE (regexp_match(bound, '\) TO \(''?(.*?)''?\)$'))[1] END AS to_value,
        am.amname AS access_method
    FROM pg_partitioned_table p
    JOIN pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[0]
    JOIN pg_inherits i ON i.inhparent = p.partrelid
    JOIN pg_class c ON c.oid = i.inhrelid
    LEFT JOIN pg_am am ON am.oid = c.relam
    CROSS JOIN LATERAL pg_get_expr(c.relpartbound, c.oid) bound
    WHERE p.partstrat = 'r' AND p.partnatts = 1 AND a.atttypid IN ('date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype);
GRANT SELECT ON pg_catalog.time_partitions TO PUBLIC;

-- The ranges between the two times that have no partition yet, with the names that pg_partman would give them.
CREATE OR REPLACE FUNCTION pg_catalog.get_missing_time_partition_ranges(table_name regclass, partition_interval interval, to_value timestamptz,
    from_value timestamptz DEFAULT now()) RETURNS TABLE (partition_name text, range_from_value text, range_to_value text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    key pg_partitioned_table;
    column_type regtype;
    lower timestamptz;
    upper timestamptz;
    other record;
    name text := (SELECT relname FROM pg_class WHERE oid = table_name);
    suffix text;
    pattern constant text := CASE partition_interval WHEN interval '3 months' THEN 'YYYY"q"Q' WHEN interval '1 week' THEN 'IYYY"w"IW'
        ELSE concat('YYYY', CASE WHEN partition_interval < interval '1 year' THEN '_MM' END, CASE WHEN partition_interval < interval '1 month' THEN '_DD' END,
            CASE WHEN partition_interval < interval '1 day' THEN '_HH24MI' END, CASE WHEN partition_interval < interval '1 minute' THEN 'SS' END) END;
BEGIN
    SELECT * INTO key FROM pg_partitioned_table WHERE partrelid = table_name;
    IF NOT FOUND THEN
        RAISE EXCEPTION '% is not partitioned', name;
    ELSIF key.partnatts <> 1 THEN
        RAISE EXCEPTION 'partitioned tables with multiple partition columns are not supported';
    ELSIF partition_interval <= interval '0' THEN
        RAISE EXCEPTION 'partition interval must be positive';
    END IF;
    SELECT atttypid INTO column_type FROM pg_attribute WHERE attrelid = table_name AND attnum = key.partattrs[0];
    IF column_type IS NULL OR column_type NOT IN ('date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype) THEN
        RAISE EXCEPTION 'type of the partition column of the table % must be date, timestamp or timestamptz', name;
    ELSIF column_type = 'date'::regtype AND date_trunc('day', partition_interval) <> partition_interval THEN
        RAISE EXCEPTION 'partition interval of date partitioned table must be day or multiple days';
    END IF;
    -- Two sessions must not find the same range missing.
    EXECUTE format('LOCK TABLE %s IN SHARE UPDATE EXCLUSIVE MODE', howdah.qualified(table_name));
    -- The first partition tells where all begin.
    SELECT t.from_value::timestamptz INTO lower FROM time_partitions t
        WHERE t.parent_table = table_name AND t.from_value <> '' AND t.to_value <> '' ORDER BY t.from_value::timestamptz LIMIT 1;
    IF lower IS NULL THEN
        lower := date_trunc(CASE WHEN partition_interval < interval '1 hour' THEN 'minute' WHEN partition_interval < interval '1 day' THEN 'hour'
            WHEN partition_interval < interval '1 week' THEN 'day' WHEN partition_interval < interval '1 month' THEN 'week'
            WHEN partition_interval < interval '3 months' THEN 'month' WHEN partition_interval < interval '1 year' THEN 'quarter' ELSE 'year' END, from_value);
    ELSE
        WHILE lower < from_value LOOP
            lower := lower + partition_interval;
        END LOOP;
        WHILE lower > from_value LOOP
            lower := lower - partition_interval;
        END LOOP;
    END IF;
    FOR lower, upper IN
        SELECT lower + n * partition_interval, lower + (n + 1) * partition_interval
        FROM generate_series(0, greatest(0, ceil(extract(epoch FROM to_value - lower) / extract(epoch FROM partition_interval)) + 1)::bigint) n
        WHERE lower + n * partition_interval < to_value ORDER BY n
    LOOP
        SELECT t.partition, t.from_value, t.to_value, t.from_value::timestamptz = lower AND t.to_value::timestamptz = upper AS same INTO other
            FROM time_partitions t WHERE t.parent_table = table_name AND t.from_value <> '' AND t.to_value <> ''
              AND t.from_value::timestamptz < upper AND lower < t.to_value::timestamptz LIMIT 1;
        IF FOUND THEN
            CONTINUE WHEN other.same;
            RAISE EXCEPTION 'partition % with the range from % to % does not align with the initial partition given the partition interval',
                other.partition, other.from_value, other.to_value USING HINT = 'Only use partitions of the same size, without gaps between partitions.';
        END IF;
        suffix := '_p' || to_char(lower, pattern);
        partition_name := left(name, 63 - length(suffix)) || suffix;
        range_from_value := CASE column_type WHEN 'date'::regtype THEN lower::date::text WHEN 'timestamp'::regtype THEN lower::timestamp::text ELSE lower::text END;
        range_to_value := CASE column_type WHEN 'date'::regtype THEN upper::date::text WHEN 'timestamp'::regtype THEN upper::timestamp::text ELSE upper::text END;
        RETURN NEXT;
    END LOOP;
END $$;

CREATE OR REPLACE FUNCTION pg_catalog.create_time_partitions(table_name regclass, partition_interval interval, end_at timestamptz,
    start_from timestamptz DEFAULT now()) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    missing record;
    created boolean := false;
BEGIN
    IF start_from >= end_at THEN
        RAISE EXCEPTION 'start_from (%) must be older than end_at (%)', start_from, end_at;
    END IF;
    FOR missing IN SELECT * FROM get_missing_time_partition_ranges(table_name, partition_interval, end_at, start_from) LOOP
        EXECUTE format('CREATE TABLE %I.%I PARTITION OF %s FOR VALUES FROM (%L) TO (%L)',
            (SELECT relnamespace::regnamespace::name FROM pg_class WHERE oid = table_name), missing.partition_name, howdah.qualified(table_name),
            missing.range_from_value, missing.range_to_value);
        created := true;
    END LOOP;
    RETURN created;
END $$;

CREATE OR REPLACE PROCEDURE pg_catalog.drop_old_time_partitions(table_name regclass, older_than timestamptz)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    old record;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_partitioned_table WHERE partrelid = table_name) THEN
        RAISE EXCEPTION '% is not partitioned', (SELECT relname FROM pg_class WHERE oid = table_name);
    END IF;
    FOR old IN
        SELECT t.partition, t.from_value, t.to_value FROM time_partitions t
        WHERE t.parent_table = table_name AND t.to_value <> '' AND t.to_value::timestamptz <= older_than ORDER BY t.to_value::timestamptz
    LOOP
        RAISE NOTICE 'dropping % with start time % and end time %', old.partition, old.from_value, old.to_value;
        EXECUTE format('DROP TABLE %s', howdah.qualified(old.partition));
    END LOOP;
END $$;
