-- Writes functions.txt: the functions of PostgreSQL that workers may evaluate. Run it on any release:
--   psql -X -At -f generate.sql > functions.txt
-- A line is: class, name, and `set` if some overload returns a set. Classes:
--   immutable    every overload is immutable
--   settings     depends beside its arguments on settings that workers share (TimeZone, DateStyle, …)
--   time         the transaction's time, replaced by a constant
--   volatile     harmless, but another value at each call: never where a row is evaluated twice or not at all
--   aggregate, window
--   stable       of the coordinator, where it does not write
-- What is on no list (locks, sequences, catalogs, files, sizes, other sessions, …) runs on the coordinator only.
\set settings '''{array_to_json,array_to_string,concat,concat_ws,convert,convert_from,convert_to,date_add,date_part,date_subtract,date_trunc,enum_first,enum_last,enum_range,extract,format,generate_series,json_build_array,json_build_object,json_object,json_to_record,json_to_recordset,json_to_tsvector,jsonb_build_array,jsonb_build_object,jsonb_path_exists_tz,jsonb_path_match_tz,jsonb_path_query_array_tz,jsonb_path_query_first_tz,jsonb_path_query_tz,jsonb_to_record,jsonb_to_recordset,jsonb_to_tsvector,length,make_timestamptz,money,overlaps,phraseto_tsquery,plainto_tsquery,quote_literal,quote_nullable,row_to_json,timezone,to_char,to_date,to_json,to_jsonb,to_number,to_timestamp,to_tsquery,to_tsvector,ts_headline,websearch_to_tsquery,date,time,timestamp,timestamptz,timetz,text,varchar,bpchar,numeric,xml,xml_is_well_formed,age}'''
\set time '''{now,transaction_timestamp}'''
\set volatile '''{clock_timestamp,gen_random_uuid,random,random_normal,timeofday,uuidv4,uuidv7,array_sample,array_shuffle}'''
-- Immutable by declaration, but about objects, or another server's business.
\set never '''{pg_partition_root,satisfies_hash_partition,postgresql_fdw_validator,acldefault,makeaclitem,aclinsert,aclremove,aclcontains,ts_token_type,ts_parse,ts_lexize,dblink_fdw_validator}'''
WITH functions AS (
    SELECT proname::text AS name, provolatile, prokind, proretset,
           prorettype = ANY ('{internal,trigger,event_trigger,cstring}'::regtype[])
               OR proargtypes::oid[] && '{internal,cstring}'::regtype[]::oid[] AS internal
    FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace
), classes AS (
    SELECT name, bool_or(proretset) AS returns_set,
           CASE
               WHEN bool_or(prokind = 'a') THEN 'aggregate'
               WHEN bool_or(prokind = 'w') THEN 'window'
               WHEN name = ANY (:time::text[]) THEN 'time'
               WHEN name = ANY (:settings::text[]) THEN 'settings'
               WHEN name = ANY (:volatile::text[]) THEN 'volatile'
               WHEN bool_and(provolatile = 'i') AND name !~ '^(binary_upgrade|gin|gist|spg|brin|bt.*(cmp|image)$|hash.*extended|.*(send|recv|typmodin|_sortsupport|_typanalyze)$)'
                    AND (name !~ '^pg_' OR name IN ('pg_lsn', 'pg_size_bytes', 'pg_size_pretty'))
                    AND name <> ALL (:never::text[]) THEN 'immutable'
               WHEN bool_and(provolatile <> 'v') AND bool_and(prokind = 'f') THEN 'stable'
           END AS class
    FROM functions WHERE NOT internal OR prokind <> 'f' GROUP BY name
),
-- What releases up to 18 added, so that the file does not depend on the release it was written by. Where a
-- server does not know the name, Describe fails before it matters.
newer(class, name) AS (
    VALUES ('aggregate', 'any_value'), ('aggregate', 'json_agg_strict'), ('aggregate', 'json_object_agg_strict'),
           ('aggregate', 'json_object_agg_unique'), ('aggregate', 'json_object_agg_unique_strict'),
           ('aggregate', 'jsonb_agg_strict'), ('aggregate', 'jsonb_object_agg_strict'),
           ('aggregate', 'jsonb_object_agg_unique'), ('aggregate', 'jsonb_object_agg_unique_strict'),
           ('immutable', 'array_reverse'), ('immutable', 'array_sort'), ('immutable', 'casefold'),
           ('immutable', 'crc32'), ('immutable', 'crc32c'), ('immutable', 'erf'), ('immutable', 'erfc'),
           ('immutable', 'gamma'), ('immutable', 'lgamma'), ('immutable', 'to_bin'), ('immutable', 'to_oct'),
           ('immutable', 'unicode_assigned'), ('immutable', 'uuid_extract_timestamp'),
           ('immutable', 'uuid_extract_version'), ('settings', 'date_add'), ('settings', 'date_subtract'),
           ('volatile', 'array_sample'), ('volatile', 'array_shuffle'), ('volatile', 'random_normal'),
           ('volatile', 'uuidv4'), ('volatile', 'uuidv7')
), all_classes AS (
    SELECT class, name, returns_set FROM classes WHERE class IS NOT NULL
    UNION SELECT class, name, false FROM newer WHERE name NOT IN (SELECT name FROM classes WHERE class IS NOT NULL)
)
SELECT class || ' ' || name || CASE WHEN returns_set THEN ' set' ELSE '' END
FROM all_classes ORDER BY class, name COLLATE "C";
