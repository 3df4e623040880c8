-- Nodes. Adding one is the work of an operator: whoever could add a node would receive everybody's rows.

-- The node of this name and port, or an error.
CREATE OR REPLACE FUNCTION howdah.find_node(nodename text, nodeport int) RETURNS howdah.pg_dist_node
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    node howdah.pg_dist_node;
BEGIN
    LOCK TABLE howdah.pg_dist_node IN SHARE ROW EXCLUSIVE MODE;
    SELECT * INTO node FROM howdah.pg_dist_node n WHERE n.nodename = find_node.nodename AND n.nodeport = find_node.nodeport;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'node at "%:%" does not exist', nodename, nodeport;
    END IF;
    RETURN node;
END $$;
REVOKE ALL ON FUNCTION howdah.find_node(text, int) FROM PUBLIC;

-- The node of this name and port, made if there is none; `address` is where it is reached if not by its name. A server that
-- is found at the same socket under another port is the same one.
CREATE OR REPLACE FUNCTION howdah.add_node(nodename text, nodeport int, address text DEFAULT NULL, groupid int DEFAULT -1,
    activate boolean DEFAULT true) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET howdah.our_ddl = 'on' AS $$
DECLARE
    node howdah.pg_dist_node;
BEGIN
    PERFORM howdah.check_superuser('citus_add_node');
    LOCK TABLE howdah.pg_dist_node IN SHARE ROW EXCLUSIVE MODE;
    UPDATE howdah.pg_dist_node n SET nodename = add_node.nodename, nodeport = add_node.nodeport
        WHERE n.address = add_node.address AND n.nodeport <> add_node.nodeport;
    SELECT * INTO node FROM howdah.pg_dist_node n WHERE n.nodename = add_node.nodename AND n.nodeport = add_node.nodeport;
    IF FOUND THEN
        UPDATE howdah.pg_dist_node n SET address = add_node.address
            WHERE n.nodeid = node.nodeid AND n.address IS DISTINCT FROM add_node.address;
        RETURN node.nodeid;
    END IF;
    INSERT INTO howdah.pg_dist_node (groupid, nodename, nodeport, address, isactive)
        VALUES (CASE WHEN add_node.groupid < 0 THEN nextval('howdah.pg_dist_groupid_seq') ELSE add_node.groupid END,
            add_node.nodename, add_node.nodeport, add_node.address, false)
        RETURNING * INTO node;
    IF activate THEN
        PERFORM howdah.bring_up(node);
    END IF;
    RETURN node.nodeid;
END $$;
REVOKE ALL ON FUNCTION howdah.add_node(text, int, text, int, boolean) FROM PUBLIC;

CREATE OR REPLACE FUNCTION howdah.check_primary(noderole noderole) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF noderole <> 'primary' THEN
        RAISE feature_not_supported USING MESSAGE = 'cannot add a secondary node by hand',
            HINT = 'Standbys are members of a node, which the server group manages itself.';
    END IF;
END $$;

CREATE OR REPLACE FUNCTION pg_catalog.citus_add_node(nodename text, nodeport integer, groupid integer DEFAULT -1,
    noderole noderole DEFAULT 'primary', nodecluster name DEFAULT 'default') RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM howdah.check_primary(noderole);
    RETURN howdah.add_node(nodename, nodeport, NULL, groupid);
END $$;
REVOKE ALL ON FUNCTION pg_catalog.citus_add_node(text, integer, integer, noderole, name) FROM PUBLIC;

CREATE OR REPLACE FUNCTION pg_catalog.citus_add_inactive_node(nodename text, nodeport integer, groupid integer DEFAULT -1,
    noderole noderole DEFAULT 'primary', nodecluster name DEFAULT 'default') RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM howdah.check_primary(noderole);
    RETURN howdah.add_node(nodename, nodeport, NULL, groupid, activate => false);
END $$;
REVOKE ALL ON FUNCTION pg_catalog.citus_add_inactive_node(text, integer, integer, noderole, name) FROM PUBLIC;

CREATE OR REPLACE FUNCTION pg_catalog.citus_activate_node(nodename text, nodeport integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET howdah.our_ddl = 'on' AS $$
DECLARE
    node howdah.pg_dist_node;
BEGIN
    PERFORM howdah.check_superuser('citus_activate_node');
    node := howdah.find_node(nodename, nodeport);
    IF NOT node.isactive THEN
        PERFORM howdah.bring_up(node);
    END IF;
    RETURN node.nodeid;
END $$;
REVOKE ALL ON FUNCTION pg_catalog.citus_activate_node(text, integer) FROM PUBLIC;

-- Refuses to take away a node whose rows nobody else has; without its copies of reference tables the group can do.
CREATE OR REPLACE FUNCTION howdah.leave_node(node howdah.pg_dist_node) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    needed regclass;
BEGIN
    IF node.groupid = 0 THEN
        RAISE feature_not_supported USING MESSAGE = 'cannot remove or disable the coordinator';
    END IF;
    SELECT s.logicalrelid INTO needed FROM howdah.pg_dist_placement p JOIN howdah.pg_dist_shard s USING (shardid)
        JOIN howdah.pg_dist_partition t USING (logicalrelid) WHERE p.groupid = node.groupid AND t.partmethod = 'h' ORDER BY s.shardid LIMIT 1;
    IF FOUND THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('cannot remove or disable the node %s:%s because it contains the only shard placement for some shards', node.nodename, node.nodeport),
            DETAIL = format('One of the tables that prevents the operation is %s.', needed),
            HINT = 'Move its shards to other nodes first, or drop the tables that have shards on it.';
    END IF;
    DELETE FROM howdah.pg_dist_placement p WHERE p.groupid = node.groupid;
END $$;
REVOKE ALL ON FUNCTION howdah.leave_node(howdah.pg_dist_node) FROM PUBLIC;

CREATE OR REPLACE FUNCTION pg_catalog.citus_remove_node(nodename text, nodeport integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    node howdah.pg_dist_node;
BEGIN
    PERFORM howdah.check_superuser('citus_remove_node');
    node := howdah.find_node(nodename, nodeport);
    PERFORM howdah.leave_node(node);
    DELETE FROM howdah.pg_dist_node n WHERE n.nodeid = node.nodeid;
END $$;
REVOKE ALL ON FUNCTION pg_catalog.citus_remove_node(text, integer) FROM PUBLIC;

CREATE OR REPLACE FUNCTION pg_catalog.citus_disable_node(nodename text, nodeport integer, synchronous boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    node howdah.pg_dist_node;
BEGIN
    PERFORM howdah.check_superuser('citus_disable_node');
    node := howdah.find_node(nodename, nodeport);
    PERFORM howdah.leave_node(node);
    UPDATE howdah.pg_dist_node n SET isactive = false WHERE n.nodeid = node.nodeid;
END $$;
REVOKE ALL ON FUNCTION pg_catalog.citus_disable_node(text, integer, boolean) FROM PUBLIC;

CREATE OR REPLACE FUNCTION pg_catalog.citus_set_node_property(nodename text, nodeport integer, property text, value boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    node howdah.pg_dist_node;
BEGIN
    PERFORM howdah.check_superuser('citus_set_node_property');
    node := howdah.find_node(nodename, nodeport);
    IF property IS DISTINCT FROM 'shouldhaveshards' THEN
        RAISE EXCEPTION 'only the ''shouldhaveshards'' property can be set using this function' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF node.groupid = 0 AND value THEN
        RAISE feature_not_supported USING MESSAGE = 'the coordinator cannot hold shards of distributed tables yet',
            HINT = 'Add a worker with citus_add_node() to hold them.';
    END IF;
    UPDATE howdah.pg_dist_node n SET shouldhaveshards = value WHERE n.nodeid = node.nodeid;
END $$;
REVOKE ALL ON FUNCTION pg_catalog.citus_set_node_property(text, integer, text, boolean) FROM PUBLIC;

-- The server of a node has another address, or is replaced by its standby: both know which node they are.
CREATE OR REPLACE FUNCTION pg_catalog.citus_update_node(node_id int, new_node_name text, new_node_port int, force boolean DEFAULT false,
    lock_cooldown int DEFAULT 10000) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    node howdah.pg_dist_node;
    moved howdah.pg_dist_node;
    membership jsonb;
BEGIN
    PERFORM howdah.check_superuser('citus_update_node');
    LOCK TABLE howdah.pg_dist_node IN SHARE ROW EXCLUSIVE MODE;
    SELECT * INTO node FROM howdah.pg_dist_node n WHERE n.nodeid = node_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'node %s not found', node_id USING ERRCODE = 'no_data_found';
    END IF;
    IF node.groupid <> 0 AND NOT force THEN
        moved := node;
        moved.groupid := nextval('howdah.pg_dist_groupid_seq');
        moved.nodename := new_node_name;
        moved.nodeport := new_node_port;
        moved.address := NULL;
        IF (howdah.introduce(moved, howdah.node_facts_query())::jsonb -> 'is_member')::boolean THEN
            membership := howdah.introduce(moved, 'SELECT pg_catalog.to_jsonb(m) FROM howdah.membership m');
        END IF;
        IF NOT EXISTS (SELECT FROM howdah.server_group WHERE id::text = membership ->> 'server_group') OR (membership -> 'groupid')::int <> node.groupid THEN
            RAISE object_not_in_prerequisite_state USING MESSAGE = format('the server at %s:%s is not node %s', new_node_name, new_node_port, node_id),
                DETAIL = 'It does not have the rows of that node.', HINT = 'Use citus_add_node() to add another node.';
        END IF;
    END IF;
    UPDATE howdah.pg_dist_node n SET nodename = new_node_name, nodeport = new_node_port, address = NULL WHERE n.nodeid = node_id;
END $$;
REVOKE ALL ON FUNCTION pg_catalog.citus_update_node(int, text, int, boolean, int) FROM PUBLIC;

-- For DDL that goes to all nodes: which they are, until the transaction ends.
CREATE OR REPLACE FUNCTION howdah.share_nodes() RETURNS SETOF int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    LOCK TABLE howdah.pg_dist_node IN SHARE MODE;
    RETURN QUERY SELECT groupid FROM howdah.pg_dist_node WHERE groupid <> 0 AND isactive AND noderole = 'primary' ORDER BY groupid;
END $$;

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
