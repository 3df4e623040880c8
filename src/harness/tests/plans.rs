//! Plans of rungs 2 and 3, executed by hand and compared with PostgreSQL's own answer to the same statement.
//!
//! One server holds both the tables themselves and, as shards, their rows split by hash; reference tables have a copy
//! in another order. The worker queries run over the shards, the combine query over their rows. A plan that is wrong is
//! found here before any router runs it. `HOWDAH_PLANS=<count>` and `HOWDAH_SEED=<seed>` run more or other queries.

use std::collections::BTreeMap;

use howdah_catalog::{Catalog, Sample, TableOid};
use howdah_harness::PostgresServer;
use howdah_harness::client::{Client, Protocol, Reply};
use howdah_harness::compare::difference;
use howdah_harness::generator::{Generator, Placement, TABLES, setup_sql};
use howdah_planner::{
    Bound, Combine, CombinePiece, Merge, MultiShard, Piece, Request, Rung, Settings, Template, plan_request,
};
use howdah_sql::{NodeEnum, RelationNames, relation_names};

const SHARDS: usize = 4;

#[test]
fn generated_queries_agree_with_postgres() {
    let count = number("HOWDAH_PLANS").unwrap_or(400);
    let mut generator = Generator::new(number("HOWDAH_SEED").unwrap_or(1));
    let mut oracle = Oracle::start();
    for _ in 0..count {
        let query = generator.next_select();
        oracle.check(&query.text);
    }
    oracle.report();
}

#[test]
fn written_queries_agree_with_postgres() {
    let mut oracle = Oracle::start();
    let cases = include_str!("../../planner/pushdown/tests/cases.txt");
    for case in cases.split("\n\n") {
        let statement = without_comments(case.split("\n----").next().unwrap_or(case));
        // Parameters and the clock differ from one execution to the next; locks do not go with UNION ALL.
        let other =
            ["$1", "$2", "FOR UPDATE", "now()", "current_date", "CURRENT_TIMESTAMP", "localtimestamp"];
        if !statement.is_empty() && !other.iter().any(|it| statement.contains(it)) {
            oracle.check(&statement);
        }
    }
    oracle.report();
}

fn without_comments(text: &str) -> String {
    let lines = text.lines().filter(|it| !it.trim_start().starts_with('#'));
    lines.collect::<Vec<_>>().join("\n").trim().to_owned()
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

struct Oracle {
    client: Client,
    catalog: Catalog,
    taken: BTreeMap<&'static str, usize>,
    reasons: BTreeMap<String, usize>,
    failed: Vec<String>,
    _server: PostgresServer,
}

impl Oracle {
    fn start() -> Self {
        let server = PostgresServer::start().expect("PostgreSQL starts");
        let mut client = server.client("postgres").expect("PostgreSQL accepts connections");
        let catalog = catalog();
        for statement in setup_sql().into_iter().chain(shards_sql(&catalog)) {
            client.rows(&statement).expect("the tables can be made");
        }
        Self {
            client,
            catalog,
            taken: BTreeMap::new(),
            reasons: BTreeMap::new(),
            failed: Vec::new(),
            _server: server,
        }
    }

    fn check(&mut self, query: &str) {
        let plan = match plan(&self.catalog, query) {
            Ok((rung, plan)) => {
                *self.taken.entry(rung.name()).or_default() += 1;
                plan
            }
            Err(reason) => {
                *self.taken.entry(Rung::Live.name()).or_default() += 1;
                *self.reasons.entry(reason).or_default() += 1;
                return;
            }
        };
        let expected = self.client.simple(query).expect("the server answers");
        // Wrong statements end at Describe; the random names meet sometimes.
        if expected.error.as_ref().is_some_and(|it| it.sqlstate.starts_with("42")) {
            *self.taken.entry("wrong").or_default() += 1;
            return;
        }
        let actual = self.execute(&plan);
        let ordered = is_ordered(query);
        if let Some(difference) = difference(&expected, &actual, ordered) {
            let worker = self.worker_text(&plan.template, 0);
            self.failed
                .push(format!("{query}\n  {difference}\n  worker: {worker}\n  merge: {:?}", plan.merge));
        }
    }

    fn execute(&mut self, plan: &MultiShard) -> Reply {
        let sql = match &plan.merge {
            Merge::Concat { limit, offset } => {
                format!("SELECT * FROM ({}) AS rows{}", self.all_rows(plan), limits(*limit, *offset))
            }
            Merge::Ordered { fallback, .. } => self.combined(plan, fallback),
            Merge::Combine(combine) => self.combined(plan, combine),
            Merge::Modified => panic!("a SELECT modifies nothing"),
        };
        self.client.simple(&sql).expect("the server answers")
    }

    fn combined(&mut self, plan: &MultiShard, combine: &Combine) -> String {
        let types =
            self.client.run(&self.worker_text(&plan.template, plan.shards[0]), Protocol::Simple, None);
        let types = types.expect("the server answers").columns;
        let mut query = String::new();
        for piece in &combine.query {
            match piece {
                CombinePiece::Text(text) => query.push_str(text),
                CombinePiece::TypeOf(column) => {
                    let oid = types.get(*column).map_or(0, |it| it.type_oid);
                    let name = self.client.rows(&format!("SELECT format_type({oid}, NULL)"));
                    query.push_str(name.expect("the type is known")[0][0].as_deref().unwrap_or("?"));
                }
            }
        }
        let columns: Vec<String> = (0..combine.columns).map(|it| format!("c{it}")).collect();
        let rows = self.all_rows(plan);
        format!("WITH howdah_intermediate({}) AS MATERIALIZED ({rows}) {query}", columns.join(", "))
    }

    fn all_rows(&self, plan: &MultiShard) -> String {
        let workers = plan.shards.iter().map(|it| format!("({})", self.worker_text(&plan.template, *it)));
        workers.collect::<Vec<_>>().join(" UNION ALL ")
    }

    fn worker_text(&self, template: &Template, shard: usize) -> String {
        let mut text = String::new();
        for piece in &template.0 {
            match piece {
                Piece::Text(it) => text.push_str(it),
                Piece::Shard(oid) => text.push_str(&shard_name(&self.catalog, *oid, shard)),
                other => panic!("unexpected piece {other:?}"),
            }
        }
        text
    }

    fn report(self) {
        eprintln!("{:?}", self.taken);
        let mut reasons: Vec<(usize, String)> = self.reasons.into_iter().map(|(a, b)| (b, a)).collect();
        reasons.sort();
        reasons.iter().rev().for_each(|(count, reason)| eprintln!("{count:5}  {reason}"));
        let shown: Vec<&str> = self.failed.iter().take(8).map(String::as_str).collect();
        assert!(self.failed.is_empty(), "{} queries differ:\n{}", self.failed.len(), shown.join("\n\n"));
    }
}

fn catalog() -> Catalog {
    let sample = TABLES.iter().fold(Sample::new(2), |sample, table| match table.placement {
        Placement::Hash(colocation) => sample.hash(table.name, table.columns, colocation, SHARDS),
        Placement::Reference => sample.reference(table.name, table.columns),
    });
    sample.catalog()
}

fn shards_sql(catalog: &Catalog) -> Vec<String> {
    let mut statements = Vec::new();
    for table in catalog.tables() {
        let name = &table.name;
        if table.is_reference() {
            statements.push(format!("CREATE TABLE {name}_copy AS SELECT * FROM {name} ORDER BY id DESC"));
            continue;
        }
        let column = table.distribution_column().expect("the table is distributed");
        let hash = if column.type_name == "text" { "hashtext" } else { "hashint4" };
        for (index, shard) in table.shards().iter().enumerate() {
            statements.push(format!(
                "CREATE TABLE {name}_{index} AS SELECT * FROM {name} WHERE {hash}({}) BETWEEN {} AND {}",
                column.name, shard.min, shard.max
            ));
        }
    }
    statements
}

fn shard_name(catalog: &Catalog, oid: TableOid, shard: usize) -> String {
    let table = catalog.table(oid).expect("plans name tables of the catalog");
    match table.is_reference() {
        true => format!("public.{}_copy", table.name),
        false => format!("public.{}_{shard}", table.name),
    }
}

fn plan(catalog: &Catalog, query: &str) -> Result<(Rung, MultiShard), String> {
    let statements = howdah_sql::parse(query).expect("the grammar accepts the query");
    let RelationNames::Exact(written) = relation_names(&statements[0]) else {
        panic!("{query}: its relations are not known")
    };
    let oid = |name: &str| catalog.table_named("public", name).map(|it| it.oid);
    let names: BTreeMap<_, _> = written.into_iter().map(|it| (it.clone(), oid(&it.name))).collect();
    let request = Request {
        statement: &statements[0],
        catalog,
        names: &names,
        parameter_types: &[],
        single_shard_allowed: false,
        settings: Settings::default(),
    };
    match plan_request(&request) {
        Ok(plan) => Ok(plan),
        Err(reasons) => Err(reasons.into_iter().map(|it| it.1).next_back().unwrap_or_default()),
    }
}

/// Whether the statement itself, not a part of it, has an ORDER BY.
fn is_ordered(query: &str) -> bool {
    let statements = howdah_sql::parse(query).expect("the grammar accepts the query");
    matches!(statements[0].node(), NodeEnum::SelectStmt(it) if !it.sort_clause.is_empty())
}

fn limits(limit: Option<Bound>, offset: Option<Bound>) -> String {
    let part = |word: &str, bound: Option<Bound>| match bound {
        Some(Bound::Constant(it)) => format!(" {word} {it}"),
        _ => String::new(),
    };
    format!("{}{}", part("LIMIT", limit), part("OFFSET", offset))
}
