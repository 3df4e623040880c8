use super::*;

const DOCUMENT: &str = r#"{
    "version": 7,
    "database": {"name": "citus", "default_collation": "C.UTF-8", "encoding": "UTF8"},
    "nodes": [
        {"id": 1, "group": 0, "name": "localhost", "port": 5432, "address": null, "active": true, "should_have_shards": false},
        {"id": 2, "group": 1, "name": "localhost", "port": 5433, "address": "/run/w0", "active": true, "should_have_shards": true}],
    "tables": [{
        "oid": 16400, "schema": "public", "name": "events", "owner": "citus",
        "columns": [
            {"number": 1, "name": "tenant_id", "type_oid": 23, "typmod": -1, "type_name": "integer", "collation": null,
             "not_null": true, "default": null, "default_class": null, "identity": null, "generated": false},
            {"number": 3, "name": "event_id", "type_oid": 20, "typmod": -1, "type_name": "bigint", "collation": null,
             "not_null": true, "default": "nextval('events_event_id_seq'::regclass)", "default_class": "sequence",
             "identity": null, "generated": false}],
        "long_names": [],
        "distribution": {"kind": "hash", "column": 1, "colocation": 1, "shards": [
            {"id": 102008, "min": -2147483648, "max": -1, "group": 1}, {"id": 102009, "min": 0, "max": 2147483647, "group": 1}]}}],
    "objects": {
        "functions": [{"schema": "public", "name": "f", "volatility": "v", "distributed": false}],
        "operators": [{"name": "<->", "left": 16500, "right": 0}], "types": [{"oid": 16500, "schema": "public", "name": "mood", "embeds_oids": false}], "casts": false}}"#;

#[test]
fn reads_the_document() {
    let catalog = parse_catalog(DOCUMENT).expect("the document is whole");
    assert_eq!(catalog.version(), CatalogVersion(7));
    let table = catalog.table_named("public", "events").expect("events is there");
    assert_eq!(table.columns[1].default.as_ref().map(|it| it.class), Some(DefaultClass::Sequence));
    assert_eq!(table.shard_index_for_hash(0), 1);
    assert_eq!(catalog.objects().functions_named("f")[0].volatility, Volatility::Volatile);
}

#[test]
fn refuses_what_is_not_a_catalog() {
    assert!(matches!(parse_catalog("{}"), Err(CatalogError::Malformed(_))));
    let gap = DOCUMENT.replace("\"max\": -1", "\"max\": -2");
    assert!(matches!(parse_catalog(&gap), Err(CatalogError::Invalid(InvalidCatalog::ShardRanges(_)))));
}
