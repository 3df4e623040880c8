-- 5.1 tables, 5.2 defaults
CREATE TABLE gadgets (
    tenant int NOT NULL,
    gadget_id serial,
    name text,
    price numeric DEFAULT 9.99,
    made timestamptz DEFAULT now(),
    day date DEFAULT current_date,
    label text DEFAULT 'none',
    PRIMARY KEY (tenant, gadget_id)
);
-- @group
SELECT create_distributed_table('gadgets', 'tenant');
INSERT INTO gadgets (tenant, name) VALUES (1, 'one');
INSERT INTO gadgets (tenant, name) VALUES (2, 'two'), (3, 'three'), (1, 'four');
INSERT INTO gadgets (tenant, name, price) VALUES (5, 'five', DEFAULT), (6, 'six', 1.5);
INSERT INTO gadgets (tenant) VALUES (7);
SELECT tenant, gadget_id, name, price, label, made IS NOT NULL AS made, day = current_date AS today FROM gadgets ORDER BY gadget_id;
SELECT count(DISTINCT made) FROM gadgets WHERE gadget_id IN (2, 3, 4);
INSERT INTO gadgets (tenant, gadget_id, name) VALUES (1, 100, 'explicit');
INSERT INTO gadgets VALUES (1, DEFAULT, 'default') RETURNING gadget_id, price, label;
-- @message
INSERT INTO gadgets (tenant, gadget_id) VALUES (1, 100);
-- @message
INSERT INTO gadgets (name) VALUES ('no tenant');
-- @message
INSERT INTO gadgets (tenant, name) VALUES (NULL, 'null tenant');
-- @message
INSERT INTO gadgets (tenant, nosuch) VALUES (1, 'x');
-- @message
INSERT INTO gadgets (tenant, price) VALUES (1, 'cheap');
-- identity and generated columns
CREATE TABLE invoices (
    tenant int NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    net numeric(10,2) NOT NULL,
    vat numeric(10,2) GENERATED ALWAYS AS (net * 0.19) STORED,
    PRIMARY KEY (tenant, id)
);
-- @group
SELECT create_distributed_table('invoices', 'tenant');
INSERT INTO invoices (tenant, net) VALUES (1, 100), (2, 50), (1, 10) RETURNING tenant, id, net, vat;
-- @message
INSERT INTO invoices (tenant, id, net) VALUES (1, 7, 100);
INSERT INTO invoices (tenant, id, net) OVERRIDING SYSTEM VALUE VALUES (1, 700, 100);
-- @message
INSERT INTO invoices (tenant, net, vat) VALUES (1, 1, 1);
SELECT * FROM invoices ORDER BY id;
UPDATE invoices SET net = net + 1 WHERE tenant = 1 RETURNING id, vat;
-- @message
UPDATE invoices SET vat = 0 WHERE tenant = 1;
-- 5.4 constraints
CREATE TABLE accounts (
    tenant int,
    account int,
    email text,
    balance int CONSTRAINT positive CHECK (balance >= 0),
    CONSTRAINT accounts_key PRIMARY KEY (tenant, account),
    CONSTRAINT accounts_email UNIQUE (tenant, email)
);
-- @group
SELECT create_distributed_table('accounts', 'tenant');
INSERT INTO accounts VALUES (1, 1, 'a@x', 10), (1, 2, 'b@x', 20), (2, 1, 'a@x', 30);
-- @message
INSERT INTO accounts VALUES (1, 1, 'c@x', 1);
-- @message
INSERT INTO accounts VALUES (1, 3, 'a@x', 1);
-- @message
INSERT INTO accounts VALUES (1, 4, 'd@x', -1);
-- @message
UPDATE accounts SET balance = balance - 15 WHERE tenant = 1;
UPDATE accounts SET balance = balance - 10;
SELECT * FROM accounts ORDER BY tenant, account;
-- @message
UPDATE accounts SET balance = balance - 15;
SELECT sum(balance) FROM accounts;
CREATE TABLE transfers (
    tenant int,
    id int,
    account int,
    amount int,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, account) REFERENCES accounts (tenant, account) ON DELETE CASCADE
);
-- @group
SELECT create_distributed_table('transfers', 'tenant', colocate_with => 'accounts');
INSERT INTO transfers VALUES (1, 1, 1, 5), (1, 2, 2, 6), (2, 1, 1, 7);
-- @message
INSERT INTO transfers VALUES (1, 3, 99, 5);
-- @message
INSERT INTO transfers VALUES (9, 3, 1, 5);
DELETE FROM accounts WHERE tenant = 1 AND account = 2;
SELECT * FROM transfers ORDER BY tenant, id;
CREATE TABLE addresses (customer_id int, n int, country char(2) REFERENCES countries (code), PRIMARY KEY (customer_id, n));
-- @group
SELECT create_distributed_table('addresses', 'customer_id');
INSERT INTO addresses VALUES (1, 1, 'de'), (2, 1, NULL);
-- @message
INSERT INTO addresses VALUES (3, 1, 'zz');
-- @error
DELETE FROM countries WHERE code = 'de';
-- 5.6 modifying tables
ALTER TABLE accounts ADD COLUMN source text DEFAULT 'web';
SELECT tenant, account, source FROM accounts ORDER BY 1, 2;
INSERT INTO accounts (tenant, account, balance) VALUES (3, 1, 0);
SELECT source FROM accounts WHERE tenant = 3;
ALTER TABLE accounts ALTER COLUMN source SET DEFAULT 'app';
INSERT INTO accounts (tenant, account, balance) VALUES (4, 1, 0) RETURNING source;
ALTER TABLE accounts ALTER COLUMN source DROP DEFAULT;
INSERT INTO accounts (tenant, account, balance) VALUES (5, 1, 0) RETURNING source;
-- @message
ALTER TABLE accounts ALTER COLUMN source SET NOT NULL;
UPDATE accounts SET source = 'none' WHERE source IS NULL;
ALTER TABLE accounts ALTER COLUMN source SET NOT NULL;
-- @message
INSERT INTO accounts (tenant, account, balance) VALUES (6, 1, 0);
ALTER TABLE accounts ALTER COLUMN source DROP NOT NULL;
ALTER TABLE accounts RENAME COLUMN source TO origin;
SELECT tenant, origin FROM accounts WHERE tenant = 4;
-- @message
SELECT source FROM accounts WHERE tenant = 4;
ALTER TABLE accounts ALTER COLUMN balance TYPE bigint;
UPDATE accounts SET balance = 3000000000 WHERE tenant = 4;
SELECT sum(balance) FROM accounts;
ALTER TABLE accounts ADD CONSTRAINT short CHECK (length(origin) < 10);
-- @message
UPDATE accounts SET origin = 'much longer than ten' WHERE tenant = 4;
-- @message
ALTER TABLE accounts ADD CONSTRAINT impossible CHECK (balance < 10);
ALTER TABLE accounts DROP CONSTRAINT short;
UPDATE accounts SET origin = 'much longer than ten' WHERE tenant = 4;
ALTER TABLE accounts DROP COLUMN origin;
SELECT * FROM accounts ORDER BY tenant, account;
-- @message
ALTER TABLE accounts DROP COLUMN nosuch;
ALTER TABLE accounts DROP COLUMN IF EXISTS nosuch;
ALTER TABLE accounts ADD COLUMN IF NOT EXISTS balance int;
ALTER TABLE transfers RENAME TO movements;
SELECT count(*) FROM movements;
-- @message
SELECT count(*) FROM transfers;
CREATE SCHEMA archive;
ALTER TABLE movements SET SCHEMA archive;
SELECT count(*) FROM archive.movements;
INSERT INTO archive.movements VALUES (2, 2, 1, 8);
SET search_path = archive, public;
SELECT * FROM movements ORDER BY tenant, id;
RESET search_path;
-- 5.7 privileges
CREATE ROLE reader;
-- @error
CREATE ROLE reader;
SET ROLE reader;
-- @message
SELECT count(*) FROM accounts;
-- @message
SELECT balance FROM accounts WHERE tenant = 1;
-- @message
UPDATE accounts SET balance = 1 WHERE tenant = 1;
RESET ROLE;
GRANT SELECT ON accounts TO reader;
SET ROLE reader;
SELECT count(*) FROM accounts;
SELECT balance FROM accounts WHERE tenant = 1;
-- @message
DELETE FROM accounts WHERE tenant = 1;
RESET ROLE;
REVOKE SELECT ON accounts FROM reader;
GRANT SELECT (tenant, account) ON accounts TO reader;
SET ROLE reader;
SELECT tenant, account FROM accounts ORDER BY 1, 2;
-- @message
SELECT balance FROM accounts WHERE tenant = 1;
RESET ROLE;
REVOKE ALL ON accounts FROM reader;
DROP ROLE reader;
-- 5.9 schemas
CREATE TABLE archive.accounts (tenant int PRIMARY KEY, note text);
-- @group
SELECT create_distributed_table('archive.accounts', 'tenant');
INSERT INTO archive.accounts SELECT i, 'n' || i FROM generate_series(1, 20) i;
SELECT count(*) FROM archive.accounts a JOIN public.accounts b USING (tenant);
SET search_path = archive;
SELECT note FROM accounts WHERE tenant = 3;
SELECT count(*) FROM accounts;
-- @error
SELECT count(*) FROM customers;
SET search_path = public, archive;
SELECT account FROM accounts WHERE tenant = 3;
RESET search_path;
-- a temporary table shadows the distributed one
CREATE TEMP TABLE accounts (tenant int, note text);
INSERT INTO accounts VALUES (3, 'temporary');
SELECT * FROM accounts WHERE tenant = 3;
SELECT count(*) FROM public.accounts WHERE tenant = 3;
DROP TABLE pg_temp.accounts;
SELECT count(*) FROM accounts WHERE tenant = 3;
-- 5.13 other objects: views, functions
CREATE VIEW rich AS SELECT customer_id, name, balance FROM customers WHERE balance > 40;
SELECT * FROM rich ORDER BY customer_id;
SELECT count(*) FROM rich WHERE customer_id = 3;
CREATE VIEW totals AS SELECT customer_id, count(*) AS n, sum(total) AS total FROM orders GROUP BY customer_id;
SELECT * FROM totals WHERE customer_id = 9;
SELECT max(n), sum(total) FROM totals;
SELECT c.name, t.n FROM customers c JOIN totals t USING (customer_id) WHERE c.customer_id < 10 ORDER BY 1;
CREATE MATERIALIZED VIEW frozen AS SELECT status, count(*) AS n FROM orders GROUP BY status;
SELECT * FROM frozen ORDER BY status;
REFRESH MATERIALIZED VIEW frozen;
CREATE TABLE snapshot AS SELECT customer_id, name FROM customers WHERE active;
SELECT count(*), min(customer_id), max(name) FROM snapshot;
SELECT customer_id AS id INTO snapshot2 FROM customers WHERE customer_id < 4;
SELECT * FROM snapshot2 ORDER BY 1;
-- 5.14 dependencies
-- @error
DROP TABLE customers;
DROP VIEW rich;
DROP VIEW totals;
-- @message
DROP TABLE nosuch;
DROP TABLE IF EXISTS nosuch;
DROP TABLE archive.movements;
DROP TABLE archive.accounts, gadgets;
-- @message
SELECT * FROM gadgets;
DROP SCHEMA archive;
DROP TABLE public.accounts;
-- @message
SELECT * FROM accounts;
TRUNCATE invoices;
SELECT count(*) FROM invoices;
CREATE INDEX ON customers (country, born);
CREATE UNIQUE INDEX customers_name ON customers (customer_id, name);
-- @error
CREATE UNIQUE INDEX customers_name ON customers (customer_id, name);
DROP INDEX customers_name;
COMMENT ON TABLE customers IS 'people who buy';
SELECT obj_description('customers'::regclass);
-- names that need quotes, and names that do not fit into those of shards
CREATE TABLE "Odd ""Table" ("Key col" int PRIMARY KEY, "öä" text);
-- @group
SELECT create_distributed_table('"Odd ""Table"', 'Key col');
INSERT INTO "Odd ""Table" VALUES (1, 'a'), (2, 'b');
-- @message
INSERT INTO "Odd ""Table" VALUES (1, 'a');
SELECT "öä" FROM "Odd ""Table" WHERE "Key col" = 2;
DROP TABLE "Odd ""Table";
CREATE TABLE a_table_with_a_name_of_sixty_three_bytes_which_is_all_there_is (
    id int PRIMARY KEY, v int CONSTRAINT a_constraint_with_a_name_of_more_bytes_than_a_shard_can_have CHECK (v > 0));
-- @group
SELECT create_distributed_table('a_table_with_a_name_of_sixty_three_bytes_which_is_all_there_is', 'id');
INSERT INTO a_table_with_a_name_of_sixty_three_bytes_which_is_all_there_is VALUES (1, 1), (2, 2);
-- @message
INSERT INTO a_table_with_a_name_of_sixty_three_bytes_which_is_all_there_is VALUES (1, 1);
-- @message
INSERT INTO a_table_with_a_name_of_sixty_three_bytes_which_is_all_there_is VALUES (3, -1), (4, 4);
CREATE UNIQUE INDEX an_index_with_a_name_of_more_bytes_than_a_shard_of_it_can_have ON a_table_with_a_name_of_sixty_three_bytes_which_is_all_there_is (id, v);
-- @message
UPDATE a_table_with_a_name_of_sixty_three_bytes_which_is_all_there_is SET v = 0 WHERE id = 2;
DROP TABLE a_table_with_a_name_of_sixty_three_bytes_which_is_all_there_is;
