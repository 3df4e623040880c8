-- Nodes. Adding one is the work of an operator: whoever could add a node would receive everybody's rows.

CREATE OR REPLACE FUNCTION howdah.add_node(nodename text, nodeport int, address text DEFAULT NULL, groupid int DEFAULT -1) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    id int;
BEGIN
    PERFORM howdah.check_superuser('howdah.add_node');
    LOCK TABLE howdah.pg_dist_node IN SHARE ROW EXCLUSIVE MODE;
    SELECT n.nodeid INTO id FROM howdah.pg_dist_node n WHERE n.nodename = add_node.nodename AND n.nodeport = add_node.nodeport;
    IF FOUND THEN
        UPDATE howdah.pg_dist_node n SET address = add_node.address
            WHERE n.nodeid = id AND n.address IS DISTINCT FROM add_node.address;
        RETURN id;
    END IF;
    INSERT INTO howdah.pg_dist_node (groupid, nodename, nodeport, address)
        VALUES (CASE WHEN add_node.groupid < 0 THEN nextval('howdah.pg_dist_groupid_seq') ELSE add_node.groupid END,
            add_node.nodename, add_node.nodeport, add_node.address)
        RETURNING nodeid INTO id;
    RETURN id;
END $$;
REVOKE ALL ON FUNCTION howdah.add_node(text, int, text, int) FROM PUBLIC;

CREATE OR REPLACE FUNCTION pg_catalog.citus_add_node(nodename text, nodeport integer, groupid integer DEFAULT -1,
    noderole noderole DEFAULT 'primary', nodecluster name DEFAULT 'default') RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF noderole <> 'primary' THEN
        RAISE feature_not_supported USING MESSAGE = 'cannot add a secondary node by hand',
            HINT = 'Standbys are members of a node, which the server group manages itself.';
    END IF;
    RETURN howdah.add_node(nodename, nodeport, NULL, groupid);
END $$;
REVOKE ALL ON FUNCTION pg_catalog.citus_add_node(text, integer, integer, noderole, name) FROM PUBLIC;

CREATE OR REPLACE FUNCTION pg_catalog.citus_remove_node(nodename text, nodeport integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    node howdah.pg_dist_node;
BEGIN
    PERFORM howdah.check_superuser('citus_remove_node');
    LOCK TABLE howdah.pg_dist_node IN SHARE ROW EXCLUSIVE MODE;
    SELECT * INTO node FROM howdah.pg_dist_node n WHERE n.nodename = citus_remove_node.nodename AND n.nodeport = citus_remove_node.nodeport;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'node at "%:%" does not exist', nodename, nodeport;
    END IF;
    IF node.groupid = 0 THEN
        RAISE feature_not_supported USING MESSAGE = 'cannot remove the coordinator';
    END IF;
    IF EXISTS (SELECT FROM howdah.pg_dist_placement p JOIN howdah.pg_dist_shard s USING (shardid)
               JOIN howdah.pg_dist_partition t USING (logicalrelid) WHERE p.groupid = node.groupid AND t.partmethod = 'h') THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = 'cannot remove or disable the node ' || nodename || ':' || nodeport || ' because it contains the only shard placement for some shards',
            DETAIL = 'One of the tables that prevents the operation is ' || (
                SELECT s.logicalrelid::text FROM howdah.pg_dist_placement p JOIN howdah.pg_dist_shard s USING (shardid)
                WHERE p.groupid = node.groupid AND s.shardminvalue IS NOT NULL LIMIT 1) || '.',
            HINT = 'Move the shards to other nodes first.';
    END IF;
    DELETE FROM howdah.pg_dist_placement p WHERE p.groupid = node.groupid;
    DELETE FROM howdah.pg_dist_node n WHERE n.nodeid = node.nodeid;
END $$;
REVOKE ALL ON FUNCTION pg_catalog.citus_remove_node(text, integer) FROM PUBLIC;

CREATE OR REPLACE FUNCTION pg_catalog.citus_set_coordinator_host(host text, port integer DEFAULT current_setting('port')::int,
    node_role noderole DEFAULT 'primary', node_cluster name DEFAULT 'default') RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM howdah.check_superuser('citus_set_coordinator_host');
    UPDATE howdah.pg_dist_node SET nodename = host, nodeport = port
        WHERE groupid = 0 AND (nodename, nodeport) IS DISTINCT FROM (host, port);
END $$;
REVOKE ALL ON FUNCTION pg_catalog.citus_set_coordinator_host(text, integer, noderole, name) FROM PUBLIC;

CREATE OR REPLACE FUNCTION pg_catalog.citus_get_active_worker_nodes(OUT node_name text, OUT node_port bigint) RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT nodename, nodeport::bigint FROM howdah.pg_dist_node
    WHERE groupid <> 0 AND isactive AND noderole = 'primary' ORDER BY groupid
$$;

CREATE OR REPLACE FUNCTION pg_catalog.citus_version() RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT 'Howdah 0.1.0 (Citus 12.1 compatible) on ' || split_part(version(), ',', 1)
$$;
