-- 11 indexes built and rebuilt beside writers, tables clustered
CREATE INDEX CONCURRENTLY orders_status ON orders (status);
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS orders_unique ON orders (customer_id, order_id) WHERE total > 0;
CREATE INDEX CONCURRENTLY ON products (price);
CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_status ON orders (status);
-- @message
CREATE INDEX CONCURRENTLY orders_status ON orders (status);
-- @error
CREATE INDEX CONCURRENTLY ON orders (no_such_column);
-- @error
CREATE INDEX CONCURRENTLY ON no_such_table (a);
SELECT indexrelid::regclass::text AS name, indisvalid, indisunique FROM pg_index WHERE indrelid IN ('orders'::regclass, 'products'::regclass) ORDER BY 1;
-- @group
SELECT count(*) FROM run_command_on_shards('orders', $$ SELECT count(*) FROM pg_index WHERE indrelid = '%s'::regclass AND indisvalid $$) WHERE result <> '3';
SELECT count(*) FROM orders WHERE status = 'open';
-- one that fails is left invalid, and can be dropped or completed
CREATE TABLE twins (id int, v int);
-- @group
SELECT create_distributed_table('twins', 'id', colocate_with => 'none');
INSERT INTO twins VALUES (1, 1), (1, 1), (2, 2), (3, 3);
-- @error
CREATE UNIQUE INDEX CONCURRENTLY twins_id ON twins (id);
SELECT indisvalid FROM pg_index WHERE indexrelid = 'twins_id'::regclass;
ALTER TABLE twins ADD COLUMN w int;
DROP INDEX CONCURRENTLY twins_id;
-- @group
SELECT DISTINCT result FROM run_command_on_workers($$ SELECT count(*) FROM pg_class WHERE relname LIKE 'twins_id%' $$);
-- @error
CREATE UNIQUE INDEX CONCURRENTLY twins_id ON twins (id);
DELETE FROM twins;
INSERT INTO twins VALUES (1, 1), (2, 2), (3, 3);
REINDEX INDEX CONCURRENTLY twins_id;
SELECT indisvalid FROM pg_index WHERE indexrelid = 'twins_id'::regclass;
-- @message
INSERT INTO twins VALUES (1, 1);
-- @group
SELECT DISTINCT result FROM run_command_on_workers($$ SELECT count(*) FROM pg_class c JOIN pg_index ON indexrelid = c.oid WHERE relname LIKE 'twins_id%' AND NOT indisvalid $$);
DROP INDEX twins_id;
INSERT INTO twins VALUES (1, 1);
-- rebuilt
REINDEX TABLE orders;
REINDEX TABLE CONCURRENTLY orders;
REINDEX INDEX orders_status;
REINDEX INDEX CONCURRENTLY orders_status;
REINDEX TABLE products;
REINDEX SCHEMA public;
-- @message
REINDEX INDEX no_such_index;
BEGIN;
REINDEX TABLE orders;
-- @message
CREATE INDEX CONCURRENTLY ON orders (total);
ROLLBACK;
CLUSTER orders USING orders_status;
CLUSTER orders;
-- @error
CLUSTER orders USING no_such_index;
SELECT count(*), sum(total) FROM orders;
DROP INDEX orders_status, orders_unique;
SELECT count(*), sum(total) FROM orders;
