-- COPY with conditions and options
CREATE TABLE loads (k int, n int DEFAULT 7, v text, at timestamptz DEFAULT '2025-01-01', PRIMARY KEY (k, n));
-- @group
SELECT create_distributed_table('loads', 'k');
-- @copy
COPY loads (k, n, v) FROM STDIN WHERE n > 10 AND v IS NOT NULL;
1	5	a
2	15	b
3	25	\N
4	35	d
\.
SELECT k, n, v FROM loads ORDER BY k;
-- @copy
COPY loads (k, v) FROM STDIN (FORMAT csv) WHERE length(v) = 3 OR k % 2 = 0;
11,abc
12,abcd
13,abcde
14,x
\.
SELECT k, n, v FROM loads WHERE k > 10 ORDER BY k;
-- @copy
COPY loads (k, v) FROM STDIN WHERE k IS NOT NULL;
21	a
\N	b
22	c
\.
SELECT k, n, v FROM loads WHERE k > 20 ORDER BY k;
-- @error
-- @copy
COPY loads (k, v) FROM STDIN WHERE v = 'b';
\N	b
\.
-- @message
COPY loads (k, v) FROM STDIN WHERE nothing = 1;
-- @message
COPY loads (k, v) FROM STDIN WHERE k = (SELECT 1);
-- @message
COPY loads (k, v) FROM STDIN WHERE sum(k) > 1;
-- @message
COPY loads (k, v) FROM STDIN WHERE k;
-- @copy
COPY loads (k, v) FROM STDIN WHERE random() < 2;
31	a
\.
-- @message
-- @copy
COPY loads (k, v) FROM STDIN (FREEZE);
32	a
\.
-- @message
COPY loads (k, v) FROM STDIN (FREEZE 5);
SELECT count(*) FROM loads;
-- header
-- @copy
COPY loads (k, n, v) FROM STDIN (FORMAT csv, HEADER MATCH);
k,n,v
41,1,x
\.
-- @copy
COPY loads (k, v) FROM STDIN (HEADER MATCH);
k	v
42	y
\.
-- @error
-- @copy
COPY loads (k, n, v) FROM STDIN (FORMAT csv, HEADER MATCH);
k,v,n
43,1,x
\.
-- @error
-- @copy
COPY loads (k, n, v) FROM STDIN (FORMAT csv, HEADER MATCH);
k,n
44,1,x
\.
-- @error
-- @copy
COPY loads (k, n, v) FROM STDIN (FORMAT csv, HEADER MATCH);
\.
-- @message
COPY loads TO STDOUT (HEADER MATCH);
-- @message
COPY loads FROM STDIN (FORMAT binary, HEADER MATCH);
SELECT k, n, v FROM loads WHERE k > 40 ORDER BY k;
-- null and not null
-- @copy
COPY loads (k, n, v) FROM STDIN (FORMAT csv, FORCE_NULL (v), NULL 'none');
51,1,"none"
52,1,none
\.
-- @copy
COPY loads (k, n, v) FROM STDIN (FORMAT csv, FORCE_NOT_NULL (v));
53,1,
54,1,""
\.
SELECT k, n, v, v IS NULL FROM loads WHERE k > 50 ORDER BY k;
-- @message
COPY loads (k, v) FROM STDIN (FORCE_NULL (v));
-- @message
COPY loads (k, v) FROM STDIN (FORMAT csv, FORCE_NULL (n));
-- @message
COPY loads (k, v) FROM STDIN (FORMAT csv, FORCE_NOT_NULL (missing));
-- @message
COPY loads (k, v) FROM STDIN (FORMAT csv, FORCE_QUOTE (v));
COPY (SELECT k, v FROM loads WHERE k > 50 ORDER BY k) TO STDOUT (FORMAT csv, FORCE_QUOTE *);
-- @error
COPY loads (k, v) FROM STDIN (UNHEARD_OF);
