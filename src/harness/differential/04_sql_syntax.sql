-- 4.1 lexical structure
SELECT name FROM customers WHERE customer_id = 7;
SELECT "name" AS "Customer Name" FROM "customers" WHERE "customer_id" = 7;
SELECT name AS "weird ""quoted"" name" FROM customers WHERE customer_id = 7;
SELECT U&'d\0061t\+000061' AS data, name FROM customers WHERE customer_id = 7;
SELECT 'foo'
       'bar' AS joined, customer_id FROM customers WHERE customer_id = 3;
SELECT E'tab\tnew\\line\u00e9' AS e, customer_id FROM customers WHERE customer_id = 3;
SELECT $$Dianne's horse$$ AS d, $tag$nested $$ inside$tag$ AS t FROM customers WHERE customer_id = 3;
SELECT B'1001' AS bits, X'1FF' AS hex FROM customers WHERE customer_id = 3;
SELECT 42, 3.5, 4., .001, 5e2, 1.925e-3, -7, +7 FROM customers WHERE customer_id = 3;
SELECT 2147483647, 2147483648, 9223372036854775807, 9223372036854775808 FROM customers WHERE customer_id = 3;
SELECT real '1.23', '1.23'::real, CAST('1.23' AS real), float8 '1.5' FROM customers WHERE customer_id = 3;
SELECT name /* a comment /* nested */ ; 'with quote */ FROM customers -- and one more ' ;
WHERE customer_id = 5;
SELECT name FROM customers WHERE customer_id = - 5;
SELECT name FROM customers WHERE customer_id = -5;
SELECT name FROM customers WHERE customer_id = - -5;
SELECT name FROM customers WHERE -customer_id = -5;
SELECT name FROM customers WHERE 5 = customer_id;
SELECT name FROM customers WHERE customer_id = 2 + 3;
SELECT name FROM customers WHERE customer_id = '5';
SELECT name FROM customers WHERE customer_id = ' 5 ';
-- @message
SELECT name FROM customers WHERE customer_id = 'five';
SELECT name FROM customers WHERE customer_id = 5.;
SELECT name FROM customers WHERE customer_id = 5.0;
SELECT name FROM customers WHERE customer_id = 5.5;
SELECT name FROM customers WHERE customer_id = 5::bigint;
SELECT name FROM customers WHERE customer_id = 5::smallint;
SELECT name FROM customers WHERE customer_id = 99999999999;
SELECT name FROM customers WHERE customer_id = NULL;
SELECT name FROM customers WHERE customer_id IS NULL;
SELECT name FROM customers WHERE customer_id IS NOT DISTINCT FROM 5;
SELECT name FROM customers WHERE (customer_id) = (5) AND true;
SELECT name FROM customers WHERE customer_id = 5 AND customer_id = 6;
SELECT name FROM customers WHERE customer_id = 5 OR customer_id = 6 ORDER BY name;
SELECT name FROM customers WHERE NOT customer_id = 5 ORDER BY name;
SELECT name FROM customers WHERE customer_id IN (5, 6, 7) ORDER BY name;
SELECT name FROM customers WHERE customer_id = ANY (ARRAY[5, 6]) ORDER BY name;
SELECT name FROM customers WHERE customer_id = ANY ('{5,6,NULL}') ORDER BY name;
SELECT name FROM customers WHERE customer_id NOT IN (5, 6) ORDER BY customer_id LIMIT 5;
SELECT name FROM customers WHERE (customer_id, country) = (5, 'de');
SELECT name FROM customers WHERE ROW(customer_id, active) = ROW(7, true);
SELECT name FROM customers WHERE customer_id BETWEEN 5 AND 6 ORDER BY name;
-- @message
SELECT nosuch FROM customers WHERE customer_id = 5;
-- @message
SELECT name FROM customers c WHERE customers.customer_id = 5;
-- @message
SELECT name FROM nosuchtable;
-- @message
SELECT nosuchfunction(name) FROM customers WHERE customer_id = 1;
-- @message
SELEC name FROM customers;
-- @message
SELECT name FROM customers WHERE customer_id = 1 AND;
-- @message
SELECT name + 1 FROM customers WHERE customer_id = 1;
-- @message
SELECT 1/0 FROM customers WHERE customer_id = 1;
-- @error
SELECT 1/(customer_id - customer_id) FROM customers;
-- 4.2 value expressions
SELECT customers.name, c2.name FROM customers, customers c2 WHERE customers.customer_id = 4 AND c2.customer_id = 4;
SELECT tags[1], tags[1:2], (ARRAY[10,20,30])[2] FROM orders WHERE customer_id = 4 ORDER BY order_id;
SELECT payload->'n' AS n, payload->>'tag' AS tag, payload #>> '{deep,x}' AS x FROM visits WHERE page = '/page/1' AND seconds < 20;
SELECT count(*), count(total), sum(total), avg(total)::numeric(12,4), min(total), max(total) FROM orders;
SELECT count(*) FILTER (WHERE status = 'open') AS open, count(*) FILTER (WHERE total > 50) AS big FROM orders;
SELECT string_agg(name, ',' ORDER BY name DESC) FROM customers WHERE customer_id < 6;
SELECT array_agg(customer_id ORDER BY customer_id) FROM customers WHERE customer_id < 9;
SELECT sum(DISTINCT quantity), count(DISTINCT quantity), avg(DISTINCT quantity)::numeric(10,4) FROM items;
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY total) FROM orders;
SELECT percentile_disc(0.25) WITHIN GROUP (ORDER BY total), mode() WITHIN GROUP (ORDER BY status) FROM orders;
SELECT order_id, rank() OVER (PARTITION BY customer_id ORDER BY total DESC, order_id) FROM orders WHERE customer_id IN (3, 4);
SELECT CAST(balance AS int), balance::text, text(balance) FROM customers WHERE customer_id = 9;
SELECT name COLLATE "C" FROM customers WHERE customer_id < 12 ORDER BY name COLLATE "C";
SELECT (SELECT max(total) FROM orders o WHERE o.customer_id = c.customer_id) FROM customers c WHERE c.customer_id = 11;
SELECT name, (SELECT max(total) FROM orders o WHERE o.customer_id = c.customer_id) FROM customers c WHERE c.customer_id < 15 ORDER BY 1;
SELECT ARRAY(SELECT order_id FROM orders WHERE customer_id = 12 ORDER BY order_id);
SELECT ARRAY[customer_id, 1, 2], ARRAY[[1,2],[3,4]], ARRAY[]::int[] FROM customers WHERE customer_id = 12;
SELECT ROW(customer_id, name, 5.5), (customer_id, 'x') FROM customers WHERE customer_id = 12;
SELECT (c).name FROM customers c WHERE customer_id = 12;
SELECT c.* FROM customers c WHERE customer_id = 12;
SELECT c FROM customers c WHERE customer_id = 12;
SELECT c IS NULL, c IS NOT NULL FROM customers c WHERE customer_id = 12;
SELECT CASE WHEN customer_id > 0 THEN 1.5 / customer_id ELSE 0 END FROM customers WHERE customer_id = 12;
-- 4.3 calling functions
CREATE FUNCTION concat_lower_or_upper(a text, b text, uppercase boolean DEFAULT false) RETURNS text
    AS $$ SELECT CASE WHEN $3 THEN upper($1 || ' ' || $2) ELSE lower($1 || ' ' || $2) END $$ LANGUAGE sql IMMUTABLE STRICT;
SELECT concat_lower_or_upper('Hello', name, true) FROM customers WHERE customer_id = 2;
SELECT concat_lower_or_upper(a => 'Hello', b => name) FROM customers WHERE customer_id < 5 ORDER BY 1;
SELECT concat_lower_or_upper('Hello', name, uppercase => true) FROM customers WHERE customer_id < 5 ORDER BY 1;
SELECT count(*) FROM customers WHERE concat_lower_or_upper('A', name) = 'a customer 3';
DROP FUNCTION concat_lower_or_upper(text, text, boolean);
