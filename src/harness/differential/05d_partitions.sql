-- 5.11 table partitioning
CREATE TABLE measurements (
    tenant int NOT NULL,
    ts date NOT NULL,
    id bigserial,
    v int DEFAULT 5 CONSTRAINT small CHECK (v < 1000),
    doubled int GENERATED ALWAYS AS (v * 2) STORED,
    PRIMARY KEY (tenant, ts, id)
) PARTITION BY RANGE (ts);
CREATE TABLE m_2024_01 PARTITION OF measurements FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
CREATE TABLE m_2024_02 PARTITION OF measurements FOR VALUES FROM ('2024-02-01') TO ('2024-03-01');
INSERT INTO measurements (tenant, ts, v) SELECT i % 7, date '2024-01-01' + i % 60, i FROM generate_series(1, 200) i;
-- @group
SELECT create_distributed_table('measurements', 'tenant');
SELECT count(*), sum(v), sum(doubled) FROM measurements;
SELECT count(*), sum(v) FROM m_2024_02;
SELECT tenant, count(*) FROM measurements WHERE ts >= '2024-01-20' GROUP BY tenant ORDER BY tenant;
SELECT * FROM measurements WHERE tenant = 3 AND ts < '2024-01-10' ORDER BY id;
INSERT INTO measurements (tenant, ts) VALUES (1, '2024-01-05'), (2, '2024-02-05') RETURNING tenant, ts, v, doubled;
INSERT INTO m_2024_01 (tenant, ts, v) VALUES (9, '2024-01-31', 7) RETURNING v, doubled;
-- @message
INSERT INTO measurements (tenant, ts) VALUES (1, '2025-01-05');
-- @message
INSERT INTO m_2024_01 (tenant, ts) VALUES (1, '2024-02-05');
-- @message
INSERT INTO measurements (tenant, ts, v) VALUES (1, '2024-01-05', 1000);
INSERT INTO measurements (tenant, ts, id, v) VALUES (1, '2024-01-05', 1, 1);
INSERT INTO measurements (tenant, ts, id, v) VALUES (1, '2024-01-05', 1, 2) ON CONFLICT (tenant, ts, id) DO UPDATE SET v = measurements.v + excluded.v RETURNING v;
INSERT INTO measurements (tenant, ts, id, v) VALUES (1, '2024-01-05', 1, 2) ON CONFLICT DO NOTHING;
-- @message
INSERT INTO measurements (tenant, ts, id, v) VALUES (1, '2024-01-05', 1, 2);
-- rows move
UPDATE measurements SET ts = '2024-02-20' WHERE tenant = 1 AND id = 1 AND ts = '2024-01-05';
SELECT ts, v FROM m_2024_02 WHERE tenant = 1 AND id = 1;
UPDATE measurements SET ts = ts + 1 WHERE ts = '2024-01-31';
SELECT count(*) FROM m_2024_02;
-- @message
UPDATE m_2024_01 SET ts = '2024-02-20' WHERE tenant = 2;
DELETE FROM m_2024_02 WHERE ts = '2024-02-01' AND tenant < 3;
SELECT count(*), sum(v) FROM measurements;
-- @copy
COPY measurements (tenant, ts, v) FROM STDIN;
1	2024-01-07	70
5	2024-02-07	71
\.
SELECT ts, sum(v) FROM measurements WHERE v IN (70, 71) GROUP BY ts ORDER BY ts;
-- new partitions follow
CREATE TABLE m_2024_03 PARTITION OF measurements FOR VALUES FROM ('2024-03-01') TO ('2024-04-01');
INSERT INTO measurements (tenant, ts, v) SELECT i, '2024-03-05', i FROM generate_series(1, 10) i;
SELECT count(*) FROM m_2024_03;
CREATE TABLE m_rest PARTITION OF measurements DEFAULT;
INSERT INTO measurements (tenant, ts, v) SELECT i, '2030-01-01', i FROM generate_series(1, 10) i;
SELECT count(*) FROM m_rest;
-- @message
CREATE TABLE m_2030 PARTITION OF measurements FOR VALUES FROM ('2030-01-01') TO ('2031-01-01');
CREATE TABLE m_2024_04 (LIKE measurements INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING CONSTRAINTS);
INSERT INTO m_2024_04 (tenant, ts, v) SELECT i, '2024-04-05', i FROM generate_series(1, 10) i;
ALTER TABLE measurements ATTACH PARTITION m_2024_04 FOR VALUES FROM ('2024-04-01') TO ('2024-05-01');
SELECT count(*), sum(v) FROM measurements WHERE ts >= '2024-04-01';
SELECT count(*), sum(v) FROM m_2024_04 WHERE tenant = 3;
-- @message
INSERT INTO m_2024_04 (tenant, ts, v) VALUES (1, '2024-04-06', 1001);
ALTER TABLE measurements DETACH PARTITION m_2024_04;
SELECT count(*), sum(v) FROM measurements;
SELECT count(*), sum(v) FROM m_2024_04;
INSERT INTO m_2024_04 (tenant, ts, v) VALUES (1, '2030-04-06', 1);
DELETE FROM m_2024_04 WHERE ts > '2030-01-01';
-- @message
INSERT INTO m_2024_04 (tenant, ts, v) VALUES (1, '2024-04-06', 1001);
ALTER TABLE measurements ATTACH PARTITION m_2024_04 FOR VALUES FROM ('2024-04-01') TO ('2024-05-01');
SELECT count(*), sum(v) FROM measurements;
INSERT INTO measurements (tenant, ts, v) VALUES (3, '2024-04-09', 99);
SELECT count(*), sum(v) FROM m_2024_04;
-- @message
ALTER TABLE measurements ATTACH PARTITION m_2024_04 FOR VALUES FROM ('2024-05-01') TO ('2024-06-01');
-- DDL of the whole
ALTER TABLE measurements ADD COLUMN note text DEFAULT 'none';
ALTER TABLE measurements ADD COLUMN at timestamptz DEFAULT now();
SELECT note, count(*), count(at) FROM measurements GROUP BY note;
ALTER TABLE measurements ALTER COLUMN note SET NOT NULL;
-- @message
INSERT INTO measurements (tenant, ts, note) VALUES (1, '2024-01-05', NULL);
ALTER TABLE measurements RENAME COLUMN note TO remark;
UPDATE measurements SET remark = 'changed' WHERE tenant = 2;
SELECT remark, count(*) FROM measurements GROUP BY remark ORDER BY remark;
ALTER TABLE measurements DROP COLUMN at;
ALTER TABLE measurements ALTER COLUMN remark TYPE varchar(100);
ALTER TABLE measurements ADD CONSTRAINT positive CHECK (v > 0);
-- @message
INSERT INTO measurements (tenant, ts, v) VALUES (1, '2024-01-05', -1);
ALTER TABLE measurements RENAME CONSTRAINT positive TO more;
-- @message
INSERT INTO m_2024_02 (tenant, ts, v) VALUES (1, '2024-02-05', -1);
ALTER TABLE measurements DROP CONSTRAINT more;
INSERT INTO m_2024_02 (tenant, ts, v) VALUES (1, '2024-02-05', -1);
CREATE INDEX measurements_v ON measurements (v);
CREATE UNIQUE INDEX measurements_v_key ON measurements (tenant, ts, id, v);
SELECT indexname FROM pg_indexes WHERE tablename = 'measurements' ORDER BY 1;
DROP INDEX measurements_v_key;
CREATE INDEX only_one ON m_2024_01 (v, tenant);
DROP INDEX only_one;
CREATE INDEX m_2024_03_remark ON m_2024_03 (remark);
ALTER TABLE m_2024_03 ALTER COLUMN v SET DEFAULT 6;
INSERT INTO m_2024_03 (tenant, ts) VALUES (1, '2024-03-07') RETURNING v;
INSERT INTO measurements (tenant, ts) VALUES (1, '2024-03-07') RETURNING v;
ALTER TABLE measurements ALTER COLUMN v SET DEFAULT 8;
INSERT INTO measurements (tenant, ts) VALUES (1, '2024-03-07') RETURNING v;
ALTER TABLE m_2024_03 RENAME TO m_march;
SELECT count(*) FROM m_march;
TRUNCATE m_march;
SELECT count(*) FROM measurements;
DROP TABLE m_march;
SELECT count(*), sum(v) FROM measurements;
-- inside functions
CREATE FUNCTION work() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    a bigint;
    r record;
BEGIN
    INSERT INTO measurements (tenant, ts, v) VALUES (50, '2024-01-09', 1), (51, '2024-02-09', 2), (52, '2024-02-10', 3);
    UPDATE measurements SET v = v + 100 WHERE tenant BETWEEN 50 AND 51;
    DELETE FROM m_2024_02 WHERE tenant = 52;
    FOR r IN SELECT tenant, ts FROM measurements WHERE tenant = 50 LOOP
        UPDATE measurements SET v = v + 1 WHERE tenant = r.tenant AND ts = r.ts;
    END LOOP;
    INSERT INTO measurements (tenant, ts, v) VALUES (50, '2024-01-09', 1) RETURNING doubled INTO a;
    RETURN a + (SELECT sum(v) FROM measurements WHERE tenant BETWEEN 50 AND 52);
END $$;
SELECT work();
SELECT tenant, ts, v, doubled FROM measurements WHERE tenant >= 50 ORDER BY tenant, v;
DO $$ BEGIN
    EXECUTE 'CREATE TABLE m_2024_06 PARTITION OF measurements FOR VALUES FROM (''2024-06-01'') TO (''2024-07-01'')';
    INSERT INTO measurements (tenant, ts, v) SELECT i, '2024-06-07', i FROM generate_series(1, 20) i;
    EXECUTE 'ALTER TABLE measurements ADD COLUMN extra int';
END $$;
SELECT count(*), count(extra), sum(v) FROM m_2024_06;
DO $$ BEGIN EXECUTE 'DROP TABLE m_2024_06'; END $$;
SELECT count(*) FROM measurements;
CREATE VIEW per_tenant AS SELECT tenant, count(*) AS n FROM measurements GROUP BY tenant;
SELECT * FROM per_tenant ORDER BY tenant LIMIT 3;
SELECT (SELECT count(*) FROM measurements x WHERE x.v > m.v) FROM m_2024_01 m WHERE tenant = 3 ORDER BY 1 LIMIT 3;
CREATE TABLE copies AS SELECT * FROM measurements;
SELECT count(*), sum(v) FROM copies;
UPDATE measurements m SET v = 1 FROM copies c WHERE c.tenant = m.tenant AND c.id = m.id AND m.tenant = 50;
SELECT v FROM measurements WHERE tenant = 50;
BEGIN;
CREATE TABLE m_2024_07 PARTITION OF measurements FOR VALUES FROM ('2024-07-01') TO ('2024-08-01');
INSERT INTO measurements (tenant, ts, v) VALUES (1, '2024-07-05', 1);
SELECT count(*) FROM m_2024_07;
ROLLBACK;
INSERT INTO measurements (tenant, ts, v) VALUES (1, '2024-07-05', 1);
SELECT count(*) FROM m_rest;
TRUNCATE measurements;
SELECT count(*) FROM measurements;
DROP VIEW per_tenant;
DROP FUNCTION work();
DROP TABLE copies;
DROP TABLE measurements;
-- by list, by hash, by the distribution column, and in two levels; foreign keys both ways
CREATE TABLE sites (site int PRIMARY KEY, name text);
-- @group
SELECT create_reference_table('sites');
INSERT INTO sites VALUES (1, 'one'), (2, 'two');
CREATE TABLE readings (
    tenant int,
    kind text,
    site int REFERENCES sites,
    n int,
    PRIMARY KEY (tenant, kind, n)
) PARTITION BY LIST (kind);
-- @group
SELECT create_distributed_table('readings', 'tenant');
CREATE TABLE readings_a PARTITION OF readings FOR VALUES IN ('a') PARTITION BY HASH (tenant);
CREATE TABLE readings_a0 PARTITION OF readings_a FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE readings_a1 PARTITION OF readings_a FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE readings_b PARTITION OF readings FOR VALUES IN ('b', 'B');
INSERT INTO readings SELECT i, CASE WHEN i % 3 = 0 THEN 'b' ELSE 'a' END, 1 + i % 2, i FROM generate_series(1, 30) i;
SELECT kind, count(*) FROM readings GROUP BY kind ORDER BY kind;
SELECT count(*) FROM readings_a;
SELECT (SELECT count(*) FROM readings_a0) + (SELECT count(*) FROM readings_a1);
SELECT s.name, count(*) FROM readings r JOIN sites s USING (site) GROUP BY s.name ORDER BY 1;
-- @message
INSERT INTO readings VALUES (1, 'a', 3, 99);
CREATE TABLE notes (tenant int, kind text, n int, note text, FOREIGN KEY (tenant, kind, n) REFERENCES readings ON DELETE CASCADE);
-- @group
SELECT create_distributed_table('notes', 'tenant');
INSERT INTO notes SELECT tenant, kind, n, 'x' FROM readings WHERE tenant < 5;
-- @message
INSERT INTO notes VALUES (1, 'c', 1, 'x');
DELETE FROM readings WHERE tenant = 3;
SELECT count(*) FROM notes;
ALTER TABLE readings ADD COLUMN w int DEFAULT 1;
CREATE INDEX ON readings (w);
SELECT sum(w) FROM readings_a1 WHERE tenant < 0;
SELECT sum(w) FROM readings;
CREATE TABLE readings_c PARTITION OF readings FOR VALUES IN ('c');
INSERT INTO readings VALUES (1, 'c', 1, 1);
INSERT INTO notes VALUES (1, 'c', 1, 'x');
DROP TABLE notes;
ALTER TABLE readings DETACH PARTITION readings_b;
SELECT (SELECT count(*) FROM readings), (SELECT count(*) FROM readings_b);
DROP TABLE readings_b;
DROP TABLE readings_a;
SELECT * FROM readings;
DROP TABLE readings, sites;
