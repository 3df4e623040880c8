-- What makes a server a node of a group: the objects that every node has, made from what the coordinator sends.

-- The group that this node belongs to, and its number there.
CREATE TABLE IF NOT EXISTS howdah.membership (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    server_group uuid NOT NULL,
    groupid int NOT NULL
);

-- The type or collation of that name; null if there is none.
CREATE OR REPLACE FUNCTION howdah.find_object(kind text, name text) RETURNS oid
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE kind WHEN 'TYPE' THEN to_regtype(name)::oid WHEN 'COLLATION' THEN to_regcollation(name)::oid END
$$;
REVOKE ALL ON FUNCTION howdah.find_object(text, text) FROM PUBLIC;

CREATE OR REPLACE FUNCTION howdah.object_ddl(kind text, object oid) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE kind WHEN 'TYPE' THEN howdah.type_ddl(object) WHEN 'COLLATION' THEN howdah.collation_ddl(object) END
$$;
REVOKE ALL ON FUNCTION howdah.object_ddl(text, oid) FROM PUBLIC;

-- An object that is there already may be left of an earlier time as a node.
CREATE OR REPLACE FUNCTION howdah.make_object(kind text, name text, ddl text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    present constant oid := howdah.find_object(kind, name);
BEGIN
    IF present IS NOT NULL THEN
        IF howdah.object_ddl(kind, present) = ddl THEN
            RETURN;
        END IF;
        EXECUTE format('DROP %s %s', kind, name);
    END IF;
    EXECUTE ddl;
END $$;
REVOKE ALL ON FUNCTION howdah.make_object(text, text, text) FROM PUBLIC;

-- Takes away what is another than it must be, with all that needs it.
CREATE OR REPLACE FUNCTION howdah.clear_object(kind text, name text, ddl text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF howdah.object_ddl(kind, howdah.find_object(kind, name)) <> ddl THEN
        EXECUTE format('DROP %s %s CASCADE', kind, name);
    END IF;
END $$;
REVOKE ALL ON FUNCTION howdah.clear_object(text, text, text) FROM PUBLIC;

CREATE OR REPLACE FUNCTION howdah.make_extension(name text, schema text, version text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    present text;
BEGIN
    SELECT extversion INTO present FROM pg_extension WHERE extname = name;
    IF NOT FOUND THEN
        EXECUTE format('CREATE EXTENSION %I WITH SCHEMA %I VERSION %L CASCADE', name, schema, version);
    ELSIF present <> version THEN
        EXECUTE format('ALTER EXTENSION %I UPDATE TO %L', name, version);
    END IF;
END $$;
REVOKE ALL ON FUNCTION howdah.make_extension(text, text, text) FROM PUBLIC;

CREATE OR REPLACE FUNCTION howdah.make_role(name text, attributes text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('%s ROLE %I WITH %s', CASE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN 'ALTER' ELSE 'CREATE' END,
        name, attributes);
END $$;
REVOKE ALL ON FUNCTION howdah.make_role(text, text) FROM PUBLIC;

-- Runs the statements that make objects: [{"name", "sql", "needed", "clear"}, …], in an order in which most find what they need. What
-- fails is tried again after the others, until nothing changes. What is needed and still fails is an error. On a node that returns
-- to its group, what is of an earlier shape is nobody else's and goes first.
CREATE OR REPLACE FUNCTION howdah.make_objects(objects jsonb, returns boolean) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET check_function_bodies = off SET client_min_messages = warning AS $$
DECLARE
    waiting jsonb := objects;
    failed jsonb;
    object jsonb;
    made int := 0;
BEGIN
    IF returns THEN
        FOR object IN SELECT o FROM jsonb_array_elements(objects) o WHERE o ->> 'clear' IS NOT NULL LOOP
            EXECUTE object ->> 'clear';
        END LOOP;
    END IF;
    LOOP
        failed := '[]';
        FOR object IN SELECT o FROM jsonb_array_elements(waiting) WITH ORDINALITY e (o, n) ORDER BY n LOOP
            BEGIN
                EXECUTE object ->> 'sql';
                made := made + 1;
            EXCEPTION WHEN OTHERS THEN
                failed := failed || jsonb_build_array(object || jsonb_build_object('state', SQLSTATE, 'message', SQLERRM));
            END;
        END LOOP;
        EXIT WHEN jsonb_array_length(failed) IN (0, jsonb_array_length(waiting));
        waiting := failed;
    END LOOP;
    SELECT o INTO object FROM jsonb_array_elements(failed) WITH ORDINALITY e (o, n) WHERE (o ->> 'needed')::boolean ORDER BY n LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = object ->> 'state',
            MESSAGE = format('cannot make %s on the node: %s', object ->> 'name', object ->> 'message'),
            HINT = 'The node must be able to have every extension, type and role of the coordinator.';
    END IF;
    RETURN made;
END $$;
REVOKE ALL ON FUNCTION howdah.make_objects(jsonb, boolean) FROM PUBLIC;
