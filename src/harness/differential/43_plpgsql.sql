CREATE FUNCTION customer_total(c int) RETURNS numeric LANGUAGE plpgsql STABLE AS $$
DECLARE s numeric;
BEGIN
    SELECT sum(total) INTO s FROM orders WHERE customer_id = c;
    RETURN coalesce(s, 0);
END $$;
SELECT customer_total(3);
SELECT customer_total(999);
SELECT customer_id, customer_total(customer_id) FROM customers WHERE customer_id < 8 ORDER BY 1;
SELECT sum(customer_total(customer_id)) FROM customers;
CREATE FUNCTION best(n int) RETURNS TABLE (customer int, total numeric) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT o.customer_id, sum(o.total) FROM orders o GROUP BY 1 ORDER BY 2 DESC NULLS LAST, 1 LIMIT n;
END $$;
SELECT * FROM best(5);
SELECT c.name, b.total FROM best(3) b JOIN customers c ON c.customer_id = b.customer ORDER BY 2;
CREATE FUNCTION loop_sum() RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE r record; s numeric := 0;
BEGIN
    FOR r IN SELECT customer_id, balance FROM customers ORDER BY customer_id LOOP
        s := s + r.balance * (r.customer_id % 3);
    END LOOP;
    RETURN s;
END $$;
SELECT loop_sum();
CREATE FUNCTION nested(n int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE r record; s bigint := 0; k bigint;
BEGIN
    FOR r IN SELECT DISTINCT country FROM customers WHERE country IS NOT NULL ORDER BY 1 LOOP
        SELECT count(*) INTO k FROM customers WHERE country = r.country AND customer_id > n;
        s := s * 10 + k;
    END LOOP;
    RETURN s;
END $$;
SELECT nested(5);
CREATE FUNCTION dynamic(tab text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM %I', tab) INTO n;
    RETURN n;
END $$;
SELECT dynamic('customers'), dynamic('countries'), dynamic('settings');
CREATE FUNCTION status_of(o customers) RETURNS text LANGUAGE sql STABLE AS $$ SELECT CASE WHEN o.active THEN 'on' ELSE 'off' END $$;
SELECT status_of(c), count(*) FROM customers c GROUP BY 1 ORDER BY 1;
SELECT c.status_of FROM customers c WHERE customer_id = 6;
CREATE FUNCTION caught() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 / (customer_id - 3) FROM customers;
    RETURN 'no error';
EXCEPTION WHEN division_by_zero THEN
    RETURN 'caught ' || (SELECT count(*) FROM customers);
END $$;
SELECT caught();
DO $$ BEGIN IF (SELECT count(*) FROM customers) <> 60 THEN RAISE EXCEPTION 'wrong count'; END IF; END $$;
-- @message
DO $$ BEGIN IF (SELECT count(*) FROM orders) > 1 THEN RAISE EXCEPTION 'as expected' USING ERRCODE = 'P0042'; END IF; END $$;
CREATE PROCEDURE report(INOUT n bigint) LANGUAGE plpgsql AS $$ BEGIN SELECT count(*) INTO n FROM customers WHERE customer_id > n; END $$;
CALL report(10);
-- in a transaction with own writes
BEGIN;
INSERT INTO customers (customer_id, name, balance, country) VALUES (500, 'z', 1000, 'de');
SELECT loop_sum(), nested(5), dynamic('customers');
UPDATE orders SET total = total + 1 WHERE customer_id = 3;
SELECT customer_total(3);
ROLLBACK;
SELECT loop_sum(), customer_total(3);
-- writes of distributed tables inside the database; more of them in 43c_live_writes.sql
CREATE FUNCTION writes() RETURNS void LANGUAGE sql AS 'UPDATE customers SET balance = 0 WHERE customer_id = 3';
SELECT writes();
DO $$ BEGIN INSERT INTO customers (customer_id, name) VALUES (777, 'x'); END $$;
DO $$ BEGIN DELETE FROM customers WHERE customer_id = 777 AND name = 'x'; END $$;
SELECT balance FROM customers WHERE customer_id = 3;
SELECT count(*) FROM customers;
-- writes of reference tables inside the database
CREATE FUNCTION add_country(c text) RETURNS void LANGUAGE sql AS $$ INSERT INTO countries VALUES (c, 'by function', NULL) $$;
SELECT add_country('q1');
DO $$ BEGIN PERFORM add_country('q2'); UPDATE countries SET continent = 'Q' WHERE code LIKE 'q%'; END $$;
SELECT co.code, co.continent FROM countries co WHERE co.code LIKE 'q%' ORDER BY 1;
UPDATE customers SET country = 'q1' WHERE customer_id = 3;
SELECT c.name, co.name FROM customers c JOIN countries co ON co.code = c.country WHERE c.customer_id = 3;
-- what a function sees of an error names no shard
CREATE TABLE caught (id int PRIMARY KEY, name text);
-- @group
SELECT create_distributed_table('caught', 'id');
CREATE FUNCTION put_twice() RETURNS text LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO caught VALUES (1, 'once');
    INSERT INTO caught VALUES (1, 'twice');
    RETURN 'no error';
EXCEPTION WHEN unique_violation THEN
    RETURN sqlerrm;
END $$;
SELECT put_twice();
DROP FUNCTION put_twice();
DROP TABLE caught;
