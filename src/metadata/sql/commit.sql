-- The record of a distributed commit, written in the coordinator's own transaction by the session's role.
--
-- A forged record would make recovery commit what was rolled back, so the function asks for the key of live tables, which
-- only superusers, and so the router, can read.

CREATE OR REPLACE FUNCTION howdah.record_transaction(key text, transaction_gid text) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    PERFORM howdah.check_key(key);
    -- The record may be there already, written by a trigger of this transaction. A tombstone is another matter.
    INSERT INTO howdah.pg_dist_transaction AS t (groupid, gid) VALUES (0, transaction_gid)
        ON CONFLICT (gid) DO UPDATE SET groupid = 0 WHERE t.groupid = 0;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the transaction was rolled back by recovery' USING ERRCODE = 'serialization_failure';
    END IF;
END
$function$;
