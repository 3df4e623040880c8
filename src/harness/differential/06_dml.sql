-- 6.1 inserting
INSERT INTO customers (customer_id, name) VALUES (101, 'new');
SELECT * FROM customers WHERE customer_id = 101;
INSERT INTO customers (name, customer_id, country) VALUES ('b', 102, 'de'), ('c', 103, 'fr'), ('d', 104, NULL);
SELECT customer_id, name, country, balance, active FROM customers WHERE customer_id > 100 ORDER BY 1;
INSERT INTO customers VALUES (105, 'positional', 'jp', '2001-02-03', 7.125, false, 'n') RETURNING *;
INSERT INTO customers (customer_id, name) VALUES (50 + 56, 'computed ' || 106) RETURNING customer_id, name;
INSERT INTO customers (customer_id, name) VALUES ((SELECT max(customer_id) + 1 FROM customers), 'subquery') RETURNING customer_id, name;
INSERT INTO customers (customer_id, name) SELECT customer_id + 1000, 'copy of ' || name FROM customers WHERE customer_id <= 10;
SELECT count(*), min(name), max(name) FROM customers WHERE customer_id > 1000;
INSERT INTO customers (customer_id, name) SELECT i, 'series ' || i FROM generate_series(2001, 2020) i RETURNING customer_id, name;
-- @message
INSERT INTO customers (customer_id, name) VALUES (101, 'again');
-- @message
INSERT INTO customers (customer_id, name) VALUES (3001, 'x'), (101, 'again');
SELECT count(*) FROM customers WHERE customer_id = 3001;
-- @message
INSERT INTO customers (customer_id, name) VALUES (3002);
-- @message
INSERT INTO customers (customer_id) VALUES (3003);
-- @message
INSERT INTO customers (customer_id, name, note) VALUES (3004, 'x', repeat('y', 41));
INSERT INTO customers (customer_id, name, note) VALUES (3005, 'x', 'short' || repeat(' ', 60));
SELECT length(note) FROM customers WHERE customer_id = 3005;
-- 6.1 on conflict
INSERT INTO customers (customer_id, name) VALUES (101, 'again') ON CONFLICT DO NOTHING;
INSERT INTO customers (customer_id, name) VALUES (101, 'again') ON CONFLICT (customer_id) DO NOTHING RETURNING name;
INSERT INTO customers (customer_id, name) VALUES (101, 'upserted') ON CONFLICT (customer_id) DO UPDATE SET name = EXCLUDED.name RETURNING name;
INSERT INTO customers AS c (customer_id, name, balance) VALUES (101, 'z', 5), (3006, 'fresh', 6), (102, 'z', 7)
    ON CONFLICT (customer_id) DO UPDATE SET balance = c.balance + EXCLUDED.balance WHERE c.customer_id <> 102;
SELECT customer_id, name, balance FROM customers WHERE customer_id IN (101, 102, 3006) ORDER BY 1;
INSERT INTO customers (customer_id, name) VALUES (101, 'q') ON CONFLICT ON CONSTRAINT customers_pkey DO UPDATE SET name = customers.name || '!' RETURNING name;
-- @message
INSERT INTO customers (customer_id, name) VALUES (3007, 'a'), (3007, 'b') ON CONFLICT (customer_id) DO UPDATE SET name = EXCLUDED.name;
-- @error
INSERT INTO customers (customer_id, name) VALUES (3008, 'a') ON CONFLICT (name) DO NOTHING;
-- 6.2 updating
UPDATE customers SET name = 'updated' WHERE customer_id = 102;
UPDATE customers SET balance = balance * 2, note = NULL WHERE customer_id = 103 RETURNING customer_id, balance, note;
UPDATE customers SET (name, note) = ('pair', 'of values') WHERE customer_id = 104 RETURNING name, note;
UPDATE customers SET note = DEFAULT WHERE customer_id = 104 RETURNING note;
UPDATE customers SET balance = balance + 1 WHERE country = 'de';
UPDATE customers SET balance = balance + 1 WHERE customer_id IN (101, 102, 103);
UPDATE customers SET balance = 0 WHERE false;
UPDATE customers SET balance = 0 WHERE customer_id = 999999;
SELECT sum(balance), count(*) FROM customers;
UPDATE customers SET name = upper(name) WHERE customer_id > 2000 RETURNING customer_id, name;
UPDATE orders o SET total = o.total + 1 FROM customers c WHERE o.customer_id = c.customer_id AND c.country = 'fr';
SELECT sum(total) FROM orders;
UPDATE orders o SET status = 'gone' FROM customers c WHERE o.customer_id = c.customer_id AND c.customer_id = 12 RETURNING o.order_id, c.name, o.status;
UPDATE customers SET note = co.name FROM countries co WHERE co.code = customers.country AND customers.customer_id < 20;
SELECT customer_id, note FROM customers WHERE customer_id < 20 ORDER BY 1;
UPDATE customers c SET balance = (SELECT coalesce(sum(total), 0) FROM orders o WHERE o.customer_id = c.customer_id) WHERE c.customer_id < 10;
SELECT customer_id, balance FROM customers WHERE customer_id < 12 ORDER BY 1;
UPDATE customers SET customer_id = customer_id WHERE customer_id = 5;
-- @error
UPDATE customers SET balance = 1/0 WHERE customer_id = 5;
-- @error
UPDATE customers SET balance = 1/(customer_id - 5);
SELECT sum(balance), count(*) FROM customers;
-- 6.3 deleting
DELETE FROM customers WHERE customer_id = 105;
DELETE FROM customers WHERE customer_id > 2000 AND customer_id <= 2010 RETURNING customer_id, name;
DELETE FROM customers WHERE customer_id IN (2011, 2012);
DELETE FROM items i USING orders o WHERE o.customer_id = i.customer_id AND o.order_id = i.order_id AND o.status = 'void';
SELECT count(*) FROM items;
DELETE FROM items WHERE EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = items.customer_id AND o.order_id = items.order_id AND o.total IS NULL);
SELECT count(*), sum(quantity) FROM items;
DELETE FROM customers WHERE name LIKE 'SERIES%';
DELETE FROM customers WHERE customer_id = 123456;
SELECT count(*) FROM customers;
-- 6.4 returning, writes in CTEs of one customer
WITH w AS (UPDATE customers SET balance = balance + 100 WHERE customer_id = 7 RETURNING balance) SELECT * FROM w;
WITH gone AS (DELETE FROM items WHERE customer_id = 7 RETURNING quantity) SELECT count(*), sum(quantity) FROM gone;
WITH o AS (INSERT INTO orders (customer_id, placed, total) VALUES (7, '2025-01-01', 9) RETURNING order_id, customer_id)
    INSERT INTO items (customer_id, order_id, line, quantity) SELECT 7, order_id, 1, 5 FROM o WHERE customer_id = 7 RETURNING customer_id, line, quantity;
-- serial values
INSERT INTO orders (customer_id, placed) VALUES (1, '2025-01-01') RETURNING order_id, status;
INSERT INTO orders (customer_id, placed) VALUES (2, '2025-01-01'), (3, '2025-01-01') RETURNING order_id;
SELECT max(order_id) FROM orders;
-- reference tables
INSERT INTO countries VALUES ('it', 'Italy', 'Europe') RETURNING *;
-- @message
INSERT INTO countries VALUES ('it', 'Again', 'Europe');
INSERT INTO countries VALUES ('it', 'Italia', 'Europe'), ('es', 'Spain', 'Europe') ON CONFLICT (code) DO UPDATE SET name = EXCLUDED.name RETURNING code, name;
UPDATE countries SET continent = 'Eu' WHERE continent = 'Europe';
SELECT c.customer_id, co.name, co.continent FROM customers c JOIN countries co ON co.code = c.country WHERE c.customer_id < 12 ORDER BY 1;
DELETE FROM countries WHERE code = 'es' RETURNING name;
SELECT count(*) FROM customers c JOIN countries co ON co.code = c.country;
INSERT INTO countries SELECT 'y' || i, 'n' || i FROM generate_series(1, 3) i;
SELECT * FROM countries ORDER BY code;
INSERT INTO products SELECT max(product_id) + 1, 'newest', 1, 'x' FROM products;
SELECT title FROM products WHERE product_id > 24 ORDER BY 1;
-- local tables beside them
INSERT INTO settings SELECT 'orders', NULL, count(*) FROM orders;
SELECT * FROM settings ORDER BY key;
UPDATE settings SET number = (SELECT count(*) FROM customers) WHERE key = 'limit';
SELECT number FROM settings WHERE key = 'limit';
DELETE FROM settings WHERE number IN (SELECT customer_id FROM customers);
SELECT * FROM settings ORDER BY key;
-- insert … select between tables
CREATE TABLE daily (customer_id int, day date, orders bigint, total numeric, PRIMARY KEY (customer_id, day));
-- @group
SELECT create_distributed_table('daily', 'customer_id', colocate_with => 'orders');
INSERT INTO daily SELECT customer_id, placed::date, count(*), sum(total) FROM orders GROUP BY 1, 2
    ON CONFLICT (customer_id, day) DO UPDATE SET orders = daily.orders + EXCLUDED.orders, total = daily.total + EXCLUDED.total;
SELECT count(*), sum(orders), sum(total) FROM daily;
INSERT INTO daily SELECT customer_id, placed::date, count(*), sum(total) FROM orders GROUP BY 1, 2
    ON CONFLICT (customer_id, day) DO UPDATE SET orders = daily.orders + EXCLUDED.orders, total = daily.total + EXCLUDED.total;
SELECT count(*), sum(orders), sum(total) FROM daily;
CREATE TABLE per_status (status text PRIMARY KEY, n bigint);
-- @group
SELECT create_distributed_table('per_status', 'status');
INSERT INTO per_status SELECT status, count(*) FROM orders GROUP BY status;
SELECT * FROM per_status ORDER BY status;
INSERT INTO per_status SELECT status, count(*) FROM orders GROUP BY status ON CONFLICT (status) DO UPDATE SET n = per_status.n + EXCLUDED.n;
SELECT * FROM per_status ORDER BY status;
-- copy
-- @copy
COPY customers (customer_id, name, country) FROM STDIN;
5001	copied	de
5002	tab\tin name	\N
5003	back\\slash	fr
\.
SELECT customer_id, name, country, active FROM customers WHERE customer_id > 5000 ORDER BY 1;
-- @copy
COPY customers (name, customer_id) FROM STDIN (FORMAT csv, HEADER);
name,customer_id
"quoted, ""name""",5004
plain,5005
\.
SELECT customer_id, name FROM customers WHERE customer_id > 5003 ORDER BY 1;
-- @copy
COPY orders (customer_id, placed, total) FROM STDIN WITH CSV;
1,2025-05-05 10:00:00,1.5
2,2025-05-05 11:00:00,
\.
SELECT customer_id, order_id > 1000 AS numbered, status, total FROM orders WHERE placed >= '2025-05-05' ORDER BY 1;
COPY (SELECT customer_id, name FROM customers WHERE customer_id > 5000 ORDER BY 1) TO STDOUT;
COPY (SELECT customer_id, name FROM customers WHERE customer_id = 5004) TO STDOUT (FORMAT csv, HEADER);
COPY countries TO STDOUT;
-- @copy
COPY countries FROM STDIN;
c1	Copied 1	\N
c2	Copied 2	X
\.
SELECT * FROM countries WHERE code LIKE 'c%' ORDER BY 1;
