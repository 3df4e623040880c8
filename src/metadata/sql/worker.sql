-- What a worker needs of ours besides the shards.
CREATE SCHEMA IF NOT EXISTS howdah;
GRANT USAGE ON SCHEMA howdah TO PUBLIC;

-- Its lock lets a reader of several nodes wait for writers that commit on them; rows it never has. Every session
-- takes it under its own role.
CREATE TABLE IF NOT EXISTS howdah.fence (CHECK (false));
GRANT SELECT, INSERT, UPDATE, DELETE ON howdah.fence TO PUBLIC;
