-- What a worker needs of ours besides the shards.
CREATE SCHEMA IF NOT EXISTS howdah;
GRANT USAGE ON SCHEMA howdah TO PUBLIC;

-- Its lock lets a reader of several nodes wait for writers that commit on them; rows it never has. Every session
-- takes it under its own role.
CREATE TABLE IF NOT EXISTS howdah.fence (CHECK (false));
GRANT SELECT, INSERT, UPDATE, DELETE ON howdah.fence TO PUBLIC;

-- Runs a statement with the rights of a shard's owner. Only the router's own SQL may (howdah.exec).
CREATE OR REPLACE FUNCTION howdah.as_owner(shard text, statement text, path text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    owner oid;
BEGIN
    SELECT relowner INTO STRICT owner FROM pg_class WHERE oid = shard::regclass;
    PERFORM howdah.own((SELECT key FROM howdah.live_key), pg_get_userbyid(owner));
    PERFORM set_config('search_path', path, true);
    EXECUTE pg_catalog.format('SELECT howdah_owner.exec_%s($1)', owner) USING statement;
    -- A SET in a user's function outlives it, and what follows must not resolve names in a path of his.
    IF pg_catalog.current_setting('search_path') OPERATOR(pg_catalog.<>) path THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = 'a function changed search_path during DDL';
    END IF;
END $$;
REVOKE ALL ON FUNCTION howdah.as_owner(text, text, text) FROM PUBLIC;
