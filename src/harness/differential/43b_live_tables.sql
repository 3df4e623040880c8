-- Distributed tables read by PostgreSQL itself: in functions, views, cursors, DO blocks, inside and outside of transactions.
CREATE TABLE live (tenant_id int, id int, v int, name text, at timestamptz, amount numeric(12,4), ratio float8, PRIMARY KEY (tenant_id, id));
-- @group
SELECT create_distributed_table('live', 'tenant_id');
INSERT INTO live (tenant_id, id, v, name, at, amount, ratio) VALUES
    (0, 4, 40, 'delta', '2024-01-04 00:00+00', 4.5, 0.4), (1, 1, 10, 'alpha', '2024-01-01 00:00+00', 10.25, 0.1),
    (2, 2, 20, 'Bravo', '2024-01-02 00:00+00', -2.5, 0.2), (3, 3, 30, 'charlie', NULL, NULL, 'NaN'),
    (0, 8, 80, NULL, '2024-01-08 00:00+00', 8.75, -1), (1, 5, 50, 'Echo', 'infinity', 100, 'Infinity'),
    (2, 6, 60, 'echo', '-infinity', 0, 0), (3, 7, 70, 'golf "q" \ x', '1999-12-31 23:59:59.999999+00', 0.0001, 1e-300);
CREATE FUNCTION live_total() RETURNS bigint LANGUAGE plpgsql AS $$ DECLARE s bigint; BEGIN SELECT sum(v) INTO s FROM live; RETURN s; END $$;
SELECT live_total();
-- Orders of types that the router does not compare by itself.
CREATE FUNCTION by_name(n int) RETURNS SETOF text LANGUAGE sql STABLE AS $$ SELECT name FROM live ORDER BY name DESC NULLS LAST, id LIMIT n $$;
SELECT by_name(5);
CREATE FUNCTION by_amount() RETURNS SETOF numeric LANGUAGE sql STABLE AS $$ SELECT amount FROM live ORDER BY amount, id $$;
SELECT by_amount();
CREATE FUNCTION by_ratio() RETURNS SETOF int LANGUAGE sql STABLE AS $$ SELECT id FROM live ORDER BY ratio DESC, id $$;
SELECT by_ratio();
CREATE FUNCTION by_time() RETURNS SETOF int LANGUAGE sql STABLE AS $$ SELECT id FROM live ORDER BY at DESC, id $$;
SELECT by_time();
CREATE FUNCTION by_expression() RETURNS SETOF int LANGUAGE sql STABLE AS $$ SELECT id FROM live ORDER BY lower(name), v % 3, id $$;
SELECT by_expression();
-- The same with the order made by the workers.
SET enable_sort = off;
SELECT by_name(8);
SELECT by_amount();
SELECT by_ratio();
SELECT by_time();
SELECT by_expression();
SET enable_hashjoin = off;
SET enable_nestloop = off;
CREATE FUNCTION merged() RETURNS bigint LANGUAGE sql STABLE AS $$ SELECT sum(a.v * b.id) FROM live a JOIN live b ON a.amount = b.amount $$;
SELECT merged();
CREATE FUNCTION merged_text() RETURNS bigint LANGUAGE sql STABLE AS $$ SELECT sum(a.v * b.id) FROM live a JOIN live b ON a.name = b.name $$;
SELECT merged_text();
RESET ALL;
-- Nested loops declare their inner cursors again and again.
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_material = off;
SELECT a.id, b.id FROM live a JOIN live b ON b.v = a.v + 10 WHERE live_total() > 0 ORDER BY 1;
SELECT id, (SELECT count(*) FROM live x WHERE x.v > live.v) FROM live ORDER BY id;
SELECT a.id FROM live a WHERE EXISTS (SELECT FROM live b WHERE b.tenant_id <> a.tenant_id AND b.v = a.v * 2) ORDER BY 1;
RESET ALL;
-- Views, materialized views, CREATE TABLE AS, whole rows, row types.
CREATE VIEW live_view AS SELECT l.*, rank() OVER (ORDER BY v DESC) AS place FROM live l;
SELECT * FROM live_view WHERE place <= 3 ORDER BY place;
CREATE MATERIALIZED VIEW live_summary AS SELECT tenant_id, count(*) AS n, max(at) AS latest FROM live GROUP BY 1;
SELECT * FROM live_summary ORDER BY 1;
UPDATE live SET v = v + 1 WHERE tenant_id = 1;
REFRESH MATERIALIZED VIEW live_summary;
SELECT * FROM live_summary ORDER BY 1;
CREATE TABLE live_copy AS SELECT * FROM live WHERE v > 30;
SELECT * FROM live_copy ORDER BY id;
CREATE FUNCTION of_row(l live) RETURNS int LANGUAGE sql AS $$ SELECT l.v + l.id $$;
SELECT id, of_row(live) FROM live ORDER BY id;
SELECT to_jsonb(l) FROM live l WHERE live_total() > 0 ORDER BY id;
SELECT l FROM live l WHERE live_total() > 0 ORDER BY l.id;
-- Own writes that have not committed.
BEGIN;
INSERT INTO live (tenant_id, id, v) VALUES (9, 9, 900);
SELECT live_total();
SAVEPOINT a;
UPDATE live SET v = 0 WHERE tenant_id = 9;
SELECT live_total();
SELECT count(*) FROM live_view WHERE v = 0;
ROLLBACK TO a;
SELECT live_total();
SAVEPOINT s2;
DELETE FROM live WHERE tenant_id = 9 AND id = 9;
SELECT live_total();
RELEASE s2;
SELECT live_total();
ROLLBACK;
SELECT live_total();
-- Cursors keep what they saw, also those that had not read when the table changed.
BEGIN;
DECLARE c CURSOR FOR SELECT id, v FROM live WHERE v > live_total() - 100000 ORDER BY id;
FETCH 2 FROM c;
UPDATE live SET v = v + 1000 WHERE tenant_id = 3;
DELETE FROM live WHERE tenant_id = 0 AND id = 8;
FETCH ALL FROM c;
SELECT live_total();
COMMIT;
BEGIN;
DECLARE c CURSOR FOR SELECT sum(v) FROM live WHERE live_total() > 0;
DECLARE d CURSOR FOR SELECT count(*) FROM live a, live b WHERE live_total() > 0;
INSERT INTO live (tenant_id, id, v) VALUES (0, 8, 80);
SELECT live_total();
FETCH ALL FROM c;
FETCH ALL FROM d;
ROLLBACK;
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT id FROM live WHERE live_total() > 0 ORDER BY id;
FETCH 3 FROM c;
FETCH BACKWARD 1 FROM c;
FETCH LAST FROM c;
MOVE FIRST IN c;
FETCH NEXT FROM c;
CLOSE c;
COMMIT;
-- Exception blocks are subtransactions, on the workers as well.
CREATE FUNCTION guarded(d int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE n bigint;
BEGIN
    BEGIN
        SELECT count(*) INTO n FROM live WHERE 100 / (v - d) <> 12345;
    EXCEPTION WHEN division_by_zero THEN
        SELECT -count(*) INTO n FROM live;
    END;
    RETURN n || ' ' || (SELECT count(*) FROM live);
END $$;
SELECT guarded(20);
SELECT guarded(7777);
BEGIN;
SELECT guarded(20), guarded(40), guarded(1);
SELECT live_total();
COMMIT;
CREATE FUNCTION nested_guards() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE r record; n int;
BEGIN
    FOR r IN SELECT id, v FROM live ORDER BY id LOOP
        BEGIN
            SELECT 1 / (count(*) - 4) INTO n FROM live WHERE v <= r.v;
            RETURN NEXT r.id || ':' || n;
        EXCEPTION WHEN OTHERS THEN
            RETURN NEXT r.id || ':' || SQLSTATE;
        END;
    END LOOP;
END $$;
SELECT * FROM nested_guards();
-- Settings of the session do not reach the values on their way.
SET datestyle = 'SQL, DMY';
SET intervalstyle = 'sql_standard';
SET timezone = 'America/New_York';
SELECT id, at, ratio FROM live WHERE live_total() > 0 ORDER BY id;
CREATE TABLE at_copy AS SELECT id, at FROM live WHERE live_total() > 0;
RESET ALL;
SELECT * FROM at_copy ORDER BY id;
-- Errors on a shard are the statement's.
-- @error
SELECT sum(1 / (v - 20)) FROM live WHERE live_total() > 0;
SELECT live_total();
-- Reference tables are PostgreSQL's own everywhere.
CREATE TABLE live_ref (code text PRIMARY KEY, n int, parent text REFERENCES live_ref ON UPDATE CASCADE ON DELETE SET NULL);
-- @group
SELECT create_reference_table('live_ref');
INSERT INTO live_ref VALUES ('a', 1, NULL), ('b', 2, 'a'), ('c', 3, 'b');
CREATE FUNCTION change_ref() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO live_ref VALUES ('d', 4, 'c') ON CONFLICT (code) DO UPDATE SET n = excluded.n + 10;
    INSERT INTO live_ref VALUES ('d', 4, 'c') ON CONFLICT (code) DO UPDATE SET n = excluded.n + 10;
    UPDATE live_ref SET code = 'x' WHERE code = 'a';
    DELETE FROM live_ref WHERE code = 'c';
    RETURN (SELECT count(*) FROM live l JOIN live_ref r ON l.id = r.n);
END $$;
SELECT change_ref();
SELECT * FROM live_ref ORDER BY code;
SELECT l.tenant_id, r.code FROM live l JOIN live_ref r ON l.id = r.n WHERE l.tenant_id = 1 ORDER BY 1, 2;
-- @error
INSERT INTO live_ref VALUES ('x', 0, NULL);
-- @error
INSERT INTO live_ref VALUES ('y', 0, 'nobody');
BEGIN;
TRUNCATE live_ref;
SELECT count(*) FROM live_ref;
SELECT count(*) FROM live l LEFT JOIN live_ref r ON r.n = l.id WHERE l.tenant_id = 1;
ROLLBACK;
SELECT count(*) FROM live_ref;
DO $$ BEGIN TRUNCATE live; END $$;
SELECT live_total();
