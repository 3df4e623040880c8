//! What is sent to a worker: it parses as the client's own text does, and names shards where that named distributed tables.

use std::collections::BTreeMap;

use howdah_catalog::{Catalog, Sample};
use howdah_planner::{Piece, Plan, Request, Settings, Template, plan};
use howdah_sql::{RelationNames, Shape, Statement, parse, relation_names, shape};

use super::{lexer, mutate, run};

#[test]
fn worker_queries_parse_and_name_shards() {
    let seeds = lexer::seeds();
    let catalog = catalog();
    run(
        "splicer",
        |it| String::from_utf8_lossy(it).into_owned(),
        |random| mutate::words(random, &seeds),
        |input| check(input, &catalog),
    );
}

fn catalog() -> Catalog {
    Sample::new(2)
        .hash(
            "events",
            "tenant_id bigint, event_id bigint, event_type text, created_at timestamptz, payload jsonb",
            1,
            4,
        )
        .hash("pages", "tenant_id bigint, page_id bigint, path text", 1, 4)
        .hash("orders", "customer_id bigint, order_id bigserial, status text", 2, 4)
        .hash("t1", "k int, a int, b int, c text, d date, f float8", 3, 4)
        .hash("t2", "k int, a int, b int, c text, d date, f float8", 3, 4)
        .reference("countries", "code text, name text")
        .reference("ref", "id int, name text")
        .catalog()
}

fn check(text: &str, catalog: &Catalog) {
    let Ok(statements) = parse(text) else { return };
    let [statement] = statements.as_slice() else { return };
    if !statement.kind().is_plannable() {
        return;
    }
    let RelationNames::Exact(written) = relation_names(statement) else { return };
    let oid = |name: &str| catalog.table_named("public", name).map(|it| it.oid);
    let names: BTreeMap<_, _> = written.into_iter().map(|it| (it.clone(), oid(&it.name))).collect();
    let types = vec![howdah_pg::TypeOid::INT4; 9];
    for single_shard_allowed in [true, false] {
        let request = Request {
            statement,
            catalog,
            names: &names,
            parameter_types: &types,
            single_shard_allowed,
            settings: Settings::default(),
        };
        let Ok(planned) = plan(&request) else { continue };
        let template = match &planned.plan {
            Plan::SingleShard(it) => &it.template,
            Plan::MultiShard(it) => &it.template,
            Plan::InsertValues(_) | Plan::InsertSelect(_) | Plan::Coordinator { .. } => continue,
        };
        check_query(&rendered(template, statement, catalog), statement, catalog);
    }
}

fn rendered(template: &Template, statement: &Statement, catalog: &Catalog) -> String {
    let Shape { literals, .. } = shape(statement.text()).expect("the statement has a shape");
    let mut text = String::new();
    for piece in &template.0 {
        match piece {
            Piece::Text(it) => text.push_str(it),
            Piece::Literal(slot) => {
                text.push_str(&statement.text()[literals[*slot].start..literals[*slot].end]);
            }
            Piece::Shard(oid) => {
                let table = catalog.table(*oid).expect("plans name tables of the catalog");
                text.push_str(&format!("\"public\".\"{}_102008\"", table.name));
            }
            Piece::ShardObject { name, .. } => text.push_str(&format!("\"{name}_102008\"")),
            Piece::TransactionTime => text.push_str("'2026-01-01'::timestamptz"),
            Piece::Value(_) => text.push_str("NULL"),
        }
    }
    text
}

fn check_query(query: &str, statement: &Statement, catalog: &Catalog) {
    let parsed = parse(query).unwrap_or_else(|error| panic!("{error}: {query}"));
    assert_eq!(parsed.len(), 1, "{query}");
    // A CTE may have a table's name.
    if statement.text().to_ascii_lowercase().contains("with") {
        return;
    }
    let RelationNames::Exact(names) = relation_names(&parsed[0]) else {
        panic!("the tree is known: {query}")
    };
    for name in names {
        assert!(catalog.table_named("public", &name.name).is_none(), "{} is named: {query}", name.name);
    }
}
