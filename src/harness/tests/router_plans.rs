//! Plans of rung 1, executed by hand and compared with PostgreSQL's own answer to the same statement.
//!
//! Every value of the distribution column is a shard of its own here: the smallest that there can be, so that a plan which leaves out a
//! row that matters shows it. `HOWDAH_PLANS=<count>` and `HOWDAH_SEED=<seed>` run more or other statements.

use std::collections::BTreeMap;

use howdah_catalog::{Catalog, Sample};
use howdah_harness::PostgresServer;
use howdah_harness::client::{Client, Reply};
use howdah_harness::generator::Random;
use howdah_planner::{KeySource, Merge, Piece, Plan, Request, Settings, Template, plan};
use howdah_sql::{RelationNames, Statement, relation_names};

const KEYS: std::ops::RangeInclusive<i32> = 1..=5;
const TABLES: &[&str] = &["ta", "tb", "tc"];

#[test]
fn generated_selects_agree_with_postgres() {
    let mut oracle = Oracle::start();
    let mut writer = Writer { random: Random::new(seed()), aliases: 0, key: 1 };
    for _ in 0..count() {
        let query = writer.statement();
        oracle.check(&query);
    }
    oracle.report();
}

#[test]
fn generated_writes_agree_with_postgres() {
    let mut oracle = Oracle::start();
    let mut writer = Writer { random: Random::new(seed()), aliases: 0, key: 1 };
    for _ in 0..count() {
        let statement = writer.write();
        oracle.check(&statement);
    }
    oracle.report();
}

fn count() -> u64 {
    number("HOWDAH_PLANS").unwrap_or(400)
}

fn seed() -> u64 {
    number("HOWDAH_SEED").unwrap_or(1)
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Writes statements whose distributed tables are often restricted to one key.
struct Writer {
    random: Random,
    aliases: usize,
    key: i32,
}

impl Writer {
    fn statement(&mut self) -> String {
        self.start();
        self.query(3, &[])
    }

    fn start(&mut self) {
        self.aliases = 0;
        self.key = self.random.below(5) as i32 + 1;
    }

    fn write(&mut self) -> String {
        self.start();
        let table = self.table();
        let target = self.alias();
        let mut scope = vec![target.clone()];
        match self.random.below(3) {
            0 => {
                let conds = self.conds(&scope, 2);
                format!("DELETE FROM {table} {target} WHERE {conds} RETURNING k, a, b")
            }
            1 => {
                let from = self.from(1, &[], &mut scope);
                let conds = self.conds(&scope, 2);
                format!(
                    "DELETE FROM {table} {target} USING {from} WHERE {conds} RETURNING {target}.k, {target}.a"
                )
            }
            _ => {
                let value = match self.random.below(3) {
                    0 => format!("{target}.b + 1"),
                    1 => format!("(SELECT count(*) FROM {} z WHERE z.k = {target}.k)", self.table()),
                    _ => "7".into(),
                };
                let conds = self.conds(&scope, 2);
                format!("UPDATE {table} {target} SET a = {value} WHERE {conds} RETURNING k, a, b")
            }
        }
    }

    /// A query with the columns k, a and b.
    fn query(&mut self, depth: usize, outer: &[String]) -> String {
        if 0 < depth && self.random.below(6) == 0 {
            let operator = ["UNION", "UNION ALL", "INTERSECT", "EXCEPT", "EXCEPT ALL"][self.random.below(5)];
            return format!(
                "({}) {operator} ({})",
                self.query(depth - 1, outer),
                self.query(depth - 1, outer)
            );
        }
        if 0 < depth && self.random.below(6) == 0 {
            let name = self.alias();
            let body = self.query(depth - 1, &[]);
            let (x, y) = (self.alias(), self.alias());
            let scope = [x.clone(), y.clone()];
            let conds = self.conds(&scope, depth - 1);
            let second = if self.random.below(2) == 0 { name.clone() } else { self.table() };
            return format!(
                "WITH {name} AS ({body}) SELECT {x}.k, {x}.a, {y}.b FROM {name} {x}, {second} {y} WHERE {conds}"
            );
        }
        self.block(depth, outer)
    }

    fn block(&mut self, depth: usize, outer: &[String]) -> String {
        let mut scope = Vec::new();
        let from = self.from(depth, outer, &mut scope);
        let (x, y) = (scope[0].clone(), scope[self.random.below(scope.len())].clone());
        let visible = [scope.as_slice(), outer].concat();
        let conds = self.conds(&visible, depth);
        let rest = format!("FROM {from} WHERE {conds}");
        match self.random.below(9) {
            0 => format!("SELECT {x}.k, count(*)::int AS a, max({y}.b) AS b {rest} GROUP BY {x}.k"),
            1 => format!("SELECT max({x}.k) AS k, count(*)::int AS a, min({y}.b) AS b {rest}"),
            2 => format!("SELECT DISTINCT {x}.k, {y}.a, {x}.b {rest}"),
            3 => format!("SELECT {x}.k, {x}.a, {y}.b {rest} ORDER BY 1, 2, 3 LIMIT 3"),
            4 => format!("SELECT {x}.k, (count(*) OVER (PARTITION BY {y}.a))::int AS a, {x}.b {rest}"),
            5 => format!("SELECT DISTINCT ON ({x}.a) {x}.k, {x}.a, {y}.b {rest} ORDER BY {x}.a, 1, 3"),
            6 => format!(
                "SELECT {x}.k, (SELECT max(z.a) FROM {} z WHERE z.k = {x}.k) AS a, {y}.b {rest}",
                self.table()
            ),
            _ => format!("SELECT {x}.k, {y}.a, {x}.b {rest}"),
        }
    }

    fn from(&mut self, depth: usize, outer: &[String], scope: &mut Vec<String>) -> String {
        let mut from = self.item(depth, outer, scope);
        for _ in 0..self.random.below(3) {
            if self.random.below(4) == 0 {
                let next = self.item(depth, outer, scope);
                from = format!("{from} CROSS JOIN {next}");
                continue;
            }
            let kind = ["JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"][self.random.below(5)];
            let next = self.item(depth, outer, scope);
            // Only two plain items have one k each.
            if !from.contains(['(', ')']) && !from.contains("JOIN") && self.random.below(3) == 0 {
                from = format!("({from} {kind} {next} USING (k))");
                continue;
            }
            let condition = match kind {
                // PostgreSQL knows only mergejoinable conditions of full joins.
                "FULL JOIN" => format!("{}.k = {}.k", scope[scope.len() - 2], scope[scope.len() - 1]),
                _ => {
                    let scope = scope.clone();
                    self.simple_conds(&scope)
                }
            };
            from = format!("({from} {kind} {next} ON {condition})");
        }
        from
    }

    fn item(&mut self, depth: usize, outer: &[String], scope: &mut Vec<String>) -> String {
        let item = match self.random.below(4) {
            0 if 0 < depth => {
                let query = self.query(depth - 1, outer);
                format!("({query})")
            }
            _ => self.table(),
        };
        let alias = self.alias();
        scope.push(alias.clone());
        format!("{item} {alias}")
    }

    fn conds(&mut self, scope: &[String], depth: usize) -> String {
        let mut conds = self.simple_conds(scope);
        if 0 < depth && self.random.below(3) == 0 {
            let of = scope[self.random.below(scope.len())].clone();
            let subquery = match self.random.below(4) {
                0 => format!("EXISTS (SELECT 1 FROM {} z WHERE z.k = {of}.k AND z.a = {of}.b)", self.table()),
                1 => format!("NOT EXISTS (SELECT 1 FROM {} z WHERE z.k = {of}.k)", self.table()),
                2 => format!("{of}.k IN (SELECT q.k FROM ({}) q)", self.query(depth - 1, &[])),
                _ => format!("{of}.k NOT IN (SELECT z.k FROM {} z WHERE z.k = {})", self.table(), self.key),
            };
            conds = format!("{conds} AND {subquery}");
        }
        conds
    }

    fn simple_conds(&mut self, scope: &[String]) -> String {
        let conds: Vec<_> = (0..=self.random.below(3)).map(|_| self.cond(scope)).collect();
        conds.join(" AND ")
    }

    fn cond(&mut self, scope: &[String]) -> String {
        let a = scope[self.random.below(scope.len())].clone();
        let b = scope[self.random.below(scope.len())].clone();
        match self.random.below(12) {
            0..=3 => format!("{a}.k = {}", self.key),
            4..=7 => format!("{a}.k = {b}.k"),
            8 => format!("{a}.a = {b}.k"),
            9 => format!("{a}.a IS NULL"),
            10 => format!("({a}.k = {} OR {b}.a = 1)", self.key),
            _ => format!("{a}.b >= {b}.a"),
        }
    }

    fn table(&mut self) -> String {
        TABLES[self.random.below(TABLES.len())].to_owned()
    }

    fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("x{}", self.aliases)
    }
}

struct Oracle {
    client: Client,
    catalog: Catalog,
    taken: BTreeMap<&'static str, usize>,
    failed: Vec<String>,
    _server: PostgresServer,
}

impl Oracle {
    fn start() -> Self {
        let server = PostgresServer::start().expect("PostgreSQL starts");
        let mut client = server.client("postgres").expect("PostgreSQL accepts connections");
        for (number, table) in TABLES.iter().enumerate() {
            client
                .rows(&format!(
                    "CREATE TABLE {table} AS SELECT i % 5 + 1 AS k, nullif(i * {} % 7, 3) AS a, nullif(i % 4, 0) AS b \
                     FROM generate_series(1, {}) i",
                    number + 2,
                    9 + number * 2
                ))
                .expect("the tables can be made");
            for key in KEYS {
                let shard = format!("CREATE TABLE {table}_{key} AS SELECT * FROM {table} WHERE k = {key}");
                client.rows(&shard).expect("the tables can be made");
            }
        }
        let sample = TABLES
            .iter()
            .fold(Sample::new(2), |it, table| it.hash(table, "k int not null, a int, b int", 1, 5));
        Self {
            client,
            catalog: sample.catalog(),
            taken: BTreeMap::new(),
            failed: Vec::new(),
            _server: server,
        }
    }

    fn check(&mut self, text: &str) {
        let statement = howdah_sql::parse(text).expect("the grammar accepts the statement").remove(0);
        let texts = match self.plan(&statement) {
            Some(texts) => texts,
            None => return,
        };
        let expected = self.rolled_back(&[text.to_owned()]);
        if expected[0].error.is_some() {
            return self.count("wrong");
        }
        let actual = self.rolled_back(&texts);
        let rows = |replies: Vec<Reply>| {
            let mut rows: Vec<_> = replies.into_iter().flat_map(|it| it.rows).collect();
            rows.sort();
            rows
        };
        if let Some(error) = actual.iter().find_map(|it| it.error.clone()) {
            self.failed.push(format!("{text}\n  {error:?}"));
            return;
        }
        let (expected, actual) = (rows(expected), rows(actual));
        if expected != actual {
            self.failed.push(format!("{text}\n  {expected:?}\n  {actual:?}"));
        }
    }

    fn rolled_back(&mut self, texts: &[String]) -> Vec<Reply> {
        self.client.simple("BEGIN").expect("the server answers");
        let replies = texts.iter().map(|it| self.client.simple(it).expect("the server answers")).collect();
        self.client.simple("ROLLBACK").expect("the server answers");
        replies
    }

    /// The texts to be run, if the plan is one to be looked at here.
    fn plan(&mut self, statement: &Statement) -> Option<Vec<String>> {
        let RelationNames::Exact(written) = relation_names(statement) else { panic!("the tree is known") };
        let oid = |name: &str| self.catalog.table_named("public", name).map(|it| it.oid);
        let names: BTreeMap<_, _> = written.into_iter().map(|it| (it.clone(), oid(&it.name))).collect();
        let request = Request {
            statement,
            catalog: &self.catalog,
            names: &names,
            parameter_types: &[],
            single_shard_allowed: true,
            settings: Settings::default(),
        };
        let Ok(planned) = plan(&request) else {
            self.count("refused");
            return None;
        };
        match &planned.plan {
            Plan::SingleShard(it) => {
                let keys: Vec<_> = it.keys.iter().map(|it| key(&it.source, statement.text())).collect();
                if keys.iter().any(|it| *it != keys[0]) {
                    self.count("several keys");
                    return None;
                }
                self.count("router");
                Some(vec![self.text(&it.template, keys[0], statement.text())])
            }
            Plan::MultiShard(it) if it.merge == Merge::Modified => {
                self.count("every shard");
                Some(KEYS.map(|key| self.text(&it.template, key, statement.text())).collect())
            }
            _ => {
                self.count("other");
                None
            }
        }
    }

    fn text(&self, template: &Template, key: i32, statement: &str) -> String {
        let shape = howdah_sql::shape(statement).expect("the statement has a shape");
        let mut text = String::new();
        for piece in &template.0 {
            match piece {
                Piece::Text(it) => text.push_str(it),
                Piece::Literal(slot) => {
                    let literal = shape.literals[*slot];
                    text.push_str(&statement[literal.start..literal.end]);
                }
                Piece::Shard(oid) => {
                    let table = self.catalog.table(*oid).expect("plans name tables of the catalog");
                    text.push_str(&format!("{}_{key}", table.name));
                }
                other => panic!("unexpected piece {other:?}"),
            }
        }
        text
    }

    fn count(&mut self, what: &'static str) {
        *self.taken.entry(what).or_default() += 1;
    }

    fn report(self) {
        eprintln!("{:?}", self.taken);
        let shown: Vec<_> = self.failed.iter().take(8).map(String::as_str).collect();
        assert!(self.failed.is_empty(), "{} statements differ:\n{}", self.failed.len(), shown.join("\n\n"));
    }
}

fn key(source: &KeySource, text: &str) -> i32 {
    let shape = howdah_sql::shape(text).expect("the statement has a shape");
    match source {
        KeySource::Literal { slot, negated: false } => {
            let literal = shape.literals[*slot];
            text[literal.start..literal.end].parse().expect("keys are numbers")
        }
        KeySource::Constant(it) => it.parse().expect("keys are numbers"),
        other => panic!("unexpected key {other:?}"),
    }
}
