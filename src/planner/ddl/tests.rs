use expect_test::{Expect, expect};
use howdah_catalog::Sample;

use super::*;

fn check(text: &str, expect: Expect) {
    let catalog = Sample::new(2)
        .hash("orders", "customer_id bigint, status text", 1, 4)
        .reference("countries", "code text, name text")
        .catalog();
    let statement = howdah_sql::parse(text).expect("it parses").pop().expect("it is a statement");
    let named = ddl_relations(&statement);
    let known = |it: &RelationName| Some(catalog.table_named("public", &it.name)?.oid);
    let tables = named.into_iter().filter_map(|it| Some((it.clone(), known(&it)?))).collect();
    let shown = match ddl(&statement, &catalog, &tables) {
        Ok(Ddl::PerWorker { texts }) => {
            texts.iter().map(|(group, text)| format!("{group}: {text}\n")).collect()
        }
        Ok(other) => format!("{other:?}\n"),
        Err(error) => format!("{} {error}\n", error.sqlstate()),
    };
    expect.assert_eq(&shown);
}

#[test]
fn maintenance_reaches_each_shard() {
    check(
        "VACUUM (ANALYZE) orders, countries (code)",
        expect![[r#"
            1: VACUUM (ANALYZE) public.orders_102008, public.orders_102010, public.countries_102012(code)
            2: VACUUM (ANALYZE) public.orders_102009, public.orders_102011, public.countries_102012(code)
        "#]],
    );
    check(
        "ANALYZE",
        expect![[r#"
            1: ANALYZE
            2: ANALYZE
        "#]],
    );
    check(
        "LOCK TABLE orders, other IN SHARE MODE",
        expect![[r#"
            1: LOCK TABLE public.orders_102008, public.orders_102010 IN SHARE MODE
            2: LOCK TABLE public.orders_102009, public.orders_102011 IN SHARE MODE
        "#]],
    );
    check(
        "LOCK TABLE other",
        expect![[r#"
        Coordinator
    "#]],
    );
}

#[test]
fn shared_objects_are_on_all_nodes() {
    check(
        "CREATE SCHEMA s CREATE TABLE t (a int)",
        expect![[r#"
            AllNodes { text: "CREATE SCHEMA s", object: Needed }
        "#]],
    );
    check(
        "ALTER TYPE mood ADD VALUE 'ok'",
        expect![[r#"
            AllNodes { text: "ALTER TYPE mood ADD VALUE 'ok'", object: Needed }
        "#]],
    );
    check(
        "GRANT USAGE ON SCHEMA s TO PUBLIC",
        expect![[r#"
            AllNodes { text: "GRANT USAGE ON SCHEMA s TO PUBLIC", object: Needed }
        "#]],
    );
    check(
        "DROP FUNCTION f(int)",
        expect![[r#"
            AllNodes { text: "DROP FUNCTION f(int)", object: Optional }
        "#]],
    );
    check(
        "GRANT SELECT ON orders TO PUBLIC",
        expect![[r#"
        Coordinator
    "#]],
    );
    check(
        "CREATE TABLE t (a int)",
        expect![[r#"
        Coordinator
    "#]],
    );
    check(
        "CREATE SEQUENCE s",
        expect![[r#"
        Coordinator
    "#]],
    );
}

#[test]
fn conversions_are_taken_from_the_text() {
    check(
        "ALTER TABLE orders ALTER status TYPE int USING length(status) + 1, ALTER note TYPE text",
        expect![[r#"
            TypeChange { table: RelationName { schema: None, name: "orders" }, conversions: {"status": "length(status) + 1"} }
        "#]],
    );
    check(
        "ALTER TABLE orders ADD COLUMN x int",
        expect![[r#"
        Coordinator
    "#]],
    );
}

#[test]
fn configuration_is_of_every_node() {
    check(
        "ALTER SYSTEM SET work_mem = '256MB'",
        expect![[r#"
            Configuration { text: "ALTER SYSTEM SET work_mem = '256MB'" }
        "#]],
    );
    check(
        "SELECT pg_reload_conf()",
        expect![[r#"
            Configuration { text: "SELECT pg_catalog.pg_reload_conf()" }
        "#]],
    );
}

#[test]
fn indexes_and_clusters() {
    check(
        "CREATE UNIQUE INDEX CONCURRENTLY ON orders (status)",
        expect![[r#"
        0A000 cannot create a unique index on "orders" without its distribution column "customer_id"
    "#]],
    );
    check(
        "CREATE INDEX CONCURRENTLY ON orders (status)",
        expect![[r#"
        IndexBuild
    "#]],
    );
    check(
        "CREATE INDEX CONCURRENTLY ON other (a)",
        expect![[r#"
        Coordinator
    "#]],
    );
    check(
        "REINDEX TABLE orders",
        expect![[r#"
        Maintenance { object: RelationName { schema: None, name: "orders" } }
    "#]],
    );
    check(
        "REINDEX (VERBOSE) SCHEMA public",
        expect![[r#"
        1: REINDEX (VERBOSE) SCHEMA public
        2: REINDEX (VERBOSE) SCHEMA public
    "#]],
    );
    let shard = |text: &str| {
        let statement = howdah_sql::parse(text).expect("it parses").pop().expect("it is a statement");
        for_shard(&statement, "public", "orders_102008", Some("orders_status_102008"))
    };
    expect!["REINDEX (CONCURRENTLY) INDEX public.orders_102008"]
        .assert_eq(&shard("REINDEX INDEX CONCURRENTLY other.orders").unwrap_or_default());
    expect!["CLUSTER (VERBOSE) public.orders_102008 USING orders_status_102008"]
        .assert_eq(&shard("CLUSTER VERBOSE orders USING orders_status").unwrap_or_default());
    expect!["CLUSTER public.orders_102008 USING orders_status_102008"]
        .assert_eq(&shard("CLUSTER orders").unwrap_or_default());
}
