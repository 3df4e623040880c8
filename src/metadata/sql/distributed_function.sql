-- create_distributed_function: the workers get the function too. Those that are IMMUTABLE are called on the workers from then on; the
-- others still run on the coordinator, where one value per call or statement is what PostgreSQL promises.

CREATE OR REPLACE FUNCTION pg_catalog.create_distributed_function(function_name regprocedure, distribution_arg_name text DEFAULT NULL,
    colocate_with text DEFAULT 'default', force_delegation boolean DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    function pg_proc;
    groupid int;
BEGIN
    IF function_name IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'the first parameter for create_distributed_function() should be a single function specification';
    END IF;
    SELECT * INTO function FROM pg_proc WHERE oid = function_name;
    IF NOT FOUND THEN
        RAISE undefined_function USING MESSAGE = format('function with OID %s does not exist', function_name::oid);
    ELSIF NOT pg_has_role(howdah.caller(), function.proowner, 'USAGE') THEN
        RAISE insufficient_privilege USING MESSAGE = format('must be owner of function %s', function.proname);
    ELSIF function.oid < 16384 OR function.prokind NOT IN ('f', 'p')
        OR EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = function.oid AND deptype = 'e') THEN
        RAISE feature_not_supported USING MESSAGE = format('cannot distribute function %s', function_name),
            DETAIL = 'Functions of PostgreSQL and of extensions are on every node; aggregates and window functions cannot be distributed.';
    ELSIF distribution_arg_name <> ALL (coalesce(function.proargnames, '{}')) AND NOT EXISTS (
            SELECT FROM generate_series(1, function.pronargs) n WHERE distribution_arg_name = '$' || n) THEN
        RAISE invalid_parameter_value USING MESSAGE = format('cannot distribute the function "%s" since the distribution argument is not valid', function.proname),
            HINT = 'To provide "distribution_arg_name" option, the function must have an argument of that name, or "$n" for its number.';
    END IF;
    FOR groupid IN SELECT n.groupid FROM howdah.pg_dist_node n WHERE n.groupid <> 0 AND isactive AND noderole = 'primary' ORDER BY 1 LOOP
        -- Bodies may speak of tables that are not there.
        PERFORM howdah.on_node(groupid,
            format('SET LOCAL check_function_bodies = off; CREATE SCHEMA IF NOT EXISTS %I; %s', function.pronamespace::regnamespace::name, howdah.function_ddl(function)));
    END LOOP;
    IF function.provolatile = 'i' THEN
        INSERT INTO howdah.distributed_function VALUES (function_name) ON CONFLICT DO NOTHING;
    END IF;
END $$;
