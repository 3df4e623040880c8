//! A plan for one shard never leaves out a row that one server would use.
//!
//! Random queries over small tables are run by hand, once over all rows and once over only those rows whose distribution column
//! is the plan's key, which is the smallest shard that there could be. Wherever the planner takes rung 1, both must give the same.

use std::fmt::Write;

use howdah_catalog::{Catalog, Sample};
use proptest::prelude::*;

use super::planned;
use crate::{KeySource, Plan, Settings};

/// Distribution column `k` and another column `v`; NULL only in `v`.
type Row = [Option<i32>; 2];

#[derive(Clone, Debug)]
struct Query {
    tables: Vec<Vec<Row>>,
    joins: Join,
    filter: Vec<Cond>,
}

#[derive(Clone, Debug)]
enum Join {
    Table(usize),
    Both(Kind, Box<Join>, Box<Join>, Vec<Cond>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Inner,
    Left,
    Right,
    Full,
}

/// `t0.k = t1.v` or `t0.k = 1`; columns by table and 0 or 1.
#[derive(Clone, Debug)]
enum Cond {
    Columns((usize, usize), (usize, usize)),
    Constant((usize, usize), i32),
    IsNull((usize, usize)),
}

/// A row of a join: a row or NULLs per table.
type Combined = Vec<Option<Row>>;

impl Cond {
    fn holds(&self, row: &Combined) -> bool {
        let value = |(table, column): (usize, usize)| row[table].and_then(|it| it[column]);
        match self {
            Self::Columns(a, b) => value(*a).is_some() && value(*a) == value(*b),
            Self::Constant(a, constant) => value(*a) == Some(*constant),
            Self::IsNull(a) => value(*a).is_none(),
        }
    }

    fn sql(&self) -> String {
        let name = |(table, column): (usize, usize)| format!("t{table}.{}", ["k", "v"][column]);
        match self {
            Self::Columns(a, b) => format!("{} = {}", name(*a), name(*b)),
            Self::Constant(a, constant) => format!("{} = {constant}", name(*a)),
            Self::IsNull(a) => format!("{} IS NULL", name(*a)),
        }
    }
}

impl Join {
    fn tables(&self) -> Vec<usize> {
        match self {
            Self::Table(it) => vec![*it],
            Self::Both(_, left, right, _) => [left.tables(), right.tables()].concat(),
        }
    }

    fn sql(&self) -> String {
        match self {
            Self::Table(it) => format!("t{it}"),
            Self::Both(kind, left, right, conds) => {
                let kind = format!("{kind:?}").to_uppercase();
                format!("({} {kind} JOIN {} ON {})", left.sql(), right.sql(), and(conds))
            }
        }
    }

    fn run(&self, tables: &[Vec<Row>]) -> Vec<Combined> {
        match self {
            Self::Table(it) => tables[*it]
                .iter()
                .map(|row| (0..tables.len()).map(|table| (table == *it).then_some(*row)).collect())
                .collect(),
            Self::Both(kind, left, right, conds) => join(*kind, &left.run(tables), &right.run(tables), conds),
        }
    }
}

fn join(kind: Kind, left: &[Combined], right: &[Combined], conds: &[Cond]) -> Vec<Combined> {
    let mut rows = Vec::new();
    let mut right_matched = vec![false; right.len()];
    for a in left {
        let mut matched = false;
        for (b, right_matched) in right.iter().zip(&mut right_matched) {
            let both: Combined = a.iter().zip(b).map(|(a, b)| a.or(*b)).collect();
            if conds.iter().all(|it| it.holds(&both)) {
                (matched, *right_matched) = (true, true);
                rows.push(both);
            }
        }
        if !matched && matches!(kind, Kind::Left | Kind::Full) {
            rows.push(a.clone());
        }
    }
    let unmatched = right.iter().zip(&right_matched).filter(|it| !it.1).map(|it| it.0.clone());
    rows.extend(unmatched.filter(|_| matches!(kind, Kind::Right | Kind::Full)));
    rows
}

fn and(conds: &[Cond]) -> String {
    match conds {
        [] => "true".into(),
        _ => conds.iter().map(Cond::sql).collect::<Vec<_>>().join(" AND "),
    }
}

impl Query {
    fn sql(&self) -> String {
        let mut sql = format!("SELECT count(*) FROM {}", self.joins.sql());
        if !self.filter.is_empty() {
            // Writing to a string never fails.
            let _ = write!(sql, " WHERE {}", and(&self.filter));
        }
        sql
    }

    fn run(&self, tables: &[Vec<Row>]) -> Vec<Combined> {
        let mut rows = self.joins.run(tables);
        rows.retain(|row| self.filter.iter().all(|it| it.holds(row)));
        rows.sort();
        rows
    }
}

fn catalog() -> Catalog {
    (0..4)
        .fold(Sample::new(2), |sample, it| sample.hash(&format!("t{it}"), "k int not null, v int", 1, 4))
        .catalog()
}

fn cond(tables: Vec<usize>) -> impl Strategy<Value = Cond> {
    let column = move || (proptest::sample::select(tables.clone()), 0..2_usize);
    prop_oneof![
        4 => (column(), column()).prop_map(|(a, b)| Cond::Columns(a, b)),
        4 => (column(), 1..4_i32).prop_map(|(a, constant)| Cond::Constant(a, constant)),
        1 => column().prop_map(Cond::IsNull),
    ]
}

fn conds(tables: Vec<usize>, most: usize) -> impl Strategy<Value = Vec<Cond>> {
    proptest::collection::vec(cond(tables), 0..=most)
}

fn joins(first: usize, count: usize) -> BoxedStrategy<Join> {
    if count == 1 {
        return Just(Join::Table(first)).boxed();
    }
    let kind = prop_oneof![3 => Just(Kind::Inner), 3 => Just(Kind::Left), 1 => Just(Kind::Right), 1 => Just(Kind::Full)];
    let tables: Vec<_> = (first..first + count).collect();
    (1..count, kind, conds(tables, 3))
        .prop_flat_map(move |(left, kind, conds)| {
            (joins(first, left), joins(first + left, count - left))
                .prop_map(move |(a, b)| Join::Both(kind, Box::new(a), Box::new(b), conds.clone()))
        })
        .boxed()
}

fn query() -> impl Strategy<Value = Query> {
    let row = (1..4_i32, proptest::option::weighted(0.8, 1..4_i32)).prop_map(|(k, v)| [Some(k), v]);
    let tables = proptest::collection::vec(proptest::collection::vec(row, 0..5), 4);
    (1..=4_usize).prop_flat_map(joins_of).prop_flat_map(move |joins| {
        let filter = conds(joins.tables(), 3);
        (tables.clone(), Just(joins), filter).prop_map(|(tables, joins, filter)| Query {
            tables,
            joins,
            filter,
        })
    })
}

fn joins_of(count: usize) -> BoxedStrategy<Join> {
    joins(0, count)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_shard_has_every_row_that_matters(query in query()) {
        let catalog = catalog();
        let sql = query.sql();
        let plan = planned(&catalog, &sql, Settings::default(), true).expect("a SELECT has a plan").plan;
        if let Plan::SingleShard(plan) = plan {
            let shape = howdah_sql::shape(&sql).expect("a shape");
            let keys: Vec<i32> = plan.keys.iter().map(|it| match &it.source {
                KeySource::Literal { slot, .. } => {
                    let literal = shape.literals[*slot];
                    sql[literal.start..literal.end].parse().expect("a number")
                }
                other => panic!("an unexpected key {other:?}"),
            }).collect();
            // With keys on several shards the executor plans again.
            prop_assume!(keys.iter().all(|it| *it == keys[0]));
            let mut pruned = query.tables.clone();
            pruned.iter_mut().for_each(|it| it.retain(|row| row[0] == Some(keys[0])));
            prop_assert_eq!(query.run(&query.tables), query.run(&pruned), "{}", sql);
        }
    }
}
