-- One distributed table with a column of most types.
CREATE TABLE kinds (
    id int PRIMARY KEY, si smallint, i int, bi bigint, n numeric, n2 numeric(8,3), r real, d double precision, m money,
    t text, v varchar(10), c char(6), b bytea, flag boolean, da date, ti time, titz timetz, ts timestamp, tstz timestamptz, iv interval,
    u uuid, j json, jb jsonb, ai int[], at text[], ip inet, ci cidr, mac macaddr, bi1 bit(4), bv bit varying(8), p point, ir int4range, x xml, tsv tsvector, oi oid
);
-- @group
SELECT create_distributed_table('kinds', 'id');
INSERT INTO kinds VALUES (1, 1, 1, 1, 1, 1.5, 1.25, 1.125, '1.50', 'one', 'v1', 'c1', '\x01ff', true, '2024-02-29', '01:02:03', '01:02:03+02', '2024-02-29 01:02:03', '2024-02-29 01:02:03+00', '1 day 02:03:04',
    '11111111-1111-4111-8111-111111111111', '{"a": 1}', '{"a": 1, "b": [1, 2]}', '{1,2,3}', '{a,"b c",NULL}', '10.0.0.1', '10.0.0.0/8', '08:00:2b:01:02:03', B'1010', B'101', '(1,2)', '[1,5)', '<a/>', 'fat:1 cat:2', 1);
INSERT INTO kinds (id) VALUES (2);
INSERT INTO kinds VALUES (3, -32768, -2147483648, -9223372036854775808, 'NaN', -99999.999, '-Infinity', 'NaN', '-1', '', '', '', '', false, '-infinity', '24:00:00', '00:00:00-12', 'infinity', '-infinity', '-1 year -2 months',
    '00000000-0000-0000-0000-000000000000', 'null', 'null', '{}', '{}', '::1', '::/0', '00:00:00:00:00:00', B'0000', B'', '(-1.5,1e10)', 'empty', NULL, '', 0);
INSERT INTO kinds VALUES (4, 32767, 2147483647, 9223372036854775807, 123456789012345678901234567890.123456789, 99999.999, 3.4028235e38, 1.7976931348623157e308, '92233720368547758.07', E'ünï\ncode\t\\', '0123456789', 'abcdef', '\x', true, '9999-12-31', '23:59:59.999999', '23:59:59.999999+14',
    '0001-01-01 00:00:00', '2024-07-01 12:00:00.123456+00', '178000 years', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '[1,"x",null]', '{"k": {"n": 1e3}}', '{{1,2},{3,4}}', '{"{}","\"q\""}', '192.168.0.1/24', '192.168.0.0/24', 'ff:ff:ff:ff:ff:ff', B'1111', B'11111111', '(0,0)', '(,3]', NULL, 'a', 4294967295);
SELECT * FROM kinds WHERE id = 1;
SELECT * FROM kinds WHERE id = 2;
SELECT * FROM kinds WHERE id = 3;
SELECT * FROM kinds WHERE id = 4;
SELECT id, si, i, bi, n, n2, r, d, m FROM kinds ORDER BY id;
SELECT id, t, v, c, b, flag FROM kinds ORDER BY id;
SELECT id, da, ti, titz, ts, tstz, iv FROM kinds ORDER BY id;
SELECT id, u, j, jb, ai, at FROM kinds ORDER BY id;
SELECT id, ip, ci, mac, bi1, bv, ir, tsv, oi FROM kinds ORDER BY id;
SELECT sum(si), sum(i), sum(bi), sum(n2), sum(m) FROM kinds WHERE id <> 4;
SELECT sum(bi) FROM kinds;
SELECT avg(si), avg(i), avg(bi), avg(n2) FROM kinds;
SELECT min(si), max(i), min(bi), max(n), min(n), max(r), min(d), max(m) FROM kinds;
SELECT min(t), max(v), min(c), min(da), max(da), min(ts), max(tstz), min(ti), max(titz), max(iv) FROM kinds;
SELECT max(ip), min(oi), max(ai), min(at) FROM kinds;
SELECT count(u), count(j), count(jb), count(DISTINCT jb), count(DISTINCT n), count(DISTINCT c) FROM kinds;
SELECT bool_and(flag), bool_or(flag), every(flag), bit_and(si), bit_or(i), bit_or(bi1) FROM kinds;
SELECT stddev(si)::numeric(20,6), variance(n2)::numeric(20,6), var_pop(i)::numeric(30,4) FROM kinds;
SELECT sum(iv), avg(iv) FROM kinds WHERE id = 1 OR id = 3;
SELECT string_agg(t, '|' ORDER BY id), array_agg(i ORDER BY id), json_agg(id ORDER BY id), jsonb_object_agg(id, flag) FROM kinds;
SELECT n, count(*) FROM kinds GROUP BY n ORDER BY n;
SELECT c, count(*) FROM kinds GROUP BY c ORDER BY c;
SELECT jb, count(*) FROM kinds GROUP BY jb ORDER BY jb;
SELECT ai, count(*) FROM kinds GROUP BY ai ORDER BY ai;
SELECT ir, count(*) FROM kinds GROUP BY ir ORDER BY ir;
SELECT DISTINCT flag FROM kinds ORDER BY flag;
SELECT id FROM kinds ORDER BY da DESC NULLS LAST, id;
SELECT id FROM kinds ORDER BY ts, id;
SELECT id FROM kinds ORDER BY tstz DESC, id;
SELECT id FROM kinds ORDER BY u NULLS FIRST, id;
SELECT id FROM kinds ORDER BY d, id;
SELECT id FROM kinds ORDER BY n, id;
SELECT id FROM kinds ORDER BY t, id;
SELECT id FROM kinds ORDER BY iv, id;
SELECT id FROM kinds WHERE v = 'v1' AND c = 'c1   ';
SELECT id, c || '|', length(c), octet_length(c) FROM kinds ORDER BY id;
SELECT id, jb->'b'->0, jb @> '{"a": 1}', jb ? 'a' FROM kinds ORDER BY id;
SELECT id FROM kinds WHERE ai @> ARRAY[2] OR at && ARRAY['{}'] ORDER BY id;
SELECT id FROM kinds WHERE ip << '10.0.0.0/8' OR ir @> 2 ORDER BY id;
SELECT id FROM kinds WHERE tsv @@ 'cat & fat';
-- @message
UPDATE kinds SET si = 40000 WHERE id = 1;
-- @message
UPDATE kinds SET n2 = 123456.7 WHERE id = 1;
-- @message
UPDATE kinds SET v = 'longer than ten' WHERE id = 1;
-- @message
UPDATE kinds SET bi1 = B'10' WHERE id = 1;
-- @message
UPDATE kinds SET da = '2024-02-30' WHERE id = 1;
-- @message
UPDATE kinds SET u = 'xyz' WHERE id = 1;
-- @message
UPDATE kinds SET jb = '{' WHERE id = 1;
-- @message
UPDATE kinds SET ai = '{1,' WHERE id = 1;
-- @message
SELECT si + 32767::smallint FROM kinds WHERE id = 1;
-- @error
SELECT sum(1 / (id - 3)) FROM kinds;
SET TimeZone = 'America/New_York';
SELECT id, tstz, tstz::date, date_trunc('day', tstz), tstz AT TIME ZONE 'UTC' FROM kinds WHERE id = 4;
SELECT date_trunc('day', tstz), count(*) FROM kinds GROUP BY 1 ORDER BY 1;
SET DateStyle = 'German';
SELECT id, da, ts FROM kinds ORDER BY id;
SELECT da FROM kinds WHERE id = 1;
SET IntervalStyle = 'iso_8601';
SELECT iv FROM kinds ORDER BY id;
SET bytea_output = 'escape';
SELECT b FROM kinds ORDER BY id;
SET extra_float_digits = 0;
SELECT r, d FROM kinds ORDER BY id;
RESET ALL;
SELECT tstz, da, iv, b FROM kinds WHERE id = 1;
-- distribution by other types
CREATE TABLE by_bigint (k bigint PRIMARY KEY, v text);
CREATE TABLE by_text (k text PRIMARY KEY, v text);
CREATE TABLE by_uuid (k uuid PRIMARY KEY, v text);
CREATE TABLE by_numeric (k numeric PRIMARY KEY, v text);
CREATE TABLE by_date (k date PRIMARY KEY, v text);
CREATE TABLE by_timestamptz (k timestamptz PRIMARY KEY, v text);
CREATE TABLE by_char (k char(5) PRIMARY KEY, v text);
CREATE TABLE by_float (k double precision PRIMARY KEY, v text);
CREATE TABLE by_bool (k boolean PRIMARY KEY, v text);
CREATE TABLE by_inet (k inet PRIMARY KEY, v text);
-- @group
SELECT create_distributed_table('by_bigint', 'k'), create_distributed_table('by_text', 'k'), create_distributed_table('by_uuid', 'k'), create_distributed_table('by_numeric', 'k');
-- @group
SELECT create_distributed_table('by_date', 'k'), create_distributed_table('by_timestamptz', 'k'), create_distributed_table('by_char', 'k'), create_distributed_table('by_float', 'k'), create_distributed_table('by_bool', 'k'), create_distributed_table('by_inet', 'k');
INSERT INTO by_bigint SELECT i * 1000000007::bigint, 'v' || i FROM generate_series(-20, 20) i;
SELECT v FROM by_bigint WHERE k = 5000000035;
SELECT v FROM by_bigint WHERE k = -20000000140;
SELECT v FROM by_bigint WHERE k = 0;
INSERT INTO by_bigint VALUES (1, 'one'), (-1, 'minus one');
SELECT v FROM by_bigint WHERE k = 1;
SELECT v FROM by_bigint WHERE k = '-1';
INSERT INTO by_text VALUES ('a', '1'), ('A', '2'), ('', '3'), ('ü', '4'), ('a ', '5'), ('it''s', '6'), (E'tab\t', '7');
SELECT v FROM by_text WHERE k = 'a';
SELECT v FROM by_text WHERE k = '';
SELECT v FROM by_text WHERE k = 'it''s';
SELECT v FROM by_text WHERE k = E'tab\t';
SELECT v FROM by_text WHERE k = 'ü';
SELECT v FROM by_text WHERE k = 'a '::varchar;
SELECT v FROM by_text WHERE k = 'a '::char(5);
SELECT v FROM by_text WHERE k = 'a'::name;
INSERT INTO by_uuid VALUES ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '1'), ('{B0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}', '2');
SELECT v FROM by_uuid WHERE k = 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11';
SELECT v FROM by_uuid WHERE k = 'b0eebc999c0b4ef8bb6d6bb9bd380a11';
INSERT INTO by_numeric VALUES (1, '1'), (1.5, '2'), (-3.25, '3'), ('NaN', '4'), (1e20, '5'), (0.1, '6');
SELECT v FROM by_numeric WHERE k = 1.0;
SELECT v FROM by_numeric WHERE k = 1.50;
SELECT v FROM by_numeric WHERE k = 'NaN';
SELECT v FROM by_numeric WHERE k = 100000000000000000000;
SELECT v FROM by_numeric WHERE k = 1;
INSERT INTO by_date VALUES ('2024-01-01', '1'), ('infinity', '2'), ('2024-12-31', '3');
SELECT v FROM by_date WHERE k = '2024-01-01';
SELECT v FROM by_date WHERE k = 'Dec 31, 2024';
SELECT v FROM by_date WHERE k = 'infinity';
INSERT INTO by_timestamptz VALUES ('2024-01-01 00:00:00+00', '1'), ('2024-06-01 12:00:00+02', '2');
SELECT v FROM by_timestamptz WHERE k = '2024-01-01 01:00:00+01';
SELECT v FROM by_timestamptz WHERE k = '2024-06-01 10:00:00+00'::timestamptz;
INSERT INTO by_char VALUES ('a', '1'), ('abcde', '2'), ('', '3');
SELECT v FROM by_char WHERE k = 'a';
SELECT v FROM by_char WHERE k = 'a    ';
SELECT v FROM by_char WHERE k = '';
INSERT INTO by_float VALUES (0, '0'), (1.5, '1'), ('NaN', '2'), ('Infinity', '3'), (-0.0000001, '4');
SELECT v FROM by_float WHERE k = '-0';
SELECT v FROM by_float WHERE k = 1.5;
SELECT v FROM by_float WHERE k = 'NaN';
INSERT INTO by_bool VALUES (true, 't'), (false, 'f');
SELECT v FROM by_bool WHERE k = true;
SELECT v FROM by_bool WHERE k;
SELECT v FROM by_bool WHERE NOT k;
SELECT v FROM by_bool WHERE k = 'yes';
INSERT INTO by_inet VALUES ('10.0.0.1', '1'), ('10.0.0.1/8', '2'), ('::1', '3');
SELECT v FROM by_inet WHERE k = '10.0.0.1/32';
SELECT v FROM by_inet WHERE k = '::1';
-- user-defined types
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TABLE people (id int PRIMARY KEY, m mood, p pair, q positive, ms mood[]);
-- @group
SELECT create_distributed_table('people', 'id');
INSERT INTO people VALUES (1, 'happy', (1, 'x'), 5, '{sad,ok}'), (2, 'sad', ROW(2, NULL), 6, NULL), (3, NULL, NULL, NULL, '{}');
SELECT * FROM people WHERE id = 1;
SELECT * FROM people ORDER BY id;
SELECT id, m FROM people ORDER BY m, id;
SELECT m, count(*) FROM people GROUP BY m ORDER BY m;
SELECT max(m), min(m) FROM people;
SELECT (p).b, q + 1 FROM people WHERE id = 1;
SELECT id FROM people WHERE m > 'sad' ORDER BY id;
-- @message
INSERT INTO people (id, m) VALUES (4, 'angry');
-- @message
INSERT INTO people (id, q) VALUES (4, -1);
