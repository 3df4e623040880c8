use expect_test::expect;
use howdah_catalog::{ColocationId, ColumnNumber, Distribution, Identity, OnCoordinator, ShardId, TableOid};

use super::*;

fn table() -> Table {
    let column = |number, name: &str, type_oid, type_name: &str| Column {
        number: ColumnNumber(number),
        name: name.to_owned(),
        type_oid,
        typmod: -1,
        type_name: type_name.to_owned(),
        collation: None,
        not_null: false,
        default: None,
        identity: Identity::None,
        generated: false,
    };
    let quarter = |id, min, max, group| ShardInterval { id: ShardId(id), min, max, group: GroupId(group) };
    Table {
        oid: TableOid(16412),
        schema: "public".to_owned(),
        name: "events".to_owned(),
        owner: "app".to_owned(),
        columns: vec![
            column(1, "tenant_id", TypeOid::INT4, "integer"),
            column(3, "at", TypeOid::TIMESTAMPTZ, "timestamp with time zone"),
        ],
        long_names: Vec::new(),
        distribution: Distribution::Hash {
            column: ColumnNumber(1),
            colocation: ColocationId(1),
            shards: vec![
                quarter(1, i32::MIN, -1073741825, 1),
                quarter(2, -1073741824, -1, 2),
                quarter(3, 0, 1073741823, 1),
                quarter(4, 1073741824, i32::MAX, 2),
            ],
        },
        on_coordinator: OnCoordinator::Nothing,
        row_security: false,
        cascades: false,
    }
}

fn queries(text: &str, parameters: &[Option<&str>]) -> String {
    let select = Select::parse(text).expect("a scan");
    let database = Database { default_collation: "C.UTF-8".to_owned(), encoding: "UTF8".to_owned() };
    let parameters = parameters.iter().map(|it| it.map(str::to_owned)).collect();
    let scan = Scan::new(&table(), &database, &select, &parameters).expect("a plan");
    scan.queries.iter().map(|it| format!("{} {}\n{}\n", it.group, it.shard, it.sql)).collect()
}

#[test]
fn the_shards_of_a_worker_are_one_relation() {
    let sql = "SELECT tenant_id FROM howdah_live.t16412 WHERE ((at > $1::timestamptz)) ORDER BY tenant_id ASC NULLS LAST, at DESC NULLS FIRST";
    expect![[r#"
        1 "public"."events_1"
        SELECT "tenant_id", tenant_id AS howdah_key_0, pg_catalog.encode(pg_catalog.timestamptz_send(at ), 'hex') AS howdah_key_1 FROM (SELECT "tenant_id", "at" FROM "public"."events_1" UNION ALL SELECT "tenant_id", "at" FROM "public"."events_3") AS shards WHERE ((at > '2020-01-01'::timestamptz)) ORDER BY tenant_id ASC NULLS LAST, at DESC NULLS FIRST
        2 "public"."events_2"
        SELECT "tenant_id", tenant_id AS howdah_key_0, pg_catalog.encode(pg_catalog.timestamptz_send(at ), 'hex') AS howdah_key_1 FROM (SELECT "tenant_id", "at" FROM "public"."events_2" UNION ALL SELECT "tenant_id", "at" FROM "public"."events_4") AS shards WHERE ((at > '2020-01-01'::timestamptz)) ORDER BY tenant_id ASC NULLS LAST, at DESC NULLS FIRST
    "#]]
    .assert_eq(&queries(sql, &[Some("2020-01-01")]));
}

#[test]
fn an_equality_of_the_distribution_column_needs_one_shard() {
    let sql =
        "SELECT NULL FROM howdah_live.t16412 WHERE ((tenant_id = $1::integer)) ORDER BY at ASC NULLS LAST";
    expect![[r#"
        1 "public"."events_1"
        SELECT NULL FROM "public"."events_1" WHERE ((tenant_id = '5'::integer)) ORDER BY at ASC NULLS LAST
    "#]]
    .assert_eq(&queries(sql, &[Some("5")]));
}

#[test]
fn rows_to_lock_are_read_shard_by_shard() {
    let shards = queries("SELECT tenant_id, ctid FROM howdah_live.t16412 FOR UPDATE", &[]);
    assert_eq!(shards.lines().count(), 8);
}
