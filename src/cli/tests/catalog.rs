//! What one session commits to the catalog, every later statement of every session is planned with; and what a router
//! has not heard of yet costs a retry, not an error.

use std::path::PathBuf;

use howdah_harness::client::{Client, Protocol};
use howdah_harness::expect::{rows, run};
use howdah_harness::group::{LocalGroup, Options};

#[test]
fn sessions_follow_each_other() {
    let group =
        LocalGroup::start(env!("CARGO_BIN_EXE_howdah"), &Options { shard_count: 4, ..Default::default() })
            .expect("the group starts");
    let mut one = group.connect().expect("a connection");
    let mut other = group.connect().expect("a connection");
    for round in 0..20 {
        tables_come_and_go(&mut one, &mut other, round);
    }
    a_pipeline_knows_what_it_did(&mut one);
    a_block_knows_what_others_did(&mut one, &mut other);
    a_rollback_leaves_nothing(&mut one, &mut other);
    shards_move_unseen(&group, &mut one);
}

/// By either protocol, with the statement sent the moment the other session has its answer.
fn tables_come_and_go(one: &mut Client, other: &mut Client, round: usize) {
    let table = format!("passing_{round}");
    run(one, &format!("CREATE TABLE {table} (k int, v text)"));
    assert_eq!(rung(other, &table), None, "a local table has no rung");
    run(one, &format!("SELECT create_distributed_table('{table}', 'k')"));
    let insert = format!("INSERT INTO {table} VALUES ($1, $2)");
    let reply = other.run_with(&insert, &["1", "a"]).expect("a connection");
    assert_eq!(reply.error, None, "round {round}");
    assert_eq!(rung(other, &table).as_deref(), Some("Router"), "round {round}");
    run(other, &format!("ALTER TABLE {table} ADD COLUMN w int DEFAULT 5"));
    assert_eq!(rows(one, &format!("SELECT w FROM {table} WHERE k = 1")), [[Some("5".to_owned())]]);
    run(other, &format!("BEGIN; DROP TABLE {table}; COMMIT"));
    let reply = one.run_with(&format!("SELECT v FROM {table} WHERE k = $1"), &["1"]).expect("a connection");
    assert_eq!(reply.sqlstate(), "42P01", "round {round}");
}

fn a_pipeline_knows_what_it_did(client: &mut Client) {
    run(client, "CREATE TABLE piped (k int)");
    let statements =
        ["SELECT create_distributed_table('piped', 'k')", "INSERT INTO piped VALUES (1), (2), (3)"];
    let reply = client.pipeline(&statements).expect("a connection");
    assert_eq!(reply.error, None);
    assert_eq!(reply.tags, ["SELECT 1", "INSERT 0 3"]);
    assert_eq!(rows(client, "SELECT count(*) FROM piped"), [[Some("3".to_owned())]]);
    let failing = ["DROP TABLE piped", "SELECT * FROM piped WHERE k = 1"];
    let reply = client.pipeline(&failing).expect("a connection");
    assert_eq!(reply.sqlstate(), "42P01");
    assert_eq!(rows(client, "SELECT count(*) FROM piped"), [[Some("3".to_owned())]], "all or nothing");
}

fn a_block_knows_what_others_did(one: &mut Client, other: &mut Client) {
    run(one, "CREATE TABLE mine (k int); SELECT create_distributed_table('mine', 'k')");
    run(one, "BEGIN");
    run(one, "ALTER TABLE mine ADD COLUMN w int");
    run(one, "INSERT INTO mine VALUES (1, 1)");
    run(other, "CREATE TABLE elsewhere (k int); SELECT create_distributed_table('elsewhere', 'k')");
    run(one, "INSERT INTO elsewhere VALUES (1), (2)");
    assert_eq!(rung(one, "elsewhere").as_deref(), Some("Router"));
    assert_eq!(rows(one, "SELECT w FROM mine WHERE k = 1"), [[Some("1".to_owned())]], "its own change");
    run(one, "COMMIT");
    assert_eq!(rows(other, "SELECT w FROM mine WHERE k = 1"), [[Some("1".to_owned())]]);
}

fn a_rollback_leaves_nothing(one: &mut Client, other: &mut Client) {
    run(one, "CREATE TABLE undone (k int)");
    let insert = "INSERT INTO undone VALUES (1)";
    run(one, &format!("BEGIN; SELECT create_distributed_table('undone', 'k'); {insert}; ROLLBACK"));
    for client in [&mut *one, &mut *other] {
        assert_eq!(client.run(insert, Protocol::Extended, None).expect("a connection").error, None);
        assert_eq!(rung(client, "undone"), None);
    }
    assert_eq!(rows(one, "SELECT count(*) FROM undone"), [[Some("2".to_owned())]]);
}

/// A mover that this router does not hear of: after each move its catalog is old.
fn shards_move_unseen(group: &LocalGroup, client: &mut Client) {
    run(client, "CREATE TABLE moving (k int, v int)");
    run(client, "SELECT create_distributed_table('moving', 'k', colocate_with => 'none')");
    run(client, "INSERT INTO moving SELECT k, 0 FROM generate_series(1, 20) k");
    run(client, "CREATE TABLE beside (k int)");
    run(client, "SELECT create_distributed_table('beside', 'k')");
    let mover = Mover { group, owner: group.address().expect("an address").user };
    let statements = [
        ("SELECT count(*) FROM moving WHERE k = 1", "SELECT 1"),
        ("UPDATE moving SET v = v + 1 WHERE k = 1", "UPDATE 1"),
        ("SELECT sum(v), count(*) FROM moving", "SELECT 1"),
        ("UPDATE moving SET v = v + 1", "UPDATE 20"),
        ("INSERT INTO moving VALUES (1, 5), (2, 5), (3, 5), (4, 5)", "INSERT 0 4"),
        ("DELETE FROM moving WHERE v > 5", "DELETE 0"),
        ("SELECT count(*) FROM (SELECT k FROM moving OFFSET 0) s", "SELECT 1"),
        ("SELECT DISTINCT k FROM moving WHERE k < 4 ORDER BY k", "SELECT 3"),
    ];
    for (sql, tag) in statements {
        for protocol in [Protocol::Simple, Protocol::Extended] {
            mover.move_shard(client);
            let reply = client.run(sql, protocol, None).expect("a connection");
            assert_eq!(reply.error, None, "{sql}");
            assert_eq!(reply.tags, [tag], "{sql} {protocol:?}");
        }
    }
    run(client, "BEGIN");
    mover.move_shard(client);
    let counted = rows(client, "SELECT count(*), min(v), max(v) FROM moving WHERE k <= 20");
    assert_eq!(counted, [["28", "2", "5"].map(|it| Some(it.to_owned()))], "every row, once");
    run(client, "COMMIT");

    // What was done on the worker before cannot be done again for the client.
    let home = mover.home(client);
    let key = rows(
        client,
        &format!(
            "SELECT k FROM generate_series(1, 100) k JOIN pg_dist_placement p ON p.shardid = get_shard_id_for_distribution_column('beside', k) WHERE p.groupid = {home} LIMIT 1"
        ),
    );
    let key = key[0][0].clone().expect("a key on that worker");
    run(client, "BEGIN");
    run(client, &format!("INSERT INTO beside VALUES ({key})"));
    mover.move_shard(client);
    assert_eq!(client.simple("SELECT * FROM moving WHERE k = 1").expect("an answer").sqlstate(), "40001");
    run(client, "ROLLBACK");
    run(client, "SELECT * FROM moving WHERE k = 1");

    mover.move_shard(client);
    let copied = client.run("COPY moving FROM STDIN", Protocol::Simple, Some("1\t1\n")).expect("an answer");
    assert_eq!(copied.sqlstate(), "40001", "its data is gone");
    run(client, "SELECT * FROM moving WHERE k = 1");

    let (shard, home) = (mover.shard(client), mover.home(client));
    run(&mut mover.worker(&home), &format!("DROP TABLE {shard}"));
    let reply = client.simple("SELECT * FROM moving WHERE k = 1").expect("an answer");
    assert_eq!(reply.sqlstate(), "42P01");
    assert!(reply.error.is_some_and(|it| !it.message.contains(&shard)), "no shard in the message");
}

struct Mover<'a> {
    group: &'a LocalGroup,
    owner: String,
}

impl Mover<'_> {
    /// Brings the shard of key 1 to the other worker, without a notification.
    fn move_shard(&self, client: &mut Client) {
        let mut coordinator = self.member("coordinator");
        let shard = self.shard(client);
        let from = rows(
            &mut coordinator,
            &format!("SELECT groupid FROM howdah.pg_dist_placement WHERE {}", placed(&shard)),
        );
        let from = from[0][0].clone().expect("a node");
        let to = if from == "1" { "2" } else { "1" };
        let (mut source, mut target) = (self.worker(&from), self.worker(to));
        run(
            &mut target,
            &format!("CREATE TABLE {shard} (k int, v int); ALTER TABLE {shard} OWNER TO {}", self.owner),
        );
        for row in rows(&mut source, &format!("SELECT k || ', ' || v FROM {shard}")) {
            run(&mut target, &format!("INSERT INTO {shard} VALUES ({})", row[0].as_deref().expect("a row")));
        }
        run(&mut coordinator, &format!(
            "BEGIN; SET LOCAL session_replication_role = replica; UPDATE howdah.pg_dist_placement SET groupid = {to} WHERE {};
             INSERT INTO howdah.catalog_change VALUES (nextval('howdah.catalog_change_seq')); COMMIT", placed(&shard)));
        run(&mut source, &format!("DROP TABLE {shard}"));
    }

    fn shard(&self, client: &mut Client) -> String {
        let id = rows(client, "SELECT get_shard_id_for_distribution_column('moving', 1)");
        format!("moving_{}", id[0][0].as_deref().expect("a shard"))
    }

    fn home(&self, client: &mut Client) -> String {
        let shard = self.shard(client);
        let home = rows(client, &format!("SELECT groupid FROM pg_dist_placement WHERE {}", placed(&shard)));
        home[0][0].clone().expect("a node")
    }

    fn worker(&self, node: &str) -> Client {
        self.member(if node == "1" { "w0" } else { "w1" })
    }

    /// A connection to a node's own socket, past the router.
    fn member(&self, name: &str) -> Client {
        let port = self.group.member(name).expect("a member").port.expect("a port");
        let database = self.group.address().expect("an address").database;
        let socket: PathBuf = self.group.directory().join("run").join(name).join(format!(".s.PGSQL.{port}"));
        Client::connect_unix(&socket, "postgres", &database).expect("a connection")
    }
}

fn placed(shard: &str) -> String {
    format!("shardid = {}", shard.trim_start_matches("moving_"))
}

/// The rung of a statement about one key; none if the table is not distributed.
fn rung(client: &mut Client, table: &str) -> Option<String> {
    let plan = rows(client, &format!("EXPLAIN (COSTS OFF) SELECT * FROM {table} WHERE k = 1"));
    let first = plan[0][0].clone().expect("a plan has a first line");
    if first.contains("Scan") { None } else { first.split_whitespace().next().map(str::to_owned) }
}
