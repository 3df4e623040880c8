-- distribution columns of types whose hash only PostgreSQL knows, on filled and empty tables
CREATE TYPE feeling AS ENUM ('sad', 'ok', 'happy');
CREATE TABLE moods (m feeling PRIMARY KEY, v int);
INSERT INTO moods VALUES ('ok', 1);
-- @group
SELECT create_distributed_table('moods', 'm');
INSERT INTO moods VALUES ('sad', 2), ('happy', 3);
SELECT * FROM moods ORDER BY m;
SELECT v FROM moods WHERE m = 'ok';
ALTER TYPE feeling ADD VALUE 'angry' BEFORE 'sad';
INSERT INTO moods VALUES ('angry', 0);
SELECT * FROM moods ORDER BY m;
SELECT v FROM moods WHERE m = 'angry';
SELECT max(m), min(m) FROM moods;
ALTER TYPE feeling RENAME VALUE 'angry' TO 'furious';
SELECT * FROM moods WHERE m = 'furious';
CREATE DOMAIN natural_number AS int CHECK (VALUE > 0);
CREATE DOMAIN small_number AS natural_number CHECK (VALUE < 1000);
CREATE TYPE couple AS (a int, b text);
CREATE TABLE domains (d small_number PRIMARY KEY, p couple, ps couple[], ms feeling[]);
INSERT INTO domains VALUES (1, '(1,x)', ARRAY['(1,x)'::couple], '{ok,sad}');
-- @group
SELECT create_distributed_table('domains', 'd');
INSERT INTO domains VALUES (2, '(2,y)', ARRAY['(1,x)'::couple, '(2,y)'], '{ok,furious}');
-- @error
INSERT INTO domains (d) VALUES (2000);
-- @error
INSERT INTO domains (d) VALUES (-1);
SELECT *, (p).b FROM domains ORDER BY d;
SELECT * FROM domains WHERE d = 2;
SELECT d FROM domains WHERE p = ROW(2, 'y')::couple;
ALTER TYPE couple ADD ATTRIBUTE c int;
SELECT * FROM domains ORDER BY d;
ALTER DOMAIN natural_number ADD CONSTRAINT fewer CHECK (VALUE < 500);
-- @error
INSERT INTO domains (d) VALUES (600);
ALTER DOMAIN natural_number DROP CONSTRAINT fewer;
INSERT INTO domains (d) VALUES (600);
-- @error
ALTER DOMAIN natural_number ADD CONSTRAINT fewer CHECK (VALUE < 500);
CREATE COLLATION backwards (LOCALE = 'C');
CREATE TABLE words (k text COLLATE "C" PRIMARY KEY, v text COLLATE backwards);
-- @group
SELECT create_distributed_table('words', 'k');
INSERT INTO words VALUES ('a', 'b'), ('b', 'A'), ('c', 'a');
SELECT * FROM words ORDER BY v;
CREATE TABLE spans (p numrange, v int);
INSERT INTO spans VALUES ('[1,2)', 1), ('[2,3)', 2), ('[2,3)', 3);
-- @group
SELECT create_distributed_table('spans', 'p');
INSERT INTO spans VALUES ('[5,6)', 4);
SELECT * FROM spans WHERE p = '[2,3)' ORDER BY v;
SELECT p, count(*) FROM spans GROUP BY p ORDER BY p;
CREATE TABLE arrays (p int[], v int);
INSERT INTO arrays VALUES ('{1,2}', 1), ('{2,3}', 2), ('{}', 3);
-- @group
SELECT create_distributed_table('arrays', 'p');
INSERT INTO arrays VALUES ('{7}', 4);
SELECT v FROM arrays WHERE p = '{1,2}';
SELECT * FROM arrays ORDER BY p;
CREATE TABLE networks (p cidr, v int);
INSERT INTO networks VALUES ('10.0.0.0/8', 1);
-- @group
SELECT create_distributed_table('networks', 'p');
INSERT INTO networks VALUES ('10.0.0.0/16', 1);
SELECT * FROM networks ORDER BY p;
CREATE TABLE pauses (p interval, v int);
INSERT INTO pauses VALUES ('1 day', 1), ('24 hours', 2), ('1 mon', 3);
-- @group
SELECT create_distributed_table('pauses', 'p');
INSERT INTO pauses VALUES ('30 days', 4);
SELECT * FROM pauses WHERE p = '1 day' ORDER BY v;
SELECT p, sum(v) FROM pauses GROUP BY p ORDER BY p;
CREATE TABLE documents (p jsonb, v int);
INSERT INTO documents VALUES ('{"a": 1}', 1);
-- @group
SELECT create_distributed_table('documents', 'p');
INSERT INTO documents VALUES ('{"b":1}', 2), ('{"a":  1}', 3);
SELECT * FROM documents WHERE p = '{"a":1}' ORDER BY v;
-- exclusion constraints hold where they compare the distribution column by equality
CREATE EXTENSION IF NOT EXISTS btree_gist;
CREATE TABLE bookings (room int, during tsrange, EXCLUDE USING gist (room WITH =, during WITH &&));
-- @group
SELECT create_distributed_table('bookings', 'room');
INSERT INTO bookings VALUES (1, '[2020-01-01,2020-02-01)'), (2, '[2020-01-01,2020-02-01)');
-- @message
INSERT INTO bookings VALUES (1, '[2020-01-15,2020-02-01)');
-- @refused
ALTER TABLE bookings ADD EXCLUDE USING gist (during WITH &&) WHERE (room > 100);
-- generated columns
CREATE TABLE boxes (id int PRIMARY KEY, w int, h int, area int GENERATED ALWAYS AS (w * h) STORED);
INSERT INTO boxes VALUES (1, 2, 3), (2, 4, 5);
-- @group
SELECT create_distributed_table('boxes', 'id');
INSERT INTO boxes VALUES (3, 5, 6) RETURNING area;
UPDATE boxes SET w = 10 WHERE id = 1 RETURNING area;
SELECT sum(area), max(area) FROM boxes;
-- @error
INSERT INTO boxes VALUES (4, 1, 1, 1);
CREATE INDEX ON boxes (area);
SELECT id FROM boxes WHERE area = 30 ORDER BY id;
ALTER TABLE boxes ALTER area DROP EXPRESSION;
UPDATE boxes SET area = 0 WHERE id = 2;
SELECT * FROM boxes ORDER BY id;
DROP TABLE moods, domains, words, spans, bookings, boxes;
DROP TYPE couple;
DROP DOMAIN small_number, natural_number;
DROP TYPE feeling;
DROP COLLATION backwards;
DROP EXTENSION btree_gist;
