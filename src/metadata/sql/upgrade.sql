-- What an older version of this SQL has made of users' tables, brought to the present one. In a new database there is nothing to do.

-- The triggers of the tables that we have, and the shape to which their shards will be compared.
DO $$
DECLARE
    relation record;
BEGIN
    FOR relation IN SELECT logicalrelid AS oid, partmethod FROM howdah.pg_dist_partition ORDER BY logicalrelid::oid LOOP
        PERFORM howdah.drop_guards(relation.oid);
        CASE relation.partmethod
            WHEN 'h' THEN PERFORM howdah.guard_live(relation.oid);
            WHEN 'n' THEN PERFORM howdah.attach_reference(relation.oid);
        END CASE;
        PERFORM howdah.keep_shape(relation.oid);
    END LOOP;
END $$;

-- Functions of an older version that the present one has not written again. A view of a user's may need one: then it stays.
DO $$
DECLARE
    old record;
BEGIN
    FOR old IN
        SELECT p.oid::regprocedure AS name FROM pg_proc p
        WHERE p.oid >= 16384 AND p.pronamespace IN ('pg_catalog'::regnamespace, 'howdah'::regnamespace) AND p.xmin <> pg_current_xact_id()::xid
          AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'e')
    LOOP
        BEGIN
            EXECUTE format('DROP ROUTINE %s', old.name);
        EXCEPTION WHEN dependent_objects_still_exist THEN
            NULL;
        END;
    END LOOP;
END $$;

-- Routers read the catalog anew, as this version describes it.
SELECT howdah.catalog_changed();
