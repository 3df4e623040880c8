//! Plans of statements, as data files: `UPDATE_EXPECT=1 cargo test -p howdah-planner` rewrites the expectations.

mod pruning;

use std::collections::BTreeMap;
use std::path::Path;

use expect_test::expect_file;
use howdah_catalog::{Catalog, Sample, TypeOid, UserFunction, UserOperator, Volatility};
use howdah_sql::{RelationName, relation_names};

use crate::{Error, Planned, Request, Settings, explain, plan};

/// Plans one statement. Parameters are int4, unless a first line `-- $1 text` says otherwise.
pub(crate) fn planned(
    catalog: &Catalog,
    text: &str,
    settings: Settings,
    single_shard_allowed: bool,
) -> Result<Planned, Error> {
    let statement = howdah_sql::parse(text).expect("the statement parses").remove(0);
    let names: BTreeMap<_, _> = names(&statement)
        .map(|it| {
            let schema = it.schema.clone().unwrap_or_else(|| "public".into());
            let oid = catalog.table_named(&schema, &it.name).map(|it| it.oid);
            (it, oid)
        })
        .collect();
    let types = parameter_types(text);
    plan(&Request {
        statement: &statement,
        catalog,
        names: &names,
        parameter_types: &types,
        single_shard_allowed,
        settings,
    })
}

fn names(statement: &howdah_sql::Statement) -> impl Iterator<Item = RelationName> {
    match relation_names(statement) {
        howdah_sql::RelationNames::Exact(names) => names.into_iter(),
        howdah_sql::RelationNames::Words(_) => panic!("the tree is not known"),
    }
}

fn parameter_types(text: &str) -> Vec<TypeOid> {
    let mut types = vec![TypeOid::INT4; 9];
    for line in text.lines().filter_map(|it| it.strip_prefix("-- $")) {
        let (number, name) = line.split_once(' ').expect("a parameter and its type");
        let number: usize = number.parse().expect("a parameter's number");
        types[number - 1] = match name {
            "text" => TypeOid::TEXT,
            "int8" => TypeOid::INT8,
            "numeric" => TypeOid::NUMERIC,
            "uuid" => TypeOid::UUID,
            other => panic!("type {other} is not known here"),
        };
    }
    types
}

pub(crate) fn catalog() -> Catalog {
    let function =
        |volatility, distributed| UserFunction { schema: "public".into(), volatility, distributed };
    Sample::new(2)
        .hash("events", "tenant_id int not null, event_id bigserial, event_type varchar, event_data jsonb, created_at timestamp", 1, 4)
        .hash("tenants", "tenant_id int not null, name varchar, plan varchar", 1, 4)
        .hash("orders", "tenant_id int not null, order_id serial, user_id int, total numeric(10,2)", 1, 4)
        .hash("daily", "tenant_id int not null, day date, event_type varchar, event_count bigint", 1, 4)
        .hash("words", "word text not null, n int", 2, 4)
        .hash("codes", "code varchar not null, n int", 7, 4)
        .hash("phrases", "phrase text not null, n int", 2, 4)
        .hash("tokens", "id uuid not null, body text", 3, 4)
        .hash("counters", "id serial, n int", 4, 4)
        .hash("big", "id bigint not null, tenant_id int", 5, 4)
        .hash("amounts", "amount numeric not null, note text", 6, 4)
        .reference("countries", "code varchar not null, name varchar")
        .with(|it| {
            let default = |expression: &str, class| Some(howdah_catalog::ColumnDefault { expression: expression.into(), class });
            it.tables[0].columns[4].default = default("now()", howdah_catalog::DefaultClass::Stable);
            it.tables[7].columns[0].default = default("gen_random_uuid()", howdah_catalog::DefaultClass::Volatile);
            it.tables[1].columns[2].default = default("'free'::character varying", howdah_catalog::DefaultClass::Immutable);
            it.objects.functions.insert("pure".into(), vec![function(Volatility::Immutable, true)]);
            it.objects.functions.insert("local_only".into(), vec![function(Volatility::Immutable, false)]);
            it.objects.operators.insert(UserOperator { name: "=".into(), left: TypeOid(20_000), right: TypeOid(20_000) });
        })
        .catalog()
}

/// Plans every statement of a file (they end with a blank line or the old expectation) and writes what came out below it.
fn check(file: &str, outcome: fn(&Catalog, &str) -> String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(file);
    let input = std::fs::read_to_string(&path).expect("the file can be read");
    let catalog = catalog();
    let mut output = String::new();
    for case in input.split("\n\n").map(Trim::trim_matches_newlines).filter(|it| !it.is_empty()) {
        let (text, _) = case.split_once("\n----").unwrap_or((case, ""));
        output.push_str(&format!("{text}\n----\n{}\n\n", outcome(&catalog, text)));
    }
    expect_file![path].assert_eq(&output);
}

trait Trim {
    fn trim_matches_newlines(&self) -> &str;
}

impl Trim for str {
    fn trim_matches_newlines(&self) -> &str {
        self.trim_matches('\n')
    }
}

fn outcome(catalog: &Catalog, text: &str) -> String {
    let replanned = text.starts_with("-- again");
    match planned(catalog, text, Settings::default(), !replanned) {
        Ok(it) => explain(&it, catalog).join("\n"),
        Err(error) => {
            let detail = error.detail().map(|it| format!("\n  {it}")).unwrap_or_default();
            format!("ERROR {}: {error}{detail}", error.sqlstate())
        }
    }
}

/// The rung, and why it is not rung 1: the plans of other rungs have their own tests.
fn rung(catalog: &Catalog, text: &str) -> String {
    let outcome = outcome(catalog, text);
    let kept = outcome.lines().enumerate().filter(|(number, line)| {
        *number == 0 || line.starts_with("  not Router") || outcome.starts_with("ERROR")
    });
    // Which of the lower rungs takes a statement is theirs to say.
    let line = |(_, line): (usize, &str)| match line {
        "Pushdown" | "Combine" | "Live on the coordinator" => "not Router".to_owned(),
        line => line.to_owned(),
    };
    kept.map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn single_shard_queries() {
    check("router.txt", outcome);
}

#[test]
fn what_must_not_be_a_single_shard_query() {
    check("not_router.txt", rung);
}

#[test]
fn inserts() {
    check("insert.txt", outcome);
}

#[test]
fn updates_and_deletes() {
    check("modify.txt", outcome);
}

#[test]
fn the_rest_of_the_ladder() {
    check("ladder.txt", rung);
}
