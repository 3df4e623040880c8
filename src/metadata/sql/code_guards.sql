-- What code that runs inside the coordinator's PostgreSQL must not say of distributed tables, because live tables would not do it and
-- would not say so: SKIP LOCKED, NOWAIT, TABLESAMPLE and ONLY get lost on the way, LOCK locks no shard, COPY finds nothing. Bodies are read
-- as text when a function or a view is made, and when a table is distributed; dynamic SQL is not looked into.

-- The construct of a body that is lost on one of the tables, with its name; null if there is none.
CREATE OR REPLACE FUNCTION howdah.lost_construct(body text, tables oid[]) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH fragments AS (
        SELECT fragment FROM howdah.fragments(regexp_replace(lower(body), '--[^\n]*|/\*.*?\*/', ' ', 'g')) fragment
        WHERE fragment ~ '\m(skip|nowait|tablesample|only|lock|copy)\M'
    ), names AS (
        SELECT relname, regexp_replace(lower(relname), '([^a-z0-9_ ])', '\\\1', 'g') AS pattern FROM unnest(tables) t JOIN pg_class c ON c.oid = t
    )
    SELECT format('%s of "%s"', CASE
            WHEN fragment ~ '\mfor\s+(no\s+key\s+|key\s+)?(update|share)\M.*\mskip\s+locked\M' THEN 'SKIP LOCKED'
            WHEN fragment ~ '\mfor\s+(no\s+key\s+|key\s+)?(update|share)\M.*\mnowait\M' THEN 'NOWAIT'
            WHEN fragment ~ (pattern || '"?\s+(as\s+)?("?\w+"?\s+)?tablesample\M') THEN 'TABLESAMPLE'
            WHEN fragment ~ ('\m(from|join|update|using)\s+only\s+\(?\s*("?\w+"?\.)?"?' || pattern || '\M') THEN 'ONLY'
            WHEN fragment ~ ('^(.*\m(begin|then|else|loop)\M)?\s*lock\s[^''()]*' || pattern || '\M') THEN 'LOCK'
            ELSE 'COPY' END, relname)
    FROM fragments, names
    WHERE fragment ~ ('\m' || pattern || '\M') AND (
        fragment ~ '\mfor\s+(no\s+key\s+|key\s+)?(update|share)\M.*\m(skip\s+locked|nowait)\M'
        OR fragment ~ (pattern || '"?\s+(as\s+)?("?\w+"?\s+)?tablesample\M')
        OR fragment ~ ('\m(from|join|update|using)\s+only\s+\(?\s*("?\w+"?\.)?"?' || pattern || '\M')
        OR fragment ~ ('^(.*\m(begin|then|else|loop)\M)?\s*(lock|copy)\s[^''()]*' || pattern || '\M')) LIMIT 1
$$;

CREATE OR REPLACE FUNCTION howdah.refuse_construct(construct text, what text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF construct IS NOT NULL THEN
        RAISE feature_not_supported USING MESSAGE = format('%s is not supported inside of %s', construct, what),
            DETAIL = 'The table is distributed, and PostgreSQL reads it through a foreign table that does not know of it.',
            HINT = 'Send the statement on its own, or keep the table local.';
    END IF;
END $$;

CREATE OR REPLACE FUNCTION howdah.live_tables() RETURNS oid[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT array(SELECT logicalrelid::oid FROM howdah.pg_dist_partition WHERE partmethod = 'h')
$$;

-- A function that was just made.
CREATE OR REPLACE FUNCTION howdah.check_function(function oid) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM howdah.refuse_construct(howdah.lost_construct(CASE WHEN p.prosqlbody IS NULL THEN p.prosrc ELSE pg_get_functiondef(p.oid) END, howdah.live_tables()),
            format('function "%s"', p.proname))
        FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
        WHERE p.oid = function AND p.prokind IN ('f', 'p') AND l.lanname NOT IN ('internal', 'c');
END $$;

CREATE OR REPLACE FUNCTION howdah.check_view(view oid) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM howdah.refuse_construct(howdah.lost_construct(pg_get_viewdef(oid), howdah.live_tables()), format('view "%s"', relname))
        FROM pg_class WHERE oid = view AND relkind IN ('v', 'm');
END $$;

-- The code that there is, when a table is about to be distributed.
CREATE OR REPLACE FUNCTION howdah.check_code(relation oid) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM howdah.refuse_construct(howdah.lost_construct(body, ARRAY[relation]), format('"%s"', name)) FROM howdah.user_code WHERE body IS NOT NULL;
END $$;

-- The body of a DO block, as the router asks before it runs.
CREATE OR REPLACE FUNCTION howdah.check_block(body text) RETURNS void
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM howdah.refuse_construct(howdah.lost_construct(body, howdah.live_tables()), 'a DO block');
END $$;
