-- From the second time on, a statement of one shard is one that the worker keeps prepared, its literals are parameters.
-- 6.1 rows of VALUES
INSERT INTO customers (customer_id, name, country, born, balance, note) VALUES (101, 'a', 'de', '2001-02-03', 1.5, 'x');
INSERT INTO customers (customer_id, name, country, born, balance, note) VALUES (102, 'it''s', 'fr', '2001-02-04', 2.5, E'tab\t');
INSERT INTO customers (customer_id, name, country, born, balance, note) VALUES (103, 'c', 'fr', 'today', 2, '');
INSERT INTO customers (customer_id, name, country, born, balance, note) VALUES (104, 'd', 'fr', '2001-02-04', 3, 'y');
INSERT INTO customers (customer_id, name, country, born, balance, note) VALUES (105, 'e', 'f', '2001-02-05', 4, 'z');
-- @message
INSERT INTO customers (customer_id, name, country, born, balance, note) VALUES (106, 'e', 'fra', '2001-02-05', 4, 'z');
-- @message
INSERT INTO customers (customer_id, name, country, born, balance, note) VALUES (106, 'e', 'fr', '2001-02-31', 4, 'z');
-- @message
INSERT INTO customers (customer_id, name, country, born, balance, note) VALUES (106, 'e', 'fr', 'no date', 4, 'z');
-- @message
INSERT INTO customers (customer_id, name, country, born, balance, note) VALUES (105, 'again', 'fr', '2001-02-05', 4, 'z');
INSERT INTO customers (customer_id, name, country, born, balance, note) VALUES (106, 'f', 'fr', '2001-02-05', 4, 'z');
INSERT INTO customers (customer_id, name, note) VALUES (107, 'g', 'n') RETURNING customer_id, name, note, active;
INSERT INTO customers (customer_id, name, note) VALUES (108, 'h', 'n') RETURNING customer_id, name, note, active;
INSERT INTO customers (customer_id, name, note) VALUES (109, 'i', 'm') RETURNING customer_id, name, note, active;
INSERT INTO customers (customer_id, name) VALUES (109, 'j') ON CONFLICT (customer_id) DO UPDATE SET name = 'second', balance = 7 RETURNING name, balance;
INSERT INTO customers (customer_id, name) VALUES (110, 'k') ON CONFLICT (customer_id) DO UPDATE SET name = 'second', balance = 8 RETURNING name, balance;
INSERT INTO customers (customer_id, name) VALUES (110, 'l') ON CONFLICT (customer_id) DO UPDATE SET name = 'third', balance = 9 RETURNING name, balance;
INSERT INTO visits VALUES ('/a', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 1, 1.5, '2024-01-01 00:00:00+00', '{"a": 1}');
INSERT INTO visits VALUES ('/b', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12', 1, 2.5, '2024-01-01 00:00:00+00', '{"a": 2}');
INSERT INTO visits VALUES ('/c', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a13', 1, 3.5, '2024-01-01 00:00:00+00', '{"a": 3}');
-- @message
INSERT INTO visits VALUES ('/d', 'no uuid', 1, 3.5, '2024-01-01 00:00:00+00', '{"a": 3}');
-- @message
INSERT INTO visits VALUES ('/d', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a13', 1, 3.5, '2024-01-01 00:00:00+00', '{"a": ');
INSERT INTO items VALUES (101, 1, 1, 1, 5, 1.5);
INSERT INTO items VALUES (101, 1, 2, 1, 5, 1.5);
INSERT INTO items VALUES (101, 1, 3, 1, 5, 2.5);
-- @message
INSERT INTO items VALUES (101, 1, 4, 1, 0, 2.5);
-- @message
INSERT INTO items VALUES (101, 1, 3, 1, 5, 2.5);
-- @error
INSERT INTO items VALUES (3000000000, 1, 3, 1, 5, 2.5);
INSERT INTO items VALUES (102, 3000000000, 3, 1, 5, 2.5);
INSERT INTO items VALUES (103, 3000000000, 3, 1, 5, 2.5);
-- 7.2 conditions
SELECT name, balance FROM customers WHERE customer_id = 101;
SELECT name, balance FROM customers WHERE customer_id = 102;
SELECT name, balance FROM customers WHERE customer_id = 103;
SELECT name, balance FROM customers WHERE customer_id = 999;
SELECT name, balance FROM customers WHERE customer_id = 3000000000;
SELECT name, balance FROM customers WHERE customer_id = 3000000001;
SELECT name, balance FROM customers WHERE customer_id = '101';
SELECT name, balance FROM customers WHERE customer_id = '102';
SELECT name, balance FROM customers WHERE customer_id = ' 103 ';
-- @message
SELECT name, balance FROM customers WHERE customer_id = '10x';
SELECT name FROM customers WHERE customer_id = -5;
SELECT name FROM customers WHERE customer_id = -6;
SELECT name FROM customers WHERE customer_id = -2147483648;
SELECT name FROM customers WHERE customer_id = -2147483648;
SELECT name FROM customers WHERE customer_id = 101 AND country = 'de' AND balance = 2;
SELECT name FROM customers WHERE customer_id = 102 AND country = 'fr' AND balance = 2;
SELECT name FROM customers WHERE customer_id = 103 AND country = 'fr' AND balance = 2;
SELECT name FROM customers WHERE customer_id = 105 AND country = 'f ' AND balance = 4;
SELECT name FROM customers WHERE customer_id = 101 AND born = '2001-02-03';
SELECT name FROM customers WHERE customer_id = 102 AND born = '2001-02-03';
SELECT name FROM customers WHERE customer_id = 102 AND born = '2001-02-04';
-- @message
SELECT name FROM customers WHERE customer_id = 102 AND born = '2001-02-32';
SELECT name FROM customers WHERE customer_id = 101 AND born = date '2001-02-03';
SELECT name FROM customers WHERE customer_id = 102 AND born = date '2001-02-03';
SELECT name FROM customers WHERE customer_id = 102 AND born = date '2001-02-04';
SELECT name FROM customers WHERE customer_id = 101 AND born = '2001-02-03'::date;
SELECT name FROM customers WHERE customer_id = 102 AND born = '2001-02-03'::date;
SELECT name FROM customers WHERE customer_id = 102 AND born = '2001-02-04'::date;
SELECT name FROM customers WHERE customer_id=101 AND name='a'AND note='x'OR customer_id=101 AND name='b';
SELECT name FROM customers WHERE customer_id=102 AND name='it''s'AND note='x'OR customer_id=102 AND name='it''s';
SELECT name FROM customers WHERE customer_id=102 AND name='it''s'AND note='x'OR customer_id=102 AND name='b';
SELECT name FROM customers WHERE (customer_id, active) = (102, true);
SELECT name FROM customers WHERE (customer_id, active) = (103, true);
SELECT c.name, i.line FROM customers c JOIN items i ON c.customer_id = i.customer_id AND i.line = 1 WHERE c.customer_id = 101 ORDER BY 2;
SELECT c.name, i.line FROM customers c JOIN items i ON c.customer_id = i.customer_id AND i.line = 2 WHERE c.customer_id = 101 ORDER BY 2;
SELECT c.name, i.line FROM customers c JOIN items i ON c.customer_id = i.customer_id AND i.line = 3 WHERE c.customer_id = 101 ORDER BY 2;
SELECT page, seconds FROM visits WHERE page = '/a';
SELECT page, seconds FROM visits WHERE page = '/b';
SELECT page, seconds FROM visits WHERE page = '/c' AND visitor = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a13';
SELECT page, seconds FROM visits WHERE page = '/c' AND visitor = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a13';
-- @message
SELECT page, seconds FROM visits WHERE page = '/c' AND visitor = 'a0eebc99';
SELECT name, 1 / (customer_id - 101) FROM customers WHERE customer_id = 102;
-- @message
SELECT name, 1 / (customer_id - 101) FROM customers WHERE customer_id = 101;
SELECT name, 1 / (customer_id - 101) FROM customers WHERE customer_id = 103;
-- 6.2 and 6.3
UPDATE customers SET balance = balance + 5, note = 'u' WHERE customer_id = 101;
UPDATE customers SET balance = balance + 6, note = 'v' WHERE customer_id = 102;
UPDATE customers SET balance = balance + 7, note = 'w' WHERE customer_id = 103 ;
UPDATE customers SET balance = balance + -7, note = 'w' WHERE customer_id = 103 RETURNING balance;
UPDATE customers SET balance = balance + -8, note = 'w' WHERE customer_id = 103 RETURNING balance;
UPDATE customers SET balance = balance - -8, note = 'w' WHERE customer_id = 103 RETURNING balance;
-- @message
UPDATE customers SET balance = balance + 7, note = 'a text of more than forty characters is too long' WHERE customer_id = 103;
UPDATE customers SET born = '2002-01-01' WHERE customer_id = 103 RETURNING born;
UPDATE customers SET born = '2002-01-02' WHERE customer_id = 103 RETURNING born;
-- @message
UPDATE customers SET born = 'never' WHERE customer_id = 103 RETURNING born;
DELETE FROM customers WHERE customer_id = 110;
DELETE FROM customers WHERE customer_id = 109;
DELETE FROM customers WHERE customer_id = 109;
-- In a transaction, after a change of the table, and with settings that the meaning of text depends on.
BEGIN;
SELECT name, balance FROM customers WHERE customer_id = 101;
UPDATE customers SET balance = balance + 5, note = 'u' WHERE customer_id = 101;
SELECT name, balance FROM customers WHERE customer_id = 101;
ALTER TABLE customers ADD COLUMN extra int DEFAULT 3;
SELECT * FROM customers WHERE customer_id = 101;
SELECT * FROM customers WHERE customer_id = 102;
SAVEPOINT a;
-- @message
UPDATE customers SET born = 'never' WHERE customer_id = 103 RETURNING born;
ROLLBACK TO a;
UPDATE customers SET born = '2002-01-05' WHERE customer_id = 103 RETURNING born;
ROLLBACK;
SELECT * FROM customers WHERE customer_id = 101;
SELECT * FROM customers WHERE customer_id = 102;
ALTER TABLE customers ADD COLUMN extra int DEFAULT 3;
SELECT * FROM customers WHERE customer_id = 101;
SELECT * FROM customers WHERE customer_id = 102;
ALTER TABLE customers ALTER COLUMN extra TYPE text;
SELECT * FROM customers WHERE customer_id = 101;
SELECT * FROM customers WHERE customer_id = 102;
SET datestyle = 'German, DMY';
UPDATE customers SET born = '03.02.2002' WHERE customer_id = 103 RETURNING born;
UPDATE customers SET born = '04.02.2002' WHERE customer_id = 103 RETURNING born;
SELECT born FROM customers WHERE customer_id = 103 AND born = '04.02.2002';
SELECT born FROM customers WHERE customer_id = 103 AND born = '05.02.2002';
SET standard_conforming_strings = off;
SELECT name FROM customers WHERE customer_id = 101 AND name = '\141';
SELECT name FROM customers WHERE customer_id = 101 AND name = '\141';
RESET standard_conforming_strings;
SELECT customer_id, name, country, born, balance, note FROM customers WHERE customer_id > 100 ORDER BY 1;
-- Distinct values that several shards have count once.
SELECT count(DISTINCT country), count(DISTINCT born), sum(DISTINCT quantity) FROM customers LEFT JOIN items USING (customer_id);
SELECT country, count(DISTINCT note) FROM customers GROUP BY country ORDER BY 1;
SELECT DISTINCT country, active FROM customers ORDER BY 1, 2;
SELECT DISTINCT ON (country) country, note FROM customers ORDER BY 1, 2;
SELECT country FROM customers UNION SELECT status FROM orders ORDER BY 1;
SELECT string_agg(DISTINCT country, ',' ORDER BY country) FROM customers;
SELECT array_agg(DISTINCT born) FROM customers WHERE customer_id > 100;
