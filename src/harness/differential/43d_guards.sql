-- What code inside PostgreSQL must not say of distributed tables.
CREATE TABLE jobs (tenant int, id int, done boolean DEFAULT false, PRIMARY KEY (tenant, id));
-- @group
SELECT create_distributed_table('jobs', 'tenant');
INSERT INTO jobs SELECT i, i FROM generate_series(1, 10) i;
-- @refused
CREATE FUNCTION take() RETURNS int LANGUAGE plpgsql AS $$ DECLARE r int; BEGIN
    SELECT id INTO r FROM jobs WHERE NOT done ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED; RETURN r; END $$;
-- @refused
CREATE FUNCTION take_now() RETURNS SETOF int LANGUAGE sql AS 'SELECT id FROM jobs FOR UPDATE NOWAIT';
-- @refused
CREATE FUNCTION some_jobs() RETURNS SETOF int LANGUAGE sql AS 'SELECT id FROM jobs TABLESAMPLE SYSTEM (100)';
-- @refused
CREATE FUNCTION bare() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM ONLY public.jobs';
-- @refused
CREATE VIEW bare_jobs AS SELECT id FROM ONLY jobs;
-- @refused
DO $$ BEGIN LOCK TABLE jobs IN EXCLUSIVE MODE; PERFORM count(*) FROM jobs; END $$;
-- @refused
DO $$ BEGIN PERFORM 1 FROM jobs WHERE id = 1 FOR UPDATE SKIP LOCKED; END $$;
-- words that mean nothing
CREATE FUNCTION fine() RETURNS text LANGUAGE plpgsql AS $$ BEGIN
    -- only a copy of jobs, no lock
    RAISE DEBUG 'copy jobs, skip locked, only jobs';
    UPDATE jobs SET done = true WHERE id = 1;
    RETURN 'only ' || (SELECT count(*) FROM jobs WHERE done);
END $$;
SELECT fine();
DO $$ BEGIN PERFORM 'lock', 'only', count(*) FROM jobs; END $$;
DROP FUNCTION IF EXISTS fine(), take(), take_now(), some_jobs(), bare();
DROP TABLE jobs CASCADE;
