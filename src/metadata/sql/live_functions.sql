-- Which functions make it unclear what a scan is to see. PostgreSQL gives a STABLE or IMMUTABLE function the snapshot of the statement
-- that calls it, and a VOLATILE one a new one; a scan of a live table does not tell in which of them it stands. Both are the
-- same until something is written, and when no such function that reads distributed tables is called by a query that may write
-- or may be suspended while others do. Whatever is not sure counts as reading and as called.

-- Code of users, with the words in it. Dynamic SQL is not looked into.
CREATE OR REPLACE VIEW howdah.user_code AS
    SELECT lower(p.proname) AS name, p.prokind = 'f' AND p.provolatile <> 'v' AS is_stable, p.provolatile = 'v' AS is_volatile,
        lower(CASE WHEN p.prosqlbody IS NULL OR p.prokind NOT IN ('f', 'p') THEN p.prosrc ELSE pg_get_functiondef(p.oid) END) AS body
    FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
    WHERE l.lanname NOT IN ('internal', 'c') AND p.pronamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema', 'howdah')
    UNION ALL
    SELECT lower(c.relname), false, true, lower(pg_get_viewdef(c.oid))
    FROM pg_class c
    WHERE c.relkind IN ('v', 'm') AND c.relnamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema', 'howdah');
REVOKE ALL ON howdah.user_code FROM PUBLIC;

CREATE OR REPLACE FUNCTION howdah.words(body text) RETURNS text[]
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT array_agg(DISTINCT word) FROM regexp_split_to_table(body, '[\s!-#%-/:-@\[-^`{-~]+') word WHERE word <> ''
$$;

-- The statements of a body, roughly: a body with a semicolon inside of a literal is one.
CREATE OR REPLACE FUNCTION howdah.fragments(body text) RETURNS SETOF text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT fragment FROM regexp_split_to_table(body, CASE WHEN body ~ '''[^'']*;[^'']*''' THEN '\A(?!\A)' ELSE ';' END) fragment
$$;

-- `names`: STABLE functions that may read distributed tables; `others`: VOLATILE ones that may use them; `nested`: whether one of the
-- former is called by a query inside of code of users.
CREATE OR REPLACE FUNCTION howdah.stable_readers() RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    readers text[] := array(SELECT DISTINCT unnest(howdah.words(lower(c.relname))) FROM pg_class c
        JOIN howdah.pg_dist_partition p ON p.logicalrelid = c.oid WHERE p.partmethod = 'h');
    more text[];
    stable text[];
    others text[];
    queries constant text[] := ARRAY['from', 'update', 'delete', 'insert', 'merge', 'using'];
BEGIN
    LOOP
        SELECT array_agg(DISTINCT c.name) INTO more FROM howdah.user_code c
            WHERE c.name <> ALL (readers) AND howdah.words(c.body) && (readers || ARRAY['execute']);
        EXIT WHEN more IS NULL;
        readers := readers || more;
    END LOOP;
    stable := array(SELECT c.name FROM howdah.user_code c WHERE c.is_stable AND c.name = ANY (readers));
    others := array(SELECT c.name FROM howdah.user_code c WHERE c.is_volatile AND c.name = ANY (readers));
    RETURN jsonb_build_object('names', to_jsonb(stable), 'others', to_jsonb(others), 'nested', stable <> '{}' AND (
        EXISTS (SELECT FROM howdah.user_code c, howdah.fragments(c.body) fragment
            WHERE c.is_volatile AND howdah.words(fragment) && stable AND howdah.words(fragment) && (queries || others))
        OR EXISTS (SELECT FROM pg_policy WHERE howdah.words(lower(concat(pg_get_expr(polqual, polrelid), ' ', pg_get_expr(polwithcheck, polrelid)))) && stable)
        OR EXISTS (SELECT FROM pg_attrdef WHERE adrelid >= 16384 AND howdah.words(lower(pg_get_expr(adbin, adrelid))) && stable)
        OR EXISTS (SELECT FROM pg_constraint WHERE conbin IS NOT NULL AND oid >= 16384 AND howdah.words(lower(pg_get_expr(conbin, conrelid))) && stable)
        OR EXISTS (SELECT FROM pg_operator o JOIN pg_proc p ON p.oid = o.oprcode WHERE o.oid >= 16384 AND lower(p.proname) = ANY (stable))
        OR EXISTS (SELECT FROM pg_cast t JOIN pg_proc p ON p.oid = t.castfunc WHERE t.oid >= 16384 AND lower(p.proname) = ANY (stable))));
END $$;
REVOKE ALL ON FUNCTION howdah.stable_readers() FROM PUBLIC;
