-- Intermediate results as relations: what is too large to travel in parameters is an UNLOGGED table here for the time of one
-- statement, created and dropped in the session's own transaction, so that nobody else ever sees it and nothing is left of it.
-- (Not a temporary table: PREPARE TRANSACTION refuses a transaction that has touched one.)
--
-- Only the router makes them: a role that could would leave tables of a superuser behind, hence the key. Event triggers of users do
-- not hear of them (session_replication_role), and ours see that it is our own DDL.
CREATE SCHEMA IF NOT EXISTS howdah_intermediate;
GRANT USAGE ON SCHEMA howdah_intermediate TO PUBLIC;

-- Makes a table with columns c0, c1, … of these types, for `reader` to fill and to read. No relation in a transaction that may only
-- read. The name has the transaction's number, which no other transaction ever has on this node.
CREATE OR REPLACE FUNCTION howdah.create_intermediate(
    key text, number bigint, types text[], reader name, OUT relation text, OUT max_size text)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET howdah.our_ddl = 'on' SET session_replication_role = 'replica'
AS $function$
BEGIN
    PERFORM howdah.check_key(key);
    max_size := current_setting('citus.max_intermediate_result_size', true);
    IF current_setting('transaction_read_only')::boolean THEN
        RETURN;
    END IF;
    relation := format('howdah_intermediate.r%s_%s', pg_current_xact_id(), number);
    EXECUTE format('CREATE UNLOGGED TABLE %s (%s) WITH (autovacuum_enabled = off)', relation,
        (SELECT string_agg(format('c%s %s', n - 1, type), ', ' ORDER BY n) FROM unnest(types) WITH ORDINALITY AS u(type, n)));
    EXECUTE format('GRANT SELECT, INSERT ON %s TO %I', relation, reader);
END
$function$;

CREATE OR REPLACE FUNCTION howdah.drop_intermediate(key text, relation text) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET howdah.our_ddl = 'on' SET session_replication_role = 'replica'
AS $function$
BEGIN
    PERFORM howdah.check_key(key);
    EXECUTE format('DROP TABLE %s', relation::regclass);
END
$function$;
