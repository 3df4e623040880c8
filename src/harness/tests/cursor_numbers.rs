//! What the loopback relies on of postgres_fdw, on every major version at hand: the number of a cursor (`c1`, `c2`, …) says when the
//! statement that reads it began. The numbers of one transaction grow from statement to statement, the cursors of one statement are
//! numbered when it starts, whenever they are opened, and the next transaction counts from 1 again.
//!
//! A row of the foreign table says which cursor fetched it: its view shows the remote `FETCH`.

use howdah_harness::PostgresServer;
use howdah_harness::client::Client;

const SETUP: &[&str] = &[
    "CREATE VIEW here AS SELECT id, substring(current_query() FROM 'c(\\d+)')::int AS cursor FROM generate_series(1, 3) id",
    "CREATE FOREIGN TABLE there (id int, cursor int) SERVER loop OPTIONS (table_name 'here')",
    // The probe of live tables: a function that reads in a statement of its own.
    "CREATE FUNCTION probe() RETURNS int LANGUAGE plpgsql VOLATILE AS $$ BEGIN RETURN (SELECT min(cursor) FROM there); END $$",
    "CREATE TABLE log (at text, cursor int)",
    "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO log VALUES (TG_WHEN, probe()); RETURN NULL; END $$",
    "CREATE TABLE written (id int, cursor int)",
    "CREATE TRIGGER before BEFORE INSERT ON written FOR EACH STATEMENT EXECUTE FUNCTION note()",
    "CREATE TRIGGER after AFTER INSERT ON written FOR EACH STATEMENT EXECUTE FUNCTION note()",
];

#[test]
fn cursors_are_numbered_when_their_statement_starts() {
    let mut servers = vec![PostgresServer::start()];
    match std::env::var_os("HOWDAH_POSTGRES_18") {
        Some(bin) => servers.push(PostgresServer::start_from(bin.as_ref(), &[])),
        None => eprintln!("only one version: HOWDAH_POSTGRES_18 names no PostgreSQL 18"),
    }
    for server in servers {
        let server = server.expect("PostgreSQL starts");
        let mut client = server.client("postgres").expect("a connection");
        let version = one(&mut client, "SHOW server_version");
        run(&mut client, "CREATE EXTENSION postgres_fdw");
        let host = server.socket_dir().display().to_string();
        run(
            &mut client,
            &format!(
                "CREATE SERVER loop FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '{host}', port '{}', dbname 'postgres')",
                server.port()
            ),
        );
        run(&mut client, "CREATE USER MAPPING FOR postgres SERVER loop OPTIONS (user 'postgres')");
        SETUP.iter().for_each(|it| run(&mut client, it));
        check(&mut client, &version);
    }
}

fn check(client: &mut Client, version: &str) {
    let mut expect = |sql: &str, expected: &str| assert_eq!(one(client, sql), expected, "{version}: {sql}");
    // One statement with two scans, and the next transaction.
    for _ in 0..2 {
        expect("SELECT string_agg(DISTINCT a.cursor || '-' || b.cursor, ',') FROM there a, there b", "1-2");
    }
    // Statements of one transaction.
    expect("BEGIN", "");
    expect("SELECT min(cursor) FROM there", "1");
    expect("SELECT min(cursor) FROM there", "2");
    // What a statement opens late (a subquery of the last row, after the function has read) is still older than what began meanwhile.
    expect(
        "SELECT string_agg(cursor || ' ' || probed || ' ' || late, ',' ORDER BY id) FROM (
            SELECT id, cursor, probe() AS probed, CASE WHEN id = 3 THEN (SELECT min(cursor) FROM there l WHERE l.id >= t.id) ELSE 0 END AS late
            FROM there t ORDER BY id OFFSET 0) q",
        "4 5 0,4 6 0,4 7 3",
    );
    // A subquery that is opened anew for each row keeps its number.
    expect(
        "SELECT string_agg(probe() || ' ' || (SELECT min(cursor) FROM there l WHERE l.id >= g.i), ',') FROM generate_series(1, 3) g(i)",
        "9 8,10 8,11 8",
    );
    // A write: the probe before it is younger than its source's scan, the probe behind it younger still, and what comes next the youngest.
    expect("INSERT INTO written SELECT * FROM there", "");
    expect("SELECT string_agg(at || ' ' || cursor, ',' ORDER BY cursor) FROM log", "BEFORE 13,AFTER 14");
    expect("SELECT string_agg(DISTINCT cursor::text, ',') FROM written", "12");
    expect("SELECT min(cursor) FROM there", "15");
    // What a subtransaction undoes is not counted again.
    expect("SAVEPOINT s", "");
    expect("SELECT min(cursor) FROM there", "16");
    expect("ROLLBACK TO s", "");
    expect("SELECT min(cursor) FROM there", "17");
    expect("COMMIT", "");
    // A declared cursor is as old as its DECLARE.
    expect("BEGIN", "");
    expect("DECLARE d CURSOR FOR SELECT cursor FROM there", "");
    expect("SELECT min(cursor) FROM there", "2");
    expect("FETCH 1 FROM d", "1");
    expect("ROLLBACK", "");
}

fn run(client: &mut Client, sql: &str) {
    client.rows(sql).unwrap_or_else(|error| panic!("{sql}: {error:#}"));
}

/// The first value, or nothing.
fn one(client: &mut Client, sql: &str) -> String {
    let rows = client.rows(sql).unwrap_or_else(|error| panic!("{sql}: {error:#}"));
    rows.into_iter().next().and_then(|it| it.into_iter().next().flatten()).unwrap_or_default()
}
