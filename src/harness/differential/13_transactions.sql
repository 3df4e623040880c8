-- 3.4, 13.2: one's own writes are seen on every rung
BEGIN;
INSERT INTO customers (customer_id, name, balance) VALUES (900, 'in transaction', 1), (901, 'also', 2);
SELECT name FROM customers WHERE customer_id = 900;
SELECT count(*) FROM customers;
SELECT sum(balance) FROM customers WHERE customer_id >= 900;
SELECT c.name FROM customers c JOIN customers d ON d.balance = c.balance AND d.customer_id <> c.customer_id WHERE c.customer_id = 901 ORDER BY 1;
SELECT count(*) FROM customers a JOIN visits b ON a.balance = b.seconds;
ROLLBACK;
SELECT count(*) FROM customers;
BEGIN;
UPDATE customers SET balance = balance + 1;
SELECT sum(balance) FROM customers;
DELETE FROM items;
SELECT count(*) FROM items;
SELECT count(*) FROM items i JOIN visits v ON v.customer_id = i.customer_id;
COMMIT;
SELECT sum(balance), (SELECT count(*) FROM items) FROM customers;
-- savepoints
BEGIN;
INSERT INTO customers (customer_id, name) VALUES (910, 'a');
SAVEPOINT one;
INSERT INTO customers (customer_id, name) VALUES (911, 'b');
INSERT INTO countries VALUES ('s1', 'savepoint', NULL);
SAVEPOINT two;
-- @message
INSERT INTO customers (customer_id, name) VALUES (910, 'again');
-- @message
SELECT 1;
-- @message
SELECT count(*) FROM customers;
ROLLBACK TO SAVEPOINT two;
SELECT count(*) FROM customers WHERE customer_id >= 910;
ROLLBACK TO one;
SELECT count(*) FROM customers WHERE customer_id >= 910;
SELECT count(*) FROM countries WHERE code = 's1';
INSERT INTO customers (customer_id, name) VALUES (912, 'c');
RELEASE SAVEPOINT one;
-- @message
ROLLBACK TO one;
ROLLBACK;
SELECT count(*) FROM customers WHERE customer_id >= 910;
BEGIN;
SAVEPOINT s;
INSERT INTO customers (customer_id, name) VALUES (920, 'after savepoint');
ROLLBACK TO s;
INSERT INTO customers (customer_id, name) VALUES (921, 'kept'), (922, 'kept too');
COMMIT;
SELECT customer_id, name FROM customers WHERE customer_id >= 910 ORDER BY 1;
-- failing transactions
BEGIN;
INSERT INTO customers (customer_id, name) VALUES (930, 'lost');
-- @message
SELECT 1/0;
COMMIT;
SELECT count(*) FROM customers WHERE customer_id = 930;
BEGIN;
BEGIN;
COMMIT;
COMMIT;
ROLLBACK;
START TRANSACTION READ ONLY;
SELECT count(*) FROM customers;
-- @message
INSERT INTO customers (customer_id, name) VALUES (931, 'read only');
ROLLBACK;
BEGIN READ ONLY;
-- @message
UPDATE customers SET balance = 0;
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT name FROM customers WHERE customer_id = 3;
SHOW transaction_isolation;
COMMIT;
SHOW transaction_isolation;
BEGIN;
SET LOCAL TimeZone = 'Asia/Tokyo';
SELECT placed::timestamptz FROM orders WHERE customer_id = 3 ORDER BY order_id LIMIT 1;
SHOW TimeZone;
COMMIT;
SELECT current_setting('TimeZone') = 'Asia/Tokyo';
BEGIN;
SET statement_timeout = '50s';
ROLLBACK;
SHOW statement_timeout;
BEGIN;
SELECT now() = (SELECT now()) AND count(DISTINCT now()) = 1 FROM customers;
INSERT INTO visits (page, visitor, at) VALUES ('/now', '00000000-0000-4000-8000-000000000001', now()), ('/now2', '00000000-0000-4000-8000-000000000001', now());
SELECT count(DISTINCT at), bool_and(at = now()) FROM visits WHERE page LIKE '/now%';
SELECT at = now() FROM visits WHERE page = '/now';
COMMIT;
-- ddl in transactions
BEGIN;
CREATE TABLE brief (id int PRIMARY KEY, v int);
-- @group
SELECT create_distributed_table('brief', 'id');
INSERT INTO brief SELECT i, i * i FROM generate_series(1, 30) i;
SELECT sum(v) FROM brief;
SELECT v FROM brief WHERE id = 7;
ROLLBACK;
-- @message
SELECT * FROM brief;
BEGIN;
CREATE TABLE brief (id int PRIMARY KEY, v int);
INSERT INTO brief SELECT i, i * i FROM generate_series(1, 30) i;
-- @group
SELECT create_distributed_table('brief', 'id');
SELECT sum(v) FROM brief;
SAVEPOINT s;
ALTER TABLE brief ADD COLUMN w int DEFAULT 5;
SELECT sum(w) FROM brief;
ROLLBACK TO s;
-- @message
SELECT sum(w) FROM brief;
ROLLBACK TO s;
UPDATE brief SET v = 0 WHERE id > 10;
COMMIT;
SELECT sum(v), count(*) FROM brief;
BEGIN;
DROP TABLE brief;
-- @message
SELECT count(*) FROM brief;
ROLLBACK;
SELECT count(*) FROM brief;
BEGIN;
TRUNCATE brief;
SELECT count(*) FROM brief;
ROLLBACK;
SELECT count(*) FROM brief;
-- row locks
BEGIN;
SELECT balance FROM customers WHERE customer_id = 3 FOR UPDATE;
SELECT balance FROM customers WHERE customer_id = 3 FOR NO KEY UPDATE SKIP LOCKED;
COMMIT;
-- cursors and prepared statements of SQL
BEGIN;
DECLARE c CURSOR FOR SELECT customer_id FROM customers WHERE customer_id < 10 ORDER BY 1;
FETCH 3 FROM c;
FETCH NEXT FROM c;
MOVE 2 IN c;
FETCH ALL FROM c;
CLOSE c;
-- @message
FETCH 1 FROM c;
ROLLBACK;
PREPARE get (int) AS SELECT name FROM customers WHERE customer_id = $1;
EXECUTE get(3);
EXECUTE get(4);
PREPARE tally AS SELECT status, count(*) FROM orders GROUP BY status ORDER BY 1;
EXECUTE tally;
-- @message
EXECUTE nosuch;
DEALLOCATE get;
-- @message
EXECUTE get(3);
PREPARE put (int, text) AS INSERT INTO customers (customer_id, name) VALUES ($1, $2) RETURNING customer_id;
EXECUTE put(940, 'prepared');
SELECT name FROM customers WHERE customer_id = 940;
DEALLOCATE ALL;
-- what needs a transaction block
-- @message
LOCK TABLE customers IN SHARE MODE;
-- @message
DECLARE c CURSOR FOR SELECT customer_id FROM customers;
DECLARE held CURSOR WITH HOLD FOR SELECT customer_id FROM customers ORDER BY 1;
FETCH 2 FROM held;
CLOSE held;
SET LOCAL work_mem = '1MB';
BEGIN;
LOCK TABLE customers, countries IN SHARE MODE;
SELECT count(*) FROM customers;
COMMIT;
-- the defaults of transactions hold from the first statement on
SET default_transaction_read_only = on;
-- @message
INSERT INTO customers (customer_id, name) VALUES (950, 'read only');
-- @message
INSERT INTO customers (customer_id, name) VALUES (951, 'read only'), (952, 'read only');
-- @message
UPDATE customers SET name = 'read only' WHERE customer_id = 3;
-- @message
INSERT INTO countries VALUES ('ro', 'read only', NULL);
BEGIN;
SET TRANSACTION READ WRITE;
INSERT INTO customers (customer_id, name) VALUES (953, 'written'), (954, 'written');
ROLLBACK;
SET default_transaction_read_only = off;
SET default_transaction_isolation = 'repeatable read';
BEGIN;
SELECT count(*) FROM customers WHERE customer_id = 955;
-- @session other
INSERT INTO customers (customer_id, name) VALUES (955, 'later');
-- @session main
SELECT count(*) FROM customers WHERE customer_id = 955;
COMMIT;
SELECT count(*) FROM customers WHERE customer_id = 955;
RESET default_transaction_isolation;
-- one worker writes, the coordinator has read live tables
BEGIN;
SELECT count(*) FROM customers a JOIN visits b ON a.balance = b.seconds;
INSERT INTO customers (customer_id, name) VALUES (960, 'after a live read');
COMMIT;
SELECT name FROM customers WHERE customer_id = 960;
INSERT INTO customers (customer_id, name) SELECT a.customer_id + 1, 'selected live' FROM customers a LEFT JOIN visits b ON a.balance = b.seconds WHERE a.customer_id = 960;
SELECT name FROM customers WHERE customer_id = 961;
