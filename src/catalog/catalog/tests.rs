use proptest::prelude::*;

use super::*;
use crate::{GroupId, Sample, ShardId};

fn sample() -> Sample {
    Sample::new(2)
        .hash("orders", "customer_id bigint, total numeric(12,2)", 1, 4)
        .hash("items", "customer_id bigint, order_id bigint", 1, 4)
        .hash("events", "device text", 2, 3)
        .reference("countries", "code text not null, name text")
}

fn shards_of(contents: &mut Contents, table: usize) -> &mut Vec<ShardInterval> {
    match &mut contents.tables[table].distribution {
        Distribution::Hash { shards, .. } => shards,
        Distribution::Reference { .. } => panic!("a reference table"),
    }
}

#[test]
fn finds_what_it_holds() {
    let catalog = sample().catalog();
    let orders = catalog.table_named("public", "orders").expect("orders");
    let items = catalog.table_named("public", "items").expect("items");
    let countries = catalog.table_named("public", "countries").expect("countries");
    assert_eq!(orders.columns[1].type_name, "numeric(12,2)");
    assert!(catalog.colocated(orders.oid, items.oid));
    assert!(!catalog.colocated(orders.oid, countries.oid));
    assert!(catalog.knows_name("events") && !catalog.knows_name("event"));
    assert!(catalog.table_named("other", "orders").is_none());
    assert_eq!(catalog.table_of_shard(ShardId(102_012)).map(|it| it.oid), Some(items.oid));
    assert_eq!(orders.shard_name(ShardId(102_008)), "orders_102008");
    assert_eq!(catalog.workers().count(), 2);
    assert_eq!(catalog.colocation_group(orders.colocation()).count(), 2);
}

#[test]
fn a_table_can_be_added() {
    let catalog = sample().catalog();
    let mut table = Table::clone(catalog.table_named("public", "events").expect("events"));
    table.columns.truncate(0);
    assert!(catalog.with_table(table.clone()).is_err());
    table.oid = TableOid(1);
    table.name = "more".into();
    table.distribution = Distribution::Reference {
        colocation: ColocationId(1000),
        shard: ShardId(1),
        groups: vec![GroupId(1)],
    };
    let more = catalog.with_table(table).expect("valid");
    assert_eq!(more.tables().count(), catalog.tables().count() + 1);

    let mut renamed = Table::clone(more.table(TableOid(1)).expect("just added"));
    renamed.name = "less".into();
    let less = more.with_table(renamed).expect("valid");
    assert_eq!(less.tables().count(), more.tables().count());
    assert!(less.knows_name("less") && !less.knows_name("more"));
}

#[track_caller]
fn check_refused(change: impl FnOnce(&mut Contents), expected: &str) {
    let error = sample().with(change).try_catalog().expect_err("invalid");
    assert_eq!(error.to_string(), expected);
}

#[test]
fn refuses_damage() {
    let ranges = "the shards of table 16401 do not cover all hash values in order";
    check_refused(
        |it| {
            shards_of(it, 0).remove(0);
        },
        ranges,
    );
    check_refused(
        |it| {
            shards_of(it, 0).remove(1);
        },
        ranges,
    );
    check_refused(
        |it| {
            shards_of(it, 0).pop();
        },
        ranges,
    );
    check_refused(|it| shards_of(it, 0).clear(), ranges);
    check_refused(|it| shards_of(it, 0).swap(0, 1), ranges);
    check_refused(|it| shards_of(it, 0)[1].max += 1, ranges);
    check_refused(
        |it| shards_of(it, 1)[2].group = GroupId(2),
        "tables 16401 and 16402 share a colocation group, but not their shard ranges, nodes or type",
    );
    check_refused(
        |it| shards_of(it, 2)[0].group = GroupId(9),
        "a shard of table 16403 is placed on unknown node group 9",
    );
    check_refused(|it| shards_of(it, 1)[0].id = ShardId(102_008), "shard 102008 belongs to two tables");
    check_refused(|it| it.tables[1].name = "orders".into(), "two tables are named public.orders");
    check_refused(|it| it.tables[1].oid = it.tables[0].oid, "table 16401 is described twice");
    check_refused(|it| it.nodes[1].group = GroupId(2), "node group 2 is registered twice");
    check_refused(
        |it| {
            it.tables[2].columns.remove(0);
        },
        "table 16403 has no column 1, by which it is distributed",
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_hash_has_its_shard(hash: i32, count in 1_usize..70) {
        let catalog = Sample::new(3).hash("t", "k int", 1, count).catalog();
        let table = catalog.table_named("public", "t").expect("t");
        let shard = &table.shards()[table.shard_index_for_hash(hash)];
        prop_assert!(shard.min <= hash && hash <= shard.max);
    }
}
