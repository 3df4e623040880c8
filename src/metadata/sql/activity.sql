-- Who does what, and who waits for whom, on all nodes. A global_pid is the node's id and the pid of a server process there; a session's
-- processes on workers have numbers of their own.

-- Rows as pg_stat_activity of each node shows them to a superuser, seen by the caller as PostgreSQL would let him
-- (pg_stat_get_activity). Numbers of roles and databases are the coordinator's.
CREATE OR REPLACE FUNCTION howdah.stat_activity(OUT nodeid int, OUT is_worker_query boolean, OUT activity pg_catalog.pg_stat_activity) RETURNS SETOF record
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    node record;
    process jsonb;
    sees_all constant boolean := pg_has_role(howdah.caller(), 'pg_read_all_stats', 'USAGE');
    own constant text[] := array(SELECT rolname FROM pg_roles WHERE pg_has_role(howdah.caller(), oid, 'USAGE'));
    read constant text := 'SELECT to_jsonb(a)::text FROM pg_catalog.pg_stat_activity a';
BEGIN
    FOR node IN SELECT n.nodeid, n.groupid FROM howdah.pg_dist_node n WHERE n.isactive AND n.noderole = 'primary' ORDER BY n.groupid LOOP
        nodeid := node.nodeid;
        is_worker_query := node.groupid <> 0;
        FOR process IN
            SELECT to_jsonb(a) FROM pg_stat_activity a WHERE node.groupid = 0
            UNION ALL
            SELECT (r ->> 0)::jsonb FROM jsonb_array_elements(CASE WHEN node.groupid <> 0 THEN
                howdah.call(jsonb_build_object('op', 'query', 'group', node.groupid, 'sql', read))::jsonb -> 'rows' END) r
        LOOP
            IF node.groupid <> 0 THEN
                process := process || jsonb_build_object(
                    'usesysid', (SELECT oid FROM pg_roles WHERE rolname = process ->> 'usename'),
                    'datid', (SELECT oid FROM pg_database WHERE datname = process ->> 'datname'));
            END IF;
            IF NOT sees_all AND (process ->> 'usename' = ANY (own)) IS NOT TRUE THEN
                process := (SELECT jsonb_object_agg(key, CASE key WHEN 'query' THEN to_jsonb('<insufficient privilege>'::text) ELSE value END)
                    FROM jsonb_each(process) WHERE key IN ('datid', 'datname', 'pid', 'leader_pid', 'usesysid', 'usename', 'application_name', 'query'));
            END IF;
            activity := jsonb_populate_record(NULL::pg_catalog.pg_stat_activity, process);
            RETURN NEXT;
        END LOOP;
    END LOOP;
END $$;

CREATE OR REPLACE FUNCTION howdah.global_pid(nodeid int, pid int) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$ SELECT nodeid::bigint * 10000000000 + pid $$;

CREATE OR REPLACE VIEW pg_catalog.citus_stat_activity AS
    SELECT howdah.global_pid(s.nodeid, (s.activity).pid) AS global_pid, s.nodeid, s.is_worker_query, (s.activity).*
    FROM (SELECT * FROM howdah.stat_activity() OFFSET 0) s;
CREATE OR REPLACE VIEW pg_catalog.citus_dist_stat_activity AS
    SELECT * FROM pg_catalog.citus_stat_activity WHERE NOT is_worker_query;

-- Waits are found node by node. Who waits for a prepared transaction waits for pid 0.
CREATE OR REPLACE FUNCTION howdah.lock_waits(OUT nodeid int, OUT waiting int, OUT blocking int) RETURNS SETOF record
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    node record;
    read constant text := 'SELECT w.pid, b.pid FROM pg_catalog.pg_stat_activity w, pg_catalog.unnest(pg_catalog.pg_blocking_pids(w.pid)) b(pid) '
        'WHERE w.wait_event_type = ''Lock''';
BEGIN
    FOR node IN SELECT n.nodeid, n.groupid FROM howdah.pg_dist_node n WHERE n.isactive AND n.noderole = 'primary' ORDER BY n.groupid LOOP
        IF node.groupid = 0 THEN
            RETURN QUERY EXECUTE format('SELECT %s, w.a, w.b FROM (%s) w(a, b)', node.nodeid, read);
        ELSE
            RETURN QUERY SELECT node.nodeid, (r ->> 0)::int, (r ->> 1)::int
                FROM jsonb_array_elements(howdah.call(jsonb_build_object('op', 'query', 'group', node.groupid, 'sql', read))::jsonb -> 'rows') r;
        END IF;
    END LOOP;
END $$;

CREATE OR REPLACE VIEW pg_catalog.citus_lock_waits AS
    WITH activity AS MATERIALIZED (SELECT * FROM pg_catalog.citus_stat_activity)
    SELECT howdah.global_pid(l.nodeid, l.waiting) AS waiting_gpid,
        howdah.global_pid(l.nodeid, l.blocking) AS blocking_gpid,
        waiting.query AS blocked_statement,
        blocking.query AS current_statement_in_blocking_process,
        l.nodeid AS waiting_nodeid,
        l.nodeid AS blocking_nodeid
    FROM howdah.lock_waits() l
    LEFT JOIN activity waiting ON waiting.nodeid = l.nodeid AND waiting.pid = l.waiting
    LEFT JOIN activity blocking ON blocking.nodeid = l.nodeid AND blocking.pid = l.blocking;

-- What only code inside of the servers could count.
CREATE OR REPLACE FUNCTION howdah.not_counted(name text, hint text) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RAISE feature_not_supported USING MESSAGE = pg_catalog.format('%s is not available', name), HINT = hint;
END $$;

CREATE OR REPLACE VIEW pg_catalog.citus_stat_statements AS
    SELECT NULL::bigint AS queryid, NULL::oid AS userid, NULL::oid AS dbid, NULL::text AS query, NULL::text AS executor,
        NULL::text AS partition_key, NULL::bigint AS calls
    FROM howdah.not_counted('citus_stat_statements',
        'Use pg_stat_statements where it is loaded; run_command_on_all_nodes() asks every node.');
CREATE OR REPLACE VIEW pg_catalog.citus_stat_tenants AS
    SELECT NULL::int AS nodeid, NULL::int AS colocation_id, NULL::text AS tenant_attribute, NULL::int AS read_count_in_this_period,
        NULL::int AS read_count_in_last_period, NULL::int AS query_count_in_this_period, NULL::int AS query_count_in_last_period,
        NULL::double precision AS cpu_usage_in_this_period, NULL::double precision AS cpu_usage_in_last_period
    FROM howdah.not_counted('citus_stat_tenants', 'The servers run no code that could count statements by tenant.');
CREATE OR REPLACE FUNCTION pg_catalog.citus_stat_statements_reset() RETURNS void
LANGUAGE plpgsql AS $$ BEGIN PERFORM howdah.not_counted('citus_stat_statements', 'Use pg_stat_statements_reset() where pg_stat_statements is loaded.'); END $$;
CREATE OR REPLACE FUNCTION pg_catalog.citus_stat_tenants_reset() RETURNS void
LANGUAGE plpgsql AS $$ BEGIN PERFORM howdah.not_counted('citus_stat_tenants', 'The servers run no code that could count statements by tenant.'); END $$;

DO $$
DECLARE
    view text;
BEGIN
    FOREACH view IN ARRAY ARRAY['citus_stat_activity', 'citus_dist_stat_activity', 'citus_lock_waits', 'citus_stat_statements', 'citus_stat_tenants'] LOOP
        EXECUTE format('GRANT SELECT ON pg_catalog.%I TO PUBLIC', view);
    END LOOP;
END $$;
