-- The version of the catalog: the sum of the changes that a transaction sees. It goes back with ROLLBACK TO, never
-- goes back between committed states, and two transactions that change the catalog do not wait for each other.
CREATE TABLE IF NOT EXISTS howdah.catalog_change (amount bigint NOT NULL);
CREATE SEQUENCE IF NOT EXISTS howdah.catalog_change_seq;
GRANT SELECT ON howdah.catalog_change TO PUBLIC;

CREATE OR REPLACE FUNCTION howdah.catalog_version() RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(sum(amount), 0)::bigint FROM howdah.catalog_change
$$;

CREATE OR REPLACE FUNCTION howdah.catalog_changed() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    change bigint := nextval('howdah.catalog_change_seq');
BEGIN
    -- Now and then the rows of the past become one of the same sum.
    IF change % 256 = 0 AND pg_try_advisory_xact_lock(hashtext('howdah.catalog_change')) THEN
        WITH past AS (DELETE FROM howdah.catalog_change RETURNING amount)
        INSERT INTO howdah.catalog_change SELECT sum(amount) FROM past HAVING count(*) > 0;
    END IF;
    INSERT INTO howdah.catalog_change VALUES (change);
    NOTIFY howdah_catalog;
END $$;
REVOKE ALL ON FUNCTION howdah.catalog_changed() FROM PUBLIC;

CREATE OR REPLACE FUNCTION howdah.catalog_changed_trigger() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM howdah.catalog_changed();
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION howdah.catalog_changed_trigger() FROM PUBLIC;

DO $$
DECLARE
    base text;
BEGIN
    FOREACH base IN ARRAY ARRAY['pg_dist_node', 'pg_dist_partition', 'pg_dist_shard', 'pg_dist_placement', 'distributed_function'] LOOP
        EXECUTE format('CREATE OR REPLACE TRIGGER catalog_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON howdah.%I '
            'FOR EACH STATEMENT EXECUTE FUNCTION howdah.catalog_changed_trigger()', base);
    END LOOP;
END $$;
