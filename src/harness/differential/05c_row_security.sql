-- 5.8 row-level security: on the shards where workers can tell, on the coordinator where they cannot
CREATE ROLE keeper;
CREATE ROLE alice;
CREATE ROLE bob;
CREATE ROLE clerk;
GRANT CREATE ON SCHEMA public TO keeper;
SET ROLE keeper;
CREATE TABLE papers (tenant int, id int, owner text, body text, PRIMARY KEY (tenant, id));
INSERT INTO papers SELECT i % 4, i, CASE i % 2 WHEN 0 THEN 'alice' ELSE 'bob' END, 'b' || i FROM generate_series(1, 40) i;
GRANT ALL ON papers TO alice, bob, clerk;
ALTER TABLE papers ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON papers USING (owner = current_user);
-- @group
SELECT create_distributed_table('papers', 'tenant', colocate_with => 'none');
CREATE POLICY clerks ON papers TO clerk USING (true) WITH CHECK (id < 1000);
SELECT count(*) FROM papers;
CREATE FUNCTION papers_seen() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT count(*) FROM papers); END $$;
CREATE FUNCTION papers_known() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN RETURN (SELECT count(*) FROM papers); END $$;
SET ROLE alice;
SELECT count(*), min(owner), max(owner) FROM papers;
SELECT count(*) FROM papers WHERE tenant = 1;
SELECT count(*) FROM papers WHERE tenant = 2;
SELECT papers_seen(), papers_known();
INSERT INTO papers VALUES (1, 100, 'alice', 'x');
-- @message
INSERT INTO papers VALUES (1, 101, 'bob', 'x');
UPDATE papers SET body = 'y' WHERE tenant = 2;
UPDATE papers SET body = 'z';
-- @message
UPDATE papers SET owner = 'bob' WHERE tenant = 2 AND id = 2;
DELETE FROM papers WHERE id BETWEEN 1 AND 3;
INSERT INTO papers VALUES (2, 6, 'alice', 'again') ON CONFLICT (tenant, id) DO UPDATE SET body = excluded.body;
-- @error
INSERT INTO papers VALUES (1, 5, 'alice', 'again') ON CONFLICT (tenant, id) DO UPDATE SET body = excluded.body;
INSERT INTO papers SELECT i % 3, 300 + i, 'alice', 's' || i FROM generate_series(1, 20) i;
-- @message
INSERT INTO papers SELECT i % 3, 400 + i, CASE i WHEN 7 THEN 'bob' ELSE 'alice' END, 's' || i FROM generate_series(1, 20) i;
INSERT INTO papers SELECT id % 4, id + 500, owner, body FROM papers;
SELECT count(*), sum(id) FROM papers;
SET ROLE clerk;
SELECT count(*) FROM papers;
-- @message
INSERT INTO papers VALUES (1, 2000, 'nobody', 'x');
INSERT INTO papers VALUES (1, 200, 'clerk', 'x');
SET ROLE bob;
SET row_security = off;
-- @message
SELECT count(*) FROM papers;
RESET row_security;
SELECT count(*) FROM papers;
-- the session's settings
SET ROLE keeper;
DROP POLICY own ON papers;
CREATE POLICY of_tenant ON papers TO alice, bob USING (tenant = current_setting('app.tenant', true)::int);
SET ROLE alice;
SELECT count(*) FROM papers;
SET app.tenant = '1';
SELECT count(*), min(tenant), max(tenant) FROM papers;
SELECT count(*) FROM papers WHERE tenant = 2;
SET app.tenant = '2';
SELECT count(*), min(tenant), max(tenant), papers_seen() FROM papers;
SELECT count(*) FROM papers WHERE tenant = 2;
BEGIN;
SET LOCAL app.tenant = '3';
SELECT count(*), min(tenant), papers_seen() FROM papers;
COMMIT;
SELECT count(*), min(tenant) FROM papers;
SELECT set_config('app.tenant', '1', false);
SELECT count(*), min(tenant) FROM papers;
-- subqueries are for the coordinator
SET ROLE keeper;
CREATE TABLE memberships (who text, tenant int);
INSERT INTO memberships VALUES ('alice', 1), ('alice', 2), ('bob', 3);
GRANT SELECT ON memberships TO PUBLIC;
DROP POLICY of_tenant ON papers;
CREATE POLICY of_member ON papers FOR SELECT TO alice, bob USING (tenant IN (SELECT m.tenant FROM memberships m WHERE who = current_user));
SET ROLE alice;
SELECT count(*), min(tenant), max(tenant) FROM papers;
SELECT count(*) FROM papers WHERE tenant = 3;
SELECT count(*) FROM papers WHERE tenant = 1;
SELECT tenant, count(*) FROM papers GROUP BY tenant ORDER BY tenant;
SET ROLE clerk;
SELECT count(*) FROM papers;
-- @group
SELECT result FROM run_command_on_shards('papers', 'SELECT count(*) FROM %s') WHERE result <> '0';
-- forced upon the owner
SET ROLE keeper;
SELECT count(*) FROM papers;
ALTER TABLE papers FORCE ROW LEVEL SECURITY;
SELECT count(*) FROM papers;
SELECT count(*) FROM papers WHERE tenant = 1;
CREATE POLICY of_keeper ON papers TO keeper USING (tenant < 2);
SELECT count(*) FROM papers;
RESET ROLE;
SELECT count(*) FROM papers;
SET ROLE keeper;
ALTER TABLE papers NO FORCE ROW LEVEL SECURITY;
SELECT count(*) FROM papers;
-- altered, renamed, restrictive
DROP POLICY of_member ON papers;
CREATE POLICY long_ones ON papers AS RESTRICTIVE FOR SELECT TO bob USING (length(body) > 2);
CREATE POLICY all_ones ON papers FOR SELECT TO bob USING (true);
SET ROLE bob;
SELECT count(*) FROM papers;
SET ROLE keeper;
ALTER POLICY long_ones ON papers USING (tenant = 1);
SET ROLE bob;
SELECT count(*) FROM papers;
SET ROLE keeper;
ALTER POLICY long_ones ON papers RENAME TO ones_of_one;
ALTER TABLE papers RENAME COLUMN tenant TO customer;
ALTER TABLE papers RENAME TO documents;
SET ROLE bob;
SELECT count(*), min(customer), max(customer) FROM documents;
SET ROLE keeper;
ALTER TABLE documents DISABLE ROW LEVEL SECURITY;
SET ROLE bob;
SELECT count(*) FROM documents;
-- there and back, with every row
SET ROLE keeper;
ALTER TABLE documents ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
-- @group
SELECT undistribute_table('documents');
-- @group
SELECT create_distributed_table('documents', 'customer', colocate_with => 'none');
ALTER TABLE documents NO FORCE ROW LEVEL SECURITY;
SELECT count(*) FROM documents;
DROP POLICY ones_of_one ON documents;
DROP POLICY all_ones ON documents;
SET ROLE bob;
SELECT count(*) FROM documents;
-- reference tables
RESET ROLE;
CREATE TABLE ranks (id int PRIMARY KEY, o text);
INSERT INTO ranks VALUES (1, 'alice'), (2, 'bob'), (3, 'bob');
GRANT ALL ON ranks TO alice, bob;
ALTER TABLE ranks ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON ranks USING (o = current_user);
-- @group
SELECT create_reference_table('ranks');
ALTER TABLE documents DISABLE ROW LEVEL SECURITY;
SET ROLE alice;
SELECT * FROM ranks ORDER BY id;
SELECT count(*) FROM documents JOIN ranks ON ranks.id = documents.customer;
SELECT count(*) FROM documents JOIN ranks ON ranks.id = documents.customer WHERE documents.customer = 2;
-- @message
INSERT INTO ranks VALUES (4, 'bob');
INSERT INTO ranks VALUES (4, 'alice');
UPDATE ranks SET o = 'alice' WHERE id = 2;
DELETE FROM ranks WHERE id = 1;
RESET ROLE;
SELECT * FROM ranks ORDER BY id;
DROP TABLE documents, memberships, ranks;
DROP FUNCTION papers_seen, papers_known;
REVOKE CREATE ON SCHEMA public FROM keeper;
DROP ROLE alice, bob, clerk;
