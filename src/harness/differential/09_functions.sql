-- 9.1-9.4 logic, comparison, numbers, strings
SELECT customer_id, active AND balance > 0, active OR NULL, NOT active FROM customers WHERE customer_id < 8 ORDER BY 1;
SELECT count(*) FROM customers WHERE active IS NOT TRUE;
SELECT count(*) FROM customers WHERE country IS DISTINCT FROM 'de';
SELECT count(*) FROM customers WHERE born BETWEEN SYMMETRIC '1975-01-01' AND '1971-01-01';
SELECT abs(balance), ceil(balance), floor(balance), round(balance, 1), sign(balance), mod(customer_id, 7), power(customer_id, 2), trunc(balance) FROM customers WHERE customer_id < 6 ORDER BY customer_id;
SELECT sum(abs(balance)), max(greatest(balance, 3)), min(least(balance, -3)) FROM customers;
SELECT upper(name), initcap(name), length(name), position('er' in name), substring(name from 3 for 4), replace(name, 'cust', 'x'), overlay(name placing 'YY' from 2), split_part(name, ' ', 2), reverse(name), md5(name) FROM customers WHERE customer_id = 17;
SELECT trim(both 'c' from name), lpad(name, 15, '*'), left(name, 3), right(name, 2), repeat('x', customer_id), translate(name, 'abc', 'xyz'), ascii(name), chr(65), concat(name, NULL, 1), concat_ws('-', name, NULL, 2), format('%s is %I', name, 'a b'), quote_literal(name) FROM customers WHERE customer_id = 3;
SELECT left(name, 9), count(*) FROM customers GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM customers WHERE name LIKE '%1%' AND name NOT LIKE '%2%';
SELECT count(*) FROM customers WHERE name ~ '[13]5?$' AND name !~* 'X';
SELECT count(*) FROM customers WHERE name SIMILAR TO '%(1|2)0';
SELECT regexp_replace(name, '(\w+) (\d+)', '\2-\1'), (regexp_match(name, '\d+'))[1], regexp_split_to_array(name, ' ') FROM customers WHERE customer_id = 12;
SELECT substring(name similar '%#"er#"%' escape '#') FROM customers WHERE customer_id = 12;
SELECT to_char(balance, '999D99'), to_char(born, 'DD Mon YYYY'), to_char(customer_id, 'FM000'), to_number('1,234', '9,999'), to_date('05 Dec 2000', 'DD Mon YYYY') FROM customers WHERE customer_id = 12;
SELECT encode(sha256(name::bytea), 'hex') FROM customers WHERE customer_id = 3;
-- 9.9 dates
SELECT extract(year from born), date_part('dow', born), born + 10, born - date '1970-01-01', age(timestamp '2024-01-01', born) FROM customers WHERE customer_id = 12;
SELECT extract(month from placed) AS month, count(*) FROM orders GROUP BY 1 ORDER BY 1;
SELECT date_bin('15 days', placed, timestamp '2024-01-01'), count(*) FROM orders GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM orders WHERE placed + interval '1 month' < timestamp '2024-02-20';
SELECT count(*) FROM orders WHERE (placed, placed + interval '1 day') OVERLAPS (timestamp '2024-01-05', timestamp '2024-01-06');
SELECT count(*) FROM orders WHERE placed < now();
SELECT count(*) FROM orders WHERE placed > current_date;
SELECT count(DISTINCT now()) FROM orders;
SELECT count(DISTINCT current_timestamp), bool_and(now() = current_timestamp) FROM customers;
SELECT count(*) FROM customers WHERE clock_timestamp() >= now();
SELECT make_date(2024, customer_id, 1) FROM customers WHERE customer_id < 4 ORDER BY 1;
-- @message
SELECT make_date(2024, 13, customer_id) FROM customers WHERE customer_id = 1;
-- 9.15-9.19 json, arrays, conditional
SELECT customer_id, coalesce(country, '??'), nullif(country, 'de'), greatest(customer_id, 3) FROM customers WHERE customer_id < 6 ORDER BY 1;
SELECT json_build_object('id', customer_id, 'name', name), row_to_json(ROW(customer_id, name)), to_jsonb(name), jsonb_build_array(customer_id, name) FROM customers WHERE customer_id = 3;
SELECT jsonb_array_length(jsonb_build_array(1, 2)), jsonb_typeof(payload), payload - 'n', payload || '{"z": 1}', jsonb_set(payload, '{deep,x}', '9') FROM visits WHERE page = '/page/3' AND seconds < 30;
SELECT jsonb_path_query_array(payload, '$.deep.x') FROM visits WHERE page = '/page/3' ORDER BY at LIMIT 3;
SELECT page, jsonb_agg(payload->'n' ORDER BY at) FROM visits GROUP BY page ORDER BY page;
SELECT (payload->>'n')::int AS n, count(*) FROM visits WHERE payload ? 'n' GROUP BY 1 ORDER BY 1;
SELECT array_length(tags, 1), array_append(tags, 'z'), array_to_string(tags, ','), cardinality(tags), tags || 'y'::text, 'a' = ANY (tags) FROM orders WHERE customer_id = 3 ORDER BY order_id;
SELECT array_agg(DISTINCT status ORDER BY status) FROM orders;
SELECT count(*) FROM orders WHERE tags IS NULL;
SELECT count(*) FROM orders WHERE tags = '{}';
-- 9.21 aggregates
SELECT corr(customer_id, total)::numeric(12,8), regr_slope(total, customer_id)::numeric(12,8) FROM orders;
SELECT stddev_samp(total)::numeric(12,6), var_samp(total)::numeric(12,6), stddev_pop(quantity)::numeric(12,6) FROM orders JOIN items USING (customer_id, order_id);
SELECT status, string_agg(order_id::text, ',' ORDER BY order_id) FROM orders WHERE customer_id < 10 GROUP BY status ORDER BY 1;
SELECT json_object_agg(status, n ORDER BY status) FROM (SELECT status, count(*) AS n FROM orders GROUP BY status) x;
SELECT sum(price), avg(price)::numeric(10,4), sum(seconds) FROM items, (SELECT sum(seconds) AS seconds FROM visits) v GROUP BY v.seconds;
SELECT sum(seconds), avg(seconds), min(seconds), max(seconds) FROM visits;
SELECT page, avg(seconds), count(seconds) FROM visits GROUP BY page ORDER BY page;
SELECT range_agg(int4range(customer_id, customer_id + 2)) FROM customers WHERE customer_id < 5;
SELECT any_value FROM (SELECT max(customer_id) AS any_value FROM customers) x;
SELECT rank(50) WITHIN GROUP (ORDER BY total) FROM orders;
-- 9.24 subquery expressions, row comparison, 9.25 set returning
SELECT customer_id FROM customers WHERE (customer_id, name) IN (SELECT customer_id, 'customer ' || customer_id FROM orders) ORDER BY 1 LIMIT 5;
SELECT count(*) FROM customers WHERE (country, active) = ANY (SELECT code, true FROM countries);
SELECT customer_id, generate_series(1, 2) FROM customers WHERE customer_id < 4 ORDER BY 1, 2;
SELECT unnest(tags), count(*) FROM orders GROUP BY 1 ORDER BY 1;
SELECT generate_series(1, 3), count(*) FROM customers GROUP BY 1 ORDER BY 1;
SELECT customer_id, regexp_matches(name, '\d', 'g') FROM customers WHERE customer_id = 12;
-- 9.26 information functions
SELECT current_user = session_user, current_database() IS NOT NULL, current_schema() FROM customers WHERE customer_id = 3;
SELECT count(*) FROM customers WHERE current_schema() = 'public';
SELECT pg_typeof(balance), pg_typeof(customer_id), pg_typeof(name) FROM customers WHERE customer_id = 3;
SELECT pg_typeof(count(*)), pg_typeof(sum(total)), pg_typeof(sum(customer_id)), pg_typeof(avg(customer_id)) FROM orders;
SELECT coalesce(current_setting('app.tenant', true), 'none') FROM customers WHERE customer_id = 3;
SET app.tenant = '42';
SELECT current_setting('app.tenant') FROM customers WHERE customer_id = 3;
SELECT count(*) FROM customers WHERE customer_id < current_setting('app.tenant')::int;
SELECT set_config('app.tenant', '7', false);
SELECT count(*) FROM customers WHERE customer_id < current_setting('app.tenant')::int;
-- sequences
SELECT nextval('orders_order_id_seq') > 1000;
SELECT count(*) FROM (SELECT nextval('orders_order_id_seq') FROM customers) x;
-- user-defined functions, immutable and not
CREATE FUNCTION discount(p numeric) RETURNS numeric AS 'SELECT p * 0.9' LANGUAGE sql IMMUTABLE;
SELECT sum(discount(total)) FROM orders;
SELECT customer_id, discount(balance) FROM customers WHERE customer_id = 9;
CREATE FUNCTION orders_of(c int) RETURNS bigint AS 'SELECT count(*) FROM orders WHERE customer_id = c' LANGUAGE sql STABLE;
SELECT orders_of(9);
SELECT customer_id, orders_of(customer_id) FROM customers WHERE customer_id < 6 ORDER BY 1;
SELECT sum(orders_of(customer_id)) FROM customers;
CREATE FUNCTION discount(p int) RETURNS int AS 'SELECT p - 1' LANGUAGE sql IMMUTABLE;
SELECT discount(customer_id), discount(balance) FROM customers WHERE customer_id = 9;
CREATE FUNCTION upper(i int) RETURNS text AS 'SELECT ''mine''' LANGUAGE sql IMMUTABLE;
SELECT upper(customer_id), upper(name) FROM customers WHERE customer_id = 9;
DROP FUNCTION upper(int);
CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq);
SELECT name FROM customers WHERE customer_id === 9;
SELECT count(*) FROM customers WHERE customer_id === 9 OR customer_id = 3;
DROP OPERATOR === (int, int);
CREATE AGGREGATE product(int) (SFUNC = int4mul, STYPE = int, INITCOND = '1');
SELECT product(line) FROM items WHERE customer_id = 3;
SELECT product(customer_id % 3 + 1) FROM customers WHERE customer_id < 9;
