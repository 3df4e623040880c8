-- 6.1 inserting the results of queries that are not colocated with the target: sources on every rung.
CREATE TABLE ledger (
    entry bigserial,
    account int NOT NULL,
    amount numeric(10,2),
    label varchar(12),
    noted date DEFAULT '2020-01-01',
    tags text[],
    share real,
    weight float8,
    payload jsonb,
    UNIQUE (account, entry)
);
-- @group
SELECT create_distributed_table('ledger', 'account', colocate_with => 'none');
CREATE TABLE totals (label text PRIMARY KEY, n bigint, amount numeric, twice bigint GENERATED ALWAYS AS (n * 2) STORED);
-- @group
SELECT create_distributed_table('totals', 'label', colocate_with => 'none');
CREATE TABLE staging (a int, b text, c numeric, d timestamp);
INSERT INTO staging SELECT i, 'row ' || i, i * 1.005, timestamp '2021-03-04' + i * interval '1 hour' FROM generate_series(1, 300) i;

-- A local table, a series, VALUES with more clauses.
INSERT INTO ledger (account, amount, label) SELECT a, c, b FROM staging ORDER BY a;
SELECT entry, account, amount, label, noted, tags FROM ledger ORDER BY entry LIMIT 20;
INSERT INTO ledger (account, label) SELECT i % 7, 's' || i FROM generate_series(1, 1000) i ORDER BY i DESC;
SELECT count(*), min(entry), max(entry), sum(entry * account) FROM ledger;
INSERT INTO ledger (account, label) (VALUES (1, 'x'), (2, 'y'), (3, 'z') ORDER BY 1 DESC LIMIT 2) RETURNING entry, account, label;
-- @message
INSERT INTO ledger (account, label) TABLE staging;
SELECT account, label, noted FROM ledger WHERE label = 'row 7' ORDER BY entry;

-- Of one shard group, of all shards, in order, with limits, aggregated.
INSERT INTO ledger (account, amount, tags) SELECT order_id, total, tags FROM orders WHERE customer_id = 3 ORDER BY order_id;
INSERT INTO ledger (account, amount, label) SELECT order_id, total, status FROM orders;
INSERT INTO ledger (account, amount, label) SELECT order_id, total, status FROM orders ORDER BY order_id DESC, customer_id;
SELECT entry, account, amount, label FROM ledger ORDER BY entry DESC LIMIT 30;
INSERT INTO ledger (account, label) SELECT order_id, status FROM orders ORDER BY order_id, customer_id LIMIT 5 OFFSET 3;
SELECT entry, account, label FROM ledger ORDER BY entry DESC LIMIT 6;
INSERT INTO ledger (account, label) SELECT o.order_id, o.status FROM (SELECT order_id, status FROM orders ORDER BY order_id, customer_id LIMIT 4) o;
INSERT INTO totals SELECT status, count(*), sum(total) FROM orders GROUP BY status;
SELECT * FROM totals ORDER BY 1;
INSERT INTO totals SELECT c.name, count(*), avg(o.total) FROM orders o JOIN customers c USING (customer_id) GROUP BY c.name HAVING count(*) > 1 ORDER BY 1;
SELECT label, n, round(amount, 4), twice FROM totals ORDER BY 1;
INSERT INTO ledger (account, label) SELECT DISTINCT length(status), status FROM orders ORDER BY status;
SELECT account, label FROM ledger ORDER BY entry DESC LIMIT 3;
INSERT INTO totals SELECT 'top ' || status, row_number() OVER (ORDER BY status), 1 FROM (SELECT DISTINCT status FROM orders) s;
SELECT label, n FROM totals WHERE label LIKE 'top%' ORDER BY 1;

-- Joins of tables that are not colocated, set operations, CTEs, subqueries: live.
INSERT INTO ledger (account, label) SELECT o.order_id, v.page FROM orders o JOIN visits v ON length(v.page) = o.customer_id WHERE o.customer_id < 9;
INSERT INTO ledger (account, label) SELECT customer_id, name FROM customers WHERE name NOT IN (SELECT page FROM visits) ORDER BY 1;
INSERT INTO ledger (account, label) WITH w AS (SELECT customer_id, name FROM customers WHERE active) SELECT customer_id, name FROM w ORDER BY customer_id;
WITH w AS (SELECT order_id, status FROM orders) INSERT INTO ledger (account, label) SELECT order_id, status FROM w WHERE order_id % 2 = 0 ORDER BY 1;
INSERT INTO ledger (account, label) SELECT customer_id, 'c' FROM customers UNION SELECT order_id, 'o' FROM orders ORDER BY 1, 2;
INSERT INTO ledger (account, label) SELECT customer_id, 'c' FROM customers UNION ALL SELECT a, 's' FROM staging ORDER BY 1, 2;
SELECT count(*), sum(account), count(label), count(DISTINCT label) FROM ledger;
SELECT entry, account, label FROM ledger ORDER BY entry DESC LIMIT 40;
INSERT INTO ledger (account, label) SELECT order_id, status FROM orders WHERE total > 90 FOR UPDATE;
INSERT INTO ledger (account, label) SELECT o.order_id, 'locked' FROM orders o WHERE customer_id = 9 ORDER BY 1 FOR SHARE;
SELECT count(*), sum(account) FROM ledger;

-- Conversions as assignment does them; errors as well.
INSERT INTO ledger (account, amount, label, noted, share, weight, payload) SELECT c, c, b::char(10), d, c, c, to_jsonb(b) FROM staging WHERE a <= 20;
SELECT account, amount, label, noted, share, weight, payload FROM ledger WHERE payload IS NOT NULL ORDER BY account;
INSERT INTO ledger (account, weight, share) SELECT 400 + customer_id, balance / 3, balance / 7 FROM customers WHERE balance IS NOT NULL;
SELECT account, weight, share FROM ledger WHERE account > 400 AND weight IS NOT NULL ORDER BY account;
INSERT INTO ledger (account, label) SELECT customer_id, 'a' || repeat(' ', 30) FROM customers WHERE customer_id < 4;
SELECT label, length(label) FROM ledger WHERE label LIKE 'a %' ORDER BY entry;
-- @message
INSERT INTO ledger (account, label) SELECT customer_id, repeat('a', 13) FROM customers;
-- @message
INSERT INTO ledger (account, amount) SELECT customer_id, 1e9 FROM customers;
-- @message
INSERT INTO ledger (account, label) SELECT NULLIF(customer_id, 3), 'n' FROM customers ORDER BY 1;
-- @error
INSERT INTO ledger (account) SELECT 1 / (order_id - 5) FROM orders;
-- @error
INSERT INTO ledger (account) SELECT order_id * 10000000000 FROM orders;
-- @message
INSERT INTO ledger (account) SELECT status FROM orders;
-- @message
INSERT INTO totals SELECT status, 1, 1 FROM orders GROUP BY status;
-- @message
INSERT INTO ledger (account, label) SELECT order_id FROM orders;
SELECT count(*), sum(account) FROM ledger;

-- The statement does not see what it writes.
INSERT INTO ledger (account, label) SELECT account + 1, 'again' FROM ledger;
SELECT count(*), count(*) FILTER (WHERE label = 'again') FROM ledger;
INSERT INTO ledger (account, label) SELECT a.account, 'self join' FROM ledger a JOIN ledger b ON a.account = b.entry WHERE b.entry < 40;
INSERT INTO ledger (account, label) SELECT count(*), 'n' FROM ledger;
SELECT count(*), count(*) FILTER (WHERE label = 'self join'), max(account) FROM ledger;
INSERT INTO ledger (account, label) SELECT 5, 'max ' || max(account) % 7 FROM ledger HAVING count(*) > 1 RETURNING label;

-- A transaction reads its own writes, and takes them back.
BEGIN;
INSERT INTO staging VALUES (9001, 'mine', 1, NULL);
INSERT INTO ledger (account, label) SELECT a, b FROM staging WHERE a > 9000;
INSERT INTO totals SELECT label, count(*) FROM ledger WHERE account > 9000 GROUP BY label;
SELECT label, n FROM totals WHERE label = 'mine';
SAVEPOINT s;
INSERT INTO totals SELECT 'copy of ' || label, n, amount FROM totals;
SELECT count(*) FROM totals;
ROLLBACK TO s;
SELECT count(*) FROM totals;
-- @error
INSERT INTO totals SELECT label, n, amount FROM totals;
ROLLBACK TO s;
INSERT INTO totals SELECT label || '!', n, amount FROM totals WHERE label = 'mine' RETURNING *;
ROLLBACK;
SELECT count(*) FROM totals;
SELECT count(*) FROM ledger WHERE account > 9000;
BEGIN READ ONLY;
-- @message
INSERT INTO totals SELECT status || '?', 1 FROM orders GROUP BY 1;
ROLLBACK;

-- ON CONFLICT and RETURNING.
INSERT INTO totals SELECT status, 10, 1 FROM orders GROUP BY status ON CONFLICT DO NOTHING;
INSERT INTO totals AS t SELECT status, 10, 1 FROM orders GROUP BY status ON CONFLICT (label) DO UPDATE SET n = t.n + excluded.n WHERE t.label <> 'open';
SELECT label, n, twice FROM totals WHERE label IN (SELECT status FROM orders) ORDER BY 1;
-- @message
INSERT INTO totals SELECT status, 10, 1 FROM orders ON CONFLICT (label) DO UPDATE SET n = 0;
INSERT INTO totals (label, n) (SELECT name || '#', customer_id FROM customers WHERE customer_id < 5 ORDER BY 2) ON CONFLICT (label) DO NOTHING RETURNING label, n, twice, n > 2 AS more;
SELECT count(*), sum(n) FROM totals;

-- Digits of floats, whatever the session shows of them.
SET extra_float_digits = -5;
INSERT INTO ledger (account, weight, share, tags) SELECT 7000, 1 / 3.0::float8, 1 / 3.0::float4, ARRAY['f'] FROM orders WHERE order_id = 1;
INSERT INTO totals SELECT 'float', 1, sum(weight)::numeric FROM ledger WHERE account = 7000 ON CONFLICT (label) DO UPDATE SET n = 2;
RESET extra_float_digits;
SELECT weight, share FROM ledger WHERE account = 7000;

-- Prepared, with parameters.
PREPARE copy_status(text, int) AS INSERT INTO ledger (account, label) SELECT order_id + $2, status FROM orders WHERE status = $1;
EXECUTE copy_status('open', 20000);
EXECUTE copy_status('paid', 30000);
SELECT label, count(*), sum(account) FROM ledger WHERE account >= 20000 GROUP BY label ORDER BY 1;
DROP TABLE ledger, totals, staging;
