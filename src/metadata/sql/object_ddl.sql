-- Statements that make an object that is not a table, put together from the catalog. Coordinator and workers have the same
-- functions, so that the coordinator's statement and what a worker finds in its own catalog can be compared.

CREATE OR REPLACE FUNCTION howdah.collation_clause(oid oid, type oid DEFAULT NULL) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format(' COLLATE %I.%I', nspname, collname)
    FROM pg_collation c JOIN pg_namespace n ON n.oid = collnamespace
    WHERE c.oid = collation_clause.oid AND c.oid IS DISTINCT FROM (SELECT typcollation FROM pg_type t WHERE t.oid = type)
$$;

CREATE OR REPLACE FUNCTION howdah.domain_ddl(domain pg_type) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT concat(format('CREATE DOMAIN %s AS %s', domain.oid::regtype, format_type(domain.typbasetype, domain.typtypmod)),
        howdah.collation_clause(domain.typcollation, domain.typbasetype),
        ' DEFAULT ' || pg_get_expr(domain.typdefaultbin, 0),
        CASE WHEN domain.typnotnull THEN ' NOT NULL' END,
        (SELECT string_agg(format(' CONSTRAINT %I %s', conname, pg_get_constraintdef(c.oid)), '' ORDER BY conname)
         FROM pg_constraint c WHERE c.contypid = domain.oid AND c.contype = 'c'))
$$;

CREATE OR REPLACE FUNCTION howdah.enum_ddl(enum pg_type) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('CREATE TYPE %s AS ENUM (%s)', enum.oid::regtype,
        (SELECT string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = enum.oid))
$$;

CREATE OR REPLACE FUNCTION howdah.composite_ddl(composite pg_type) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('CREATE TYPE %s AS (%s)', composite.oid::regtype,
        (SELECT string_agg(format('%I %s', attname, format_type(atttypid, atttypmod))
            || coalesce(howdah.collation_clause(attcollation, atttypid), ''), ', ' ORDER BY attnum)
         FROM pg_attribute WHERE attrelid = composite.typrelid AND attnum > 0 AND NOT attisdropped))
$$;

CREATE OR REPLACE FUNCTION howdah.range_ddl(range pg_type) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('CREATE TYPE %s AS RANGE (%s)', range.oid::regtype, concat_ws(', ',
        format('SUBTYPE = %s', r.rngsubtype::regtype),
        (SELECT format('SUBTYPE_OPCLASS = %I.%I', nspname, opcname) FROM pg_opclass c JOIN pg_namespace n ON n.oid = opcnamespace
         WHERE c.oid = r.rngsubopc AND NOT opcdefault),
        'COLLATION =' || replace(howdah.collation_clause(r.rngcollation, r.rngsubtype), ' COLLATE', ''),
        CASE WHEN r.rngcanonical <> 0 THEN format('CANONICAL = %s', r.rngcanonical::regproc) END,
        CASE WHEN r.rngsubdiff <> 0 THEN format('SUBTYPE_DIFF = %s', r.rngsubdiff::regproc) END,
        format('MULTIRANGE_TYPE_NAME = %s', r.rngmultitypid::regtype)))
    FROM pg_range r WHERE r.rngtypid = range.oid
$$;

-- CREATE TYPE or CREATE DOMAIN; null for a type that came into being with something else, and for base types.
CREATE OR REPLACE FUNCTION howdah.type_ddl(type oid) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE t.typtype
        WHEN 'd' THEN howdah.domain_ddl(t)
        WHEN 'e' THEN howdah.enum_ddl(t)
        WHEN 'c' THEN CASE (SELECT relkind FROM pg_class WHERE oid = t.typrelid) WHEN 'c' THEN howdah.composite_ddl(t) END
        WHEN 'r' THEN howdah.range_ddl(t) END
    FROM pg_type t WHERE t.oid = type
$$;

-- The names of the columns changed from release to release.
CREATE OR REPLACE FUNCTION howdah.collation_ddl(oid oid) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('CREATE COLLATION %I.%I (%s)', nspname, collname, concat_ws(', ',
        format('PROVIDER = %s', CASE collprovider WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'libc' END),
        'LOCALE = ' || quote_literal(coalesce(fact ->> 'colllocale', fact ->> 'colliculocale',
            CASE WHEN fact ->> 'collcollate' = fact ->> 'collctype' THEN fact ->> 'collcollate' END)),
        CASE WHEN fact ->> 'collcollate' <> fact ->> 'collctype' THEN
            format('LC_COLLATE = %L, LC_CTYPE = %L', fact ->> 'collcollate', fact ->> 'collctype') END,
        'RULES = ' || quote_literal(coalesce(fact ->> 'collrules', fact ->> 'collicurules')),
        CASE WHEN NOT collisdeterministic THEN 'DETERMINISTIC = false' END))
    FROM pg_collation c JOIN pg_namespace n ON n.oid = collnamespace, to_jsonb(c) fact WHERE c.oid = collation_ddl.oid
$$;

-- GRANTs that bring an object to these rights, from whatever it has; none for the rights that every object begins with.
CREATE OR REPLACE FUNCTION howdah.rights_ddl(kind text, name text, owner oid, acl aclitem[]) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('REVOKE ALL ON %s %s FROM PUBLIC', kind, name)
        || coalesce((SELECT format('; REVOKE ALL ON %s %s FROM %I', kind, name, rolname) FROM pg_roles WHERE oid = owner), '')
        || coalesce((SELECT string_agg(format('; GRANT %s ON %s %s TO %s%s', privilege_type, kind, name,
                CASE grantee WHEN 0 THEN 'PUBLIC' ELSE format('%I', pg_get_userbyid(grantee)) END,
                CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END), '')
            FROM aclexplode(acl)), '')
    WHERE acl IS NOT NULL
$$;
