-- a table that becomes local again keeps its rows, keys, sequences and rights
-- @group
SELECT undistribute_table('visits');
SELECT count(*), count(DISTINCT page) FROM visits;
SELECT page, count(*) FROM visits GROUP BY page ORDER BY page;
-- @group
SELECT undistribute_table('orders', cascade_via_foreign_keys => true);
SELECT count(*), sum(total) FROM orders;
INSERT INTO orders (customer_id, placed) VALUES (1, '2024-05-05') RETURNING order_id > 0, status;
SELECT o.status, count(*), sum(i.quantity) FROM orders o JOIN items i USING (customer_id, order_id) GROUP BY o.status ORDER BY 1;
-- and may be distributed again
-- @group
SELECT create_distributed_table('orders', 'customer_id', colocate_with => 'customers');
SELECT count(*), sum(total) FROM orders;
-- foreign keys, generated and identity columns
CREATE TABLE kinds (kind text PRIMARY KEY);
CREATE TABLE machines (id int PRIMARY KEY, kind text REFERENCES kinds, twice int GENERATED ALWAYS AS (id * 2) STORED, n bigint GENERATED ALWAYS AS IDENTITY);
CREATE TABLE parts (machine int REFERENCES machines ON DELETE CASCADE, part int, PRIMARY KEY (machine, part));
-- @group
SELECT create_reference_table('kinds');
-- @group
SELECT create_distributed_table('machines', 'id');
-- @group
SELECT create_distributed_table('parts', 'machine', colocate_with => 'machines');
INSERT INTO kinds VALUES ('saw'), ('drill');
INSERT INTO machines (id, kind) SELECT g, CASE g % 2 WHEN 0 THEN 'saw' ELSE 'drill' END FROM generate_series(1, 100) g;
INSERT INTO parts SELECT g % 100 + 1, g FROM generate_series(1, 500) g;
-- @group
SELECT alter_distributed_table('machines', shard_count => 5, cascade_to_colocated => true);
SELECT kind, count(*), sum(twice), min(n), max(n) FROM machines GROUP BY kind ORDER BY kind;
SELECT count(*), sum(part) FROM parts JOIN machines ON id = machine WHERE kind = 'saw';
-- @message
INSERT INTO parts VALUES (5000, 1);
-- @message
INSERT INTO machines (id, kind) VALUES (101, 'none');
DELETE FROM machines WHERE id = 7;
SELECT count(*) FROM parts;
BEGIN;
-- @group
SELECT undistribute_table('machines', cascade_via_foreign_keys => true);
SELECT count(*), sum(twice) FROM machines;
DELETE FROM machines WHERE id = 8;
SELECT count(*) FROM parts;
INSERT INTO parts VALUES (9, 10000);
ROLLBACK;
SELECT count(*), sum(twice) FROM machines;
SELECT count(*) FROM parts;
-- @group
SELECT undistribute_table('machines', cascade_via_foreign_keys => true);
SELECT count(*), sum(twice) FROM machines;
-- @message
INSERT INTO parts VALUES (5000, 1);
-- @message
DELETE FROM kinds WHERE kind = 'saw';
DELETE FROM machines WHERE id = 8;
SELECT count(*) FROM parts;
INSERT INTO machines (id, kind) VALUES (200, 'saw') RETURNING twice, n;
-- by another column
CREATE TABLE moves (a int, b int, note text, UNIQUE (a, b));
INSERT INTO moves SELECT g, g % 10, 'note ' || g FROM generate_series(1, 200) g;
-- @group
SELECT create_distributed_table('moves', 'a');
-- @group
SELECT alter_distributed_table('moves', distribution_column => 'b');
SELECT b, count(*), min(note), max(note) FROM moves GROUP BY b ORDER BY b;
SELECT count(*) FROM moves WHERE b = 3;
-- @message
INSERT INTO moves VALUES (13, 3, 'again');
-- functions and views stay bound to the table
CREATE VIEW moved AS SELECT b, count(*) AS n FROM moves GROUP BY b;
-- @group
SELECT undistribute_table('moves');
SELECT * FROM moved ORDER BY b;
