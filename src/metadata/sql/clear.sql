DO $$
DECLARE
    object record;
BEGIN
    -- Views first: they need functions, and each other.
    FOR object IN
        SELECT 'VIEW' AS kind, c.oid::regclass::text AS name FROM pg_class c WHERE c.relkind = 'v' AND c.oid >= 16384
            AND c.relnamespace = 'pg_catalog'::regnamespace AND NOT EXISTS (
                SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e') ORDER BY c.oid DESC
    LOOP
        BEGIN
            EXECUTE format('DROP VIEW %s', object.name);
        EXCEPTION WHEN dependent_objects_still_exist THEN
            NULL;
        END;
    END LOOP;
    FOR object IN SELECT oid::regprocedure::text AS name FROM pg_proc WHERE pronamespace = to_regnamespace('howdah') ORDER BY oid DESC LOOP
        BEGIN
            EXECUTE format('DROP ROUTINE %s', object.name);
        EXCEPTION WHEN dependent_objects_still_exist THEN
            NULL;
        END;
    END LOOP;
END $$;
