SELECT count(*) FROM t1;
