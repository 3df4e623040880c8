-- 39 triggers, on distributed tables
CREATE TABLE accounts (
    tenant int,
    id int,
    balance int NOT NULL,
    label text DEFAULT 'none',
    changed int DEFAULT 0,
    PRIMARY KEY (tenant, id)
);
-- @group
SELECT create_distributed_table('accounts', 'tenant');
CREATE TABLE audit (n bigserial, what text, old jsonb, new jsonb);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit (what, old, new) VALUES (concat_ws(' ', TG_NAME, TG_WHEN, TG_OP, TG_LEVEL, TG_ARGV[0]), to_jsonb(OLD), to_jsonb(NEW));
    RETURN coalesce(NEW, OLD);
END $$;
CREATE FUNCTION polish() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.balance < -100 THEN
        RAISE EXCEPTION 'account % of % is overdrawn', NEW.id, NEW.tenant;
    ELSIF NEW.balance = 13 THEN
        RETURN NULL;
    END IF;
    NEW.label := upper(NEW.label);
    NEW.changed := NEW.changed + 1;
    RETURN NEW;
END $$;
INSERT INTO accounts VALUES (1, 1, 10), (2, 2, 20), (3, 3, 30);
CREATE TRIGGER polish BEFORE INSERT OR UPDATE ON accounts FOR EACH ROW EXECUTE FUNCTION polish();
CREATE TRIGGER row_after AFTER INSERT OR UPDATE OR DELETE ON accounts FOR EACH ROW EXECUTE FUNCTION note('an argument');
CREATE TRIGGER statement_after AFTER INSERT OR UPDATE OR DELETE ON accounts FOR EACH STATEMENT EXECUTE FUNCTION note();
CREATE TRIGGER rich BEFORE UPDATE OF balance ON accounts FOR EACH ROW WHEN (NEW.balance > 1000 AND OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION note('rich');
INSERT INTO accounts VALUES (1, 4, 40, 'a');
INSERT INTO accounts VALUES (2, 5, 50, 'b'), (3, 6, 60, 'c'), (4, 7, 13, 'd') RETURNING tenant, id, label, changed;
SELECT * FROM accounts ORDER BY tenant, id;
UPDATE accounts SET balance = balance + 1 WHERE tenant = 2;
UPDATE accounts SET balance = 2000 WHERE id IN (1, 6) RETURNING id, balance, label, changed;
DELETE FROM accounts WHERE tenant = 3 AND id = 3;
-- @message
UPDATE accounts SET balance = -500 WHERE tenant = 1 AND id = 4;
-- @message
INSERT INTO accounts VALUES (9, 9, -500);
-- @message
INSERT INTO accounts VALUES (1, 1, 1);
SELECT what, old ->> 'id' AS old_id, new ->> 'id' AS new_id, old ->> 'balance' AS was, new ->> 'balance' AS is FROM audit ORDER BY what, old_id, new_id, was;
SELECT * FROM accounts ORDER BY tenant, id;
TRUNCATE audit;
-- @copy
COPY accounts (tenant, id, balance, label) FROM STDIN;
5	1	10	x
6	2	13	y
7	3	30	z
\.
INSERT INTO accounts SELECT tenant + 10, id, balance, 'copied' FROM accounts WHERE tenant < 6;
WITH gone AS (DELETE FROM accounts WHERE tenant = 11 RETURNING id, balance) SELECT * FROM gone ORDER BY id;
UPDATE accounts a SET label = v.label FROM (VALUES (5, 'five'), (7, 'seven')) v (tenant, label) WHERE v.tenant = a.tenant;
SELECT what, count(*) FROM audit GROUP BY what ORDER BY what;
SELECT * FROM accounts ORDER BY tenant, id;
-- in functions, and triggers that write themselves
CREATE FUNCTION follow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE accounts SET label = 'followed' WHERE tenant = NEW.tenant AND id = NEW.id AND label <> 'FOLLOWED';
    RETURN NULL;
END $$;
CREATE TRIGGER follow AFTER INSERT ON accounts FOR EACH ROW EXECUTE FUNCTION follow();
INSERT INTO accounts VALUES (20, 1, 1, 'x'), (21, 2, 2, 'y');
SELECT * FROM accounts WHERE tenant >= 20 ORDER BY id;
DO $$ BEGIN
    INSERT INTO accounts VALUES (22, 3, 3, 'z');
    UPDATE accounts SET balance = balance * 2 WHERE tenant >= 20;
    DELETE FROM accounts WHERE tenant = 21;
END $$;
SELECT * FROM accounts WHERE tenant >= 20 ORDER BY id;
DROP TRIGGER follow ON accounts;
BEGIN;
UPDATE accounts SET balance = 0 WHERE tenant = 20;
SELECT count(*) > 0 FROM audit WHERE new ->> 'tenant' = '20' AND new ->> 'balance' = '0';
ROLLBACK;
SELECT balance FROM accounts WHERE tenant = 20;
-- off and on again
TRUNCATE audit;
ALTER TABLE accounts DISABLE TRIGGER row_after;
UPDATE accounts SET balance = 1 WHERE tenant = 20;
SELECT what FROM audit ORDER BY what;
ALTER TABLE accounts ENABLE TRIGGER row_after;
ALTER TRIGGER row_after ON accounts RENAME TO renamed;
UPDATE accounts SET balance = 2 WHERE tenant = 20;
SELECT what FROM audit ORDER BY what;
ALTER TABLE accounts RENAME TO ledgers;
UPDATE ledgers SET balance = 3 WHERE tenant = 20;
SELECT count(*) FROM audit;
ALTER TABLE ledgers ADD COLUMN extra int DEFAULT 5;
UPDATE ledgers SET extra = 6 WHERE tenant = 20;
SELECT new ->> 'extra' AS extra, count(*) FROM audit GROUP BY 1 ORDER BY 1;
-- without triggers workers write again
DROP TRIGGER polish ON ledgers;
DROP TRIGGER renamed ON ledgers;
DROP TRIGGER statement_after ON ledgers;
DROP TRIGGER rich ON ledgers;
INSERT INTO ledgers VALUES (20, 1, 1) ON CONFLICT (tenant, id) DO UPDATE SET balance = excluded.balance + ledgers.balance RETURNING balance;
SELECT count(*) FROM audit;
-- a table that has triggers when it is distributed
CREATE TABLE logs (tenant int, line text, at int DEFAULT 0);
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.at := length(NEW.line); RETURN NEW; END $$;
CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON logs FOR EACH ROW EXECUTE FUNCTION stamp();
INSERT INTO logs VALUES (1, 'one'), (2, 'seven');
-- @group
SELECT create_distributed_table('logs', 'tenant');
INSERT INTO logs VALUES (3, 'three');
UPDATE logs SET line = line || '!' WHERE tenant < 3;
SELECT * FROM logs ORDER BY tenant;
-- partitioned
CREATE TABLE parts (tenant int, kind text, v int, seen text) PARTITION BY LIST (kind);
CREATE TABLE parts_a PARTITION OF parts FOR VALUES IN ('a');
-- @group
SELECT create_distributed_table('parts', 'tenant');
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.seen := concat(NEW.seen, ' ', TG_OP, ' ', TG_TABLE_NAME); RETURN NEW; END $$;
CREATE TRIGGER see BEFORE INSERT OR UPDATE ON parts FOR EACH ROW EXECUTE FUNCTION see();
CREATE TABLE parts_b PARTITION OF parts FOR VALUES IN ('b');
INSERT INTO parts SELECT i, CASE WHEN i % 2 = 0 THEN 'a' ELSE 'b' END, i FROM generate_series(1, 6) i;
UPDATE parts SET v = v + 10 WHERE tenant > 2;
INSERT INTO parts_b VALUES (9, 'b', 9) RETURNING seen;
SELECT * FROM parts ORDER BY tenant;
DELETE FROM parts_b WHERE tenant < 4;
DROP TRIGGER see ON parts;
UPDATE parts SET v = 0;
SELECT * FROM parts ORDER BY tenant;
-- reference tables
CREATE TABLE rates (code text PRIMARY KEY, rate numeric);
-- @group
SELECT create_reference_table('rates');
CREATE TRIGGER rates_note AFTER INSERT OR UPDATE OR DELETE ON rates FOR EACH ROW EXECUTE FUNCTION note('rates');
INSERT INTO rates VALUES ('eur', 1), ('usd', 1.1);
INSERT INTO rates VALUES ('eur', 2) ON CONFLICT (code) DO UPDATE SET rate = excluded.rate;
DELETE FROM rates WHERE code = 'usd';
SELECT what, old ->> 'code' AS old, new ->> 'rate' AS new FROM audit WHERE what LIKE '%rates' ORDER BY n;
-- what is refused
-- @refused
INSERT INTO logs VALUES (3, 'x') ON CONFLICT DO NOTHING;
-- @refused
CREATE CONSTRAINT TRIGGER later AFTER INSERT ON logs DEFERRABLE FOR EACH ROW EXECUTE FUNCTION note();
-- @refused
CREATE TRIGGER named AFTER UPDATE ON logs FOR EACH ROW EXECUTE FUNCTION see();
-- @refused
CREATE TRIGGER many AFTER UPDATE ON logs REFERENCING NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION note();
DROP TABLE ledgers, audit, logs, parts, rates;
DROP FUNCTION note(), polish(), follow(), stamp(), see();
