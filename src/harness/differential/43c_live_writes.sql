-- Distributed tables written by PostgreSQL itself: functions, DO, CALL, triggers of local tables, joins with any table, and what a
-- statement may see of its own and earlier writes.
CREATE TABLE events (tenant_id int, id int, v int, name text, PRIMARY KEY (tenant_id, id));
CREATE TABLE local (id int, x int);
INSERT INTO local VALUES (1, 100), (2, 200), (2, 201), (9, 900);
CREATE TABLE log (n serial, what text);
-- @group
SELECT create_distributed_table('events', 'tenant_id');
INSERT INTO events SELECT i % 4, i, i, 'n' || i FROM generate_series(1, 8) i;
-- What one statement sees of its own writes: nothing.
BEGIN;
DO $$ BEGIN UPDATE events e SET v = (SELECT count(*) FROM events x WHERE x.v > e.v); END $$;
SELECT array_agg(v ORDER BY id) FROM events;
ROLLBACK;
BEGIN;
DO $$ BEGIN DELETE FROM events e WHERE (SELECT count(*) FROM events x WHERE x.id = e.id - 1 AND random() >= 0) > 0; END $$;
SELECT array_agg(id ORDER BY id) FROM events;
ROLLBACK;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
BEGIN;
DO $$ BEGIN UPDATE events e SET v = x.v + 1000 FROM events x WHERE x.id = e.id + 1; END $$;
SELECT array_agg(v ORDER BY id) FROM events;
ROLLBACK;
RESET ALL;
CREATE FUNCTION cte() RETURNS text LANGUAGE sql AS $$
    WITH w AS (UPDATE events SET v = v + 100 RETURNING v) SELECT (SELECT sum(v) FROM w) || ' ' || (SELECT sum(v) FROM events) $$;
BEGIN;
SELECT cte();
SELECT sum(v) FROM events;
ROLLBACK;
CREATE FUNCTION cte_first() RETURNS text LANGUAGE sql AS $$
    WITH w AS (UPDATE events SET v = v + 100 RETURNING v) SELECT (SELECT sum(v) FROM events) || ' ' || (SELECT sum(v) FROM w) $$;
BEGIN;
SELECT cte_first();
ROLLBACK;
CREATE FUNCTION moved() RETURNS bigint LANGUAGE sql AS $$
    WITH gone AS (DELETE FROM events WHERE id > 4 RETURNING *), put AS (INSERT INTO events SELECT tenant_id, id + 100, v, name FROM gone RETURNING id)
    SELECT sum(id) FROM put $$;
BEGIN;
SELECT moved();
SELECT array_agg(id ORDER BY id) FROM events;
ROLLBACK;
-- A function called per row sees what it wrote before; the statement around it does not.
CREATE FUNCTION bump(i int) RETURNS int LANGUAGE plpgsql VOLATILE AS
    $$ DECLARE s int; BEGIN UPDATE events SET v = v + 100 WHERE id = i; SELECT sum(v) INTO s FROM events; RETURN s; END $$;
BEGIN;
SELECT id, v, bump(id), (SELECT sum(v) FROM events e2 WHERE e2.id >= e.id) FROM events e ORDER BY id;
ROLLBACK;
BEGIN;
SELECT count(*), sum(b) FROM (SELECT bump(id) b FROM events e WHERE v > 3) q;
ROLLBACK;
CREATE FUNCTION sees() RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$ BEGIN RETURN (SELECT sum(v) FROM events); END $$;
CREATE FUNCTION sees_old() RETURNS bigint LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN (SELECT sum(v) FROM events); END $$;
-- A STABLE function sees what was there before the statement that calls it. After a write that is no longer known.
-- @refused
DO $$ BEGIN UPDATE events SET v = sees_old() WHERE id IN (1, 2, 3); END $$;
-- @refused
SELECT bump(id), sees_old() FROM events;
BEGIN;
DO $$ DECLARE a bigint; b bigint; BEGIN a := sees_old(); UPDATE events SET v = v + 1; b := sees_old(); IF b <> a + 8 THEN RAISE EXCEPTION 'a % b %', a, b; END IF; END $$;
ROLLBACK;
BEGIN;
DO $$ BEGIN UPDATE events SET v = sees() WHERE id IN (4, 8); END $$;
SELECT array_agg(v ORDER BY v) FROM events;
ROLLBACK;
-- Loops over cursors that write.
CREATE FUNCTION loop_update() RETURNS text LANGUAGE plpgsql AS $$ DECLARE r record; s int; t text := '';
    BEGIN FOR r IN SELECT * FROM events ORDER BY id LOOP UPDATE events SET v = v + 100 WHERE id = r.id; SELECT sum(v) INTO s FROM events; t := t || s || ' '; END LOOP; RETURN t; END $$;
BEGIN;
SELECT loop_update();
SELECT array_agg(v ORDER BY id) FROM events;
ROLLBACK;
CREATE FUNCTION loop_locked() RETURNS int LANGUAGE plpgsql AS $$ DECLARE r record; n int := 0;
    BEGIN FOR r IN SELECT * FROM events ORDER BY id FOR UPDATE LOOP UPDATE events SET v = r.v * 2 WHERE tenant_id = r.tenant_id AND id = r.id; n := n + 1; END LOOP; RETURN n; END $$;
BEGIN;
SELECT loop_locked();
SELECT array_agg(v ORDER BY id) FROM events;
ROLLBACK;
CREATE FUNCTION loop_insert() RETURNS int LANGUAGE plpgsql AS $$ DECLARE r record; n int := 0;
    BEGIN FOR r IN SELECT * FROM events LOOP INSERT INTO events VALUES (r.tenant_id, r.id + 1000, r.v, 'copy'); n := n + 1; END LOOP; RETURN n; END $$;
BEGIN;
SELECT loop_insert();
SELECT count(*) FROM events;
ROLLBACK;
CREATE FUNCTION opened_before() RETURNS text LANGUAGE plpgsql AS $$ DECLARE c refcursor; d refcursor; a bigint; b bigint;
    BEGIN OPEN c FOR SELECT sum(v) FROM events; UPDATE events SET v = v + 1000; OPEN d FOR SELECT sum(v) FROM events; DELETE FROM events WHERE id = 1;
    FETCH d INTO b; FETCH c INTO a; RETURN a || ' ' || b || ' ' || (SELECT sum(v) FROM events); END $$;
BEGIN;
SELECT opened_before();
ROLLBACK;
BEGIN;
DECLARE c CURSOR FOR SELECT id, v, (SELECT sum(v) FROM events x WHERE x.id >= e.id) FROM events e ORDER BY id;
FETCH 2 FROM c;
DO $$ BEGIN UPDATE events SET v = -v; END $$;
FETCH 2 FROM c;
SELECT sees();
FETCH ALL FROM c;
ROLLBACK;
-- RETURNING, FOUND, ROW_COUNT.
CREATE FUNCTION counts() RETURNS text LANGUAGE plpgsql AS $$ DECLARE n int; i int; t text := ''; r record;
    BEGIN
        INSERT INTO events VALUES (1, 100, 1, 'x'), (2, 101, 2, 'y'); GET DIAGNOSTICS n = ROW_COUNT; t := t || n || FOUND;
        INSERT INTO events VALUES (3, 102, 1, 'x') RETURNING id INTO i; t := t || ' ' || i || FOUND;
        PERFORM 1 FROM events WHERE id = 102; t := t || ' ' || FOUND;
        UPDATE events SET v = v * 2 WHERE id >= 100; GET DIAGNOSTICS n = ROW_COUNT; t := t || ' ' || n;
        UPDATE events SET v = 1 WHERE id = 5555; GET DIAGNOSTICS n = ROW_COUNT; t := t || ' ' || n || FOUND;
        UPDATE events SET name = 'only' WHERE tenant_id = 1 AND id = 1 RETURNING v, name INTO r; t := t || ' ' || r::text;
        DELETE FROM events WHERE id = 102; GET DIAGNOSTICS n = ROW_COUNT; t := t || ' ' || n || FOUND;
        FOR r IN DELETE FROM events WHERE id >= 100 RETURNING id, name || '!' AS w LOOP i := i + r.id; END LOOP; t := t || ' ' || i;
        INSERT INTO events SELECT 1, 1, 1, 'none' WHERE false; GET DIAGNOSTICS n = ROW_COUNT; t := t || ' ' || n || FOUND;
        RETURN t;
    END $$;
BEGIN;
SELECT counts();
SELECT * FROM events ORDER BY id;
ROLLBACK;
CREATE FUNCTION two_rows() RETURNS int LANGUAGE plpgsql AS $$ DECLARE i int; BEGIN UPDATE events SET v = 0 RETURNING id INTO STRICT i; RETURN i; END $$;
-- @error
SELECT two_rows();
CREATE FUNCTION add_event(i int) RETURNS int LANGUAGE sql AS $$ INSERT INTO events VALUES (i % 4, i, i, 'sql') RETURNING v $$;
BEGIN;
SELECT add_event(5000), add_event(5001);
SELECT sum(add_event(6000 + g)) FROM generate_series(1, 20) g;
SELECT count(*) FROM events;
ROLLBACK;
-- Joins with local tables; a row that matches twice is changed once.
CREATE FUNCTION joined() RETURNS text LANGUAGE plpgsql AS $$ DECLARE n int; m int;
    BEGIN UPDATE events e SET v = 1000 FROM local l WHERE l.id = e.id; GET DIAGNOSTICS n = ROW_COUNT;
    DELETE FROM events e USING local l WHERE l.id = e.id AND l.x < 150; GET DIAGNOSTICS m = ROW_COUNT; RETURN n || ' ' || m; END $$;
BEGIN;
SELECT joined();
SELECT * FROM events ORDER BY id;
ROLLBACK;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_material = off;
BEGIN;
SELECT joined();
SELECT * FROM events ORDER BY id;
ROLLBACK;
RESET ALL;
BEGIN;
DO $$ BEGIN UPDATE local l SET x = e.v FROM events e WHERE e.id = l.id; DELETE FROM local USING events e WHERE e.id = local.x AND e.id = 1; END $$;
SELECT * FROM local ORDER BY 1, 2;
ROLLBACK;
-- The same as statements of their own.
BEGIN;
UPDATE events e SET v = l.x FROM local l WHERE l.id = e.id AND l.x <> 201;
DELETE FROM events e USING local l WHERE l.id = e.id AND l.x = 100 RETURNING e.id, l.x;
SELECT * FROM events ORDER BY id;
UPDATE events e SET v = (SELECT count(*) FROM events x WHERE x.v > e.v);
SELECT array_agg(v ORDER BY id) FROM events;
ROLLBACK;
WITH w AS (UPDATE events SET v = v + 100 RETURNING v) SELECT (SELECT sum(v) FROM w), (SELECT sum(v) FROM events);
SELECT sum(v) FROM events;
WITH w AS (UPDATE events SET v = v - 100 RETURNING id, v), l AS (INSERT INTO log (what) SELECT 'w' FROM w RETURNING 1) SELECT count(*) FROM l;
DELETE FROM log;
BEGIN;
WITH gone AS (DELETE FROM events WHERE id > 4 RETURNING *) INSERT INTO events SELECT tenant_id, id + 100, v, name FROM gone;
INSERT INTO events AS e VALUES (1, 50, 1, 'whole') RETURNING e;
INSERT INTO events VALUES (1, 51, 1, 'counted') RETURNING (SELECT count(*) FROM events);
UPDATE events SET v = v + 1 WHERE id IN (SELECT id FROM local) RETURNING *;
DELETE FROM events WHERE id NOT IN (SELECT v FROM events WHERE v < 4);
SELECT * FROM events ORDER BY id;
ROLLBACK;
PREPARE from_local (int) AS UPDATE events e SET v = l.x + $1 FROM local l WHERE l.id = e.id AND l.x < 201;
EXECUTE from_local(7);
SELECT array_agg(v ORDER BY id) FROM events;
UPDATE events SET v = id;
-- @refused
INSERT INTO events VALUES (1, 1, 1, 'x') ON CONFLICT (tenant_id, id) DO UPDATE SET v = (SELECT sum(v) FROM events);
-- MERGE on all shards at once.
CREATE TABLE news (tenant_id int, id int, v int);
-- @group
SELECT create_distributed_table('news', 'tenant_id', colocate_with => 'events');
INSERT INTO news VALUES (1, 1, 11), (2, 2, 22), (3, 33, 33), (5, 55, 55), (0, 8, NULL);
BEGIN;
MERGE INTO events e USING news n ON e.tenant_id = n.tenant_id AND e.id = n.id
    WHEN MATCHED AND n.v IS NULL THEN DELETE WHEN MATCHED THEN UPDATE SET v = n.v WHEN NOT MATCHED THEN INSERT VALUES (n.tenant_id, n.id, n.v, 'merged');
SELECT * FROM events ORDER BY id;
ROLLBACK;
-- @refused
MERGE INTO events e USING (VALUES (1, 100)) AS s (i, x) ON e.id = s.i WHEN NOT MATCHED THEN INSERT VALUES (1, s.i, s.x, 'm');
-- @refused
MERGE INTO events e USING (VALUES (1, 1000)) AS s (i, x) ON e.id = s.i WHEN MATCHED THEN UPDATE SET v = s.x;
-- @refused
MERGE INTO events e USING news n ON e.id = n.id WHEN MATCHED THEN DELETE;
-- @refused
MERGE INTO events e USING news n ON e.tenant_id = n.tenant_id AND e.id = n.id WHEN NOT MATCHED THEN INSERT VALUES (n.v, n.id, n.v, 'm');
-- Blocks with exceptions.
DO $$ BEGIN
    BEGIN UPDATE events SET v = 0 WHERE id = 1; RAISE EXCEPTION 'x'; EXCEPTION WHEN OTHERS THEN INSERT INTO log (what) VALUES ('undone'); END;
    UPDATE events SET v = 55 WHERE id = 2;
    BEGIN INSERT INTO events VALUES (1, 1, 1, 'dup'); EXCEPTION WHEN unique_violation THEN INSERT INTO log (what) VALUES ('dup'); END;
    BEGIN
        UPDATE events SET v = 66 WHERE id = 3;
        BEGIN DELETE FROM events; INSERT INTO events VALUES (2, 2, 2, 'again'); PERFORM 1 / (SELECT count(*) - 1 FROM events);
        EXCEPTION WHEN division_by_zero THEN INSERT INTO log (what) VALUES ('zero'); END;
    END;
END $$;
SELECT * FROM events ORDER BY id;
SELECT what FROM log ORDER BY n;
CREATE FUNCTION retries(n int) RETURNS int LANGUAGE plpgsql AS $$ DECLARE done int := 0;
    BEGIN FOR i IN 1..n LOOP BEGIN INSERT INTO events VALUES (i % 4, i, i, 'r'); done := done + 1; EXCEPTION WHEN unique_violation THEN UPDATE events SET v = v + 1 WHERE tenant_id = i % 4 AND id = i; END; END LOOP; RETURN done; END $$;
SELECT retries(20);
SELECT * FROM events ORDER BY id;
DELETE FROM events WHERE id > 8;
BEGIN;
SAVEPOINT s2;
DO $$ BEGIN UPDATE events SET v = 0; END $$;
ROLLBACK TO s2;
SELECT sees();
DO $$ BEGIN UPDATE events SET v = 5 WHERE id = 3; END $$;
RELEASE s2;
COMMIT;
SELECT sees();
-- Triggers of local tables, deferred ones too.
CREATE FUNCTION follow() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN UPDATE events SET v = v + 1000 WHERE id = new.id; INSERT INTO events VALUES (new.id, 1000 + new.id, 0, TG_OP); RETURN null; END $$;
CREATE TRIGGER after_row AFTER INSERT ON local FOR EACH ROW EXECUTE FUNCTION follow();
INSERT INTO local VALUES (3, 1), (4, 1);
SELECT id, v FROM events WHERE id IN (3, 4, 1003, 1004) ORDER BY 1;
DROP TRIGGER after_row ON local;
CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON local DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION follow();
BEGIN;
INSERT INTO local VALUES (5, 1);
SELECT count(*) FROM events WHERE id = 1005;
COMMIT;
SELECT count(*) FROM events WHERE id = 1005;
INSERT INTO local VALUES (6, 1);
SELECT count(*) FROM events WHERE id = 1006;
BEGIN;
INSERT INTO local VALUES (7, 1);
SET CONSTRAINTS ALL IMMEDIATE;
SELECT count(*) FROM events WHERE id = 1007;
ROLLBACK;
SELECT count(*) FROM events WHERE id = 1007;
DROP TRIGGER at_commit ON local;
-- Procedures that commit.
CREATE PROCEDURE steps(n int) LANGUAGE plpgsql AS $$ BEGIN
    FOR i IN 1..n LOOP UPDATE events SET v = v + 1 WHERE id = i; INSERT INTO events VALUES (i, 2000 + i, i, 'step'); COMMIT; END LOOP;
    UPDATE events SET v = -1; ROLLBACK; INSERT INTO events VALUES (7, 700, 7, 'p'); END $$;
CALL steps(3);
SELECT id, v FROM events WHERE id < 4 OR id >= 700 ORDER BY 1;
DO $$ BEGIN UPDATE events SET v = v + 1 WHERE id = 1; COMMIT; UPDATE events SET v = 77777; ROLLBACK; END $$;
SELECT v FROM events WHERE id = 1;
DO $$ BEGIN FOR i IN 1..3 LOOP UPDATE events SET v = v + 1; IF i % 2 = 0 THEN ROLLBACK; ELSE COMMIT; END IF; END LOOP; END $$;
SELECT sum(v) FROM events;
-- @error
DO $$ BEGIN UPDATE events SET v = 0; COMMIT; UPDATE events SET v = 1; PERFORM 1 / 0; END $$;
SELECT sum(v) FROM events;
BEGIN;
-- @error
CALL steps(1);
ROLLBACK;
UPDATE events SET v = id;
-- Defaults, generated columns, identity, other types.
CREATE TABLE gen (k int, id int GENERATED ALWAYS AS IDENTITY, a int, b int GENERATED ALWAYS AS (a * 2) STORED, c timestamptz DEFAULT '2024-01-01 00:00+00',
    d numeric(10,2) DEFAULT 1.5, e text[] DEFAULT '{x,"y z",NULL}', f bool DEFAULT true, g char(5) DEFAULT 'ab', j jsonb DEFAULT '{"a": "q\"''\\"}', r float8 DEFAULT 0.1, i interval DEFAULT '1 mon -2 days', PRIMARY KEY (k, id));
-- @group
SELECT create_distributed_table('gen', 'k');
CREATE FUNCTION fill_gen() RETURNS SETOF gen LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO gen (k, a) SELECT g, g FROM generate_series(1, 5) g;
    RETURN QUERY UPDATE gen SET a = a + 1, d = d * 3.333, c = c + i WHERE k < 4 RETURNING *;
    UPDATE gen SET a = l.x, e = e || 'joined'::text, r = r + 1e-17 FROM local l WHERE l.id = gen.k AND l.x <> 201;
    RETURN QUERY INSERT INTO gen (k, a, j) VALUES (9, NULL, NULL) RETURNING *; END $$;
SELECT * FROM fill_gen() ORDER BY k;
SELECT * FROM gen ORDER BY k;
-- @error
DO $$ BEGIN INSERT INTO gen (k, id, a) VALUES (1, 1, 1); END $$;
-- @error
DO $$ BEGIN INSERT INTO gen (a) VALUES (1); END $$;
-- Views, updatable ones too; TRUNCATE; COPY into a temporary table first.
CREATE VIEW few AS SELECT * FROM events WHERE id < 1000 WITH CHECK OPTION;
BEGIN;
DO $$ BEGIN UPDATE few SET v = 3 WHERE id = 1; INSERT INTO few VALUES (2, 900, 9, 'view'); DELETE FROM few WHERE id = 2; END $$;
SELECT id, v FROM events WHERE id IN (1, 2, 900) ORDER BY 1;
-- @error
DO $$ BEGIN INSERT INTO few VALUES (2, 9000, 9, 'view'); END $$;
ROLLBACK;
BEGIN;
DO $$ BEGIN TRUNCATE events; INSERT INTO events VALUES (1, 1, 1, 'a'); END $$;
SELECT count(*) FROM events;
ROLLBACK;
SELECT count(*) > 5 FROM events;
-- Isolation levels.
BEGIN ISOLATION LEVEL REPEATABLE READ;
DO $$ BEGIN UPDATE events SET v = (SELECT count(*) FROM events WHERE id < 9) WHERE id = 3; END $$;
SELECT v FROM events WHERE id = 3;
ROLLBACK;
BEGIN READ ONLY;
-- @error
DO $$ BEGIN UPDATE events SET v = 1; END $$;
ROLLBACK;
-- @error
DO $$ BEGIN UPDATE events SET v = v / 0; END $$;
-- @error
DO $$ BEGIN UPDATE events SET id = 1, tenant_id = tenant_id WHERE tenant_id = 1; END $$;
-- What would not be right is refused.
-- @refused
DO $$ BEGIN UPDATE events SET tenant_id = tenant_id + 1; END $$;
-- @refused
DO $$ BEGIN DELETE FROM events WHERE ctid = '(0,1)'; END $$;
-- @refused
DO $$ DECLARE c CURSOR FOR SELECT * FROM events; r record; BEGIN OPEN c; FETCH c INTO r; DELETE FROM events WHERE CURRENT OF c; END $$;
SELECT * FROM events ORDER BY id;
DROP TABLE events, local, log, gen, news CASCADE;
