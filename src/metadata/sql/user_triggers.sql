-- Triggers of users on distributed tables fire on the coordinator, once, as documented: the router sends every write to such a table
-- there (on_coordinator). An INSERT meets them on the shell, before its rows go on to the shards; so do the statement triggers of
-- UPDATE and DELETE. Rows that are changed come from the live child, so it has copies of the row triggers of UPDATE and DELETE.
-- Partitions are foreign tables themselves and need no copies. Reference tables are whole on the coordinator: nothing differs there.

-- The triggers of users on a table.
CREATE OR REPLACE FUNCTION howdah.user_triggers(relation oid) RETURNS SETOF pg_trigger
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT t.* FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
    WHERE t.tgrelid = relation AND NOT t.tgisinternal AND p.pronamespace <> 'howdah'::regnamespace
$$;

-- What only the coordinator may run of the statements on a table: null, 'writes', or 'all'.
CREATE OR REPLACE FUNCTION howdah.on_coordinator(relation oid) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN howdah.row_security(relation) = 'deny' THEN 'all'
        -- INSERT is 4, DELETE 8, UPDATE 16: TRUNCATE runs there anyway.
        WHEN EXISTS (SELECT FROM unnest(howdah.family(relation)) member, howdah.user_triggers(member) t WHERE t.tgenabled <> 'D' AND t.tgtype & 28 <> 0)
            AND EXISTS (SELECT FROM howdah.pg_dist_partition WHERE logicalrelid = relation AND partmethod = 'h') THEN 'writes' END;
END $$;

-- Triggers that would not fire as on one PostgreSQL.
CREATE OR REPLACE FUNCTION howdah.check_triggers(relation oid) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    class pg_class;
    trigger record;
    what text;
BEGIN
    SELECT * INTO STRICT class FROM pg_class WHERE oid = relation;
    FOR trigger IN
        SELECT t.*, t.tgtype & 1 <> 0 AS for_row, t.tgtype & 24 <> 0 AS changes, p.prosrc, l.lanname, class.relispartition OR class.relkind = 'p' AS in_tree
        FROM howdah.user_triggers(relation) t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_language l ON l.oid = p.prolang
    LOOP
        what := CASE
            WHEN trigger.tgconstraint <> 0 THEN 'Constraint triggers are'
            WHEN trigger.tgenabled IN ('A', 'R') THEN 'Triggers that are enabled ALWAYS or for REPLICA are'
            WHEN (trigger.changes OR trigger.in_tree) AND coalesce(trigger.tgoldtable, trigger.tgnewtable) IS NOT NULL THEN
                'Transition tables of UPDATE and DELETE, or of partitioned tables, are'
            WHEN trigger.changes AND EXISTS (SELECT FROM pg_constraint WHERE conrelid = relation AND contype = 'f'
                    AND (confupdtype IN ('c', 'n', 'd') OR confdeltype IN ('c', 'n', 'd'))) THEN
                'A trigger of UPDATE or DELETE beside a foreign key with CASCADE, SET NULL or SET DEFAULT is'
            WHEN trigger.for_row AND trigger.changes AND NOT trigger.in_tree AND trigger.lanname <> 'plpgsql' THEN
                'A row trigger of UPDATE or DELETE in another language than PL/pgSQL is'
            WHEN trigger.for_row AND trigger.changes AND NOT trigger.in_tree
                AND howdah.words(lower(trigger.prosrc)) && ARRAY['tg_relid', 'tg_relname', 'tg_table_name', 'tg_table_schema'] THEN
                'A row trigger of UPDATE or DELETE that asks for the name of its table is' END;
        IF what IS NOT NULL THEN
            RAISE feature_not_supported USING MESSAGE = format('trigger "%s" is not supported on distributed table "%s"', trigger.tgname, class.relname),
                DETAIL = what || ' not supported there.', HINT = 'Drop or change the trigger, or keep the table local.';
        END IF;
    END LOOP;
END $$;

-- Gives the live child the row triggers that it is to have now.
CREATE OR REPLACE FUNCTION howdah.copy_triggers(relation oid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET howdah.our_ddl = 'on' AS $$
DECLARE
    child constant oid := to_regclass(format('howdah_live.t%s', relation));
    here constant text := format(' ON %s ', howdah.qualified(relation));
    trigger record;
BEGIN
    IF child IS NULL THEN
        RETURN;
    END IF;
    FOR trigger IN SELECT tgname FROM howdah.user_triggers(child) LOOP
        EXECUTE format('DROP TRIGGER %I ON howdah_live.t%s', trigger.tgname, relation);
    END LOOP;
    FOR trigger IN
        SELECT pg_get_triggerdef(t.oid) AS definition FROM howdah.user_triggers(relation) t
        WHERE t.tgenabled = 'O' AND t.tgtype & 1 <> 0 AND t.tgtype & 24 <> 0 ORDER BY t.tgname
    LOOP
        EXECUTE overlay(trigger.definition PLACING format(' ON howdah_live.t%s ', relation) FROM position(here IN trigger.definition) FOR length(here));
    END LOOP;
END $$;
REVOKE ALL ON FUNCTION howdah.copy_triggers(oid) FROM PUBLIC;
